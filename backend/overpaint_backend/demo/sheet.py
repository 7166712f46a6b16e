"""The demo's contact sheet: a column for each of a few frames, a row for each thing to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from overpaint_backend.media import write_picture

COLUMNS = 4
LABEL = 26  # pixels of a row's title
GAIN = 3  # the difference is shown so many times as strong


def contact_sheet(
    path: Path,
    frames: Mapping[str, Sequence[np.ndarray]],
    weights: Mapping[str, Sequence[np.ndarray]],
    sketches: Mapping[int, np.ndarray],
) -> None:
    """Write the sheet. `frames` holds "before", "after" and a run of frames for each edit; `weights` the edits' masks."""
    length = len(frames["before"])
    # Where there is a sketch, its frame must be among those that are shown.
    chosen = sorted({round(index * (length - 1) / (COLUMNS - 1)) for index in range(COLUMNS)})
    for frame in sketches:
        chosen[int(np.argmin([abs(one - frame) for one in chosen]))] = frame
    empty = np.zeros(frames["before"][0].shape[:2], np.uint8)
    rows: list[tuple[str, list[np.ndarray]]] = [("before", [frames["before"][frame] for frame in chosen])]
    for name, masks in weights.items():
        rows.append((f"{name}: mask", [_gray(np.rint(masks[frame] * 255).astype(np.uint8)) for frame in chosen]))
        if name == "repaint":
            rows.append((f"{name}: sketch, on one frame", [_gray(sketches.get(frame, empty)) for frame in chosen]))
        rows.append((f"{name}: take", [frames[name][frame] for frame in chosen]))
    changes = [_difference(frames["before"][frame], frames["after"][frame]) for frame in chosen]
    rows += [("both takes", [frames["after"][frame] for frame in chosen]), (f"difference, {GAIN} times", changes)]
    write_picture(path, np.vstack([_row(title, pictures, chosen) for title, pictures in rows]))


def _row(title: str, pictures: Sequence[np.ndarray], chosen: Sequence[int]) -> np.ndarray:
    strip = np.hstack(pictures)
    bar = np.full((LABEL, strip.shape[1], 3), 24, np.uint8)
    width = pictures[0].shape[1]
    for column, frame in enumerate(chosen):
        words = f"{title}, frame {frame + 1}" if column == 0 else f"frame {frame + 1}"
        cv2.putText(
            bar, words, (width * column + 8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (230, 230, 230), 1, cv2.LINE_AA
        )
    return np.vstack([bar, strip])


def _gray(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture[..., None], 3, axis=2)


def _difference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.clip(np.abs(before.astype(int) - after) * GAIN, 0, 255).astype(np.uint8)
