"""How the `overpaint` command ends: one table of exit codes for people, scripts and render farms."""

from __future__ import annotations

from dataclasses import dataclass

from overpaint.errors import (
    Cancelled,
    Conflict,
    Corrupt,
    Exhausted,
    Forbidden,
    Internal,
    Invalid,
    Missing,
    OverpaintError,
    Unauthenticated,
    Unavailable,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """`error` about one of `fields` (about anything, where there are none) ends the command with `code`."""

    code: int
    error: type[OverpaintError]
    fields: tuple[str, ...] = ()
    words: str


UNEXPECTED = Exit(code=1, error=OverpaintError, words="anything else: a fault of ours, or a state that does not fit")
TRY_AGAIN = Exit(code=75, error=Unavailable, words="what is needed is not there now; try again")
DISK = Exit(code=50, error=Exhausted, fields=("disk", "weights"), words="the disk is full, or cannot be written")
MEMORY = Exit(code=33, error=Exhausted, fields=("device",), words="the memory does not hold it")
CANCELLED = Exit(code=40, error=Cancelled, words="cancelled, by a signal or by whoever asked")
EXITS = (
    Exit(code=20, error=Missing, fields=("weights",), words="the engine's weights are not here"),
    Exit(
        code=21, error=Conflict, fields=("weights", "version"), words="other weights, or another version, than before"
    ),
    Exit(code=30, error=Unavailable, fields=("device",), words="there is no such device, or none that will do"),
    MEMORY,
    Exit(code=34, error=Internal, fields=("device",), words="the device failed; start the worker again"),
    DISK,
    Exit(code=11, error=Unavailable, fields=("engine",), words="a package that the engine needs is not installed"),
    Exit(code=10, error=Invalid, words="what was asked for is not legal, or cannot be done"),
    Exit(code=10, error=Exhausted, words="what was asked for is too large or too much"),
    Exit(code=11, error=Missing, words="something that was named is not there"),
    Exit(code=12, error=Corrupt, words="a checksum is wrong, or a take is not what it must be"),
    CANCELLED,
    TRY_AGAIN,
    Exit(code=77, error=Unauthenticated, words="the token is missing or wrong"),
    Exit(code=77, error=Forbidden, words="the token does not allow it"),
    UNEXPECTED,
)
"""The first that fits counts. Besides: 0 all is well, 2 wrong usage, 130 a second Ctrl-C."""


def exit_code(error: BaseException) -> int:
    """The code that the command ends with."""
    if isinstance(error, OverpaintError):
        return next(
            one.code for one in EXITS if isinstance(error, one.error) and error.field in (one.fields or (error.field,))
        )
    if isinstance(error, MemoryError):
        return MEMORY.code
    if isinstance(error, ConnectionError | TimeoutError):
        return TRY_AGAIN.code
    return DISK.code if isinstance(error, OSError) else UNEXPECTED.code
