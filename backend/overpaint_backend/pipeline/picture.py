"""The small picture that shows, while a job runs, what is painted so far."""

from __future__ import annotations

import cv2
import numpy as np
from overpaint.colour import to_depth
from overpaint.job import Picture

LONGEST = 256  # pixels of the longer side


def small_picture(frame: np.ndarray) -> Picture:
    """`frame` "h w 3", uint8 or uint16, scaled down to at most LONGEST pixels on its longer side."""
    height, width = frame.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    rgb = to_depth(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), 8)
    return Picture(width=size[0], height=size[1], rgb=rgb.tobytes())
