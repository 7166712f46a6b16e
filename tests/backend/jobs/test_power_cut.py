"""What a power cut can do: nothing is told of a job before what it names is on the disk."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from overpaint.chunks import pack
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Task
from overpaint.errors import Corrupt, Exhausted, Missing
from overpaint.job import EventKind, JobSpec
from overpaint_backend.access import ANYONE
from overpaint_backend.desk import Desk
from overpaint_backend.engines.toy.engine import ToyEngine
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.settings import load_settings
from overpaint_backend.workers.run import run_job

FRAMES = [np.full((16, 16, 3), shade, np.uint8) for shade in range(6)]


class Disk:
    """Knows what is on the disk: files by their inode once their bytes are synced, names once their folder is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes: set[int] = set()
        self.names: set[Path] = set()
        really = os.fsync

        def fsync(opened: int) -> None:
            really(opened)
            place = Path(f"/proc/self/fd/{opened}").readlink()
            if place.is_dir():
                self.names |= set(place.iterdir())
            else:
                self.bytes.add(os.fstat(opened).st_ino)

        monkeypatch.setattr(os, "fsync", fsync)

    def holds(self, path: Path) -> bool:
        folders = [path.parent, path.parent.parent]  # a file in a folder that has no name is not found again
        return path.stat().st_ino in self.bytes and {path, *folders} <= self.names


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which file is synced")
def test_a_job_is_queued_and_finished_only_when_its_pixels_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    store, spool = Store(tmp_path / "jobs.sqlite"), Spool(tmp_path / "spool")
    desk = Desk(load_settings(flags={"folder": tmp_path}), store, spool)
    clip = Clip(size=Size(width=16, height=16), rate=Rate(numerator=24), depth=8, frames=tuple(map(digest, FRAMES)))
    spec = JobSpec(id="1" * 32, engine="toy", clip=clip, edit=Edit(task=Task.GENERATE, options={"strength": 0.5}))

    def on_disk(names: Any) -> bool:
        return all(disk.holds(tmp_path / "spool" / "frames" / name[:2] / name) for name in names)

    told: list[tuple[EventKind, bool]] = []
    record, keep_take = store.record, store.keep_take

    def noted(job: str, kind: EventKind, **details: Any) -> Any:
        if kind is EventKind.SEALED:
            told.append((kind, on_disk(spec.digests())))
        return record(job, kind, **details)

    def kept(job: str, digests: Any, **details: Any) -> None:
        told.append((EventKind.FINISHED, len(set(digests)) == len(FRAMES) and on_disk(digests)))
        keep_take(job, digests, **details)

    monkeypatch.setattr(store, "record", noted)
    monkeypatch.setattr(store, "keep_take", kept)
    desk.open(ANYONE, spec)
    desk.keep(ANYONE, spec.id, pack(FRAMES))
    desk.seal(ANYONE, spec.id)
    store.claim("w", 60)
    run_job(spec, ToyEngine(), store, spool, "w")
    assert told == [(EventKind.SEALED, True), (EventKind.FINISHED, True)]


def test_what_was_told_is_synced_and_what_passes_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own word for it: `synchronous` while the transaction commits."""
    seen: dict[str, set[int]] = {}
    store = Store(tmp_path / "jobs.sqlite")
    append = store._append

    def noted(connection: sqlite3.Connection, job: str, event: Any) -> None:
        append(connection, job, event)
        seen.setdefault(event.kind, set()).add(connection.execute("PRAGMA synchronous").fetchone()[0])

    monkeypatch.setattr(store, "_append", noted)
    clip = Clip(size=Size(width=16, height=16), rate=Rate(numerator=24), depth=8, frames=("a" * 64,))
    spec = JobSpec(id="1" * 32, engine="toy", clip=clip, edit=Edit(task=Task.GENERATE))
    store.open(spec)
    store.record(spec.id, EventKind.SEALED)
    store.claim("w", 60)
    store.record(spec.id, EventKind.PROGRESS, worker="w", stage="painting")
    store.keep_take(spec.id, ["a" * 64], worker="w")
    broken = replace(spec, id="2" * 32)
    store.open(broken)
    store.record(broken.id, EventKind.SEALED)
    for end in (store.lose, store.lose, lambda job, worker, why: store.release(worker, why)):
        store.claim("w", 60)
        end(broken.id, "w", "a fault")
    normal, full = {1}, {2}
    assert seen["opened"] == seen["sealed"] == seen["finished"] == seen["failed"] == full
    assert seen["started"] == seen["progress"] == normal


@pytest.mark.parametrize("size", [0, 40])
def test_a_torn_or_missing_window_is_said_in_words(tmp_path: Path, size: int) -> None:
    spool = Spool(tmp_path / "spool")
    spool.keep_window("a" * 64, np.zeros((1, 2, 2, 3), np.float32), None)
    (path,) = (path for path in (tmp_path / "spool" / "windows").rglob("*.npz"))
    os.truncate(path, size)
    with pytest.raises(Corrupt, match="damaged"):
        spool.window("a" * 64)
    with pytest.raises(Missing, match="not in the spool"):
        spool.window("a" * 64)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "spool")

    def full(opened: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exhausted, match="disk is full"):
        spool.put(FRAMES[0])
    assert not [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]
