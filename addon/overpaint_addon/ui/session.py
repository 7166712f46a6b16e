"""What lives as long as the add-on is enabled: the pump, the connection, and the jobs of the open file."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.steps import Doing, Steps
from ..host.pump import Pump
from ..host.tickets import BlendTickets
from ..host.timeline import BlenderTimeline
from .preferences import Connection, connection

if TYPE_CHECKING:
    from ..link.courier import Courier


@dataclass(slots=True)
class Session:
    """`words` is what the panel says last: an error, or where a take was placed."""

    pump: Pump
    timeline: BlenderTimeline
    tickets: BlendTickets
    courier: Courier | None = None
    connected: Connection | None = None
    running: Future[Any] | None = None
    job_id: str = ""
    words: str = ""

    def backend(self) -> Courier:
        """The courier to the server that the preferences name now; gRPC is imported when the first one is made."""
        wanted = connection()
        if self.courier is None or self.connected != wanted:
            from overpaint.client import Client

            from ..link.courier import Courier

            if self.courier is not None:
                self.courier.close()
            client = Client(wanted.server, token=wanted.token, certificate=wanted.certificate)
            self.courier, self.connected = Courier(client), wanted
        return self.courier

    def start(self, steps: Steps[Any], job_id: str) -> None:
        """Let the pump drive a use-case; its end is told in `words`."""
        self.running, self.job_id, self.words = self.pump.start(steps), job_id, ""
        self.running.add_done_callback(self._ended)

    def doing(self) -> Doing | None:
        """What is under way, for the panel; None where nothing is."""
        return self.pump.doing()

    def _ended(self, future: Future[Any]) -> None:
        error = None if future.cancelled() else future.exception()
        self.words = str(error) if error else "" if future.cancelled() else f"Placed {future.result().name}"


_current: Session | None = None


def begin() -> None:
    global _current
    _current = Session(pump=Pump(), timeline=BlenderTimeline(), tickets=BlendTickets())


def end() -> None:
    global _current
    if _current is not None:
        _current.pump.close()
        _current.tickets.close()
        if _current.courier is not None:
            _current.courier.close()
    _current = None


def current() -> Session:
    """The session; there is one whenever the add-on is enabled."""
    assert _current is not None, "the add-on is not enabled"
    return _current
