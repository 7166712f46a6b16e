"""The demo's contact sheet: a column for each of a few frames, a row for each thing to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from overpaint_backend.media import write_picture

FRAMES = (0, 8, 17, 28, 54)  # the man is there on three of them; 28 is the one that the face is drawn on
WIDTH = 480  # pixels of a picture on the sheet
LABEL = 26  # pixels of a row's title
GAIN = 3  # the difference is shown so many times as strong
CLOSE = 4  # a small mask is shown from so near
SMALL = 0.05  # of the picture: such a mask is small


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """An edit on the sheet: its take, its masks in [0, 1], and its sketch by frame where it has one."""

    title: str
    frames: Sequence[np.ndarray]
    mask: Sequence[np.ndarray]
    sketch: Mapping[int, np.ndarray]


def contact_sheet(path: Path, before: Sequence[np.ndarray], edits: Sequence[Row], after: Sequence[np.ndarray]) -> None:
    """Write the sheet: the clip, each edit's guides and take, all takes together, and what has changed."""
    rows = [_row("before", [before[frame] for frame in FRAMES])]
    for edit in edits:
        drawn = len(edit.sketch)
        guides = "mask" + (f" and sketch, drawn on {drawn} of {len(before)} frames" if drawn else "")
        cuts = [_cut(edit.mask, frame) for frame in FRAMES]
        shown = [_guides(before[frame], edit.mask[frame], edit.sketch.get(frame)) for frame in FRAMES]
        takes = [edit.frames[frame] for frame in FRAMES]
        for title, pictures in ((f"{edit.title}: {guides}", shown), (f"{edit.title}: take", takes)):
            rows.append(_row(title, [picture[cut] for picture, cut in zip(pictures, cuts, strict=True)]))
    rows.append(_row("after: all takes", [after[frame] for frame in FRAMES]))
    change = [_difference(before[frame], after[frame]) for frame in FRAMES]
    rows.append(_row(f"difference, {GAIN} times as strong", change))
    write_picture(path, np.vstack(rows))


def _cut(masks: Sequence[np.ndarray], frame: int) -> tuple[slice, slice]:
    """The whole picture, or the part around a mask that is always small."""
    height, width = masks[frame].shape
    if max(mask.mean() for mask in masks) > SMALL or not masks[frame].any():
        return slice(height), slice(width)
    sides = height // CLOSE, width // CLOSE
    centre = (round(float(where.mean())) for where in np.nonzero(masks[frame]))
    first = (
        min(max(at - side // 2, 0), full - side) for at, side, full in zip(centre, sides, (height, width), strict=True)
    )
    rows, columns = (slice(at, at + side) for at, side in zip(first, sides, strict=True))
    return rows, columns


def _guides(source: np.ndarray, mask: np.ndarray, sketch: np.ndarray | None) -> np.ndarray:
    """The mask in white over the darkened source, the sketch's lines in red over both."""
    picture = source * np.float32(0.25) * (1 - mask[..., None]) + 255 * mask[..., None]
    if sketch is not None:
        ink = sketch[..., None] / np.float32(255)
        picture = picture * (1 - ink) + np.array([220, 30, 30], np.float32) * ink
    return np.rint(picture).astype(np.uint8)


def _row(title: str, pictures: Sequence[np.ndarray]) -> np.ndarray:
    height = round(pictures[0].shape[0] * WIDTH / pictures[0].shape[1])
    shrink = pictures[0].shape[1] > WIDTH
    way = cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
    strip = np.hstack([cv2.resize(one, (WIDTH, height), interpolation=way) for one in pictures])
    bar = np.full((LABEL, strip.shape[1], 3), 24, np.uint8)
    for column, frame in enumerate(FRAMES):
        if column:  # the first one stands after the title
            _write(bar, f"frame {frame + 1}", WIDTH * (column + 1) - 90)
    _write(bar, f"{title}   (frame {FRAMES[0] + 1})", 8)
    return np.vstack([bar, strip])


def _write(bar: np.ndarray, words: str, x: int) -> None:
    cv2.putText(bar, words, (x, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (230, 230, 230), 1, cv2.LINE_AA)


def _difference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.clip(np.abs(before.astype(int) - after) * GAIN, 0, 255).astype(np.uint8)
