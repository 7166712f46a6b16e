"""What is measured of a painted clip, each as one number, and what many such numbers say together (numpy and OpenCV only)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from overpaint_backend.train.figures import COLOURS, lab
from overpaint_backend.train.marks import LEAST as LEAST
from overpaint_backend.train.marks import Video, Where
from overpaint_backend.train.marks import line_f1 as line_f1
from overpaint_backend.train.marks import psnr as psnr

DRAWS = 2000  # of the bootstrap
Z = 1.959964  # 95% of a normal distribution lie within so many deviations


class Flow(Protocol):
    """Dense motion, RAFT say: for each pixel of `first` where it is in `second`, as x and y in pixels."""

    def __call__(
        self, first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w 3"], /
    ) -> Float32[np.ndarray, "h w 2"]: ...


class Backbone(Protocol):
    """A model that puts pictures and words into one space, CLIP say. Vectors need not be of length 1."""

    def pictures(self, frames: Video) -> Float32[np.ndarray, "t c"]: ...

    def text(self, words: str) -> Float32[np.ndarray, " c"]: ...


def dis_flow(first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 2"]:
    """Motion by dense inverse search (arXiv 1603.03590), OpenCV's."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in (first, second)]
    return dis.calc(grey[0], grey[1], np.zeros((*grey[0].shape, 2), np.float32))


# ---------------------------------------------------------------------------------------------------------------------
# Near the truth. Where a metric finds nothing to measure it gives None, and the clip does not count.


def ssim(take: Video, truth: Video, mask: Where) -> float | None:
    """Structural similarity of the luma (Wang et al. 2004: Gaussian window 11 x 11, sigma 1.5), mean over the mask's pixels."""
    values = [
        _ssim_map(_grey(one), _grey(other))[where]
        for one, other, where in zip(take, truth, mask, strict=True)
        if where.any()
    ]
    return float(np.concatenate(values).mean()) if values else None


def _ssim_map(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    xx, yy, xy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    return (2 * mx * my + c1) * (2 * xy + c2) / ((mx * mx + my * my + c1) * (xx + yy + c2))


def _grey(frame: UInt8[np.ndarray, "h w 3"]) -> np.ndarray:
    return frame.astype(np.float64) @ np.array([0.299, 0.587, 0.114])


# ---------------------------------------------------------------------------------------------------------------------
# Steady in time


def warp_error(take: Video, mask: Where, motion: Sequence[Float32[np.ndarray, "h w 2"]]) -> float | None:
    """How much a frame differs from the next one moved back: mean of the absolute difference, 0 to 255.

    `motion[t]` leads from frame t to t + 1. Only pixels count that are in the mask, and are in the next one's mask then.
    """
    errors: list[np.ndarray] = []
    for t, field in enumerate(motion):
        there = _moved_back(mask[t + 1].astype(np.float32), field) > 0.999
        where = mask[t] & there
        errors.append(np.abs(_moved_back(take[t + 1].astype(np.float32), field) - take[t])[where])
    return _mean(errors)


def _moved_back(picture: np.ndarray, field: Float32[np.ndarray, "h w 2"]) -> np.ndarray:
    h, w = field.shape[:2]
    rows, columns = np.mgrid[:h, :w].astype(np.float32)
    x, y = columns + field[..., 0], rows + field[..., 1]
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def flicker(take: Video, truth: Video, mask: Where) -> float | None:
    """How much more pixels change from frame to frame than the truth's do: mean over the mask, 0 to 255."""
    both = mask[1:] & mask[:-1]
    change, due = (np.abs(np.diff(video.astype(np.float32), axis=0))[both] for video in (take, truth))
    return _mean([np.maximum(change - due, 0)])


# ---------------------------------------------------------------------------------------------------------------------
# Only where it should


def background_difference(take: Video, source: Video, mask: Where) -> float:
    """The largest difference outside the mask, 0 to 255; 0 is what must come."""
    apart = np.abs(take.astype(np.int16) - source)[~mask]
    return float(apart.max(initial=0))


def mask_leak(painted: Float32[np.ndarray, "t h w 3"], source: Video, mask: Where) -> float | None:
    """How far the engine's own picture, in [0, 1], leaves the source outside the mask: mean, 0 to 255."""
    return _mean([np.abs(painted * 255 - source)[~mask]])


def seam(take: Video, truth: Video, mask: Where) -> float | None:
    """How far the jumps from pixel to pixel across the mask's border differ from the truth's: mean, 0 to 255."""
    errors: list[np.ndarray] = []
    for axis in (1, 2):
        border = np.diff(mask, axis=axis)
        mine, due = (np.abs(np.diff(video.astype(np.int16), axis=axis)) for video in (take, truth))
        errors.append(np.abs(mine - due)[border])
    return _mean(errors)


# ---------------------------------------------------------------------------------------------------------------------
# After the lines and after the words


def pattern_agreement(take: Video, truth: Video, mask: Where, main: str, second: str) -> float | None:
    """How well the take's two named colours lie where the truth's do, in [0, 1].

    The mean of two shares: of the pixels that have the main colour in the truth, those that have it here, and the same for
    the second. A take with both colours swapped agrees as well; one of a single colour has 0.5, one of neither has 0.
    """
    names = tuple(COLOURS)
    due, here = (_named(video[mask]) for video in (truth, take))
    first, other = (due == names.index(name) for name in (main, second))
    if not first.any() or not other.any():
        return None

    def agreement(inside: str, outside: str) -> float:
        return float((here[first] == names.index(outside)).mean() + (here[other] == names.index(inside)).mean()) / 2

    return max(agreement(second, main), agreement(main, second))


def _named(pixels: UInt8[np.ndarray, "n 3"]) -> np.ndarray:
    """For each pixel the number of the colour in COLOURS that it is nearest to, in CIE Lab."""
    named = lab(np.array(list(COLOURS.values())))
    return np.linalg.norm(lab(pixels)[:, None] - named[None], axis=2).argmin(axis=1)


def frame_consistency(vectors: Float32[np.ndarray, "t c"]) -> float | None:
    """The mean cosine of each frame's embedding and the next one's."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return _mean([(unit[1:] * unit[:-1]).sum(axis=1)])


def text_consistency(vectors: Float32[np.ndarray, "t c"], words: Float32[np.ndarray, " c"]) -> float | None:
    """The mean cosine of each frame's embedding and the prompt's."""
    return _mean([vectors @ words / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(words))])


def _mean(parts: Sequence[np.ndarray]) -> float | None:
    values = np.concatenate([part.ravel() for part in parts]) if parts else np.zeros(0)
    return float(values.mean(dtype=np.float64)) if len(values) else None


# ---------------------------------------------------------------------------------------------------------------------
# Many clips


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of the mean: percentiles of a bootstrap over the clips, the same each time."""
    given = np.asarray(values, np.float64)
    draws = np.random.default_rng(0).integers(len(given), size=(DRAWS, len(given)))
    low, high = np.percentile(given[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def share_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of a share, of zeros and ones (Wilson 1927)."""
    n, share = len(values), float(np.mean(values))
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    reach = Z / (1 + Z**2 / n) * float(np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)))
    return max(middle - reach, 0.0), min(middle + reach, 1.0)
