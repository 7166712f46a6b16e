"""What a worker has loaded, and what it records."""

from __future__ import annotations

import uuid
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import Edit, Task
from overpaint.job import EventKind, JobSpec, JobState
from overpaint_backend.engine import Carry, Conditioning, Progress, WindowInput, WindowOutput
from overpaint_backend.engines.toy.card import card
from overpaint_backend.engines.toy.engine import ToyEngine
from overpaint_backend.jobs.collect import drop
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.workers.local import Loaded, paint_claimed

from tests.fakes import clip_frames

FRAMES = clip_frames(20)  # two windows


class Named(ToyEngine):
    def __init__(self, name: str) -> None:
        super().__init__(replace(card, name=name))


class Failing(Named):
    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        raise ValueError("a fault")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "jobs.sqlite")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


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
