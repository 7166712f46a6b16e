"""Many jobs at one look: where each stands, how far it is, and the number of its newest picture."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from overpaint import wire
from overpaint.clip import Size
from overpaint.edit import Task
from overpaint.errors import Missing
from overpaint.job import EventKind, JobEvent, JobState, Picture
from overpaint.v1 import jobs_pb2

ENDED = tuple(state for state in JobState if state.ended)
FAR = (EventKind.PROGRESS, EventKind.WINDOW_DONE)  # the events that tell how far a job is


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A job at one look.

    `place` is its place in the queue (0: it does not wait), `last` its last event, `far` the last that tells how far it is,
    `picture` the number of the event that has its newest picture (0: there is none). `opened_at` is Unix time in seconds.
    """

    id: str
    engine: str
    state: JobState
    task: Task
    prompt: str
    frames: int
    size: Size
    owner: str
    opened_at: float
    place: int
    last: JobEvent
    far: JobEvent | None
    picture: int


def read_board(
    connection: sqlite3.Connection, owner: str | None, places: Mapping[str, int], most_ended: int
) -> tuple[Standing, ...]:
    """All jobs (of `owner`, where one is given) that have not ended, and the newest that have; in one read."""
    far, ended = (",".join("?" * len(words)) for words in (FAR, ENDED))
    found = connection.execute(
        f"""SELECT id, engine, state, spec, owner, opened_at,
                   (SELECT body FROM events WHERE job = id ORDER BY number DESC LIMIT 1),
                   (SELECT body FROM events WHERE job = id AND kind IN ({far}) ORDER BY number DESC LIMIT 1),
                   ifnull((SELECT event FROM pictures WHERE job = id), 0)
            FROM jobs WHERE owner = ifnull(?, owner) AND (state NOT IN ({ended}) OR id IN (
                SELECT id FROM jobs WHERE owner = ifnull(?, owner) AND state IN ({ended})
                ORDER BY opened_at DESC LIMIT ?))
            ORDER BY opened_at DESC""",
        (*FAR, owner, *ENDED, owner, *ENDED, most_ended),
    )
    return tuple(_standing(row, places.get(row[0], 0)) for row in found)


def _standing(row: tuple[str, str, str, bytes, str, float, bytes, bytes | None, int], place: int) -> Standing:
    job, engine, state, body, owner, opened_at, last, far, picture = row
    # Not through wire: of a spec with thousands of frames a look wants five facts, once a second.
    spec = jobs_pb2.JobSpec.FromString(body)
    return Standing(
        id=job,
        engine=engine,
        state=JobState(state),
        task=task_of(spec),
        prompt=spec.edit.prompt,
        frames=len(spec.clip.frames),
        size=wire.size_from_wire(spec.clip.size),
        owner=owner,
        opened_at=opened_at,
        place=place,
        last=wire.event_from_wire(jobs_pb2.JobEvent.FromString(last)),
        far=None if far is None else wire.event_from_wire(jobs_pb2.JobEvent.FromString(far)),
        picture=picture,
    )


def task_of(spec: jobs_pb2.JobSpec) -> Task:
    return Task(jobs_pb2.Task.Name(spec.edit.task).removeprefix("TASK_").lower())


def read_picture(connection: sqlite3.Connection, job: str, event: int) -> Picture:
    """The picture of that event. Raises Missing where it has none, or a newer one took its place."""
    found = connection.execute("SELECT body FROM pictures WHERE job = ? AND event = ?", (job, event)).fetchone()
    # The stored message is an event with nothing but its picture; a kind is what makes it readable.
    kind = jobs_pb2.EventKind.EVENT_KIND_WINDOW_DONE
    body = jobs_pb2.JobEvent(kind=kind).SerializeToString() + found[0] if found else b""
    picture = wire.event_from_wire(jobs_pb2.JobEvent.FromString(body)).picture if found else None
    if picture is None:
        raise Missing(field="picture", message="this picture is not there any more", remedy="Ask for the newest one")
    return picture


def read_heads(connection: sqlite3.Connection) -> tuple[tuple[str, str, int], ...]:
    """Of every job its id, its engine and the number of its last event."""
    found = connection.execute("SELECT id, engine, (SELECT max(number) FROM events WHERE job = id) FROM jobs")
    return tuple(found.fetchall())


def count_states(connection: sqlite3.Connection) -> dict[JobState, int]:
    """How many jobs there are in each state that has any."""
    found = connection.execute("SELECT state, count(*) FROM jobs GROUP BY state")
    return {JobState(state): number for state, number in found}


def last_window(connection: sqlite3.Connection, job: str) -> int:
    """The number of the event of the job's last finished window that others follow (or 0)."""
    done = connection.execute(
        "SELECT body FROM events WHERE job = ? AND kind = ? ORDER BY number DESC LIMIT 2",
        (job, EventKind.WINDOW_DONE),
    )
    events = [jobs_pb2.JobEvent.FromString(body) for (body,) in done]
    # After the last window the take is made, which is worth waiting for: so the one before it counts.
    return next((event.number for event in events if event.window + 1 < event.windows), 0)
