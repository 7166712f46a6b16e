from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from overpaint import wire
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import Edit, Task
from overpaint.errors import Conflict, Exhausted, Missing
from overpaint.job import EventKind, JobEvent, JobSpec, JobState, Picture
from overpaint.v1 import jobs_pb2
from overpaint_backend.jobs import store as stores
from overpaint_backend.jobs.store import MOST_LOSSES, MOST_NODES, Store


def spec(number: int, frames: tuple[str, ...] = ("a" * 64, "b" * 64), prompt: str = "") -> JobSpec:
    clip = Clip(size=Size(width=4, height=4), rate=Rate(numerator=24), depth=8, frames=frames)
    return JobSpec(id=f"{number:032x}", engine="toy", clip=clip, edit=Edit(task=Task.REMOVE, prompt=prompt))


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


def test_workers_of_one_process_live_and_end_together(store: Store) -> None:
    jobs = [queued(store, number) for number in range(3)]
    for worker in ("ray/a1/1", "ray/a1/2", "ray/a12/1"):
        store.claim(worker, -1)  # their leases have run out
    store.renew("ray/a1", 10)
    assert store.release() == (jobs[2],)
    assert store.release("ray/a1") == (jobs[0], jobs[1])


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


def lose_nodes(store: Store, job: str, count: int) -> None:
    for turn in range(count):
        assert store.claim(f"w{turn}", 10) is not None
        store.lose(job, f"w{turn}", "the node a was lost", "node")


def test_a_node_that_is_lost_counts_against_no_job_that_gets_on(store: Store) -> None:
    job = queued(store, 1)
    for _ in range(MOST_LOSSES - 1):
        store.claim("w", 10)
        store.lose(job, "w", "a fault")
    for window in range(3):
        lose_nodes(store, job, MOST_NODES - 1)
        assert store.state(job) is JobState.QUEUED
        store.claim("w", 10)
        store.record(job, EventKind.WINDOW_DONE, worker="w", window=window)
        store.release("w", everyone=True)
    store.claim("w", 10)
    store.lose(job, "w", "a fault")  # what counts is neither forgotten for a window nor for a node
    assert store.state(job) is JobState.FAILED and "its worker 3 times" in store.events(job)[-1].message


def test_a_job_that_ends_every_node_fails_in_the_end(store: Store) -> None:
    job = queued(store, 1)
    lose_nodes(store, job, MOST_NODES)
    last = store.events(job)[-1]
    assert (last.kind, last.field) == (EventKind.FAILED, "node")
    assert f"{MOST_NODES} nodes were lost" in last.message and last.message.endswith("the node a was lost")
    store.ask(job, EventKind.RETRIED)
    lose_nodes(store, job, MOST_NODES - 1)
    assert store.state(job) is JobState.QUEUED


def test_a_job_that_is_tried_again_has_all_its_lives(store: Store) -> None:
    job = queued(store, 1)
    for turn in range(MOST_LOSSES):
        store.claim(f"w{turn}", 10)
        store.release(f"w{turn}")
    store.ask(job, EventKind.RETRIED)
    store.claim("w", 10)
    store.release("w")
    assert store.state(job) is JobState.QUEUED


