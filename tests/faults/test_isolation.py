"""What a job does to its worker stays with that job: real processes, and an engine that breaks them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from overpaint.client import Client
from overpaint.edit import OptionValue
from overpaint.job import EventKind, JobEvent, JobSpec, JobState
from overpaint_backend.engines.toy.card import card as toy
from overpaint_backend.engines.toy.engine import ToyEngine
from overpaint_backend.workers.local import GRACE
from overpaint_backend.workers.run import smaller

from tests.faults import subject
from tests.faults.host import Host
from tests.faults.ledger import Ledger

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not Path("/proc").exists(), reason="finds the worker, and bounds its memory, through /proc"),
]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A server that has the engine `faulty`, installed in a place of its own."""
    place = tmp_path_factory.mktemp("installed")
    shutil.copy(Path(__file__).with_name("faulty.py"), place / "overpaint_faulty.py")
    about = place / "overpaint_faulty-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: overpaint-faulty\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[overpaint.engines]\nfaulty = overpaint_faulty\n")
    path = os.pathsep.join(filter(None, (str(place), os.environ.get("PYTHONPATH"))))
    folder = tmp_path_factory.mktemp("isolation")
    with Host(folder / "jobs", PYTHONPATH=path, OVERPAINT_FAULTS=str(folder)) as host:
        yield host


class Broken:
    """A job of the faulty engine, and one of the toy that waits behind it."""

    def __init__(self, seed: int, **options: OptionValue) -> None:
        self.frames, self.beside = subject.clip(seed), subject.clip(seed + 1)
        self.spec = subject.job("faulty", seed, self.frames, **options)
        self.other = subject.job("toy", seed + 1, self.beside)

    def send(self, client: Client) -> None:
        for spec, frames in ((self.spec, self.frames), (self.other, self.beside)):
            client.send(spec, subject.pixels(spec, frames).__getitem__)

    def whole(self) -> list[np.ndarray]:
        """The take of the toy, which never breaks."""
        return subject.uninterrupted(self.plain(), self.frames)

    def plain(self) -> JobSpec:
        return replace(self.spec, engine="toy", edit=replace(self.spec.edit, options={}))

    def check_other(self, client: Client) -> None:
        subject.finish(client, self.other)
        take = list(client.fetch(self.other.id))
        assert all(map(np.array_equal, take, subject.uninterrupted(self.other, self.beside)))


def lost(events: list[JobEvent]) -> list[str]:
    return [event.message for event in events if event.kind is EventKind.LOST]


@pytest.mark.parametrize(
    ("fault", "said"), [("killed", "SIGKILL"), ("segfault", "SIGSEGV"), ("CUDA error", "illegal memory access")]
)
def test_a_job_that_breaks_its_worker_once_goes_on_in_another(
    host: Host, ledger: Ledger, fault: str, said: str
) -> None:
    broken = Broken(60_000 + len(fault) * 10, fault=fault)
    with ledger.run(f"engine: {fault}") as compare, Client(host.address) as client:
        before = host.worker()
        broken.send(client)
        events = subject.finish(client, broken.spec)
        assert [said in message for message in lost(events)] == [True], lost(events)
        assert host.worker() != before
        compare(list(client.fetch(broken.spec.id)), broken.whole())
        broken.check_other(client)


def test_a_job_that_breaks_three_workers_has_failed_and_says_why_and_the_next_is_painted(
    host: Host, ledger: Ledger
) -> None:
    broken = Broken(61_000, fault="segfault", times=3)
    with ledger.run("engine: three segfaults, then tried again") as compare, Client(host.address) as client:
        broken.send(client)
        events = list(client.watch(broken.spec.id))
        assert events[-1].kind is EventKind.FAILED and len(lost(events)) == 2
        assert "3 times" in events[-1].message and "SIGSEGV" in events[-1].message
        broken.check_other(client)
        client.retry(broken.spec.id)  # the engine was mended
        subject.finish(client, broken.spec, events[-1].number)
        compare(list(client.fetch(broken.spec.id)), broken.whole())


def test_memory_that_runs_out_makes_the_windows_smaller(host: Host, ledger: Ledger) -> None:
    broken = Broken(62_000, fault="out of memory")
    with ledger.run("engine: out of memory") as compare, Client(host.address) as client:
        before = host.worker()
        broken.send(client)
        events = subject.finish(client, broken.spec)
        assert [event.step for event in events if event.kind is EventKind.PLANNED] == [0, 1]
        assert not lost(events) and host.worker() == before
        with_less = subject.uninterrupted(broken.plain(), broken.frames, ToyEngine(smaller(toy, 1)))
        compare(list(client.fetch(broken.spec.id)), with_less)
        broken.check_other(client)


def test_law_7_a_step_that_hangs_gives_the_device_back_after_a_cancel(host: Host) -> None:
    broken = Broken(63_000, fault="hang")
    with Client(host.address) as client:
        broken.send(client)
        subject.until(client.watch(broken.spec.id), EventKind.WINDOW_DONE)
        time.sleep(1)  # it hangs now
        before, began = host.worker(), time.monotonic()
        assert client.cancel(broken.spec.id) is JobState.CANCELLING
        assert time.monotonic() - began < 1
        assert list(client.watch(broken.spec.id))[-1].kind is EventKind.CANCELLED
        assert time.monotonic() - began < GRACE + 15
        broken.check_other(client)
        assert host.worker() != before


def test_law_7_a_step_that_hangs_gives_the_device_back_after_a_pause(host: Host, ledger: Ledger) -> None:
    broken = Broken(64_000, fault="hang")
    with ledger.run("engine: hangs, paused and resumed") as compare, Client(host.address) as client:
        broken.send(client)
        subject.until(client.watch(broken.spec.id), EventKind.WINDOW_DONE)
        time.sleep(1)
        assert client.pause(broken.spec.id) is JobState.PAUSED
        broken.check_other(client)  # another worker's
        client.resume(broken.spec.id)
        subject.finish(client, broken.spec)
        compare(list(client.fetch(broken.spec.id)), broken.whole())


def test_a_worker_that_lives_and_does_not_renew_its_lease_is_killed(host: Host, ledger: Ledger) -> None:
    broken = Broken(65_000, fault="hang with the lock")
    with ledger.run("engine: hangs with the interpreter's lock") as compare, Client(host.address) as client:
        broken.send(client)
        events = subject.finish(client, broken.spec)
        assert lost(events) == ["its worker ended with SIGKILL"]
        compare(list(client.fetch(broken.spec.id)), broken.whole())
        broken.check_other(client)
