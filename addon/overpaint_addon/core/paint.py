"""Paint: the main job from the strip to the take; and taking up jobs that were under way when the file was closed."""

from __future__ import annotations

from .draft import Draft
from .follow import follow
from .place import place
from .ports import Backend, PlacedStrip, Ticket, TicketStore, Timeline
from .steps import Steps
from .submit import submit


def paint(timeline: Timeline, backend: Backend, tickets: TicketStore, draft: Draft, job_id: str) -> Steps[PlacedStrip]:
    """Submit, follow, place."""
    ticket = yield from submit(timeline, backend, tickets, draft, job_id)
    return (yield from resume(timeline, backend, tickets, ticket))


def resume(timeline: Timeline, backend: Backend, tickets: TicketStore, ticket: Ticket) -> Steps[PlacedStrip]:
    """Follow and place a job that was submitted before."""
    ticket = yield from follow(backend, tickets, ticket)
    return (yield from place(timeline, backend, tickets, ticket))
