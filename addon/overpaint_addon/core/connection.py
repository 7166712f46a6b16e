"""How things stand with the server, in one word, and when to ask it again: a state machine without clock or network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from pathlib import Path

from overpaint.errors import Cancelled, OverpaintError, Unavailable

PING = 15.0  # seconds between two questions while all is well
PAUSES = (1.0, 60.0)  # seconds: the first and the longest pause while nobody answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What opens a server's door, and by what the server is known: a client's arguments of the same names."""

    token: str = ""
    certificate: Path | None = None
    fingerprint: str = ""
    client_certificate: Path | None = None
    client_key: Path | None = None


class State(StrEnum):
    """The word that is shown. It changes with an answer, never with a mere question: an outage does not flicker."""

    IDLE = "Not Asked"
    BARRED = "Not Set Up"
    CONNECTING = "Connecting"
    CONNECTED = "Connected"
    OFFLINE = "Offline"
    REFUSED = "Refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What is known of the chosen server.

    `asking` is the number of the question under way, or 0; `asked` numbers them. `due` is the second (of any clock that
    only goes forward) from which it may be asked again: never by itself where it has refused us.
    """

    state: State = State.IDLE
    asking: int = 0
    asked: int = 0
    failures: int = 0
    due: float = -inf
    version: str = ""
    error: OverpaintError | None = None


def may_ask(link: Link, now: float) -> bool:
    """Whether the server is to be asked at `now`."""
    return not link.asking and now >= link.due


def ask(link: Link) -> Link:
    """A question goes out; its number is the new `asking`."""
    state = State.CONNECTING if link.state is State.IDLE else link.state
    return replace(link, state=state, asking=link.asked + 1, asked=link.asked + 1)


def answered(link: Link, question: int, version: str, now: float) -> Link:
    """The server gave its version. An answer to an earlier question changes nothing: it may be another server's."""
    if question != link.asking:
        return link
    return Link(state=State.CONNECTED, asked=link.asked, due=now + PING, version=version)


def failed(link: Link, question: int, error: OverpaintError, now: float) -> Link:
    """The question failed: nobody answered, or somebody did and will not have us."""
    if question != link.asking:
        return link
    if isinstance(error, Cancelled):
        return afresh(link)
    if not isinstance(error, Unavailable):
        return Link(state=State.REFUSED, asked=link.asked, failures=link.failures + 1, due=inf, error=error)
    failures = link.failures + 1
    return Link(state=State.OFFLINE, asked=link.asked, failures=failures, due=now + pause(failures), error=error)


def barred(link: Link, error: OverpaintError) -> Link:
    """There is nobody to ask: the address is none, or Blender may not go online."""
    return Link(state=State.BARRED, asked=link.asked, due=inf, error=error)


def afresh(link: Link) -> Link:
    """Another server was chosen, or the person wants to know now: what is under way is heard no more."""
    return Link(asked=link.asked)


def pause(failures: int) -> float:
    """Seconds until the next question after so many failures in a row."""
    first, longest = PAUSES
    return min(first * 2.0 ** min(failures - 1, 30), longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that a connection needs; `well` is None where a check before it failed, so that it was not looked at."""

    part: str
    well: bool | None
    words: str
    remedy: str = ""
