"""A database as each earlier version left it opens and works: tests/data/jobs holds one for each step of the tables.

A new step gets its file from a database of that version: `sqlite3 jobs.sqlite .dump`, and its user_version as the last line.
"""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from overpaint.errors import Conflict
from overpaint.job import EventKind, JobState
from overpaint_backend.engines.toy.engine import ToyEngine
from overpaint_backend.jobs.collect import Collector
from overpaint_backend.jobs.migrations import STEPS
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.workers.run import run_job

OLD = sorted((Path(__file__).parents[2] / "data" / "jobs").glob("step*.sql"))
OPEN, QUEUED, RUNNING, FINISHED, FAILED, CANCELLED = (f"{number:032x}" for number in range(1, 7))
FRAMES = [np.full((16, 16, 3), shade, np.uint8) for shade in range(20)]
TAKE = [np.full((16, 16, 4), 100 + shade, np.uint8) for shade in range(20)]


def old(file: Path, folder: Path) -> tuple[Store, Spool, str]:
    """The database, opened by today's code, with the pixels that it names; and who its jobs belong to."""
    with sqlite3.connect(folder / "jobs.sqlite") as connection:
        connection.executescript(file.read_text())
    connection.close()
    spool = Spool(folder / "spool")
    mask = np.zeros((16, 16), np.uint8)
    mask[4:12, 4:12] = 255
    for frame in (*FRAMES, mask, *TAKE):
        spool.put(frame)
    return Store(folder / "jobs.sqlite"), spool, "anna" if file.stem >= "step3" else ""


def test_there_is_an_old_database_of_every_step_but_the_last() -> None:
    assert [file.stem for file in OLD] == [f"step{number}" for number in range(1, len(STEPS))]


@pytest.mark.parametrize("file", OLD, ids=lambda file: file.stem)
def test_law_3_an_old_database_opens_and_nothing_is_lost(file: Path, tmp_path: Path) -> None:
    store, spool, owner = old(file, tmp_path)
    assert {job.id: job.state for job in store.summaries()} == {
        OPEN: JobState.OPEN,
        QUEUED: JobState.QUEUED,
        RUNNING: JobState.RUNNING,
        FINISHED: JobState.FINISHED,
        FAILED: JobState.FAILED,
        CANCELLED: JobState.CANCELLED,
    }
    assert {job.owner for job in store.summaries()} == {owner}
    assert [event.kind for event in store.events(FAILED)][-1] is EventKind.FAILED
    assert store.events(FAILED)[-1].remedy == "Mend it" and store.events(RUNNING)[-1].steps == 4
    assert all(np.array_equal(spool.get(one), frame) for one, frame in zip(store.take(FINISHED), TAKE, strict=True))
    assert not spool.missing(store.spec(FINISHED).digests())
    assert not store.holdings.unproven(owner, store.spec(OPEN).digests())  # law 6: nothing is sent again
    if file.stem >= "step2":
        assert store.events(FINISHED)[4].picture is not None


@pytest.mark.parametrize("file", OLD, ids=lambda file: file.stem)
def test_jobs_of_an_old_database_are_painted_tried_again_and_forgotten(file: Path, tmp_path: Path) -> None:
    store, spool, _ = old(file, tmp_path)
    assert store.release(everyone=True) == (RUNNING,)
    store.record(OPEN, EventKind.SEALED)
    store.ask(CANCELLED, EventKind.RETRIED)
    engine = ToyEngine()
    painted = []
    while (spec := store.claim("w", 60)) is not None:
        run_job(spec, engine, store, spool, "w")
        painted.append(spec.id)
    assert sorted(painted) == [OPEN, QUEUED, RUNNING, CANCELLED]
    for job in painted:
        assert all(spool.get(one)[8, 8, 3] == 255 for one in store.take(job))
    # The jobs that were painted now stay; those of 2023 go, with the take that nobody else has.
    gone = Collector(store, spool, keep_days=30, quota=0).prune()
    assert (gone.jobs, gone.frames) == (2, len(TAKE))
    assert {job.id for job in store.summaries()} == set(painted)
    assert not spool.missing(store.spec(OPEN).digests())
    with pytest.raises(Conflict, match="is finished"):
        store.ask(OPEN, EventKind.RETRIED)


def test_a_database_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "jobs.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    connection.close()
    with pytest.raises(RuntimeError, match="newer version"):
        Store(tmp_path / "jobs.sqlite")


def test_several_processes_may_open_an_old_database_at_once(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "jobs.sqlite") as connection:
        connection.executescript(OLD[0].read_text())
    connection.close()
    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(Store, [tmp_path / "jobs.sqlite"] * 8))
    assert {len(store.summaries()) for store in stores} == {6}
