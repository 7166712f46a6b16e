"""Motion between neighbouring frames: dense optical flow, made whole where an instance hides it or where it is unsure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int16, UInt8

Field = Float32[np.ndarray, "h w 2"]
"""A displacement in pixels for every pixel: x, then y."""

Weight = Float32[np.ndarray, "h w"]
"""How far every pixel is to be believed, in [0, 1]."""

FLOW_PIXELS = 500_000  # above this, flow is measured on a smaller picture: it is smooth, and DIS costs by the pixel
AGREE = 1.0  # pixels: how far a vector there and the vector back may disagree and still be believed
PATCH = 8  # pixels: DIS compares patches of this size, so nearer than this to a hole it has seen the hole
NOISE = 3 / 255  # slope (of 1 a pixel) below which a texture is no better than noise
STIFF = 1 / 20  # of the picture's shorter side: an instance bends no more finely than this
UNIT = 64  # stored motion counts in 1/64 pixel: half the memory of floats, and reaches 512 pixels a frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """Flow of every frame to its neighbours, int16 "h w 2" in 1/64 pixel: `ahead[t]` leads to t + 1, `back[t]` to t - 1.

    The last frame's `ahead` and the first one's `back` are zero.
    """

    ahead: list[Int16[np.ndarray, "h w 2"]]
    back: list[Int16[np.ndarray, "h w 2"]]

    def stored(self, frame: int, direction: int) -> Int16[np.ndarray, "h w 2"]:
        """Motion from `frame` to its neighbour in `direction` (1 or -1), as it is stored."""
        return (self.ahead if direction > 0 else self.back)[frame]

    def field(self, frame: int, direction: int) -> Field:
        """The same in pixels."""
        return self.stored(frame, direction).astype(np.float32) / UNIT


def background_motion(
    frames: Float32[np.ndarray, "t h w 3"], hidden: Bool[np.ndarray, "t h w"], done: Callable[[int], None]
) -> Motion:
    """The motion of what lies behind `hidden`: measured outside, continued inside. Calls `done` after each pair."""

    def prepared(frame: int) -> UInt8[np.ndarray, "h w"]:
        # The instance must not pull at the flow beside it, so it is smoothed over before anything is measured.
        seen = (~hidden[frame]).astype(np.float32)
        return bytes_of(spread(grey(frames[frame])[..., None], seen)[..., 0])

    def settled(there: Field, home: Field, frame: int) -> Field:
        blind = cv2.dilate(hidden[frame].astype(np.uint8), np.ones((2 * PATCH + 1,) * 2, np.uint8)) > 0
        known = np.where(blind, 0, trust(there, home)).astype(np.float32)
        plane = planar(there, known)
        rest = there - plane
        away = np.hypot(rest[..., 0], rest[..., 1])
        usual = float(np.median(away[known > 0.5])) if (known > 0.5).any() else 0.0
        # What stands in front moves unlike the ground behind the hole, so it counts for less in there.
        same = 1 / (1 + np.square(away / max(3 * usual, 0.5)))
        return plane + np.where(hidden[frame][..., None], spread(rest, known * same), spread(rest, known))

    return _all_pairs(len(frames), prepared, settled, done)


def instance_motion(
    frames: Float32[np.ndarray, "t h w 3"], mask: Float32[np.ndarray, "t h w"], done: Callable[[int], None]
) -> Motion:
    """The motion of the instance itself: measured well inside its mask, continued to its edge and beyond."""

    def prepared(frame: int) -> UInt8[np.ndarray, "h w"]:
        return bytes_of(grey(frames[frame]))

    def settled(there: Field, home: Field, frame: int) -> Field:
        inside = cv2.erode((mask[frame] > 0.5).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
        known = trust(there, home) * inside
        plane = planar(there, known)
        # On a smooth surface light and folds wander and noise flickers, so bare spots take the motion of marked ones.
        rest = spread(there - plane, known * texture(grey(frames[frame])))
        return plane + _softened(rest, min(inside.shape) * STIFF)

    return _all_pairs(len(frames), prepared, settled, done)


def _all_pairs(
    count: int,
    prepared: Callable[[int], UInt8[np.ndarray, "h w"]],
    settled: Callable[[Field, Field, int], Field],
    done: Callable[[int], None],
) -> Motion:
    """Flow of every pair of neighbours, both ways, each way settled with the other's help."""
    before = prepared(0)
    still = np.zeros((*before.shape, 2), np.int16)
    ahead, back = [], [still]
    for frame in range(count - 1):
        after = prepared(frame + 1)
        there, home = flow(before, after), flow(after, before)
        ahead.append(_stored(settled(there, home, frame)))
        back.append(_stored(settled(home, there, frame + 1)))
        before = after
        done(frame + 1)
    return Motion(ahead=[*ahead, still], back=back)