def test_owners_take_turns_however_long_a_job_takes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits grows more urgent, and all the jobs of who queued many did so at once."""
    now = 1e9
    monkeypatch.setattr(stores, "time", SimpleNamespace(time=lambda: now))

    def queue(number: int, owner: str) -> str:
        store.open(spec(number), owner)
        store.record(spec(number).id, EventKind.SEALED)
        return spec(number).id

    many = [queue(number, "anna") for number in range(3)]
    assert store.claim("w", 60) == spec(0)
    now += 3600
    late = queue(9, "bert")
    assert store.queue_place(late) == 1
    now += 3600
    store.keep_take(many[0], ["c" * 64], worker="w")
    assert store.claim("w", 60) == spec(9)


def test_a_paused_job_is_not_claimed_and_keeps_its_place(store: Store) -> None:
    first, second = queued(store, 1), queued(store, 2)
    assert store.ask(first, EventKind.PAUSED) is JobState.PAUSED
    assert store.ask(first, EventKind.PAUSED) is JobState.PAUSED  # once more changes nothing
    assert (store.queue_place(first), store.queue_place(second)) == (0, 1)
    assert store.ask(first, EventKind.RESUMED) is JobState.QUEUED
    assert (store.queue_place(first), store.queue_place(second)) == (1, 2)
    assert [event.kind for event in store.events(first)][2:] == [EventKind.PAUSED, EventKind.RESUMED]


def test_the_worker_of_a_paused_job_is_not_heard(store: Store) -> None:
    job = queued(store, 1)
    store.claim("w", 10)
    store.ask(job, EventKind.PAUSED)
    assert store.claim("another", 10) is None and store.release(everyone=True) == ()
    with pytest.raises(Conflict, match="no longer this worker's"):
        store.keep_take(job, ["c" * 64], worker="w")
    assert store.state(job) is JobState.PAUSED


def test_the_last_one_moved_up_is_the_next(store: Store) -> None:
    jobs = [queued(store, number) for number in range(4)]
    for job in (jobs[2], jobs[3]):
        store.ask(job, EventKind.MOVED_UP)
    claimed = [store.claim(f"w{turn}", 10) for turn in range(4)]
    assert [one and one.id for one in claimed] == [jobs[3], jobs[2], jobs[0], jobs[1]]
    assert store.ask(jobs[3], EventKind.MOVED_UP) is JobState.RUNNING  # it was faster


def test_what_is_moved_up_goes_before_more_urgent_jobs_of_its_owner_and_only_once(store: Store) -> None:
    for number, owner, priority in ((1, "anna", 5), (2, "anna", 0), (3, "bert", 9)):
        store.open(spec(number), owner, priority)
        store.record(spec(number).id, EventKind.SEALED)
    for _ in range(3):
        assert store.ask(spec(2).id, EventKind.MOVED_UP) is JobState.QUEUED
    assert [store.queue_place(spec(number).id) for number in (3, 2, 1)] == [1, 2, 3]
    assert [event.kind for event in store.events(spec(2).id)].count(EventKind.MOVED_UP) == 1


def test_what_is_tried_again_waits_behind_the_others(store: Store) -> None:
    first, second = queued(store, 1), queued(store, 2)
    store.cancel(first)
    assert store.ask(first, EventKind.RETRIED) is JobState.QUEUED
    assert (store.queue_place(first), store.queue_place(second)) == (2, 1)


def test_a_finished_job_is_neither_paused_nor_tried_again(store: Store) -> None:
    job = queued(store, 1)
    store.claim("w", 10)
    store.keep_take(job, ["c" * 64], worker="w")
    for kind in (EventKind.PAUSED, EventKind.RESUMED, EventKind.MOVED_UP, EventKind.RETRIED):
        with pytest.raises(Conflict, match="finished"):
            store.ask(job, kind)


def test_only_the_newest_picture_is_kept(store: Store, tmp_path: Path) -> None:
    job = queued(store, 1)
    store.claim("w", 10)
    pictures = [Picture(width=1, height=1, rgb=bytes([shade] * 3)) for shade in range(2)]
    for window, picture in enumerate(pictures):
        store.record(job, EventKind.WINDOW_DONE, worker="w", window=window, windows=2, picture=picture)
    store.record(job, EventKind.PROGRESS, worker="w", stage="compositing")
    found = Store(tmp_path / "jobs.sqlite").events(job)[-3:]
    assert [event.picture for event in found] == [None, pictures[1], None]
    assert (found[1].kind, found[1].window, found[1].windows) == (EventKind.WINDOW_DONE, 1, 2)
    store.cancel(job)
    store.record(job, EventKind.CANCELLED, worker="w")
    store.delete(job)
    assert store.open(spec(1)) is JobState.OPEN and store.events(job)[-1].picture is None


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


def test_a_list_of_long_jobs_reads_none_of_their_frames(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred jobs of ten minutes had taken seconds."""
    store.open(spec(1, ("a" * 64, "b" * 64), prompt="a coat"), "anna", 3)
    monkeypatch.setattr(wire, "spec_from_wire", lambda _: pytest.fail("the whole request was read"))
    (one,) = store.summaries()
    assert (one.id, one.engine, one.state, one.task) == (spec(1).id, "toy", JobState.OPEN, Task.REMOVE)
    assert (one.prompt, one.frames, one.events, one.owner, one.priority) == ("a coat", 2, 1, "anna", 3)
    assert store.summary(one.id) == one


