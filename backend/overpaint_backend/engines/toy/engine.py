"""The toy engine's painting: read it from the top to see all that an engine does."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from overpaint.card import EngineCard
from overpaint.edit import Edit, OptionValue, Track

from overpaint_backend.engine import Carry, Conditioning, Progress, WindowInput, WindowOutput
from overpaint_backend.engines.toy.card import card

SQUARE = 8  # pixels: the side of a check, the width of a stripe
DRIFT = 0.05  # how far a window's tint may lie from the tint of the window before


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyConditioning:
    """What every window needs: two colours out of the words, and the options."""

    colours: Float32[np.ndarray, "2 3"]
    options: dict[str, OptionValue]


class ToyEngine:
    """Paints two colours that the prompt decides, in a tint that wanders from window to window."""

    def __init__(self, card: EngineCard = card) -> None:
        self.card = card
        self.painter = f"{card.name} {card.version} numpy {np.__version__}"

    def encode(self, edit: Edit) -> ToyConditioning:
        """The words' digest becomes the colours: same words, same colours, on every machine."""
        words = hashlib.sha256(f"{edit.task}\n{edit.prompt}\n{edit.negative_prompt}".encode()).digest()
        colours = np.frombuffer(words[:6], np.uint8).reshape(2, 3).astype(np.float32) / 255
        return ToyConditioning(colours=colours, options=self.card.complete(dict(edit.options)))

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        """Paint one window. Raises Cancelled between two steps."""
        options, steps = cond.options, int(cond.options["steps"])
        tint = _tint(cut.seed, carry)
        painted = np.empty_like(cut.frames)
        for step in range(steps):
            progress("painting", step, steps)
            time.sleep(float(options["delay"]))
            for frame in range(step, len(painted), steps):
                painted[frame] = _paint_frame(cut, frame, cond.colours + tint, options)
        progress("painting", steps, steps)
        return WindowOutput(frames=painted, carry={"tint": tint} if self.card.chained else None)


def _tint(seed: int, carry: Carry | None) -> Float32[np.ndarray, " 3"]:
    """This window's tint: a step away from the last one's, so a window cannot be right if the carry was lost."""
    before = np.zeros(3, np.float32) if carry is None else carry["tint"]
    step = np.random.default_rng(seed).uniform(-DRIFT, DRIFT, 3).astype(np.float32)
    return np.clip(before + step, -0.25, 0.25).astype(np.float32)


def _paint_frame(
    cut: WindowInput, frame: int, colours: Float32[np.ndarray, "2 3"], options: dict[str, OptionValue]
) -> Float32[np.ndarray, "h w 3"]:
    """One frame: the keyframe where there is one, else pattern, guides and tracks over the source."""
    if frame in cut.keyframes:
        return cut.keyframes[frame]
    picture = _pattern(cut.frames.shape[1:3], colours, str(options["pattern"]))
    for lines in cut.guides.values():
        # A guide shines through as white; where it is not given it is zero and changes nothing.
        picture = np.maximum(picture, lines[frame][..., None])
    for track in cut.tracks:
        _dot(picture, track, frame)
    if options["invert"]:
        picture = 1 - picture
    cover = cut.mask[frame][..., None] * np.float32(options["strength"])
    return np.clip(cut.frames[frame] * (1 - cover) + picture * cover, 0, 1).astype(np.float32)


def _pattern(shape: tuple[int, ...], colours: Float32[np.ndarray, "2 3"], pattern: str) -> Float32[np.ndarray, "h w 3"]:
    y, x = np.indices(shape) // SQUARE
    which = {"checks": (x + y) % 2, "stripes": x % 2, "flat": 0 * x}[pattern]
    return np.clip(colours, 0, 1)[which]


def _dot(picture: Float32[np.ndarray, "h w 3"], track: Track, frame: int) -> None:
    """A black dot where the track is on this frame."""
    y, x = np.indices(picture.shape[:2]) + 0.5
    for point in track.points:
        if point.frame == frame:
            picture[np.hypot(x - point.x, y - point.y) < SQUARE / 2] = 0
