"""Keep the instance, change how it looks: what was painted or drawn on some frames sticks to it on all the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32
from overpaint.edit import Input

from overpaint_backend.engine import Progress, WindowInput
from overpaint_backend.engines.flow.card import INKS
from overpaint_backend.engines.flow.motion import Field, Motion, Weight, grey, instance_motion, spread, warp

SMOOTH = 1 / 40  # of the picture's shorter side: changes wider than this count as tint, finer ones as drawing
GRAIN = 0.02**2  # variance (of 1) that is noise rather than texture of the source
SLIP = 1.0  # pixels: how far a step there and back may miss and the paint still holds; at twice that it is gone

AROUND = 24  # pixels around the mask that are looked at: flow is unsure at the edge of a picture

Picture = Float32[np.ndarray, "h w 3"]
Colour = Float32[np.ndarray, " 3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A frame whose look is given, taken apart: painted = source + gain * brightness + tint + drawing, then ink over it.

    A smooth recolouring is all in gain and tint, and so follows the moving source's own light and texture; what only
    paint explains is in the drawing. Each is "h w 3"; `ink` is the coverage of drawn lines, "h w".
    """

    frame: int
    gain: Picture
    tint: Picture
    drawing: Picture
    ink: Weight


def repaint(cut: WindowInput, ink: str, progress: Progress) -> Float32[np.ndarray, "t h w 3"]:
    """The window with the look of its keyframes and sketched frames carried to all others, met exactly on their own."""
    pictures = cut.frames.copy()
    for frame, picture in cut.keyframes.items():
        pictures[frame] = picture
    given = cut.given.get(Input.SKETCH, np.zeros(len(pictures), bool))
    anchors = sorted({*cut.keyframes, *(int(frame) for frame in np.flatnonzero(given))})
    if anchors and (cut.mask > 0).any():
        rows, columns = _box(cut.mask)
        near = _cropped(cut, rows, columns)
        _carry_all(near, anchors, np.array(INKS[ink], np.float32), pictures[:, rows, columns], progress)
    return np.clip(pictures, 0, 1)


def _box(mask: Float32[np.ndarray, "t h w"]) -> tuple[slice, slice]:
    """Where the mask is on any frame, and a little around it."""
    rows, columns = np.flatnonzero(mask.any(axis=(0, 2))), np.flatnonzero(mask.any(axis=(0, 1)))
    return (
        slice(max(rows[0] - AROUND, 0), rows[-1] + AROUND + 1),
        slice(max(columns[0] - AROUND, 0), columns[-1] + AROUND + 1),
    )


def _cropped(cut: WindowInput, rows: slice, columns: slice) -> WindowInput:
    return replace(
        cut,
        frames=cut.frames[:, rows, columns],
        mask=cut.mask[:, rows, columns],
        guides={kind: guide[:, rows, columns] for kind, guide in cut.guides.items()},
        keyframes={frame: picture[rows, columns] for frame, picture in cut.keyframes.items()},
    )


def _carry_all(
    cut: WindowInput, anchors: list[int], colour: Colour, pictures: Float32[np.ndarray, "t h w 3"], progress: Progress
) -> None:
    """Paint `pictures` in place: every frame that is no anchor lies after one, before one, or between two."""
    count = len(cut.frames)
    motion = instance_motion(cut.frames, cut.mask, lambda done: progress("following the instance", done, 2 * count))
    made = count
    for first, last in zip([-1, *anchors], [*anchors, count], strict=True):
        before = _anchor(cut, first) if first >= 0 else None
        after = _anchor(cut, last) if last < count else None
        for frame, picture in _between(cut, motion, before, after, colour):
            pictures[frame] = picture
            made += 1
            progress("carrying the look", made, 2 * count)
        if after is not None:
            if last not in cut.keyframes:
                pictures[last] = _inked(cut.frames[last], after.ink, colour)
            made += 1
    progress("carrying the look", 2 * count, 2 * count)


def _anchor(cut: WindowInput, frame: int) -> Anchor:
    """A frame whose look is given. A keyframe is the finished picture, so a sketch on the same frame adds nothing."""
    source, inside = cut.frames[frame], cut.mask[frame]
    if frame in cut.keyframes:
        return _taken_apart(frame, source, cut.keyframes[frame], inside)
    nothing = np.zeros_like(source)
    return Anchor(
        frame=frame, gain=nothing, tint=nothing, drawing=nothing, ink=cut.guides[Input.SKETCH][frame] * inside
    )


