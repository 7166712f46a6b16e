"""BlendTickets: the submitted jobs, remembered in the .blend."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.clip import Rate, Size
from overpaint.job import JobState

from ..core.ports import Selection, Ticket
from ..core.roles import MaskSource
from . import stack, takes

PROPERTY = "overpaint_tickets"  # of a scene: the tickets whose strips it holds, as JSON


class BlendTickets:
    """The port TicketStore. Make one when the add-on is registered, `close` it when it is unregistered.

    Undo turns the properties of scenes and strips back, but a job that was submitted is not undone by that: the store
    keeps the tickets of the open file in memory, writes them into the scenes on every change, writes them and marks
    their strips again after every undo, and reads them when a file was loaded.
    """

    def __init__(self) -> None:
        self._tickets: dict[str, Ticket] | None = None

        @bpy.app.handlers.persistent
        def forget(*_: object) -> None:
            self._tickets = None

        @bpy.app.handlers.persistent
        def rewrite(*_: object) -> None:
            if self._tickets is not None:
                for ticket in self._tickets.values():
                    stack.mark_again(ticket.selection)
                self._write(self._tickets)

        handlers = bpy.app.handlers
        self._listening = (
            (handlers.load_post, forget),
            (handlers.undo_post, rewrite),
            (handlers.redo_post, rewrite),
        )
        for event, function in self._listening:
            event.append(function)

    def close(self) -> None:
        """Listen to Blender no more."""
        for event, function in self._listening:
            if function in event:
                event.remove(function)

    def keep(self, ticket: Ticket) -> None:
        """Add the ticket, or replace the one of the same job."""
        tickets = self._open()
        new = ticket.job_id not in tickets
        tickets[ticket.job_id] = ticket
        if new:
            stack.mark_again(ticket.selection)  # undo may have been pressed while it was sent
        self._write(tickets)
        if new and not bpy.data.is_dirty:  # else Blender closes the file without asking, and the job is lost
            takes.push_undo("Paint")

    def all(self) -> tuple[Ticket, ...]:
        """Every ticket of the open file; within a scene in the order they were first kept."""
        return tuple(self._open().values())

    def drop(self, job_id: str) -> None:
        """Forget the job; one that is not there is no error."""
        tickets = self._open()
        tickets.pop(job_id, None)
        self._write(tickets)

    def _open(self) -> dict[str, Ticket]:
        if self._tickets is None:
            # The jobs of a scene that is linked from another file are followed there.
            texts = (scene[PROPERTY] for scene in stack.own_scenes() if PROPERTY in scene)
            kept = [from_plain(plain) for text in texts for plain in json.loads(text)]
            self._tickets = {ticket.job_id: ticket for ticket in kept}
        return self._tickets

    def _write(self, tickets: dict[str, Ticket]) -> None:
        own = stack.own_scenes()
        names = {scene.name for scene in own}
        homes = {ticket.job_id: stack.present(ticket.selection).scene for ticket in tickets.values()}
        for number, scene in enumerate(own):
            mine = [
                ticket
                for ticket in tickets.values()
                # A scene that was removed leaves its tickets to the first one.
                if homes[ticket.job_id] == scene.name or (number == 0 and homes[ticket.job_id] not in names)
            ]
            if mine:
                scene[PROPERTY] = json.dumps([asdict(ticket) for ticket in mine])
            elif PROPERTY in scene:
                del scene[PROPERTY]


def from_plain(plain: dict[str, Any]) -> Ticket:
    """The ticket that `dataclasses.asdict` made plain."""
    chosen = plain["selection"]
    guided = {
        name: tuple(chosen.get(name, ()))
        for name in ("sketch_layers", "mask_layers", "track_layers", "box", "keyframes")
    } | {"mask_source": MaskSource(chosen.get("mask_source", MaskSource.NONE))}
    selection = Selection(**chosen | guided | {"size": Size(**chosen["size"]), "rate": Rate(**chosen["rate"])})
    return Ticket(**plain | {"selection": selection, "state": JobState(plain["state"])})
