"""What lives as long as the add-on is enabled: the pump, the connection, and the jobs of the open file."""

from __future__ import annotations

import math
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.errors import Cancelled, OverpaintError
from overpaint.job import JobState

from ..core.jobs import ASKED, Act, JobRow, sending_row, ticket_row
from ..core.paint import resume
from ..core.ports import PlacedStrip, Ticket
from ..core.steps import Doing, Steps, until
from ..core.words import say
from ..host.pump import Pump
from ..host.stack import present
from ..host.tickets import BlendTickets
from ..host.timeline import BlenderTimeline
from .preferences import Connection, connection

if TYPE_CHECKING:
    from ..link.courier import Courier


@dataclass(slots=True)
class Session:
    """`words` is what the panel says last: an error (kept in `error`), or where a take was placed.

    Use-cases run side by side, each known by its job's id; `names` holds the jobs that are not submitted yet, and
    `asked` what the server was asked for and has not answered.
    """

    pump: Pump
    timeline: BlenderTimeline
    tickets: BlendTickets
    courier: Courier | None = None
    connected: Connection | None = None
    words: str = ""
    error: OverpaintError | None = None
    runs: dict[str, Future[Any]] = field(default_factory=dict[str, Future[Any]])
    names: dict[str, str] = field(default_factory=dict[str, str])
    asked: dict[str, Act] = field(default_factory=dict[str, Act])

    def backend(self) -> Courier:
        """The courier to the server that the preferences name now; gRPC is imported when the first one is made."""
        wanted = connection()
        if self.courier is None or self.connected != wanted:
            from overpaint.client import Client

            from ..link.courier import Courier

            before = self.courier
            client = Client(wanted.server, **asdict(wanted.shown), patience=math.inf)
            self.courier, self.connected = Courier(client), wanted
            if before is not None:
                before.close()
                for ticket in self.tickets.all():  # what was followed there is followed here
                    if ticket.job_id in self.runs:
                        self.runs[ticket.job_id].cancel()
                self.take_up()
        return self.courier

    def start(self, steps: Steps[Any], job_id: str, name: str = "") -> Future[Any]:
        """Let the pump drive a use-case beside those under way; its end is told in `words`.

        One that runs under the same id is closed first. `name` shows it in the list of jobs before it is submitted.
        """
        if job_id in self.runs:
            self.runs[job_id].cancel()
        self.words, self.error = "", None
        if name:
            self.names[job_id] = name
        future = self.runs[job_id] = self.pump.start(steps)
        future.add_done_callback(lambda ended: self._ended(job_id, ended))
        return future

    def doing(self, job_id: str = "") -> Doing | None:
        """What is under way for this job, or what was begun last; None where nothing is."""
        if not job_id:
            return self.pump.doing()
        return self.pump.doing(self.runs[job_id]) if job_id in self.runs else None

    def _ended(self, job_id: str, future: Future[Any]) -> None:
        if self.runs.get(job_id) is future:
            del self.runs[job_id]
            self.names.pop(job_id, None)
        if future.cancelled():
            return
        error = future.exception()
        if isinstance(error, Cancelled):
            return  # the list of jobs says so
        self.error = error if isinstance(error, OverpaintError) else None
        result = None if error else future.result()
        placed = say("Placed {name}", name=result.name) if isinstance(result, PlacedStrip) else ""
        self.words = str(error) if error else result if isinstance(result, str) else placed

    def rows(self) -> tuple[JobRow, ...]:
        """The jobs of this file, in the order they were begun."""
        tickets = [replace(ticket, selection=present(ticket.selection)) for ticket in self.tickets.all()]
        submitted = {ticket.job_id for ticket in tickets}
        return tuple(
            ticket_row(ticket, self.doing(ticket.job_id), self.asked.get(ticket.job_id)) for ticket in tickets
        ) + tuple(
            sending_row(job_id, name, self.doing(job_id))
            for job_id, name in self.names.items()
            if job_id not in submitted
        )

    def take_up(self) -> None:
        """Go on with every job of the open file that nobody follows and that may still come to a take."""
        for ticket in self.tickets.all():
            if ticket.job_id not in self.runs and ticket.state not in (JobState.FAILED, JobState.CANCELLED):
                self.start(self._resumed(ticket), ticket.job_id)

    def _resumed(self, ticket: Ticket, *, retry: bool = False) -> Steps[PlacedStrip]:
        # The backend is asked for in the first step: to load a file must not wait for gRPC to be imported.
        return (yield from resume(self.timeline, self.backend(), self.tickets, ticket, retry=retry))

    def act(self, act: Act, job_id: str) -> None:
        """Ask the server for it, and say so at once. Raises Invalid where there is no such server."""
        ticket = next((one for one in self.tickets.all() if one.job_id == job_id), None)
        if act is Act.DISMISS:
            self.tickets.drop(job_id)
        elif act is Act.RETRY and ticket is not None:
            self.start(self._resumed(ticket, retry=True), job_id)
        elif ticket is None:  # not submitted yet: nobody paints it
            if job_id in self.runs:
                self.runs[job_id].cancel()
        else:
            backend = self.backend()
            asking = {
                Act.CANCEL: backend.cancel,
                Act.PAUSE: backend.pause,
                Act.RESUME: backend.resume,
                Act.FRONT: backend.move_up,
            }
            self.asked[job_id] = act
            answer = self.pump.start(until(asking[act](job_id), Doing(stage=ASKED[act].lower())))
            answer.add_done_callback(lambda answered: self._answered(job_id, answered))

    def _answered(self, job_id: str, answer: Future[JobState]) -> None:
        self.asked.pop(job_id, None)
        error = None if answer.cancelled() else answer.exception()
        if error:
            self.words = str(error)
            self.error = error if isinstance(error, OverpaintError) else None

    def leave(self) -> None:
        """Let go of what is under way, for when the file goes; the server paints on."""
        self.pump.close()
        for known in (self.runs, self.names, self.asked):
            known.clear()
        self.words, self.error = "", None


_current: Session | None = None


def begin() -> None:
    global _current
    _current = Session(pump=Pump(), timeline=BlenderTimeline(), tickets=BlendTickets())
    for event, function in _listening():
        event.append(function)
    if not bpy.app.background:
        bpy.app.timers.register(_take_up_soon)


def end() -> None:
    global _current
    if bpy.app.timers.is_registered(_take_up_soon):
        bpy.app.timers.unregister(_take_up_soon)
    for event, function in _listening():
        if function in event:
            event.remove(function)
    if _current is not None:
        _current.leave()
        _current.tickets.close()
        if _current.courier is not None:
            _current.courier.close()
    _current = None


def _listening() -> tuple[tuple[Any, Any], ...]:
    """What is told of files that come and go. The tickets listen before: what they hold is the new file's."""
    handlers = bpy.app.handlers
    return (handlers.load_pre, _leave), (handlers.load_post, _take_up), (handlers.load_post_fail, _take_up)


@bpy.app.handlers.persistent
def _leave(*_: object) -> None:
    if _current is not None:
        _current.leave()


@bpy.app.handlers.persistent
def _take_up(*_: object) -> None:
    if _current is not None:
        _current.take_up()


def _take_up_soon() -> None:
    """Once, when the add-on was enabled in an open file: while it is being enabled, files cannot be looked into."""
    _take_up()


def current() -> Session:
    """The session; there is one whenever the add-on is enabled."""
    assert _current is not None, "the add-on is not enabled"
    return _current
