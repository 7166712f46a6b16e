"""The plug-in contract: what an engine gets, what it gives back, and how it reports (numpy only)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float32
from overpaint.card import EngineCard
from overpaint.clip import FrameRange
from overpaint.edit import Edit, Input, Task, Track
from overpaint.errors import Exhausted

Conditioning = Any
"""What `encode` made of the edit; opaque to everyone but the engine that made it."""

Carry = Mapping[str, np.ndarray]
"""Named arrays that continue a long video from one window to the next; kept beside the window in the spool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowInput:
    """A window of a clip, cut to its region and scaled to a size that is legal for the engine's card.

    frames      "t h w 3" in [0, 1]: the source
    mask        "t h w", 0 or 1: every pixel that the composite may touch, the reach of its feather included
    guides      for each pixel-aligned guide but the mask: "t h w" in [0, 1]; zero where it is not given
    given       for each of those guides: "t", true on the frames where it is given
    keyframes   frame of the window (counted from 0) -> "h w 3" in [0, 1]: pictures the result must pass through
    known       how many frames at the start were painted by the window before; they are in `keyframes`
    tracks      in pixels of the region, frames counted from the window's start
    span        the frames of the clip that this window paints
    seed        derived from the job's seed and the window's start
    """

    task: Task
    frames: Float32[np.ndarray, "t h w 3"]
    mask: Float32[np.ndarray, "t h w"]
    guides: Mapping[Input, Float32[np.ndarray, "t h w"]] = field(default_factory=dict)
    given: Mapping[Input, Bool[np.ndarray, " t"]] = field(default_factory=dict)
    keyframes: Mapping[int, Float32[np.ndarray, "h w 3"]] = field(default_factory=dict)
    known: int = 0
    tracks: tuple[Track, ...] = ()
    span: FrameRange
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowOutput:
    """The painted window, "t h w 3" in [0, 1], and what the next window must know."""

    frames: Float32[np.ndarray, "t h w 3"]
    carry: Carry | None = None


class Progress(Protocol):
    """How an engine reports: `step` of `steps` counts the work of the whole window, `stage` says what is being done.

    Raises overpaint.errors.Cancelled when the job was cancelled; an engine lets it pass.
    """

    def __call__(self, stage: str, step: int, steps: int) -> None: ...


class OutOfMemory(Exhausted):
    """The device's memory does not hold a window; a smaller one may do."""


class DeviceFault(Exception):
    """The device stopped computing for this process, or is gone; only a new process can go on."""


class NodeLost(DeviceFault):
    """The whole machine of the device is gone, as far as can be known for no fault of the job. Its words quote nobody."""


class Engine(Protocol):
    """A model behind our interface. Its package offers `card` and `build(device, weights) -> Engine`.

    The engine's own `card` may be closer than its package's: some weights work at another native size.
    """

    card: EngineCard

    @property
    def painter(self) -> str:
        """All that decides pixels besides the window and the words: the engine, its version, its weights, the kind of
        device, and the versions of the libraries that compute.

        Windows are kept under it: where it is the same, a window is painted once.
        """
        ...

    def encode(self, edit: Edit) -> Conditioning:
        """Make of the edit what every window needs: prompt embeddings, options. Once per job.

        The edit has its task, prompts and options; guides, tracks, keyframes and seed come with each window.
        """
        ...

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        """Paint one window. Pixels outside the mask may come back as anything: the composite keeps the source's.

        Raises OutOfMemory where the device's memory does not hold it; MemoryError counts as that too.
        """
        ...
