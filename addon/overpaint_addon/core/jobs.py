"""Jobs: what the list of jobs shows of each, as values, and what may be asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from overpaint import wire
from overpaint.job import JobState, Picture

from .ports import Ticket
from .steps import Doing
from .words import say


class Act(StrEnum):
    """What may be asked for a job; in the order of the buttons."""

    FRONT = "front"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    CANCEL = "cancel"
    DISMISS = "dismiss"


ASKED: Mapping[Act, str] = {
    Act.FRONT: "Moving Up",
    Act.PAUSE: "Pausing",
    Act.RESUME: "Resuming",
    Act.CANCEL: "Cancelling",
}
"""What the row says from the click on, until the server has answered."""

STATES: Mapping[JobState, str] = {
    JobState.OPEN: "Sending",
    JobState.QUEUED: "Waiting",
    JobState.RUNNING: "Painting",
    JobState.PAUSED: "Paused",
    JobState.CANCELLING: "Cancelling",
    JobState.FINISHED: "Painted",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Cancelled",
}
ACTS: Mapping[JobState, tuple[Act, ...]] = {
    JobState.OPEN: (Act.CANCEL,),
    JobState.QUEUED: (Act.FRONT, Act.PAUSE, Act.CANCEL),
    JobState.RUNNING: (Act.PAUSE, Act.CANCEL),
    JobState.PAUSED: (Act.RESUME, Act.CANCEL),
    JobState.CANCELLING: (),
    JobState.FINISHED: (),
    JobState.FAILED: (Act.RETRY, Act.DISMISS),
    JobState.CANCELLED: (Act.RETRY, Act.DISMISS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job of the list. `state` is one word, `words` the line under it; `share` is in [0, 1] where there is a bar."""

    job_id: str
    name: str
    state: str
    words: str
    share: float | None = None
    picture: Picture | None = None
    acts: tuple[Act, ...] = ()


def sending_row(job_id: str, name: str, doing: Doing | None) -> JobRow:
    """A job that is not submitted yet."""
    return JobRow(
        job_id=job_id, name=name, state="Sending", words=_told(doing), share=_share(doing), acts=(Act.CANCEL,)
    )


def ticket_row(ticket: Ticket, doing: Doing | None, asked: Act | None) -> JobRow:
    """A submitted job: what is being done for it, or why nothing is; `asked` is what the server was asked for just now."""
    acts = ACTS[ticket.state]
    if doing is None and ticket.state not in (JobState.FAILED, JobState.CANCELLED):
        acts = (Act.RETRY, Act.DISMISS)  # nobody follows it: something was in the way
    return JobRow(
        job_id=ticket.job_id,
        name=f"{name_of(ticket.request)} · {ticket.selection.strip}",
        state=ASKED.get(asked, STATES[ticket.state]) if asked else STATES[ticket.state],
        words=_told(doing) if doing else "" if ticket.state is JobState.CANCELLED else ticket.words,
        share=_share(doing) if ticket.state in (JobState.RUNNING, JobState.FINISHED) else None,
        picture=doing.picture if doing else None,
        acts=() if asked else acts,
    )


@lru_cache(maxsize=256)  # drawing asks again and again, and a request holds all its strokes
def name_of(request: str) -> str:
    """The prompt, or the task where there is none."""
    edit = wire.request_from_json(request).edit
    return edit.prompt or say(edit.task.title())


def _told(doing: Doing | None) -> str:
    if doing is None:
        return ""
    left = "" if doing.seconds_left is None else say("about {time} left", time=_time(doing.seconds_left))
    stage = say(doing.stage)
    return ", ".join(filter(None, (stage[:1].upper() + stage[1:], doing.detail, left)))


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return say("{seconds} s", seconds=rest)
    return say("{minutes} min {seconds} s", minutes=minutes, seconds=f"{rest:02}")


def _share(doing: Doing | None) -> float | None:
    return min(doing.done / doing.total, 1.0) if doing and doing.total else None
