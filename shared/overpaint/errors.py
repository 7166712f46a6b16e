"""The OverpaintError family: each names a field, says what is wrong, and what to do; with its gRPC status."""

from __future__ import annotations

LONGEST_NAME = 60  # characters of a client's own that an error repeats: all of it must fit into a call's metadata


def shown(name: str) -> str:
    """A name that came from a client, fit to be printed: its invisible signs spelled out, and not longer than a line."""
    start = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in name[:LONGEST_NAME])
    return start if len(name) <= LONGEST_NAME else f"{start}..."


class OverpaintError(Exception):
    """Something that a person can act on. `status` is the name of the gRPC status code it travels as."""

    status = "INTERNAL"

    def __init__(self, *, field: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" + (f". {self.remedy}" if self.remedy else "")


class Invalid(OverpaintError):
    """The request is wrong."""

    status = "INVALID_ARGUMENT"


class Missing(OverpaintError):
    """What the request names is not there."""

    status = "NOT_FOUND"


class Conflict(OverpaintError):
    """The request does not fit the state that things are in."""

    status = "FAILED_PRECONDITION"


class Corrupt(OverpaintError):
    """Bytes arrived or were read that are not what they claim to be."""

    status = "DATA_LOSS"


class Unauthenticated(OverpaintError):
    """The token is missing or wrong, or the server is not the one that is known."""

    status = "UNAUTHENTICATED"


class Forbidden(OverpaintError):
    """The token is good, but not for this."""

    status = "PERMISSION_DENIED"


class Exhausted(OverpaintError):
    """Something is too large or too much."""

    status = "RESOURCE_EXHAUSTED"


class Unavailable(OverpaintError):
    """The server cannot be reached, or is going down; trying again later may help."""

    status = "UNAVAILABLE"


WATCHING = "watching"
"""The field of Unavailable where a server has no seat for one more watcher: the client asks again by itself."""


class Cancelled(OverpaintError):
    """The job was cancelled."""

    status = "CANCELLED"


class Internal(OverpaintError):
    """A fault of ours."""

    status = "INTERNAL"


BY_STATUS: dict[str, type[OverpaintError]] = {
    error.status: error
    for error in (
        Invalid,
        Missing,
        Conflict,
        Corrupt,
        Unauthenticated,
        Forbidden,
        Exhausted,
        Unavailable,
        Cancelled,
        Internal,
    )
}