def flow(start: UInt8[np.ndarray, "h w"], end: UInt8[np.ndarray, "h w"]) -> Field:
    """Where every pixel of `start` went in `end` (DIS: Kroeger, Timofte, Dai & Van Gool 2016)."""
    h, w = start.shape
    scale = min(1.0, (FLOW_PIXELS / (h * w)) ** 0.5)
    size = (max(round(w * scale), 1), max(round(h * scale), 1))
    # DIS starts from patches of 8 x 8 on a picture several times smaller, so a tiny picture is padded.
    pad = (max(32 - size[0], 0), max(32 - size[1], 0))
    start, end = (
        cv2.copyMakeBorder(cv2.resize(one, size, interpolation=cv2.INTER_AREA), 0, pad[1], 0, pad[0], cv2.BORDER_REPLICATE)
        for one in (start, end)
    )  # fmt: skip
    found = _measure().calc(start, end, None)  # type: ignore[arg-type]
    found = found[: size[1], : size[0]]
    if scale == 1:
        return found
    return cv2.resize(found, (w, h)) * np.array([w / size[0], h / size[1]], np.float32)


def _measure() -> cv2.DISOpticalFlow:
    """DIS as OpenCV presets it for quality, but down to full size: its preset stops at half, and leans towards no motion
    by a tenth of a pixel a frame, which adds up. Fewer patches and rounds on every size give half of the time back.
    """
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    dis.setPatchStride(4)
    dis.setGradientDescentIterations(12)
    dis.setVariationalRefinementIterations(1)
    return dis


def _stored(field: Field) -> Int16[np.ndarray, "h w 2"]:
    return np.round(np.clip(field, -500, 500) * UNIT).astype(np.int16)


def trust(there: Field, home: Field, slip: float = AGREE) -> Weight:
    """1 where going there and back ends where it began, falling to 0 over `slip` pixels as it does not."""
    miss = there + warp(home, there)
    return np.exp(-(np.square(miss[..., 0]) + np.square(miss[..., 1])) / slip**2)


def _softened(field: Field, width: float) -> Field:
    """A Gaussian blur with a standard deviation of `width` pixels, on a smaller picture where that cannot be told apart."""
    h, w = field.shape[:2]
    by = max(1.0, width / 4)
    size = (max(round(w / by), 1), max(round(h / by), 1))
    small = cv2.GaussianBlur(cv2.resize(field, size, interpolation=cv2.INTER_AREA), (0, 0), max(width / by, 0.1))
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)


