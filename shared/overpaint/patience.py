"""Patience: what was cut is tried again, at growing intervals, until nothing has moved for too long."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable

from overpaint.errors import Exhausted, OverpaintError, Unavailable

FIRST = 0.5  # seconds of the first pause; each is twice the one before
CEILING = 8.0  # seconds of the longest
STALL = 60.0  # seconds in which something must move on a stream

Cut = Callable[[OverpaintError | None], object]
"""Hears of a cut that will be mended, and None when it is."""


def passes(error: OverpaintError) -> bool:
    """Whether the trouble may go by itself: nobody answers, or the server's disk is full. A wrong request stays wrong."""
    return isinstance(error, Unavailable) or (isinstance(error, Exhausted) and error.field == "disk")


class Patience:
    """Rests between the tries of one piece of work, until nothing has moved for `seconds` since the first of them failed;
    0: there is one try.

    `closed` ends a rest at once: whoever waits gives up.
    """

    def __init__(self, seconds: float, closed: threading.Event, cut: Cut | None = None) -> None:
        self._seconds, self._closed, self._cut = seconds, closed, cut
        self._since, self._tries = 0.0, 0

    def moved(self) -> None:
        """Something arrived: patience is whole again."""
        if self._tries and self._cut is not None:
            self._cut(None)
        self._tries = 0

    def rest(self, error: OverpaintError) -> None:
        """Wait before the next try. Raises `error` where no try would help, or patience has ended."""
        if not self._tries:  # what went before was no cut, but work: an upload, or whoever takes the frames
            self._since = time.monotonic()
        left = self._since + self._seconds - time.monotonic()
        if not passes(error) or left <= 0 or self._closed.is_set():
            raise error
        if self._cut is not None:
            self._cut(error)
        # Half of it by chance, so that a server that comes back does not meet all its clients at once.
        pause = min(FIRST * 2**self._tries, CEILING) * random.uniform(0.5, 1.0)
        self._tries = min(self._tries + 1, 10)
        if self._closed.wait(min(pause, left)):
            raise error


class Stall:
    """Ends a call on which nothing moves for STALL seconds while something is expected."""

    def __init__(self) -> None:
        self.ended = False
        self._due = math.inf
        self._over = threading.Event()

    def __enter__(self) -> Stall:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def expect(self) -> None:
        self._due = time.monotonic() + STALL

    def rest(self) -> None:
        self._due = math.inf

    def guard(self, cancel: Callable[[], object]) -> None:
        threading.Thread(target=self._guard, args=(cancel,), daemon=True, name="overpaint-stall").start()

    def _guard(self, cancel: Callable[[], object]) -> None:
        while not self._over.wait(1.0):
            if time.monotonic() > self._due:
                self.ended = True
                cancel()
                return
