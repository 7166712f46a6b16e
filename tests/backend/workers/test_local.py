"""What a worker has loaded, and what it records."""

from __future__ import annotations

import sqlite3
import time
import uuid
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import Edit, Task
from overpaint.job import EventKind, JobSpec, JobState
from overpaint_backend.engine import Carry, Conditioning, Progress, WindowInput, WindowOutput
from overpaint_backend.engines.toy.card import card
from overpaint_backend.engines.toy.engine import ToyEngine
from overpaint_backend.jobs import database
from overpaint_backend.jobs.collect import drop
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.workers import local
from overpaint_backend.workers.local import Loaded, LocalWorkers, claim, paint_claimed

from tests.fakes import clip_frames

FRAMES = clip_frames(20)  # two windows


class Named(ToyEngine):
    def __init__(self, name: str) -> None:
        super().__init__(replace(card, name=name))


class Failing(Named):
    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        raise ValueError("a fault")


def claimed(store: Store, spool: Spool, engine: str) -> JobSpec:
    clip = Clip(size=Size(width=32, height=24), rate=Rate(numerator=24), depth=8, frames=tuple(map(spool.put, FRAMES)))
    spec = JobSpec(id=uuid.uuid4().hex, engine=engine, clip=clip, edit=Edit(task=Task.GENERATE))
    store.open(spec)
    store.record(spec.id, EventKind.SEALED)
    store.claim("w", 60)
    return spec


def test_an_engine_is_gone_before_another_is_built(store: Store, spool: Spool) -> None:
    """A device has room for one; so nothing holds on to it, whether it has finished its job or failed."""
    built: list[weakref.ref[ToyEngine]] = []
    alive: list[int] = []

    def build(name: str) -> ToyEngine:
        alive.append(sum(one() is not None for one in built))
        engine = (Failing if name == "failing" else Named)(name)
        built.append(weakref.ref(engine))
        return engine

    loaded = Loaded(build)
    ends = []
    for name in ("first", "first", "second", "failing", "first"):
        spec = claimed(store, spool, name)
        paint_claimed(spec, loaded, store, spool, "w")
        ends.append(store.state(spec.id))
    finished = JobState.FINISHED
    assert ends == [finished, finished, finished, JobState.FAILED, finished]
    assert alive == [0, 0, 0, 0]


class Deleting(Named):
    """Whoever sent its job pauses, cancels and deletes it just after its last step."""

    def __init__(self, store: Store, spool: Spool) -> None:
        super().__init__("toy")
        self._store, self._spool = store, spool

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        out = super().paint(cut, cond, carry, progress)
        (job,) = self._store.summaries()
        self._store.ask(job.id, EventKind.PAUSED)
        self._store.cancel(job.id)
        drop(self._store, self._spool, *self._store.delete(job.id))
        return out


def test_a_job_that_is_deleted_while_it_is_painted_costs_no_worker_and_leaves_no_row(
    store: Store, spool: Spool
) -> None:
    spec = claimed(store, spool, "toy")
    loaded = Loaded(lambda name: Deleting(store, spool))
    paint_claimed(spec, loaded, store, spool, "w")
    assert loaded.engine is not None and not store.summaries()
    store.holdings.use(spec.id, "a" * 64)  # as its take would be
    for table in ("jobs", "events", "windows", "pixels"):
        assert store.database.reading().execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


@contextmanager
def locked(path: Path) -> Generator[None, None, None]:
    """As by a shell or a copy that does not end."""
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    yield
    holder.execute("ROLLBACK")
    holder.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.05)


@pytest.mark.usefixtures("impatient")
def test_a_job_waits_while_its_store_is_locked(
    store: Store, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had killed its worker, and whoever starts workers as well."""
    lock, rests = locked(tmp_path / "jobs.sqlite"), list[float]()

    def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 3:
            lock.__exit__(None, None, None)

    monkeypatch.setattr(local, "time", SimpleNamespace(sleep=rest))

    class Locking(Named):
        def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
            if cut.span.start == 0:
                lock.__enter__()
            return super().paint(cut, cond, carry, progress)

    spec, loaded = claimed(store, spool, "toy"), Loaded(Locking)
    paint_claimed(spec, loaded, store, spool, "w")
    lost = store.events(spec.id)[-1]
    assert len(rests) == 3 and (lost.kind, lost.field) == (EventKind.LOST, "store")  # which is not counted against it
    with locked(tmp_path / "jobs.sqlite"):
        assert claim(store, spool, "w", loaded) is None


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_ends_while_the_store_is_locked_has_a_successor(
    store: Store, spool: Spool, tmp_path: Path
) -> None:
    claimed(store, spool, "toy")
    store.database.reading().execute("UPDATE jobs SET lease_until = 0")
    workers = LocalWorkers(store, {"cpu": no_life})
    with locked(tmp_path / "jobs.sqlite"):
        workers.start()
        until(lambda: workers.living() == 0)  # the first has ended, and what it had is to be taken back
        time.sleep(0.5)
        assert not workers.restarts
    until(lambda: workers.restarts["cpu"] >= 2)
    workers.stop()
    assert store.counts() == {JobState.QUEUED: 1}


def no_life(name: str) -> None:
    """Of a worker whose process ends at once."""


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
