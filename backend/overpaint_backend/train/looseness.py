"""Masks as people draw them: six ways to be looser than the instance is (VIVID, arXiv 2411.15260)."""

from __future__ import annotations

from enum import StrEnum

import cv2
import numpy as np
from jaxtyping import UInt8


class Looseness(StrEnum):
    """Which mask is drawn around an instance. The hull is of all its parts together, and so is the box."""

    ORIGINAL = "original"
    EXPAND = "expand"
    HULL = "hull"
    BOX = "box"
    HULL_EXPAND = "hull+expand"
    BOX_EXPAND = "box+expand"


RATIOS = {  # the most that a side grows, in sides of the instance's box: lowest and highest
    Looseness.EXPAND: (0.3, 0.3),
    Looseness.HULL_EXPAND: (0.2, 0.2),
    Looseness.BOX_EXPAND: (0.2, 0.5),
}


def loosen(mask: UInt8[np.ndarray, "t h w"], looseness: Looseness, seed: int) -> UInt8[np.ndarray, "t h w"]:
    """`mask` (0 or 1) made looser; it always holds the mask it was made from, and an empty frame stays empty.

    Expanding draws one factor in [0, 1] for each of the four sides, for the whole clip; on a frame a side then grows by
    its factor times the least of (a ratio of the box's side, half of what is free up to the frame's edge).
    """
    rng = np.random.default_rng(seed)
    factors, ratio = rng.random(4), rng.uniform(*RATIOS.get(looseness, (0.0, 0.0)))
    return np.stack([_loosen(one, looseness, factors * ratio, factors / 2) if one.any() else one for one in mask])


def _loosen(
    mask: UInt8[np.ndarray, "h w"], looseness: Looseness, of_box: np.ndarray, of_free: np.ndarray
) -> UInt8[np.ndarray, "h w"]:
    height, width = mask.shape
    x, y, w, h = cv2.boundingRect(mask)
    free = np.array([x, y, width - x - w, height - y - h])
    left, top, right, bottom = np.rint(np.minimum(of_box * [w, h, w, h], of_free * free)).astype(int).tolist()
    match looseness:
        case Looseness.ORIGINAL:
            return mask
        case Looseness.BOX | Looseness.BOX_EXPAND:
            box = np.zeros_like(mask)
            box[y - top : y + h + bottom, x - left : x + w + right] = 1
            return box
        case Looseness.EXPAND:
            return _grown(mask, left, top, right, bottom)
        case Looseness.HULL | Looseness.HULL_EXPAND:
            hull = cv2.convexHull(cv2.findNonZero(mask))
            return _grown(cv2.fillConvexPoly(mask.copy(), hull, 1), left, top, right, bottom)


def _grown(mask: UInt8[np.ndarray, "h w"], left: int, top: int, right: int, bottom: int) -> UInt8[np.ndarray, "h w"]:
    """Dilation by an oval with a radius of its own to each side: it keeps the shape's character."""
    x, y = np.arange(-right, left + 1), np.arange(-bottom, top + 1)[:, None]  # OpenCV looks where it takes from
    across, along = np.where(x < 0, max(right, 1), max(left, 1)), np.where(y < 0, max(bottom, 1), max(top, 1))
    oval = ((x / across) ** 2 + (y / along) ** 2 <= 1).astype(np.uint8)
    return cv2.dilate(mask, oval, anchor=(right, bottom))
