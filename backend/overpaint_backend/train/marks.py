"""Two marks of a painted clip that training and measuring share: near the truth, and after the lines (no torch)."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

Video = UInt8[np.ndarray, "t h w 3"]
Where = Bool[np.ndarray, "t h w"]

LEAST = 1e-6  # squared error below which it counts as none: PSNR ends at 108 dB


def psnr(take: Video, truth: Video, mask: Where) -> float | None:
    """In dB, over the mask's pixels; None where there are none."""
    if not mask.any():
        return None
    apart = take[mask].astype(np.float64) - truth[mask]
    return float(10 * np.log10(255**2 / max(np.square(apart).mean(), LEAST)))


def line_f1(take: Video, interior: UInt8[np.ndarray, "t h w"], mask: Where) -> float | None:
    """How well edges found in the take and the interior lines agree, to 1 pixel: F1 over the clip; None without lines.

    The outline does not count: edges and lines within 2 pixels of the mask's border are left out.
    """
    found = wanted = hit = met = 0
    for frame, lines, where in zip(take, interior, mask, strict=True):
        deep = cv2.erode(where.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
        edges = (cv2.Canny(np.ascontiguousarray(frame), 80, 160) > 0) & deep
        drawn = (lines > 127) & deep
        found, wanted = found + edges.sum(), wanted + drawn.sum()
        hit, met = hit + (edges & _near(drawn)).sum(), met + (drawn & _near(edges)).sum()
    # F1 is 2PR / (P + R) with P = hit / found and R = met / wanted.
    precision, recall = hit / max(found, 1), met / max(wanted, 1)
    return float(2 * precision * recall / max(precision + recall, 1e-9)) if wanted else None


def _near(lines: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    return cv2.dilate(lines.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
