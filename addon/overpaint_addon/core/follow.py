"""Follow: keep a ticket up to date until its job has ended."""

from __future__ import annotations

from dataclasses import replace

from overpaint.errors import Cancelled, Invalid
from overpaint.job import EventKind, JobEvent, JobState, advance

from .ports import Backend, Ticket, TicketStore
from .steps import Doing, Steps

THOUSAND = 1000  # parts of a job, for the bar


def follow(backend: Backend, tickets: TicketStore, ticket: Ticket) -> Steps[Ticket]:
    """Until the job has finished. Raises Cancelled, or Invalid in the server's words where it failed."""
    event, doing = JobEvent(number=0, kind=EventKind.OPENED, at=0.0), Doing(stage=ticket.words or "waiting")
    while not ticket.state.ended:
        for event in backend.events(ticket.job_id, ticket.event):
            ticket = _learn(ticket, event)
            if event.kind is not EventKind.PROGRESS:
                tickets.keep(ticket)  # progress alone would make the file look changed four times a second
            doing = _doing(event)
            yield doing
        yield doing
    if ticket.state is JobState.CANCELLED:
        tickets.drop(ticket.job_id)
        raise Cancelled(field="job", message="the job was cancelled")
    if ticket.state is JobState.FAILED:
        tickets.drop(ticket.job_id)
        raise Invalid(field=event.field, message=event.message, remedy=event.remedy)
    return ticket


def _learn(ticket: Ticket, event: JobEvent) -> Ticket:
    known = None if event.kind is EventKind.OPENED else ticket.state
    return replace(ticket, event=event.number, state=advance(known, event.kind), words=event.message or event.stage)


def _doing(event: JobEvent) -> Doing:
    if event.kind is EventKind.SEALED and event.queue_place > 1:
        return Doing(stage=f"waiting, place {event.queue_place}")
    return Doing(
        stage=event.stage or event.kind.replace("_", " "),
        done=round(event.share * THOUSAND),
        total=THOUSAND,
        seconds_left=event.seconds_left,
    )
