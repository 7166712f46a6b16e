"""Follow: keep a ticket up to date until its job has ended."""

from __future__ import annotations

from dataclasses import replace

from overpaint.errors import Cancelled, Invalid, Unavailable
from overpaint.job import EventKind, JobEvent, JobState, Picture, advance

from .ports import Backend, Ticket, TicketStore
from .steps import AWAY, Doing, Steps
from .words import say

THOUSAND = 1000  # parts of a job, for the bar
QUEUEING = (EventKind.SEALED, EventKind.LOST, EventKind.RESUMED, EventKind.MOVED_UP, EventKind.RETRIED)


def follow(backend: Backend, tickets: TicketStore, ticket: Ticket, *, again: bool = False) -> Steps[Ticket]:
    """Until the job has finished; while the server is away, it waits for it.

    `again`: the job had ended and is tried again, so that the events to come say where it is. Raises Cancelled, or
    Invalid in the server's words where it failed; the ticket stays, for another try.
    """
    event, doing = JobEvent(number=0, kind=EventKind.OPENED, at=0.0), Doing(stage=ticket.words or "waiting")
    picture: Picture | None = None
    while again or not ticket.state.ended:
        try:
            events = backend.events(ticket.job_id, ticket.event)
        except Unavailable:
            yield replace(doing, stage=AWAY, detail="", seconds_left=None)
            continue
        for event in events:
            ticket, again, picture = _learn(ticket, event), False, event.picture or picture
            if event.kind is not EventKind.PROGRESS:
                tickets.keep(ticket)  # progress alone would make the file look changed four times a second
            doing = replace(_doing(event), picture=picture)
            yield doing
        yield doing
    if ticket.state is JobState.CANCELLED:
        raise Cancelled(field="job", message="the job was cancelled")
    if ticket.state is JobState.FAILED:
        raise Invalid(field=event.field, message=event.message, remedy=event.remedy)
    return ticket


def _learn(ticket: Ticket, event: JobEvent) -> Ticket:
    known = None if event.kind is EventKind.OPENED else ticket.state
    return replace(ticket, event=event.number, state=advance(known, event.kind), words=event.message or event.stage)


def _doing(event: JobEvent) -> Doing:
    if event.kind in QUEUEING:
        return Doing(
            stage=say("waiting, place {place}", place=event.queue_place) if event.queue_place > 1 else "waiting"
        )
    windows = event.window < event.windows > 1
    window = say("window {number} of {count}", number=event.window + 1, count=event.windows) if windows else ""
    step = say("step {number} of {count}", number=event.step, count=event.steps) if event.steps > 1 else ""
    return Doing(
        stage=event.stage or event.kind.replace("_", " "),
        detail=", ".join(filter(None, (window, step))),
        done=round(event.share * THOUSAND),
        total=THOUSAND,
        seconds_left=event.seconds_left,
    )