def test_what_a_long_job_went_through_is_found_without_its_progress(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a worker's end was counted nobody else could write, for a second where a job had painted for hours."""
    job = queued(store, 1)
    store.claim("w", 60)
    store.record(job, EventKind.PLANNED, worker="w", step=2)
    store.record(job, EventKind.PROGRESS, worker="w", stage="painting", step=9, steps=9)
    read: list[EventKind] = []

    def noted(message: jobs_pb2.JobEvent) -> JobEvent:
        event = event_from_wire(message)
        read.append(event.kind)
        return event

    event_from_wire = wire.event_from_wire
    monkeypatch.setattr(wire, "event_from_wire", noted)
    assert store.shrunk(job) == 2
    store.lose(job, "w", "a fault")
    store.claim("w", 60)
    store.lose(job, "w", "a fault")
    assert read == [EventKind.PLANNED, EventKind.LOST]


def test_deleting_names_only_pixels_that_nobody_else_uses(store: Store) -> None:
    store.open(spec(1, ("a" * 64, "b" * 64)))
    store.open(spec(2, ("b" * 64, "c" * 64)))
    assert store.delete(spec(1).id) == (("a" * 64,), ())
    assert set(store.delete(spec(2).id)[0]) == {"b" * 64, "c" * 64}
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


def test_law_7_a_job_that_loses_its_worker_while_it_is_cancelled_ends_as_cancelled(store: Store) -> None:
    job = queued(store, 1)
    store.claim("one", lease=60)
    assert store.wants(job, "one") and not store.wants(job, "two")
    store.cancel(job)
    assert not store.wants(job, "one")
    assert store.release("one") == (job,)
    assert store.events(job)[-1].kind is EventKind.CANCELLED and store.state(job) is JobState.CANCELLED


def test_a_lease_that_is_not_renewed_lapses(store: Store) -> None:
    queued(store, 1)
    assert not store.lapsed("one")
    store.claim("one", lease=-1)
    assert store.lapsed("one") and not store.lapsed("two")
    store.renew("one", lease=60)
    assert not store.lapsed("one")


def test_a_worker_paints_what_those_in_its_process_paint(store: Store) -> None:
    assert store.painting("ray") == frozenset()
    for number, worker in enumerate(("ray/1", "ray/2", "rays/1"), 1):
        queued(store, number)
        store.claim(worker, lease=60)
    ((first, _),) = store.painting("ray/1")
    ((second, _),) = store.painting("ray/2")
    assert store.painting("ray") == {(first, 0), (second, 0)}
    store.record(first, EventKind.PLANNED, worker="ray/1", windows=3)
    store.record(first, EventKind.WINDOW_DONE, worker="ray/1", window=0, windows=3)
    assert store.painting("ray") == {(first, store.last_event(first)), (second, 0)}
    store.record(second, EventKind.FAILED, worker="ray/2")
    assert store.painting("ray") == store.painting("ray/1")


def test_a_full_disk_is_said_in_words_and_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job = queued(store, 1)
    connection = store.database.reading()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")  # what SQLite says then is what it says on a full disk
    with pytest.raises(Exhausted, match="disk is full") as refused:
        for number in range(2, 999):
            store.open(spec(number))
    assert refused.value.field == "disk" and refused.value.remedy
    connection.execute(f"PRAGMA max_page_count = {pages + 999}")
    assert store.state(job) is JobState.QUEUED and store.claim("one", lease=60) == spec(1)
