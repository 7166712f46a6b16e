"""The line is dropped, half-closed and stalled in the middle of sending, watching and fetching; the take is the same to the byte."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from overpaint.client import Client
from overpaint.errors import OverpaintError

from tests.faults import subject
from tests.faults.host import Host
from tests.faults.ledger import Ledger
from tests.faults.proxy import How, Proxy, Way

pytestmark = pytest.mark.faults
PHASES = ("sending", "watching", "fetching")
BYTES = {"sending": 140_000, "watching": 1_500, "fetching": 10_000}  # that the phase moves, more or less
CASES = [
    (engine, phase, how, turn) for engine in subject.ENGINES for phase in PHASES for how in How for turn in range(3)
]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Host(tmp_path_factory.mktemp("network") / "jobs") as host:
        yield host


# A line that stalls is found out by a ping that stays unanswered, which takes its time: one of them is enough.
@pytest.mark.parametrize(
    ("engine", "phase", "how", "turn"), [case for case in CASES if case[3] == 0 or case[2] != How.STALL]
)
def test_law_4_the_network(host: Host, ledger: Ledger, engine: str, phase: str, how: How, turn: int) -> None:
    seed = 50_000 + CASES.index((engine, phase, how, turn))
    frames = subject.clip(seed)
    spec = subject.job(engine, seed, frames, delay=0.03, strength=0.5)  # the noise stays, and a take has some size
    whole = subject.uninterrupted(spec, frames)
    heard: list[OverpaintError | None] = []
    after = random.Random(seed).randrange(BYTES[phase])
    way = Way.UP if phase == "sending" else Way.DOWN

    def arm(now: str) -> None:
        if now == phase:
            proxy.arm(way, how, after)

    with (
        ledger.run(f"network {how} while {phase}, {engine}") as compare,
        Proxy(host.address) as proxy,
        Client(proxy.address, patience=60) as client,
    ):
        client.server()
        arm("sending")
        client.send(spec, subject.pixels(spec, frames).__getitem__, cut=heard.append)
        arm("watching")
        numbers = [event.number for event in client.watch(spec.id, cut=heard.append)]
        assert numbers == list(range(1, len(numbers) + 1)), "events were lost, or came twice"
        arm("fetching")
        take = list(client.fetch(spec.id, cut=heard.append))
        assert proxy.broken.is_set(), "the line was never cut"
        assert heard and heard[-1] is None, "nobody said that the line was cut, and that it was mended"
        compare(take, whole)


def test_the_patience_of_a_client_ends(tmp_path: Path) -> None:
    frames = subject.clip(1)
    spec = subject.job("toy", 1, frames)
    with Host(tmp_path / "jobs") as host, Client(host.address, patience=2) as client:
        client.send(spec, subject.pixels(spec, frames).__getitem__)
        host.kill()
        with pytest.raises(OverpaintError, match="no server answers"):
            list(client.fetch(spec.id))