def _taken_apart(frame: int, source: Picture, painted: Picture, inside: Weight) -> Anchor:
    """The change from `source` to `painted` inside the mask, by a guided filter (He, Sun & Tang 2010) on the brightness."""
    change, light = (painted - source) * inside[..., None], grey(source)[..., None]
    width = max(5, round(min(inside.shape) * SMOOTH) | 1)

    def mean(values: np.ndarray) -> np.ndarray:
        found = cv2.blur(values * inside[..., None], (width, width), borderType=cv2.BORDER_REPLICATE)
        return found.reshape(values.shape) / np.maximum(amount, 1e-6)

    amount = cv2.blur(inside, (width, width), borderType=cv2.BORDER_REPLICATE)[..., None]
    shared = mean(light * change) - mean(light) * mean(change)
    gain = shared / (mean(light * light) - mean(light) ** 2 + GRAIN)
    tint = mean(mean(change) - gain * mean(light))
    gain = mean(gain)
    drawing = (change - gain * light - tint) * inside[..., None]
    smooth = spread(np.concatenate([gain, tint], axis=2), inside)
    return Anchor(frame=frame, gain=smooth[..., :3], tint=smooth[..., 3:], drawing=drawing, ink=np.zeros_like(inside))


def _between(
    cut: WindowInput, motion: Motion, before: Anchor | None, after: Anchor | None, colour: Colour
) -> Iterator[tuple[int, Picture]]:
    """Every frame after one anchor and before another, or up to the window's end, with the anchors' look."""
    first = -1 if before is None else before.frame
    last = len(cut.frames) if after is None else after.frame
    waiting: dict[int, tuple[Picture, Weight]] = {}
    if before is not None:
        for frame, home, held in _carried(cut, motion, range(first, last)):
            look = _look(before, cut.frames[frame], home, held, colour)
            if after is None:
                yield frame, look
            else:
                waiting[frame] = look, held
    if after is not None:
        for frame, home, held in _carried(cut, motion, range(last, first, -1)):
            look = _look(after, cut.frames[frame], home, held, colour)
            if frame not in waiting:
                yield frame, look
                continue
            earlier, hold = waiting.pop(frame)
            # The nearer anchor counts more; one that has lost its hold counts hardly at all.
            mine, its = (held + 1e-3) / (last - frame), (hold + 1e-3) / (frame - first)
            share = (mine / (mine + its))[..., None]
            yield frame, earlier * (1 - share) + look * share


def _carried(cut: WindowInput, motion: Motion, run: range) -> Iterator[tuple[int, Field, Weight]]:
    """From the anchor that `run` begins with, frame by frame: where each pixel was on the anchor, and if that still holds."""
    way = run.step
    home = np.zeros((*cut.mask.shape[1:], 2), np.float32)
    held = (cut.mask[run.start] > 0.5).astype(np.float32)
    for frame in run[1:]:
        there, step = motion.field(frame - way, way), motion.field(frame, -way)
        home = step + warp(home, step)
        held = warp(held, step) * _unbroken(step, there)
        yield frame, home, held


def _unbroken(step: Field, there: Field) -> Weight:
    """1 where a step back and the step there agree, 0 where they do not: something came in front, or went away from it."""
    miss = step + warp(there, step)
    return np.clip(2 - np.hypot(miss[..., 0], miss[..., 1]) / SLIP, 0, 1)


def _look(origin: Anchor, source: Picture, home: Field, held: Weight, colour: Colour) -> Picture:
    """The source of a frame with the anchor's look put on: where the look does not hold, tint comes from beside it."""
    if not (origin.gain.any() or origin.tint.any() or origin.drawing.any()):
        painted = source
    else:
        smooth = spread(warp(np.concatenate([origin.gain, origin.tint], axis=2), home), held)
        drawing = warp(origin.drawing, home, cv2.INTER_CUBIC) * held[..., None]
        painted = source + smooth[..., :3] * grey(source)[..., None] + smooth[..., 3:] + drawing
    return _inked(painted, np.clip(warp(origin.ink, home, cv2.INTER_CUBIC), 0, 1) * held, colour)


def _inked(picture: Picture, ink: Weight, colour: Colour) -> Picture:
    return picture * (1 - ink[..., None]) + colour * ink[..., None]
