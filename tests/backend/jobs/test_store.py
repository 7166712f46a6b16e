from __future__ import annotations

from pathlib import Path

import pytest
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import Edit, Task
from overpaint.errors import Conflict, Missing
from overpaint.job import EventKind, JobSpec, JobState
from overpaint_backend.jobs.store import MOST_LOSSES, Store


def spec(number: int, frames: tuple[str, ...] = ("a" * 64, "b" * 64), prompt: str = "") -> JobSpec:
    clip = Clip(size=Size(width=4, height=4), rate=Rate(numerator=24), depth=8, frames=frames)
    return JobSpec(id=f"{number:032x}", engine="toy", clip=clip, edit=Edit(task=Task.REMOVE, prompt=prompt))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "jobs.sqlite")


def queued(store: Store, number: int) -> str:
    store.open(spec(number))
    store.record(spec(number).id, EventKind.SEALED)
    return spec(number).id


def test_opening_twice_opens_once(store: Store) -> None:
    assert store.open(spec(1)) is JobState.OPEN
    store.record(spec(1).id, EventKind.SEALED)
    assert store.open(spec(1)) is JobState.QUEUED
    assert [event.kind for event in store.events(spec(1).id)] == [EventKind.OPENED, EventKind.SEALED]
    with pytest.raises(Conflict, match="another job has the id"):
        store.open(spec(1, prompt="another"))


def test_law_7_an_unknown_job_is_an_error(store: Store) -> None:
    for ask in (store.state, store.spec, store.events, store.take, store.delete):
        with pytest.raises(Missing, match="there is no job"):
            ask("f" * 32)


def test_jobs_are_claimed_in_order_each_once(store: Store) -> None:
    first, second = queued(store, 1), queued(store, 2)
    assert [store.queue_place(first), store.queue_place(second)] == [1, 2]
    claimed = [store.claim("w1", 10), store.claim("w2", 10), store.claim("w3", 10)]
    assert [one.id if one else None for one in claimed] == [first, second, None]
    assert store.queue_place(first) == 0


def test_a_lost_job_goes_back_and_its_old_worker_is_not_heard(store: Store) -> None:
    job = queued(store, 1)
    queued(store, 2)
    store.claim("old", 10)
    assert store.release("old") == (job,)
    again = store.claim("new", 10)
    assert again is not None and again.id == job  # before the job that was queued later
    with pytest.raises(Conflict, match="no longer this worker's"):
        store.record(job, EventKind.WINDOW_DONE, worker="old")
    assert store.record(job, EventKind.PROGRESS, worker="new") is JobState.RUNNING


def test_a_lease_runs_out_unless_it_is_renewed(store: Store) -> None:
    jobs = queued(store, 1), queued(store, 2)
    store.claim("dead", -1)
    store.claim("alive", -1)
    store.renew("alive", 60)
    assert store.release() == (jobs[0],)


def test_a_job_that_kills_its_workers_fails(store: Store) -> None:
    job = queued(store, 1)
    for turn in range(MOST_LOSSES):
        assert store.claim(f"w{turn}", 10) is not None
        store.release(f"w{turn}")
    assert store.state(job) is JobState.FAILED
    assert "3 times" in store.events(job)[-1].message


def test_a_restart_of_the_server_is_no_fault_of_the_job(store: Store) -> None:
    job = queued(store, 1)
    for turn in range(MOST_LOSSES + 2):
        assert store.claim(f"w{turn}", 10) is not None
        store.release(everyone=True)
    assert store.state(job) is JobState.QUEUED


def test_a_take_is_whole_or_not_there(store: Store) -> None:
    job = queued(store, 1)
    store.claim("w", 10)
    with pytest.raises(Conflict, match="is running"):
        store.take(job)
    with pytest.raises(Conflict):
        store.keep_take(job, ["c" * 64], worker="another")
    store.keep_take(job, ["c" * 64, "d" * 64], worker="w")
    assert store.take(job) == ("c" * 64, "d" * 64)
    assert store.state(job) is JobState.FINISHED


def test_deleting_names_only_pixels_that_nobody_else_uses(store: Store) -> None:
    store.open(spec(1, ("a" * 64, "b" * 64)))
    store.open(spec(2, ("b" * 64, "c" * 64)))
    assert store.delete(spec(1).id) == ("a" * 64,)
    assert set(store.delete(spec(2).id)) == {"b" * 64, "c" * 64}
    job = queued(store, 3)
    with pytest.raises(Conflict, match="Cancel it first"):
        store.delete(job)


def test_events_are_numbered_without_gaps_and_survive(store: Store, tmp_path: Path) -> None:
    job = queued(store, 1)
    store.claim("w", 10)
    for step in range(3):
        store.record(job, EventKind.PROGRESS, worker="w", stage="painting", step=step, steps=3)
    again = Store(tmp_path / "jobs.sqlite")
    events = again.events(job)
    assert [event.number for event in events] == list(range(1, 7))
    assert again.events(job, 4) == events[4:]
    assert events[-1].stage == "painting" and events[-1].step == 2
