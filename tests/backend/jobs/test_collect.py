"""What a live or kept job refers to is always there, in whatever order jobs, files and collections come; what nobody needs goes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Task
from overpaint.errors import Missing
from overpaint.job import EventKind, JobSpec, JobState, Pruned
from overpaint.v1 import jobs_pb2
from overpaint_backend.jobs import collect
from overpaint_backend.jobs.collect import DAY, Collector, drop
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store

PIXELS = [np.full((2, 2, 3), shade, np.uint8) for shade in range(8)]
NAMES = [digest(one) for one in PIXELS]
WINDOW = np.zeros((1, 8, 8, 3), np.float32)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # thousands of small files that nobody needs on a disk
KEYS = [f"{number:064x}" for number in range(4)]


def spec(names: Sequence[str]) -> JobSpec:
    clip = Clip(size=Size(width=2, height=2), rate=Rate(numerator=24), depth=8, frames=tuple(names))
    return JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=Edit(task=Task.GENERATE))


def age(folder: Path, days: float) -> None:
    """As if so many days had passed: everything that is there is so much older."""
    for path in (folder / "spool").rglob("*"):
        if path.is_file():
            then = path.stat().st_mtime - days * DAY
            os.utime(path, times=(then, then))
    with sqlite3.connect(folder / "jobs.sqlite") as connection:
        for table, column in (("owned", "at"), ("owned", "ordered_at"), ("jobs", "opened_at")):
            connection.execute(f"UPDATE {table} SET {column} = {column} - ?", (days * DAY,))
        for job, number, body in connection.execute("SELECT job, number, body FROM events").fetchall():
            event = jobs_pb2.JobEvent.FromString(body)
            event.at -= days * DAY
            connection.execute(
                "UPDATE events SET body = ? WHERE job = ? AND number = ?", (event.SerializeToString(), job, number)
            )
    connection.close()


def keep(store: Store, spool: Spool, owner: str, frame: np.ndarray, *, ordered: bool = False) -> None:
    """As the desk keeps a frame that was sent."""
    store.holdings.prove(owner, digest(frame), ordered=ordered)
    spool.put(frame, digest(frame))


class Keeping(RuleBasedStateMachine):
    """Jobs of two owners, guides, retries, deletions, weeks that pass, and collections, in any order."""

    jobs: dict[str, JobSpec]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="overpaint-test-", dir=MEMORY))
        self.store, self.spool = Store(self.folder / "jobs.sqlite"), Spool(self.folder / "spool")
        self.jobs = {}
        self.ordered: set[str] = set()  # pixels of a guide that is being made
        self.waited = 0.0  # days since it was ordered

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def any_job(self, which: int, *states: JobState) -> str | None:
        found = [job for job in self.jobs if self.store.state(job) in states]
        return found[which % len(found)] if found else None

    @rule(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4), owner=st.sampled_from(["anna", "bert"]))
    def open_and_seal(self, names: list[str], owner: str) -> None:
        job = spec(names)
        self.store.open(job, owner)
        self.jobs[job.id] = job
        unproven = self.store.holdings.unproven(owner, job.digests())
        for name in {*unproven, *self.spool.missing(job.digests())}:
            keep(self.store, self.spool, owner, PIXELS[NAMES.index(name)])
        self.spool.settle(job.digests())
        self.store.record(job.id, EventKind.SEALED)

    @rule(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
    def open_and_go_away(self, names: list[str]) -> None:
        job = spec(names)
        self.store.open(job, "anna")
        self.jobs[job.id] = job

    @rule(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
    def order_a_guide(self, names: list[str]) -> None:
        self.store.holdings.order("anna", dict.fromkeys(names, 1))
        absent = {*self.store.holdings.unproven("anna", names), *self.spool.missing(names)}
        for name in absent:
            keep(self.store, self.spool, "anna", PIXELS[NAMES.index(name)], ordered=True)
        self.ordered, self.waited = set(names), 0.0

    @rule(key=st.sampled_from(KEYS))
    def paint_a_window(self, key: str) -> None:
        job = self.store.claim("w", 60)
        if job is None:
            return
        if not self.spool.has_window(key):
            self.spool.keep_window(key, WINDOW, None)
        self.store.holdings.keep_window(job.id, 0, "toy", key)
        self.store.release("w")
        if self.store.state(job.id) is JobState.QUEUED:
            self.store.ask(job.id, EventKind.PAUSED)

    @rule(which=st.integers(0, 9))
    def go_on(self, which: int) -> None:
        job = self.any_job(which, JobState.PAUSED)
        if job is not None:
            self.store.ask(job, EventKind.RESUMED)

    @rule(name=st.integers(0, 7))
    def finish(self, name: int) -> None:
        job = self.store.claim("w", 60)
        if job is not None:
            self.store.holdings.use(job.id, NAMES[name])
            self.spool.put(PIXELS[name], NAMES[name])
            self.spool.settle([NAMES[name]])
            self.store.keep_take(job.id, [NAMES[name]] * len(job.clip), worker="w")

    @rule(which=st.integers(0, 9))
    def cancel(self, which: int) -> None:
        job = self.any_job(which, JobState.QUEUED, JobState.PAUSED)
        if job is not None:
            self.store.cancel(job)

    @rule(which=st.integers(0, 9))
    def retry(self, which: int) -> None:
        job = self.any_job(which, JobState.CANCELLED, JobState.FAILED)
        if job is not None:
            assert not self.spool.missing(self.jobs[job].digests())
            self.store.ask(job, EventKind.RETRIED)

    @rule(which=st.integers(0, 9))
    def delete(self, which: int) -> None:
        job = self.any_job(which, JobState.CANCELLED, JobState.FINISHED, JobState.OPEN)
        if job is not None:
            drop(self.store, self.spool, *self.store.delete(job))
            del self.jobs[job]

    @precondition(lambda self: self.jobs)
    @rule(days=st.sampled_from([0.4, 2, 20]))
    def time_passes(self, days: float) -> None:
        age(self.folder, days)
        self.waited += days
        if self.waited >= 1:  # no guide is made for so long
            self.ordered = set()

    @rule(days=st.sampled_from([None, 0, 5]), quota=st.sampled_from([0, 1, 300, 2000]))
    def collect(self, days: float | None, quota: int) -> None:
        states = {job: self.store.state(job) for job in self.jobs}
        collector = Collector(self.store, self.spool, keep_days=30, quota=quota)
        said = collector.prune(days, dry_run=True)
        assert said == collector.prune(days)  # what would go is what goes
        left = {job.id for job in self.store.summaries()}
        gone = set(states) - left
        assert len(gone) == said.jobs
        assert all(states[job].ended or states[job] is JobState.OPEN for job in gone)
        self.jobs = {job: one for job, one in self.jobs.items() if job in left}

    @invariant()
    def what_a_job_refers_to_is_there(self) -> None:
        for job, one in self.jobs.items():
            state = self.store.state(job)
            if state is not JobState.OPEN:  # of an open one, pixels may be missing: they never came
                assert not self.spool.missing(one.digests())
            if state is JobState.FINISHED:
                assert not self.spool.missing(self.store.take(job))
            if not state.ended:
                assert all(self.spool.window_file(key) for key in self.store.holdings.of_job(job)[1])
        assert not self.spool.missing(self.ordered)


TestKeeping = Keeping.TestCase
TestKeeping.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def finished(store: Store, spool: Spool, name: int, key: str, size: int = 8) -> str:
    """A finished job of one frame, with a window of its own."""
    job = spec([NAMES[name]])
    store.open(job, "anna")
    keep(store, spool, "anna", PIXELS[name])
    store.record(job.id, EventKind.SEALED)
    store.claim("w", 60)
    spool.keep_window(key, np.zeros((1, size, size, 3), np.float32), None)
    store.holdings.keep_window(job.id, 0, "toy", key)
    store.keep_take(job.id, [NAMES[name]], worker="w")
    return job.id


def test_above_the_quota_the_least_recently_used_windows_go_first(store: Store, spool: Spool, tmp_path: Path) -> None:
    jobs = [finished(store, spool, number, KEYS[number], 32) for number in range(3)]
    age(tmp_path, 1)
    assert spool.has_window(KEYS[0])  # it is used again
    sizes = [file.st_size for key in KEYS[:3] if (file := spool.window_file(key))]
    held = sum(path.stat().st_size for path in (tmp_path / "spool").rglob("*") if path.is_file())
    gone = Collector(store, spool, keep_days=0, quota=held - sizes[1] - 1).prune()
    assert gone == Pruned(windows=2, bytes=sizes[1] + sizes[2])
    assert spool.has_window(KEYS[0]) and not spool.has_window(KEYS[1])
    gone = Collector(store, spool, keep_days=0, quota=1).prune()
    assert (gone.jobs, gone.windows, gone.frames) == (3, 1, 3) and not store.summaries()
    assert jobs and not [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]


def test_the_oldest_jobs_go_before_newer_ones_and_none_that_is_not_ended(
    store: Store, spool: Spool, tmp_path: Path
) -> None:
    old = finished(store, spool, 0, KEYS[0])
    age(tmp_path, 3)
    new = finished(store, spool, 1, KEYS[1])
    waiting = spec([NAMES[2]])
    store.open(waiting, "anna")
    keep(store, spool, "anna", PIXELS[2])
    store.record(waiting.id, EventKind.SEALED)
    frame = spool.frame_file(NAMES[0])
    assert frame is not None
    gone = Collector(store, spool, keep_days=0, quota=frame.st_size * 2).prune()
    assert gone.jobs == 1 and {job.id for job in store.summaries()} == {new, waiting.id} and old != new
    assert Collector(store, spool, keep_days=0, quota=1).prune().jobs == 1
    assert [job.id for job in store.summaries()] == [waiting.id] and not spool.missing([NAMES[2]])


def test_jobs_go_after_their_days_and_others_that_were_never_sealed(store: Store, spool: Spool, tmp_path: Path) -> None:
    finished(store, spool, 0, KEYS[0])
    store.open(spec([NAMES[1]]))
    age(tmp_path, 29)
    collector = Collector(store, spool, keep_days=30, quota=0)
    assert collector.prune().jobs == 0
    age(tmp_path, 1.1)
    assert Collector(store, spool, keep_days=0, quota=0).prune().jobs == 0  # 0: for ever
    assert collector.prune().jobs == 2
    store.open(spec([NAMES[1]]))
    assert collector.prune(0).jobs == 0  # it was opened just now: its pixels may be on their way


def test_half_written_files_and_rows_without_a_file_go(store: Store, spool: Spool, tmp_path: Path) -> None:
    job = finished(store, spool, 0, KEYS[0])
    begun = [
        tmp_path / "spool" / "frames" / "ab" / "ab.1.part",
        tmp_path / "spool" / "windows" / "00" / "00.npz.2.part",
    ]
    for part in begun:
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(b"half")
    then = time.time() - 2 * 3600
    os.utime(begun[0], times=(then, then))
    spool.drop_window(KEYS[0])
    store.holdings.prove("bert", NAMES[5])
    with sqlite3.connect(tmp_path / "jobs.sqlite") as connection:
        connection.execute("UPDATE owned SET at = 1 WHERE owner = 'bert'")
    connection.close()
    Collector(store, spool, keep_days=0, quota=0).prune()
    assert [part.exists() for part in begun] == [False, True]  # the other may still be written
    assert (
        store.holdings.of_job(job)[1] == ()
        and store.holdings.unproven("bert", [NAMES[5]])
        and not store.holdings.unproven("anna", [NAMES[0]])
    )


def test_a_file_of_somebody_elses_in_the_spool_stops_no_round(store: Store, spool: Spool, tmp_path: Path) -> None:
    """As file browsers leave them: nothing was collected any more, and the quota held nothing back."""
    spool.put(PIXELS[0])
    age(tmp_path, 1.1)
    strange = [tmp_path / "spool" / "frames" / ".DS_Store", tmp_path / "spool" / "windows" / "desktop.ini"]
    for file in strange:
        file.touch()
    assert Collector(store, spool, keep_days=30, quota=0).prune().frames == 1
    assert all(file.exists() for file in strange)


def test_files_that_no_row_refers_to_stay_for_a_day(store: Store, spool: Spool, tmp_path: Path) -> None:
    spool.put(PIXELS[0])  # a take's frame under way, say
    spool.keep_window(KEYS[0], WINDOW, None)
    collector = Collector(store, spool, keep_days=30, quota=1)
    assert collector.prune() == Pruned()
    age(tmp_path, 1.1)
    spool.put(PIXELS[0])
    assert spool.has_window(KEYS[0])
    assert collector.prune() == Pruned()  # what is found counts as new
    age(tmp_path, 1.1)
    gone = collector.prune()
    assert (gone.frames, gone.windows) == (1, 1) and spool.missing([NAMES[0]])


def test_nothing_is_lost_while_others_send_paint_and_delete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is ever young, so nothing but the order of rows and looks protects what three threads use at once."""
    monkeypatch.setattr(collect, "YOUNG", 0.0)
    stop, trouble = threading.Event(), []
    turns: list[str] = []

    def client(owner: str) -> None:
        store, spool = Store(tmp_path / "jobs.sqlite"), Spool(tmp_path / "spool")
        rng = np.random.default_rng(len(owner))
        while not stop.is_set():
            job = spec([NAMES[one] for one in rng.integers(0, 4, 2)])
            store.open(job, owner)
            for name in {*store.holdings.unproven(owner, job.digests()), *spool.missing(job.digests())}:
                keep(store, spool, owner, PIXELS[NAMES.index(name)])
            store.record(job.id, EventKind.SEALED)
            claimed = store.claim(owner, 60)
            assert claimed is not None
            key = KEYS[int(rng.integers(0, 2))]
            while True:
                if not spool.has_window(key):
                    spool.keep_window(key, WINDOW, None)
                store.holdings.keep_window(claimed.id, 0, "toy", key)
                if spool.has_window(key):
                    break
            name = NAMES[int(rng.integers(0, 8))]
            store.holdings.use(claimed.id, name)
            spool.put(PIXELS[NAMES.index(name)], name)
            for one in (*claimed.digests(), name):
                assert np.array_equal(spool.get(one), PIXELS[NAMES.index(one)])
            spool.window(key)
            store.keep_take(claimed.id, [name] * len(claimed.clip), worker=owner)
            assert not spool.missing(store.take(claimed.id))
            drop(store, spool, *store.delete(claimed.id))
            turns.append(owner)

    def guarded(act: Callable[[], Any]) -> None:
        try:
            act()
        except BaseException as error:
            trouble.append(error)
            stop.set()

    def collector() -> None:
        store, spool = Store(tmp_path / "jobs.sqlite"), Spool(tmp_path / "spool")
        while not stop.is_set():
            Collector(store, spool, keep_days=30, quota=0).prune()

    work = [lambda owner=owner: client(owner) for owner in ("a", "bb", "ccc")]
    threads = [threading.Thread(target=guarded, args=(act,)) for act in (*work, collector)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    while not stop.wait(0.1):  # three seconds, or on a slow disk as long as each takes for a few turns
        each = min(map(turns.count, ("a", "bb", "ccc")))
        if time.monotonic() > began + (3 if each > 3 else 120):
            stop.set()
    for thread in threads:
        thread.join()
    assert not trouble and min(map(turns.count, ("a", "bb", "ccc"))) > 3


def test_a_deleted_job_leaves_what_came_back_meanwhile(store: Store, spool: Spool) -> None:
    """Between the rows and the files of a deletion, another job opens with the same pixels, and finds them there."""
    first = finished(store, spool, 0, KEYS[0])
    orphans = store.delete(first)
    again = spec([NAMES[0]])
    store.open(again, "anna")
    assert not spool.missing(again.digests())
    drop(store, spool, *orphans)
    assert not spool.missing(again.digests()) and not spool.has_window(KEYS[0])
    with pytest.raises(Missing):
        store.state(first)
