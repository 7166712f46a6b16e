"""Paint: the main job from the strip to the take; and taking up jobs that were submitted before."""

from __future__ import annotations

from dataclasses import replace

from overpaint.errors import Missing, OverpaintError
from overpaint.job import JobState

from .draft import Draft
from .follow import follow
from .place import place
from .ports import Backend, PlacedStrip, Selection, Ticket, TicketStore, Timeline
from .steps import Doing, Steps, until
from .submit import submit


def paint(
    timeline: Timeline,
    backend: Backend,
    tickets: TicketStore,
    draft: Draft,
    job_id: str,
    selection: Selection | None = None,
) -> Steps[PlacedStrip]:
    """Submit, follow, place; the active strip, without `selection`."""
    ticket = yield from submit(timeline, backend, tickets, draft, job_id, selection)
    return (yield from resume(timeline, backend, tickets, ticket))


def resume(
    timeline: Timeline, backend: Backend, tickets: TicketStore, ticket: Ticket, *, retry: bool = False
) -> Steps[PlacedStrip]:
    """Follow and place a job that was submitted before; with `retry`, one that failed or was cancelled is queued again.

    What keeps it from being placed is raised, and kept in the ticket's words: nothing is lost by it.
    """
    try:
        again = retry and ticket.state in (JobState.FAILED, JobState.CANCELLED)
        if again:
            yield from until(backend.retry(ticket.job_id), Doing(stage="queueing"))
        ticket = yield from follow(backend, tickets, ticket, again=again)
        return (yield from place(timeline, backend, tickets, ticket))
    except OverpaintError as caught:
        error = caught
        if isinstance(error, Missing) and error.field == "job" and ticket.server not in ("", backend.server):
            what = f"{backend.server} does not know the job: it was sent to {ticket.server}"
            error = Missing(field="server", message=what, remedy="Choose that server in the preferences to go on")
        for kept in tickets.all():
            if kept.job_id == ticket.job_id:
                tickets.keep(replace(kept, words=str(error)))
        raise error from None
