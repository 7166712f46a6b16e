"""A small disk that fills during sending, painting and compositing: nothing fails, and it goes on when there is room."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from overpaint.client import Client
from overpaint.errors import Exhausted, OverpaintError
from overpaint.job import EventKind, JobEvent

from tests.faults import subject
from tests.faults.host import Host
from tests.faults.ledger import Ledger

pytestmark = pytest.mark.faults
SIZE = 32 << 20  # bytes
CASES = [(engine, brim) for engine in subject.ENGINES for brim in (True, False)]
FULL = {True: "to the brim", False: "up to the margin"}
MARGIN = SIZE // 20  # what pixels leave free
LEFT = {True: 0, False: MARGIN // 2}  # with no byte left the job store cannot write either


class Disk:
    def __init__(self, folder: Path) -> None:
        self.folder, self._ballast = folder, folder / "ballast"

    def fill(self, left: int) -> None:
        """Leave so many bytes free."""
        with self._ballast.open("wb", buffering=0) as file:
            while (free := shutil.disk_usage(self.folder).free) > left:
                try:
                    file.write(bytes(min(free - left, 1 << 20)))
                except OSError:
                    return

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk is a tmpfs, and this user may not mount one")
    yield Disk(folder)
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(autouse=True)
def _room(disk: Disk) -> Iterator[None]:
    yield
    disk.free()


@pytest.fixture(scope="module")
def host(disk: Disk) -> Iterator[Host]:
    with Host(disk.folder / "jobs") as host:
        yield host


@pytest.mark.parametrize(("engine", "brim"), CASES)
def test_law_4_a_disk_that_is_full_while_frames_arrive(
    disk: Disk, host: Host, ledger: Ledger, engine: str, brim: bool
) -> None:
    seed = 70_000 + CASES.index((engine, brim))
    frames = subject.clip(seed, 96, 72)
    spec = subject.job(engine, seed, frames)
    whole, named, asked = subject.uninterrupted(spec, frames), subject.pixels(spec, frames), 0
    heard: list[OverpaintError | None] = []

    def read(digest: str) -> np.ndarray:
        nonlocal asked
        asked += 1
        if asked == 20:
            disk.fill(LEFT[brim])
        return named[digest]

    def cut(error: OverpaintError | None) -> None:
        heard.append(error)
        if isinstance(error, Exhausted) and len(heard) == 2:
            with Client(host.address) as other, pytest.raises(Exhausted, match="disk is full") as refused:
                other.open_job(subject.job(engine, seed + 500, frames))  # a new job is refused in words
            assert refused.value.field == "disk" and refused.value.remedy
            disk.free()

    with (
        ledger.run(f"disk full {FULL[brim]} while sending, {engine}") as compare,
        Client(host.address, patience=60) as client,
    ):
        client.send(spec, read, cut=cut)
        assert isinstance(heard[0], Exhausted) and heard[-1] is None
        subject.finish(client, spec)
        compare(list(client.fetch(spec.id)), whole)
        client.delete(spec.id)


@pytest.mark.parametrize(("engine", "brim"), CASES)
def test_law_4_a_disk_that_is_full_while_a_job_is_painted(
    disk: Disk, host: Host, ledger: Ledger, engine: str, brim: bool
) -> None:
    seed = 71_000 + CASES.index((engine, brim))
    frames = subject.clip(seed, 96, 72)
    spec = subject.job(engine, seed, frames, delay=0.1)
    whole = subject.uninterrupted(spec, frames)
    with ledger.run(f"disk full {FULL[brim]} while painting, {engine}") as compare, Client(host.address) as client:
        client.send(spec, subject.pixels(spec, frames).__getitem__)
        subject.until(client.watch(spec.id), EventKind.WINDOW_DONE, window=0)
        disk.fill(LEFT[brim])
        freeing = threading.Timer(2.0, disk.free)
        freeing.start()
        began = time.time()
        events = subject.finish(client, spec)
        freeing.join()
        check(events)
        assert events[-1].at - began > 1.5, "it was finished on a full disk"
        compare(list(client.fetch(spec.id)), whole)
        client.delete(spec.id)


@pytest.mark.parametrize("engine", subject.ENGINES)
def test_law_4_a_disk_that_is_full_while_a_take_is_composited(
    disk: Disk, host: Host, ledger: Ledger, engine: str
) -> None:
    seed = 72_000 + subject.ENGINES.index(engine)
    frames = subject.clip(seed, 96, 72)
    spec = subject.job(engine, seed, frames, delay=0.1, strength=0.5)  # no two frames of the take are the same
    whole = subject.uninterrupted(spec, frames)
    with ledger.run(f"disk full while compositing, {engine}") as compare, Client(host.address) as client:
        client.send(spec, subject.pixels(spec, frames).__getitem__)
        subject.until(client.watch(spec.id), EventKind.WINDOW_DONE, window=subject.WINDOWS[engine] - 2)
        # Room for the last window and the job store, and not for the take, of which each frame takes a page.
        window = max(file.stat().st_size for file in disk.folder.rglob("*.npz"))
        disk.fill(MARGIN + window + len(frames) * 4096 // 2)
        waits = subject.until(client.watch(spec.id), EventKind.LOST)
        disk.free()
        events = subject.finish(client, spec)
        check(events)
        before = [event.stage for event in events if event.number < waits.number]
        assert before[-1] == "compositing", "it never came to the take"
        compare(list(client.fetch(spec.id)), whole)
        client.delete(spec.id)


def check(events: list[JobEvent]) -> None:
    """It was held up, said so, and went on."""
    waited = [event for event in events if event.kind is EventKind.LOST]
    assert waited and {event.field for event in waited} == {"disk"} and "disk is full" in waited[0].message
