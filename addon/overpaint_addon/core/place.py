"""Place: fetch a finished job's take and put it above the strip it was made of."""

from __future__ import annotations

from overpaint import wire

from .ports import Backend, PlacedStrip, Ticket, TicketStore, Timeline
from .steps import Doing, Steps, patiently
from .variants import Take, edit_of

LONGEST_NAME = 60  # characters of Blender's 63, which leaves room for .001


def place(timeline: Timeline, backend: Backend, tickets: TicketStore, ticket: Ticket) -> Steps[PlacedStrip]:
    """The take's frames are written beside the .blend and become an image strip; the ticket has served."""
    folder = timeline.take_folder(ticket.job_id)
    fetching = backend.fetch(ticket.job_id, folder, ticket.selection.length)
    frames = yield from patiently(backend, fetching, Doing(stage="fetching the take", total=ticket.selection.length))
    strip = timeline.insert_take(ticket.selection, frames, take_of(ticket.request))
    tickets.drop(ticket.job_id)
    return strip


def take_of(request: str) -> Take:
    """The take of a finished request, named after what was asked: the prompt or the task, and the seed."""
    spec = wire.request_from_json(request)
    edit = spec.edit
    return Take(
        job_id=spec.id,
        name=f"{(edit.prompt or edit.task)[: LONGEST_NAME - 13]} ({edit.seed})",
        request=request,
        edit=edit_of(spec),
        seed=edit.seed,
        prompt=edit.prompt,
    )
