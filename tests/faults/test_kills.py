"""Law 4: worker, server and client are killed (-9) after every window and at random points; the take is the same to the byte."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from overpaint.client import Client
from overpaint.job import EventKind

from tests.faults import subject
from tests.faults.host import Host
from tests.faults.ledger import Ledger

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not Path("/proc").exists(), reason="finds the processes to kill through /proc"),
]
DELAY = 0.06  # seconds a step, four of them a window
RANDOM = 5  # runs that are cut at a random point
POINTS = [
    (engine, f"window {number}", number) for engine in subject.ENGINES for number in range(subject.WINDOWS[engine])
]
CHANCES = [(engine, f"chance {number}", number) for engine in subject.ENGINES for number in range(RANDOM)]
SEEDS = {name: number for number, name in enumerate(("worker", "server", "client"), 1)}


def seed_of(victim: str, engine: str, words: str) -> int:
    return SEEDS[victim] * 10_000 + subject.ENGINES.index(engine) * 1000 + hash_of(words)


def hash_of(words: str) -> int:
    kind, number = words.split()
    return {"window": 0, "chance": 100}[kind] + int(number)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Host(tmp_path_factory.mktemp("kills") / "jobs") as host:
        yield host


def soon(seed: int, longest: float, act: Callable[[], object]) -> threading.Thread:
    """Do it at a random moment, which the seed decides."""
    wait = random.Random(seed).uniform(0, longest)

    def later() -> None:
        time.sleep(wait)
        act()

    thread = threading.Thread(target=later)
    thread.start()
    return thread


@pytest.mark.parametrize(("engine", "words", "number"), [*POINTS, *CHANCES])
def test_law_4_the_worker(host: Host, ledger: Ledger, engine: str, words: str, number: int) -> None:
    seed = seed_of("worker", engine, words)
    frames = subject.clip(seed)
    spec = subject.job(engine, seed, frames, delay=DELAY)
    whole = subject.uninterrupted(spec, frames)
    with ledger.run(f"worker killed, {words.split()[0]}, {engine}") as compare, Client(host.address) as client:
        host.worker()
        client.send(spec, subject.pixels(spec, frames).__getitem__)
        if words.startswith("window"):
            subject.until(client.watch(spec.id), EventKind.WINDOW_DONE, window=number)
            host.kill_worker()
        else:
            soon(seed, 1.5, host.kill_worker).join()
        events = subject.finish(client, spec)
        assert sum(event.kind is EventKind.LOST for event in events) <= 1
        compare(list(client.fetch(spec.id)), whole)


@pytest.mark.parametrize(("engine", "words", "number"), [*POINTS, *CHANCES])
def test_law_4_the_server(host: Host, ledger: Ledger, engine: str, words: str, number: int) -> None:
    seed = seed_of("server", engine, words)
    frames = subject.clip(seed)
    spec = subject.job(engine, seed, frames, delay=DELAY)
    whole = subject.uninterrupted(spec, frames)

    def again() -> None:
        host.kill()
        host.start()

    with (
        ledger.run(f"server killed, {words.split()[0]}, {engine}") as compare,
        Client(host.address, patience=60) as client,
    ):
        hurt = soon(seed, 2.5, again) if words.startswith("chance") else None
        client.send(spec, subject.pixels(spec, frames).__getitem__)
        numbers = []
        for event in client.watch(spec.id):
            numbers.append(event.number)
            if hurt is None and event.kind is EventKind.WINDOW_DONE and event.window == number:
                hurt = soon(seed, 0.0, again)
        assert numbers == list(range(1, len(numbers) + 1)), "events were lost, or came twice"
        compare(list(client.fetch(spec.id)), whole)
        assert hurt is not None
        hurt.join()


@pytest.mark.parametrize(("engine", "words", "number"), [*POINTS, *CHANCES])
def test_law_4_the_client(host: Host, ledger: Ledger, tmp_path: Path, engine: str, words: str, number: int) -> None:
    seed = seed_of("client", engine, words)
    frames = subject.clip(seed)
    whole = subject.uninterrupted(subject.job(engine, seed, frames), frames)
    command = [sys.executable, "-m", "tests.faults.sender", host.address, engine, str(seed), str(DELAY), str(tmp_path)]
    with ledger.run(f"client killed, {words.split()[0]}, {engine}") as compare:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
            if words.startswith("window"):
                assert first.stdout is not None
                assert f"window {number}\n" in iter(first.stdout.readline, "")
                first.kill()
            else:
                soon(seed, 4.0, first.kill).join()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=120)
        compare([np.load(file) for file in sorted(tmp_path.glob("*.npy"))], whole)
