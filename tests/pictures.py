"""Read pictures back, as an independent reader sees them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def read_picture(path: Path) -> np.ndarray:
    """The pixels as they are in the file, "h w" or "h w c" with the channels in OpenCV's order (blue first)."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None, f"{path} is no picture"
    return picture
