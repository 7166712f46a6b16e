"""JobSpec, JobState, JobEvent, and advance: the only transition table of a job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from overpaint.clip import Clip
from overpaint.edit import Edit, Task
from overpaint.errors import Conflict, Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """The whole request: same spec, same weights and same kind of device give the same take.

    `id` is made by the client (a UUID as 32 hex digits), so that opening a job twice opens it once.
    """

    id: str
    engine: str
    clip: Clip
    edit: Edit

    def digests(self) -> tuple[str, ...]:
        """The digests of all pixels that the job needs, each once, in the order of first use."""
        return tuple(dict.fromkeys((*self.clip.frames, *self.edit.digests())))


class JobState(StrEnum):
    """Where a job stands."""

    OPEN = "open"  # pixels are still arriving
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"  # no worker takes it until it is resumed
    CANCELLING = "cancelling"  # the worker stops at its next step
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Nothing more happens to it, unless somebody asks for another try."""
        return self in (JobState.FINISHED, JobState.FAILED, JobState.CANCELLED)


class EventKind(StrEnum):
    """What happened to a job."""

    OPENED = "opened"
    SEALED = "sealed"
    STARTED = "started"
    PLANNED = "planned"
    PROGRESS = "progress"
    WINDOW_DONE = "window_done"
    LOST = "lost"  # its worker died; the job goes back to the queue
    PAUSED = "paused"  # its worker, where it has one, loses it
    RESUMED = "resumed"  # back to its place in the queue
    MOVED_UP = "moved_up"  # to the front of the queue
    RETRIED = "retried"  # back to the end of the queue, with its pixels and finished windows
    CANCEL_ASKED = "cancel_asked"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A small picture of what is painted so far: `rgb` holds its rows from the top, 3 bytes a pixel."""

    width: int
    height: int
    rgb: bytes

    def __post_init__(self) -> None:
        if len(self.rgb) != self.width * self.height * 3:
            raise ValueError(f"{self.width}x{self.height} pixels are not {len(self.rgb)} bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """Something that happened to a job; `number` counts from 1 without gaps, `at` is Unix time in seconds.

    `stage` names what is being done; `step` of `steps` how far that is; `windows` how many there are;
    `window` which one is done; `seconds_left` the estimate where there is one; `field`, `message` and `remedy` an error, and `status` its kind.
    `picture` is the newest painted frame; of a job's events only the last that had one keeps it.
    `reused`: the window that is done was in the spool already, and was not painted again.
    Of WINDOW_DONE, `step` of `steps` counts the windows that are painted: they may be in any order.
    Of PLANNED, `step` is how often the plan was made smaller because memory ran out; `stage` then says what it is now.
    """

    number: int
    kind: EventKind
    at: float
    stage: str = ""
    step: int = 0
    steps: int = 0
    window: int = 0
    windows: int = 0
    seconds_left: float | None = None
    queue_place: int = 0
    field: str = ""
    message: str = ""
    remedy: str = ""
    picture: Picture | None = None
    reused: bool = False
    status: str = ""

    @property
    def share(self) -> float:
        """How much of the job is painted, in [0, 1], as far as this event tells."""
        if self.kind is EventKind.FINISHED:
            return 1.0
        if not self.windows:
            return 0.0
        if self.kind is EventKind.WINDOW_DONE:  # they may be done in any order
            return self.step / self.steps if self.steps else min((self.window + 1) / self.windows, 1.0)
        of_window = self.step / self.steps if self.steps else 0.0
        return min((self.window + of_window) / self.windows, 1.0)


S, E = JobState, EventKind
_TABLE: dict[tuple[JobState, EventKind], JobState] = {
    (S.OPEN, E.SEALED): S.QUEUED,
    (S.OPEN, E.CANCELLED): S.CANCELLED,  # nobody works on it, so there is nobody to ask
    (S.QUEUED, E.STARTED): S.RUNNING,
    (S.QUEUED, E.CANCELLED): S.CANCELLED,
    (S.QUEUED, E.PAUSED): S.PAUSED,
    (S.QUEUED, E.MOVED_UP): S.QUEUED,
    # A paused job has no worker: the one that painted it learns at its next step that the job is no longer its own.
    (S.RUNNING, E.PAUSED): S.PAUSED,
    (S.PAUSED, E.RESUMED): S.QUEUED,
    (S.PAUSED, E.CANCELLED): S.CANCELLED,
    (S.RUNNING, E.PLANNED): S.RUNNING,
    (S.RUNNING, E.PROGRESS): S.RUNNING,
    (S.RUNNING, E.WINDOW_DONE): S.RUNNING,
    (S.RUNNING, E.LOST): S.QUEUED,
    (S.RUNNING, E.FINISHED): S.FINISHED,
    (S.RUNNING, E.FAILED): S.FAILED,
    (S.RUNNING, E.CANCEL_ASKED): S.CANCELLING,
    # The worker learns of the cancel at its next step; until then it reports as before.
    (S.CANCELLING, E.PLANNED): S.CANCELLING,
    (S.CANCELLING, E.PROGRESS): S.CANCELLING,
    (S.CANCELLING, E.WINDOW_DONE): S.CANCELLING,
    (S.CANCELLING, E.CANCELLED): S.CANCELLED,
    (S.CANCELLING, E.FAILED): S.CANCELLED,
    (S.CANCELLING, E.LOST): S.CANCELLED,
    # It was faster than the cancel: the take is there, so nothing is thrown away.
    (S.CANCELLING, E.FINISHED): S.FINISHED,
    (S.FAILED, E.RETRIED): S.QUEUED,
    (S.CANCELLED, E.RETRIED): S.QUEUED,
}


MOST_PRIORITY = 10


def check_priority(priority: int) -> None:
    """Raises Invalid where it is not from -10 to 10."""
    if abs(priority) > MOST_PRIORITY:
        what = f"the priority {priority} is not from -{MOST_PRIORITY} to {MOST_PRIORITY}"
        raise Invalid(field="priority", message=what, remedy="Give 0 for what is neither urgent nor idle")


_ASKED = {
    E.PAUSED: "be paused",
    E.RESUMED: "be resumed",
    E.MOVED_UP: "be moved to the front of the queue",
    E.RETRIED: "be tried again",
}
"""What people ask for, in their words."""


def advance(state: JobState | None, kind: EventKind) -> JobState:
    """The state after `kind` happened in `state` (None: there was no job yet). Raises Conflict where it cannot."""
    if state is None and kind is E.OPENED:
        return S.OPEN
    if state is None or (state, kind) not in _TABLE:
        raise Conflict(
            field="job",
            message=f"a job that is {state or 'unknown'} cannot {_ASKED.get(kind, f'take the event {kind}')}",
            remedy="Look at the job's state first",
        )
    return _TABLE[state, kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary:
    """A job as lists show it.

    `events` is the number of its last event, `opened_at` Unix time in seconds, `owner` the name of the token that opened it,
    `priority` from -10 to 10: the higher goes first.
    """

    id: str
    engine: str
    state: JobState
    task: Task
    prompt: str
    frames: int
    opened_at: float
    events: int
    owner: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job with its whole request, and what it holds on the server: files, and their bytes on disk.

    `frames` are pixels that were sent or make its take, `windows` are painted ones. What other jobs use as well counts too.
    """

    summary: JobSummary
    spec: JobSpec
    frames: int = 0
    windows: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What went when a server was pruned: jobs, files of frames and of painted windows, and their bytes on disk."""

    jobs: int = 0
    frames: int = 0
    windows: int = 0
    bytes: int = 0

    def numbers(self) -> tuple[int, int, int, int]:
        return self.jobs, self.frames, self.windows, self.bytes


def windows_done(events: Iterable[JobEvent]) -> tuple[int, int]:
    """How many windows of a job were painted, and how many were reused, as its events tell."""
    reused: dict[int, bool] = {}
    planned = 0
    for event in events:
        if event.kind is EventKind.PLANNED and event.windows != planned:
            reused, planned = {}, event.windows  # memory ran out: all is cut anew
        elif event.kind is EventKind.WINDOW_DONE:
            reused[event.window] = event.reused
    return sum(not one for one in reused.values()), sum(reused.values())
