"""Silence: how one knows of a step that nothing will come of, and leaves slow ones alone."""

from __future__ import annotations

import time

HUNG = 3600.0  # seconds without a report; a step, a window's decoding, the reading of weights: each takes less on a device of its own
IDLE = 0.05  # of a processor: an engine that computes on the CPU uses more of it, and however long it takes, it is not hung
LOOK = 5.0  # seconds between two looks, at most; what is longer was the machine's sleep, or a process that was stopped


class Silence:
    """How long an engine has reported nothing, as this very process sees it, which looks again and again.

    On a CPU only a process that uses no processor time is silent. Of a graphics card a process cannot see whether it
    computes: waiting for it takes a whole processor, whether anything comes or not.
    """

    def __init__(self, device: str) -> None:
        """`device` is the engine's."""
        self._on_cpu = device == "cpu"
        self._mark: object = None
        self._seconds = self._used = 0.0
        self._last = time.monotonic()

    def lasts(self, mark: object) -> bool:
        """Whether it has for HUNG seconds now. `mark` is another after each report."""
        now, used = time.monotonic(), time.process_time()
        if mark != self._mark or (self._on_cpu and used - self._used > IDLE * HUNG):
            self._mark, self._used, self._seconds = mark, used, 0.0
        else:
            self._seconds += min(now - self._last, LOOK)
        self._last = now
        return self._seconds > HUNG


def reason() -> str:
    """Why a job was lost to it."""
    return f"no step for {HUNG / 60:.3g} minutes"
