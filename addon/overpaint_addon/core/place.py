"""Place: fetch a finished job's take and put it above the strip it was made of."""

from __future__ import annotations

from overpaint import wire

from .ports import Backend, PlacedStrip, Ticket, TicketStore, Timeline
from .steps import Doing, Steps, until

LONGEST_NAME = 60  # characters of Blender's 63, which leaves room for .001


def place(timeline: Timeline, backend: Backend, tickets: TicketStore, ticket: Ticket) -> Steps[PlacedStrip]:
    """The take's frames are written beside the .blend and become an image strip; the ticket has served."""
    folder = timeline.take_folder(ticket.job_id)
    fetching = backend.fetch(ticket.job_id, folder, ticket.selection.length)
    frames = yield from until(fetching, Doing(stage="fetching the take", total=ticket.selection.length))
    strip = timeline.insert_take(ticket.selection, frames, ticket.request, take_name(ticket))
    tickets.drop(ticket.job_id)
    return strip


def take_name(ticket: Ticket) -> str:
    """What was asked, in the strip's name: the prompt or the task, and the seed."""
    edit = wire.request_from_json(ticket.request).edit
    return f"{(edit.prompt or edit.task)[: LONGEST_NAME - 13]} ({edit.seed})"
