"""The ladder down which a window is painted when the device's memory does not hold it."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from enum import IntEnum
from typing import TypeVar

import torch

from overpaint_backend.engine import OutOfMemory

T = TypeVar("T")
log = logging.getLogger(__name__)


class Rung(IntEnum):
    """How much is on the device at once; each rung keeps what those above have given up."""

    WHOLE = 0  # everything
    FRAMES = 1  # the autoencoder takes one frame at a time
    TURNS = 2  # the model leaves the device while the autoencoder is at work, and the other way round
    SHORT = 3  # a window is painted as several of two chunks, each knowing the one before


WORDS = {
    Rung.FRAMES: "out of memory: again, frame by frame in the autoencoder",
    Rung.TURNS: "out of memory: again, with model and autoencoder in turn on the device",
    Rung.SHORT: "out of memory: again, in shorter windows",
}

PHRASES = ("can't allocate memory", "not enough memory", "_STATUS_ALLOC_FAILED")
"""What the CPU's allocator says on Linux and on Windows, and what CUDA's libraries say."""


def climb_down(rung: Rung, paint: Callable[[Rung], T], say: Callable[[str], None]) -> tuple[T, Rung]:
    """What `paint` gives on `rung`, or on the first one below it that the memory holds, and that rung.

    `say` is told before each new try. Raises OutOfMemory when the last rung is too much as well.
    """
    while True:
        try:
            return paint(rung), rung
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            words = str(error).partition("\n")[0]
        # Not above: as long as the error is at hand it holds the tensors of the try that failed.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        log.warning("out of memory on rung %s: %s", rung.name, words)
        if rung is max(Rung):
            raise OutOfMemory(
                field="device",
                message=f"the device's memory does not hold a window, not even a short one ({words})",
                remedy="Close what else uses it, or choose a device with more memory",
            )
        rung = Rung(rung + 1)
        say(WORDS[rung])


def ran_out(error: BaseException) -> bool:
    """Whether the error says that there is no memory left; torch has a class of its own for one of the ways only."""
    words = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(phrase in words for phrase in PHRASES)
