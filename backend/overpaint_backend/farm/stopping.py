"""Work that ends when it is told to: at its next step, or with the process where no step comes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

GRACE = (
    6.0  # seconds for the next step to come: a farm that asked to stop waits ten, and a busy machine needs some of them
)
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)  # SIGBREAK is how Windows asks


def stoppable(act: Callable[[threading.Event], T], ended: int, say: Callable[[str], None]) -> T:
    """What `act` returns or raises. It is given an event, which is set by a signal.

    Where the process has not ended within GRACE seconds of that (a model that is being read takes no step, and nobody may
    read the lines that are printed), or a second signal comes, it ends with the exit code `ended`. That loses nothing:
    whatever is written is written whole or not at all.
    """
    stop, over = threading.Event(), threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(act(stop))
        except BaseException as error:  # whatever it is, it is raised again below
            errors.append(error)
        finally:
            over.set()

    def asked(*_: object) -> None:
        if stop.is_set():
            _end(ended, lambda: None)
        stop.set()
        threading.Thread(target=late, daemon=True).start()

    def late() -> None:
        time.sleep(GRACE)
        words = "no step came to stop at, so the process ends; nothing that was finished is lost"
        _end(ended, lambda: None if over.is_set() else say(words))

    previous = [(one, signal.signal(one, asked)) for one in SIGNALS]
    try:
        # Not in this thread: Python hands signals to the main thread only, and not while that is inside a library.
        threading.Thread(target=work, daemon=True, name="work").start()
        while not over.wait(0.1):
            pass
    finally:
        for one, handler in previous:
            signal.signal(one, handler)
    if errors:
        raise errors[0]
    return results[0]


def _end(code: int, say: Callable[[], None]) -> None:
    """End the process. The last words have a second: they wait for ever where the output is full and nobody reads it."""

    def last() -> None:
        say()
        sys.stdout.flush()
        sys.stderr.flush()

    saying = threading.Thread(target=last, daemon=True)
    saying.start()
    saying.join(1.0)
    os._exit(code)