def texture(picture: Float32[np.ndarray, "h w"]) -> Weight:
    """How much there is to hold on to around every pixel, in [0, 1): little where only noise moves (Shi & Tomasi 1994)."""
    dx, dy = (cv2.Sobel(picture, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    xx, yy, xy = cv2.split(cv2.GaussianBlur(np.dstack([dx * dx, dy * dy, dx * dy]), (0, 0), PATCH / 2))
    least = (xx + yy) / 2 - np.sqrt(np.square((xx - yy) / 2) + np.square(xy))
    return np.maximum(least, 0) / (np.maximum(least, 0) + NOISE**2)


def planar(field: Field, weight: Weight) -> Field:
    """The motion of one plane that fits `field` best: eight numbers (Longuet-Higgins & Prazdny 1980), found robustly."""
    h, w = weight.shape
    every = max(1, int((h * w / 5_000) ** 0.5))
    seen = weight[::every, ::every].ravel()
    if not (seen > 0.5).any():
        return np.zeros_like(field)
    y, x = np.mgrid[0:h:every, 0:w:every].astype(np.float64)
    basis, wanted = _plane(x.ravel() / w, y.ravel() / w), field[::every, ::every].reshape(-1, 2)
    rest = np.linalg.norm(wanted - np.median(wanted[seen > 0.5], axis=0), axis=1)
    numbers = np.zeros(8)
    for _ in range(8):
        scale = 1.5 * np.median(rest[seen > 0.5]) + 0.05
        belief = np.repeat(seen / np.square(1 + np.square(rest / scale)), 2)[:, None]
        normal = basis.T @ (basis * belief) + 1e-6 * np.eye(8)
        numbers = np.linalg.solve(normal, basis.T @ (wanted.reshape(-1, 1) * belief))[:, 0]
        rest = np.linalg.norm(wanted - (basis @ numbers).reshape(-1, 2), axis=1)
    x, y = np.arange(w, dtype=np.float32) / w, np.arange(h, dtype=np.float32)[:, None] / w
    a, b, c, d, e, f, g, i = numbers.astype(np.float32)
    return np.stack([a + b * x + c * y + (g * x + i * y) * x, d + e * x + f * y + (g * x + i * y) * y], axis=2)


def _plane(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The rows of the equations that the eight numbers solve: two for every point."""
    one, nil = np.ones_like(x), np.zeros_like(x)
    across = np.stack([one, x, y, nil, nil, nil, x * x, x * y], axis=1)
    down = np.stack([nil, nil, nil, one, x, y, x * y, y * y], axis=1)
    return np.stack([across, down], axis=1).reshape(-1, 8)


def spread(values: Float32[np.ndarray, "h w c"], weight: Weight) -> Float32[np.ndarray, "h w c"]:
    """`values` where `weight` is 1, continued smoothly where it is 0: weighted means down a pyramid, filled in upwards."""
    solid = weight[..., None]
    if min(weight.shape) <= 2:
        mean = (values * solid).sum((0, 1)) / max(float(weight.sum()), 1e-6)
        return values * solid + mean.astype(np.float32) * (1 - solid)
    size = (weight.shape[1], weight.shape[0])
    half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    small = cv2.pyrDown(np.concatenate([values * solid, solid], axis=2), dstsize=half)
    support = small[..., -1]
    # A coarse cell with any support is as good as known: it is nearer than whatever lies farther up.
    coarse = spread(small[..., :-1] / np.maximum(support, 1e-6)[..., None], np.minimum(support * 8, 1))
    return values * solid + cv2.pyrUp(coarse, dstsize=size).reshape(values.shape) * (1 - solid)


def warp(picture: np.ndarray, field: Field, how: int = cv2.INTER_LINEAR) -> np.ndarray:
    """`picture` fetched along `field`: result(p) = picture(p + field(p)). The picture's edge continues outwards."""
    h, w = field.shape[:2]
    x, y = np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32)[:, None]
    return cv2.remap(picture, field[..., 0] + x, field[..., 1] + y, how, borderMode=cv2.BORDER_REPLICATE)


def sample(picture: np.ndarray, x: np.ndarray, y: np.ndarray, how: int = cv2.INTER_LINEAR) -> np.ndarray:
    """`picture` at the points (x, y), "n" each. The picture's edge continues outwards."""
    # OpenCV's maps are pictures with sides below 32768, so a long list of points is laid out as one.
    count, wide = len(x), 1024
    points = np.zeros((2, -(-count // wide) * wide), np.float32)
    points[0, :count], points[1, :count] = x, y
    across, down = points.reshape(2, -1, wide)
    found = cv2.remap(picture, across, down, how, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(-1, *picture.shape[2:])[:count]


def grey(frame: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def bytes_of(picture: np.ndarray) -> UInt8[np.ndarray, ...]:
    """A picture in [0, 1] as bytes, which is what DIS measures on."""
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
