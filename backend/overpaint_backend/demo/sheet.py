"""The demo's contact sheet: a column for each of a few frames, a row for each thing to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from overpaint_backend.media import write_picture

FRAMES = (0, 8, 17, 28, 54)  # the man is there on three of them; 28 is the one that is drawn on
WIDTH = 480  # pixels of a picture on the sheet
LABEL = 26  # pixels of a row's title
GAIN = 3  # the difference is shown so many times as strong


def contact_sheet(
    path: Path,
    frames: Mapping[str, Sequence[np.ndarray]],
    weights: Mapping[str, Sequence[np.ndarray]],
    sketches: Mapping[int, np.ndarray],
) -> None:
    """Write the sheet.

    `frames` holds "before", "after" and a run of frames for each edit, `weights` the masks of the edits in [0, 1],
    `sketches` the sketch by frame.
    """
    before, after = frames["before"], frames["after"]
    rows: list[tuple[str, list[np.ndarray]]] = [("before", [before[frame] for frame in FRAMES])]
    for name, masks in weights.items():
        drawn = sketches if name == "repaint" else {}
        shown = [_guides(before[frame], masks[frame], drawn.get(frame)) for frame in FRAMES]
        rows.append((f"{name}: mask" + (" and sketch (drawn on one frame)" if drawn else ""), shown))
        rows.append((f"{name}: take", [frames[name][frame] for frame in FRAMES]))
    rows.append(("after: both takes", [after[frame] for frame in FRAMES]))
    rows.append((f"difference, {GAIN} times as strong", [_difference(before[frame], after[frame]) for frame in FRAMES]))
    write_picture(path, np.vstack([_row(title, pictures) for title, pictures in rows]))


def _guides(source: np.ndarray, mask: np.ndarray, sketch: np.ndarray | None) -> np.ndarray:
    """The mask in white over the darkened source, the sketch's lines in red over both."""
    picture = source * np.float32(0.25) * (1 - mask[..., None]) + 255 * mask[..., None]
    if sketch is not None:
        ink = sketch[..., None] / np.float32(255)
        picture = picture * (1 - ink) + np.array([220, 30, 30], np.float32) * ink
    return np.rint(picture).astype(np.uint8)


def _row(title: str, pictures: Sequence[np.ndarray]) -> np.ndarray:
    height = round(pictures[0].shape[0] * WIDTH / pictures[0].shape[1])
    strip = np.hstack([cv2.resize(one, (WIDTH, height), interpolation=cv2.INTER_AREA) for one in pictures])
    bar = np.full((LABEL, strip.shape[1], 3), 24, np.uint8)
    for column, frame in enumerate(FRAMES):
        words = f"frame {frame + 1}" + (f"   {title}" if column == 0 else "")
        cv2.putText(
            bar, words, (WIDTH * column + 8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (230, 230, 230), 1, cv2.LINE_AA
        )
    return np.vstack([bar, strip])


def _difference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.clip(np.abs(before.astype(int) - after) * GAIN, 0, 255).astype(np.uint8)
