"""Jobs and their events in SQLite: every change of state is an event, and `advance` decides what it means."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from overpaint import wire
from overpaint.errors import Conflict, Missing, shown
from overpaint.job import EventKind, JobEvent, JobSpec, JobState, JobSummary, Picture, advance
from overpaint.v1 import jobs_pb2

from overpaint_backend.jobs import board
from overpaint_backend.jobs.database import Database
from overpaint_backend.jobs.holdings import Holdings, orphans
from overpaint_backend.jobs.queue import Served, Waiting, choose, order

MOST_LOSSES = 3
# Nodes lost with no window finished between. What ends every node that it comes to finishes none, and is not tried for
# ever; where bad luck takes every second try of a window, it takes so many in a row once in a thousand times.
MOST_NODES = 10
# What a worker tells on its way may be lost in a power cut: it is told again. Whatever else happened is on the disk
# before anybody hears of it.
PASSING = (EventKind.STARTED, EventKind.PLANNED, EventKind.PROGRESS, EventKind.WINDOW_DONE, EventKind.LOST)
LIVE = (JobState.RUNNING, JobState.CANCELLING)
SUMMARIES = "SELECT state, spec, opened_at, owner, priority, (SELECT max(number) FROM events WHERE job = id) FROM jobs"
BELONGS = "(worker = ? OR worker GLOB ? || '/*')"  # to a worker, or to one of those that live in its process

# Where a job is that has what was asked for already: asked twice, nothing changes.
GRANTED: dict[EventKind, tuple[JobState, ...]] = {
    EventKind.PAUSED: (JobState.PAUSED,),
    EventKind.RESUMED: (JobState.QUEUED, JobState.RUNNING),
    EventKind.MOVED_UP: (JobState.RUNNING,),
    EventKind.RETRIED: (JobState.QUEUED, JobState.RUNNING),
}


class Store:
    """The job store. Several processes may have it open; every method may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self.database = Database(path)
        self.holdings = Holdings(self.database)

    def open(self, spec: JobSpec, owner: str = "", priority: int = 0, size: int = 0) -> JobState:
        """Keep the job of `owner`, whose pixels are `size` bytes. Opening the same spec again changes nothing.

        Raises Conflict where the id is another job's.
        """
        body = wire.spec_to_wire(spec).SerializeToString(deterministic=True)
        with self.database.changing(durable=True) as connection:
            found = connection.execute("SELECT state, spec, owner FROM jobs WHERE id = ?", (spec.id,)).fetchone()
            if found is not None:
                if found[2] != owner or wire.spec_from_wire(jobs_pb2.JobSpec.FromString(found[1])) != spec:
                    raise Conflict(field="id", message=f"another job has the id {spec.id}", remedy="Make a new id")
                return JobState(found[0])
            now = time.time()
            connection.execute(
                """INSERT INTO jobs (id, state, engine, spec, opened_at, owner, priority, bytes)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
                (spec.id, advance(None, EventKind.OPENED), spec.engine, body, now, owner, priority, size),
            )
            connection.executemany(
                "INSERT OR IGNORE INTO pixels VALUES (?, ?)", [(spec.id, digest) for digest in spec.digests()]
            )
            self._append(connection, spec.id, JobEvent(number=1, kind=EventKind.OPENED, at=now))
            return JobState.OPEN

    def record(self, job: str, kind: EventKind, *, worker: str | None = None, **details: Any) -> JobState:
        """Append an event and advance the job. Raises Missing, and Conflict where the event cannot happen now.

        A `worker` is refused (Conflict) once its lease went to another, so that it cannot speak for a job it lost.
        """
        with self.database.changing(durable=kind not in PASSING) as connection:
            return self._record(connection, job, kind, worker, details)

    def _record(
        self, connection: sqlite3.Connection, job: str, kind: EventKind, worker: str | None, details: dict[str, Any]
    ) -> JobState:
        found = connection.execute("SELECT state, worker FROM jobs WHERE id = ?", (job,)).fetchone()
        if found is None:
            raise unknown(job)
        if worker is not None and found[1] != worker:
            raise Conflict(field="worker", message=f"the job {job} is no longer this worker's")
        if (found[0], kind) == (JobState.CANCELLING, EventKind.LOST):
            kind = EventKind.CANCELLED  # nobody paints it any more, as was asked
        state = advance(JobState(found[0]), kind)
        (last,) = connection.execute("SELECT max(number) FROM events WHERE job = ?", (job,)).fetchone()
        now = time.time()
        self._append(connection, job, JobEvent(number=last + 1, kind=kind, at=now, **details))
        connection.execute("UPDATE jobs SET state = ? WHERE id = ?", (state, job))
        if state is JobState.QUEUED:
            connection.execute("UPDATE jobs SET queued_at = ? WHERE id = ?", (self._place(connection, job, kind), job))
        if state not in LIVE:
            # When it was let go of stands where it was said when it was taken: for as long its owner was served.
            let_go = (
                "UPDATE jobs SET worker = NULL, lease_until = NULL, started_at = ? WHERE id = ? AND worker IS NOT NULL"
            )
            connection.execute(let_go, (now, job))
        return state

    @staticmethod
    def _place(connection: sqlite3.Connection, job: str, kind: EventKind) -> float:
        """The time that stands for the job's place in the queue: the earliest is the next."""
        if kind is EventKind.MOVED_UP:
            (first,) = connection.execute(
                """SELECT min(queued_at) FROM jobs
                   WHERE state = ? AND owner = (SELECT owner FROM jobs WHERE id = ?)""",
                (JobState.QUEUED, job),
            ).fetchone()
            return first - 1
        (before,) = connection.execute("SELECT queued_at FROM jobs WHERE id = ?", (job,)).fetchone()
        # A job that lost its worker or was paused keeps its place.
        return time.time() if before is None or kind is EventKind.RETRIED else before

    @staticmethod
    def _append(connection: sqlite3.Connection, job: str, event: JobEvent) -> None:
        body = wire.event_to_wire(replace(event, picture=None)).SerializeToString()
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (job, event.number, event.kind, body))
        if event.picture is not None:
            picture = jobs_pb2.JobEvent(picture=wire.event_to_wire(event).picture).SerializeToString()
            connection.execute("REPLACE INTO pictures VALUES (?, ?, ?)", (job, event.number, picture))

    def ask(self, job: str, kind: EventKind) -> JobState:
        """Pause, resume, move up or retry the job. Asked twice, nothing changes. Raises Conflict where it cannot be."""
        with self.database.changing(durable=True) as connection:
            state = self.state(job)
            if state in GRANTED[kind]:
                return state
            if kind is EventKind.MOVED_UP and state is JobState.QUEUED:
                first = self._owners_next(connection, job)
                if first.id == job:
                    return state
                # Its place alone would not do where the owner has one that is more urgent.
                raised = "UPDATE jobs SET priority = max(priority, ?) WHERE id = ?"
                connection.execute(raised, (first.priority, job))
            return self._record(connection, job, kind, None, {})

    def _owners_next(self, connection: sqlite3.Connection, job: str) -> Waiting:
        """The next job of the owner of this one, which waits."""
        waiting = self._waiting(connection)
        (owner,) = (one.owner for one in waiting if one.id == job)
        return next(one for one in waiting if one.owner == owner)

    def cancel(self, job: str) -> JobState:
        """Cancel the job: at once where nobody works on it, else its worker is asked. An ended job stays as it is."""
        with self.database.changing(durable=True) as connection:
            state = self.state(job)
            if state.ended or state is JobState.CANCELLING:
                return state
            kind = EventKind.CANCEL_ASKED if state is JobState.RUNNING else EventKind.CANCELLED
            return self._record(connection, job, kind, None, {})

    def claim(self, worker: str, lease: float, resident: str = "") -> JobSpec | None:
        """Give a waiting job to `worker`, which has the engine `resident` loaded, for `lease` seconds; None where none waits."""
        waits = "SELECT 1 FROM jobs WHERE state = ? LIMIT 1"
        if self.database.reading().execute(waits, (JobState.QUEUED,)).fetchone() is None:
            return None  # asked many times a second: without a lock
        with self.database.changing() as connection:
            waiting = self._waiting(connection)
            taken = choose(waiting, resident)
            if taken is None:
                return None
            if taken is not waiting[0]:
                connection.execute("UPDATE jobs SET passed = passed + 1 WHERE id = ?", (waiting[0].id,))
            self._record(connection, taken.id, EventKind.STARTED, None, {"stage": "starting"})
            now = time.time()
            connection.execute(
                "UPDATE jobs SET worker = ?, lease_until = ?, started_at = ?, passed = 0 WHERE id = ?",
                (worker, now + lease, now, taken.id),
            )
        return self.spec(taken.id)

    def _waiting(self, connection: sqlite3.Connection) -> tuple[Waiting, ...]:
        """The queue, in the order in which it will be taken."""
        waiting = connection.execute(
            "SELECT id, owner, engine, priority, queued_at, passed FROM jobs WHERE state = ?", (JobState.QUEUED,)
        )
        served = connection.execute(
            "SELECT owner, priority, sum(state IN (?, ?)), ifnull(max(started_at), 0.0) FROM jobs GROUP BY owner, priority",
            LIVE,
        )
        return order(
            [
                Waiting(id=job, owner=owner, engine=engine, priority=priority, since=since, passed=passed)
                for job, owner, engine, priority, since, passed in waiting
            ],
            {(owner, priority): Served(running=running, at=at) for owner, priority, running, at in served},
            now=time.time(),
        )

    def renew(self, worker: str, lease: float) -> None:
        """The worker lives: what it and those named WORKER/... hold stays theirs for `lease` seconds more."""
        with self.database.changing() as connection:
            connection.execute(
                f"UPDATE jobs SET lease_until = ? WHERE {BELONGS}", (time.time() + lease, worker, worker)
            )

    def wants(self, job: str, worker: str) -> bool:
        """Whether the worker is still to paint the job: it was neither cancelled, paused nor given to another."""
        found = self.database.reading().execute("SELECT state, worker FROM jobs WHERE id = ?", (job,)).fetchone()
        return found == (JobState.RUNNING, worker)

    def lapsed(self, worker: str) -> bool:
        """Whether the worker has a job and does not renew its lease."""
        waits = f"SELECT 1 FROM jobs WHERE {BELONGS} AND lease_until < ?"
        return self.database.reading().execute(waits, (worker, worker, time.time())).fetchone() is not None

    def lose(self, job: str, worker: str, why: str, what: str = "worker") -> None:
        """The worker cannot go on after what the job did to it, or its whole "node" is lost: it says why before it ends."""
        with self.database.changing(durable=True) as connection:  # it may have failed
            found = connection.execute("SELECT worker FROM jobs WHERE id = ?", (job,)).fetchone()
            if found == (worker,):
                self._lose(connection, job, why, what)

    def release(
        self, worker: str = "", why: str = "its worker stopped", *, everyone: bool = False, blameless: bool = False
    ) -> tuple[str, ...]:
        """Take back the jobs of `worker` and those named WORKER/... (or of everyone) and of each worker whose lease ran out; returns their ids.

        They go back to the queue, but a job whose worker died MOST_LOSSES times has failed: it would go on for ever.
        `everyone` is for a server that has just started, `blameless` for one that ends its workers: that they are gone
        is then no fault of their jobs.
        """
        with self.database.changing(durable=True) as connection:  # it may have failed
            jobs = connection.execute(
                f"SELECT id FROM jobs WHERE worker IS NOT NULL AND (? OR {BELONGS} OR lease_until < ?)",
                (everyone, worker, worker, time.time()),
            ).fetchall()
            for (job,) in jobs:
                if everyone or blameless:
                    self._record(connection, job, EventKind.LOST, None, {"field": "server", "message": why})
                else:
                    self._lose(connection, job, why, "worker")
        return tuple(job for (job,) in jobs)

    def _lose(self, connection: sqlite3.Connection, job: str, why: str, what: str) -> None:
        workers, nodes = self._lost(job)
        if (nodes + 1 < MOST_NODES) if what == "node" else (workers + 1 < MOST_LOSSES):
            self._record(connection, job, EventKind.LOST, None, {"field": what, "message": why})
            return
        times = f"it stopped its worker {MOST_LOSSES} times"
        if what == "node":
            times = f"{MOST_NODES} nodes were lost that painted it, and no window was finished between"
        words = {
            "field": what,
            "message": f"{times}, at last: {why}",
            "remedy": "Look at the server's log; a shorter clip or another engine may do",
        }
        self._record(connection, job, EventKind.FAILED, None, words)

    def _lost(self, job: str) -> tuple[int, int]:
        """How many workers died over the job since it was queued, or tried again; and how many nodes, since it last got on."""
        workers = nodes = 0
        for event in self._events_of(job, EventKind.LOST, EventKind.RETRIED, EventKind.WINDOW_DONE):
            if event.kind is EventKind.LOST:
                workers, nodes = workers + (event.field == "worker"), nodes + (event.field == "node")
            else:
                workers, nodes = 0 if event.kind is EventKind.RETRIED else workers, 0
        return workers, nodes

    def spec(self, job: str) -> JobSpec:
        found = self.database.reading().execute("SELECT spec FROM jobs WHERE id = ?", (job,)).fetchone()
        if found is None:
            raise unknown(job)
        return wire.spec_from_wire(jobs_pb2.JobSpec.FromString(found[0]))

    def state(self, job: str) -> JobState:
        found = self.database.reading().execute("SELECT state FROM jobs WHERE id = ?", (job,)).fetchone()
        if found is None:
            raise unknown(job)
        return JobState(found[0])

    def events(self, job: str, after: int = 0) -> tuple[JobEvent, ...]:
        """The events after number `after`, in order. Raises Missing for an unknown job."""
        self.state(job)
        found = self.database.reading().execute(
            """SELECT events.body, pictures.body FROM events
               LEFT JOIN pictures ON pictures.job = events.job AND pictures.event = events.number
               WHERE events.job = ? AND number > ? ORDER BY number""",
            (job, after),
        )
        # Two messages after each other read as one: the event, and its picture.
        return tuple(wire.event_from_wire(jobs_pb2.JobEvent.FromString(body + (more or b""))) for body, more in found)

    def last_event(self, job: str) -> int:
        """The number of the job's last event. Raises Missing for an unknown job."""
        (last,) = self.database.reading().execute("SELECT max(number) FROM events WHERE job = ?", (job,)).fetchone()
        if last is None:
            raise unknown(job)
        return last

    def queue_place(self, job: str) -> int:
        """1 for the job that is next, 0 for one that does not wait."""
        waiting = self._waiting(self.database.reading())
        return next((place for place, one in enumerate(waiting, 1) if one.id == job), 0)

    def summaries(self, owner: str | None = None) -> tuple[JobSummary, ...]:
        """All jobs (of `owner`, where one is given), the newest first."""
        found = self.database.reading().execute(
            f"{SUMMARIES} WHERE owner = ifnull(?, owner) ORDER BY opened_at DESC",
            (owner,),
        )
        return tuple(_summary(*row) for row in found)

    def summary(self, job: str) -> JobSummary:
        """The job as lists show it. Raises Missing for an unknown one."""
        found = self.database.reading().execute(f"{SUMMARIES} WHERE id = ?", (job,)).fetchone()
        if found is None:
            raise unknown(job)
        return _summary(*found)

    def owner(self, job: str) -> str:
        """Whose job it is. Raises Missing for an unknown one."""
        found = self.database.reading().execute("SELECT owner FROM jobs WHERE id = ?", (job,)).fetchone()
        if found is None:
            raise unknown(job)
        return found[0]

    def heads(self) -> tuple[tuple[str, str, int], ...]:
        """Of every job its id, its engine and the number of its last event."""
        return board.read_heads(self.database.reading())

    def counts(self) -> dict[JobState, int]:
        """How many jobs there are in each state that has any."""
        return board.count_states(self.database.reading())

    def board(self, owner: str | None, most_ended: int) -> tuple[board.Standing, ...]:
        """All jobs (of `owner`, where one is given) that have not ended, and the `most_ended` newest that have."""
        connection = self.database.reading()
        places = {one.id: place for place, one in enumerate(self._waiting(connection), 1)}
        return board.read_board(connection, owner, places, most_ended)

    def picture(self, job: str, event: int) -> Picture:
        """The picture of that event. Raises Missing where it has none, or a newer one took its place."""
        return board.read_picture(self.database.reading(), job, event)

    def painting(self, worker: str) -> frozenset[tuple[str, int]]:
        """The jobs of `worker` and of those named WORKER/..., and of each the event of its last finished window that others follow (or 0)."""
        connection = self.database.reading()
        jobs = connection.execute(f"SELECT id FROM jobs WHERE {BELONGS}", (worker, worker)).fetchall()
        return frozenset((job, board.last_window(connection, job)) for (job,) in jobs)

    def priority(self, job: str) -> int:
        """How urgent its owner said it is. Raises Missing for an unknown one."""
        found = self.database.reading().execute("SELECT priority FROM jobs WHERE id = ?", (job,)).fetchone()
        if found is None:
            raise unknown(job)
        return found[0]

    def shrunk(self, job: str) -> int:
        """How often the job's plan was made smaller for lack of memory, since it was first queued or last tried again."""
        found = self._events_of(job, EventKind.PLANNED, EventKind.RETRIED)
        return found[-1].step if found else 0

    def _events_of(self, job: str, *kinds: EventKind) -> tuple[JobEvent, ...]:
        """The events of these kinds, in order, without their pictures: of a long job hundreds of thousands are of its progress."""
        marks = ", ".join("?" * len(kinds))
        found = self.database.reading().execute(
            f"SELECT body FROM events WHERE job = ? AND kind IN ({marks}) ORDER BY number", (job, *kinds)
        )
        return tuple(wire.event_from_wire(jobs_pb2.JobEvent.FromString(body)) for (body,) in found)

    def keep_take(self, job: str, digests: Sequence[str], *, worker: str) -> None:
        """The job is finished: its take is `digests`, one a frame. One transaction, so never half a take."""
        with self.database.changing(durable=True) as connection:
            connection.execute("DELETE FROM takes WHERE job = ?", (job,))
            connection.executemany(
                "INSERT INTO takes VALUES (?, ?, ?)", [(job, frame, digest) for frame, digest in enumerate(digests)]
            )
            self._record(connection, job, EventKind.FINISHED, worker, {})

    def take(self, job: str) -> tuple[str, ...]:
        """The digests of the take's frames. Raises Missing for an unknown job, Conflict where it has no take."""
        state = self.state(job)
        if state is not JobState.FINISHED:
            raise Conflict(field="job", message=f"the job {job} is {state}", remedy="Watch it until it is finished")
        found = self.database.reading().execute("SELECT digest FROM takes WHERE job = ? ORDER BY frame", (job,))
        return tuple(digest for (digest,) in found)

    def seconds_per_megapixel(self, engine: str) -> float | None:
        """What the last finished jobs of `engine` took for each million pixels of their clips, or None."""
        found = self.database.reading().execute(
            """SELECT spec, (SELECT body FROM events WHERE job = id AND kind = ? ORDER BY number DESC LIMIT 1),
                      (SELECT body FROM events WHERE job = id AND kind = ? ORDER BY number DESC LIMIT 1)
               FROM jobs WHERE engine = ? AND state = ? ORDER BY opened_at DESC LIMIT 5""",
            (EventKind.STARTED, EventKind.FINISHED, engine, JobState.FINISHED),
        )
        seconds = pixels = 0.0
        for spec_body, started, finished in found:
            clip = wire.spec_from_wire(jobs_pb2.JobSpec.FromString(spec_body)).clip
            seconds += jobs_pb2.JobEvent.FromString(finished).at - jobs_pb2.JobEvent.FromString(started).at
            pixels += len(clip) * clip.size.pixels / 1e6
        return seconds / pixels if pixels else None

    def delete(self, job: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Forget an ended job; returns the digests of pixels, and the keys of windows, that nobody else has.

        Raises Missing, and Conflict while the job lives.
        """
        with self.database.changing(durable=True) as connection:
            found = connection.execute("SELECT state FROM jobs WHERE id = ?", (job,)).fetchone()
            if found is None:
                raise unknown(job)
            if not JobState(found[0]).ended and found[0] != JobState.OPEN:
                raise Conflict(field="job", message=f"the job {job} is {found[0]}", remedy="Cancel it first")
            digests, keys = orphans(connection, job)
            connection.executemany("DELETE FROM owned WHERE digest = ?", [(digest,) for digest in digests])
            for table in ("pixels", "takes", "events", "pictures", "windows"):
                connection.execute(f"DELETE FROM {table} WHERE job = ?", (job,))
            connection.execute("DELETE FROM jobs WHERE id = ?", (job,))
        return digests, keys


def _summary(state: str, body: bytes, opened_at: float, owner: str, priority: int, events: int) -> JobSummary:
    spec = jobs_pb2.JobSpec.FromString(body)  # not through wire, as on the board: a list is of many, and long, jobs
    return JobSummary(
        id=spec.id,
        engine=spec.engine,
        state=JobState(state),
        task=board.task_of(spec),
        prompt=spec.edit.prompt,
        frames=len(spec.clip.frames),
        opened_at=opened_at,
        events=events,
        owner=owner,
        priority=priority,
    )


def unknown(job: str) -> Missing:
    return Missing(field="job", message=f"there is no job '{shown(job)}'", remedy="List the jobs to see their ids")
