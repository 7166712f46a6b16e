"""The curve of a run's loss, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from overpaint_backend.media import write_picture

WIDTH, HEIGHT, EDGE = 900, 420, 50
PAPER, GRID, FAINT, INK = (250, 250, 250), (210, 210, 210), (190, 205, 235), (30, 60, 160)


def draw_curve(path: Path, losses: Sequence[float], smooth: int = 50) -> None:
    """Write a PNG of the loss over the steps: each, and the mean of the last `smooth`; the height is logarithmic."""
    values = np.log(np.maximum(np.asarray(losses, np.float64), 1e-6))
    picture = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    if len(values) > 1:
        sums = np.cumsum(np.insert(values, 0, 0))
        begin = np.maximum(np.arange(1, len(sums)) - smooth, 0)
        mean = (sums[1:] - sums[begin]) / (np.arange(1, len(sums)) - begin)
        low, high = float(values.min()), float(values.max()) + 1e-9
        across = np.linspace(EDGE, WIDTH - EDGE, len(values))
        for level in np.linspace(low, high, 5):
            y = round(HEIGHT - EDGE - (level - low) / (high - low) * (HEIGHT - 2 * EDGE))
            cv2.line(picture, (EDGE, y), (WIDTH - EDGE, y), GRID, 1)
            _write(picture, f"{np.exp(level):.3g}", (4, y + 4))
        for line, colour in ((values, FAINT), (mean, INK)):
            down = HEIGHT - EDGE - (line - low) / (high - low) * (HEIGHT - 2 * EDGE)
            points = np.stack([across, down], -1).round().astype(np.int32)
            cv2.polylines(picture, [points], False, colour, 1, cv2.LINE_AA)
    _write(picture, f"{len(values)} steps", (WIDTH - 2 * EDGE - 40, HEIGHT - 16))
    write_picture(path, picture)


def _write(picture: np.ndarray, words: str, place: tuple[int, int]) -> None:
    cv2.putText(picture, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (60, 60, 60), 1, cv2.LINE_AA)
