"""Cut the region of the picture that an engine works on, at a size that is legal for it, and put it back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32
from overpaint.card import EngineCard, RegionRule
from overpaint.clip import Size
from overpaint.colour import to_float

Box = tuple[int, int, int, int]
"""left, top, right, bottom in clip pixels; right and bottom are the first pixels outside."""

SMALLEST = 64  # pixels; a smaller region shows an engine too little to go by
SMOOTHING = 12  # frames; the standard deviation of the filter on a tracked region's path


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Where the engine works: `crop` pixels of the clip from `corners[frame]` (left, top) on, scaled to `size`.

    The size never changes over the clip, so the scale does not pump. A corner may lie outside the picture: what
    sticks out is filled with the nearest pixel and thrown away when the region is put back.
    """

    crop: Size
    size: Size
    corners: tuple[tuple[int, int], ...]


def mask_box(mask: np.ndarray) -> Box | None:
    """The smallest box around all pixels of `mask` "h w" that are not 0, or None where there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def plan_region(boxes: Sequence[Box | None], picture: Size, card: EngineCard) -> Region:
    """The region for a clip whose mask has these boxes, one a frame. At least one must not be None."""
    found = [box for box in boxes if box is not None]
    if card.region is RegionRule.WHOLE:
        found, margin = [(0, 0, picture.width, picture.height)], 0.0
    else:
        margin = card.margin
    if card.region is RegionRule.TRACKED:
        width = max(right - left for left, _, right, _ in found)
        height = max(bottom - top for _, top, _, bottom in found)
        centres = _smooth_path(boxes)
    else:
        left, top = min(box[0] for box in found), min(box[1] for box in found)
        right, bottom = max(box[2] for box in found), max(box[3] for box in found)
        width, height = right - left, bottom - top
        centres = [((left + right) / 2, (top + bottom) / 2)] * len(boxes)
    crop = _legal_crop(width, height, margin, picture, card)
    corners = tuple(
        (
            _place(x, crop.width, picture.width, box and (box[0], box[2])),
            _place(y, crop.height, picture.height, box and (box[1], box[3])),
        )
        for (x, y), box in zip(centres, boxes, strict=True)
    )
    return Region(crop=crop, size=card.native_size or crop, corners=corners)


def _legal_crop(width: int, height: int, margin: float, picture: Size, card: EngineCard) -> Size:
    """The box with its margin, not larger than the picture needs, in a shape that the card allows."""
    wide = min(max(math.ceil(width * (1 + 2 * margin)), SMALLEST), picture.width)
    high = min(max(math.ceil(height * (1 + 2 * margin)), SMALLEST), picture.height)
    if card.native_size is not None:
        # Keep the engine's aspect, so that nothing is stretched: grow the side that is too short.
        aspect = card.native_size.width / card.native_size.height
        wide, high = max(wide, round(high * aspect)), max(high, round(wide / aspect))
        return Size(width=wide, height=high)
    step = card.size_multiple
    return Size(width=-(-wide // step) * step, height=-(-high // step) * step)


def _smooth_path(boxes: Sequence[Box | None]) -> list[tuple[float, float]]:
    """The boxes' centres over time, gaps bridged in straight lines, filtered so that the region does not shake."""
    there = [frame for frame, box in enumerate(boxes) if box is not None]
    path = np.array([((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in boxes if box is not None])
    frames = np.arange(len(boxes))
    reach = 3 * SMOOTHING
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHING) ** 2)
    weights /= weights.sum()
    smooth = [
        np.convolve(_reach_out(np.interp(frames, there, path[:, axis]), reach), weights, mode="valid")
        for axis in (0, 1)
    ]
    return [(float(x), float(y)) for x, y in zip(*smooth, strict=True)]


def _reach_out(path: np.ndarray, reach: int) -> np.ndarray:
    """Go on at both ends as the path came (point reflection), so that the filter does not lag there."""
    return np.pad(path, reach, mode="reflect", reflect_type="odd")


def _place(centre: float, crop: int, picture: int, mask: tuple[int, int] | None) -> int:
    """The first pixel of a crop around `centre` that stays inside the picture, or is centred on it if it cannot.

    The mask's first pixel and the one after its last stay inside too, however fast the mask jumps.
    """
    if crop >= picture:
        return (picture - crop) // 2
    first = round(centre - crop / 2)
    if mask is not None:
        first = min(max(first, mask[1] - crop), mask[0])
    return min(max(first, 0), picture - crop)


def cut(frame: np.ndarray, region: Region, index: int) -> Float32[np.ndarray, " ..."]:
    """The region of frame `index`, "h w" or "h w c", scaled to the engine's size, as float32 in [0, 1]."""
    left, top = region.corners[index]
    rows = np.clip(np.arange(top, top + region.crop.height), 0, frame.shape[0] - 1)
    columns = np.clip(np.arange(left, left + region.crop.width), 0, frame.shape[1] - 1)
    piece = frame[rows[:, None], columns[None, :]]
    return _scale(to_float(piece) if frame.dtype.kind == "u" else piece, region.size)


def put_back(
    piece: Float32[np.ndarray, "h w c"], region: Region, index: int, picture: Size
) -> tuple[Float32[np.ndarray, "h w c"], tuple[slice, slice]]:
    """The painted region at the clip's scale, and the rows and columns of the picture where it belongs."""
    full = _scale(piece, region.crop)
    left, top = region.corners[index]
    rows = slice(max(top, 0), min(top + region.crop.height, picture.height))
    columns = slice(max(left, 0), min(left + region.crop.width, picture.width))
    return full[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left], (rows, columns)


def _scale(picture: Float32[np.ndarray, " ..."], size: Size) -> Float32[np.ndarray, " ..."]:
    """Resample to `size`: area averaging when it shrinks, cubic when it grows, nothing when it fits."""
    height, width = picture.shape[:2]
    if (width, height) == (size.width, size.height):
        return picture
    shrinks = size.width * size.height < width * height
    scaled = cv2.resize(
        picture, (size.width, size.height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    return np.clip(scaled, 0.0, 1.0, dtype=np.float32)
