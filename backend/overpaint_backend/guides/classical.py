"""The classical tracker: regions of colour grown from clicks, cut out with GrabCut, carried on by optical flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from overpaint.order import Click

Frame = UInt8[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]

SIDE = 640  # pixels: frames are looked at no longer than this
BAND = 5  # pixels on both sides of an edge where a followed mask is weighed anew
BRIDGE = 7  # pixels: colours that run into each other over less than this are not one region


class ClassicalTracker:
    """For machines without SAM 2's weights: good where the thing differs in colour from what is around it."""

    name = "classical"

    def mark(self, frame: Frame, clicks: Sequence[Click], before: Mask | None) -> Mask:
        """Regions around the points; where something was thought before, only what is near a point that differs."""
        small, scale = _small(frame)
        h, w = small.shape[:2]
        soft = cv2.bilateralFilter(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), 7, 18, 5).astype(np.float32)
        points = [(min(int(one.x * scale), w - 1), min(int(one.y * scale), h - 1)) for one in clicks]
        found = np.zeros((h, w), bool) if before is None else _shrunk(before, small.shape)
        known = found
        inside: list[tuple[int, int]] = []
        away: list[tuple[int, int]] = []
        for (x, y), click in zip(points, clicks, strict=True):
            (inside if click.positive else away).append((x, y))
            if found[y, x] == click.positive:
                continue
            # A third point mends what two have shown: it must not turn the whole picture over.
            most = 0.6 if click.positive and len(inside) < 3 else found.mean() / 2
            near = region(soft, (x, y), away if click.positive else inside, most)
            found = cut(small, found | near if click.positive else found & ~near, inside, away)
            found = joined(found, known, inside)
        return _grown(found, frame.shape)

    def follow(self, frames: Iterable[Frame], mask: Mask) -> Iterator[Mask]:
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        last: np.ndarray | None = None
        held: np.ndarray | None = None
        for frame in frames:
            small, _ = _small(frame)
            gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
            if last is None or held is None:
                held = _shrunk(mask, small.shape)
            else:
                held = cut(small, carried(held, flow.calc(gray, last, np.zeros((*gray.shape, 2), np.float32))), (), ())
                yield _grown(held, frame.shape)
            last = gray


def region(
    soft: Float32[np.ndarray, "h w 3"], point: tuple[int, int], others: Sequence[tuple[int, int]], most: float
) -> Mask:
    """The pixels joined to `point` whose colour is like its own; how like, is where the region grows least.

    It holds none of `others`, and at most the part `most` of the picture. `soft` is in Lab.
    """
    x, y = point
    colour = np.median(soft[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].reshape(-1, 3), axis=0)
    far = np.sqrt(((soft - colour) ** 2 * np.array([0.5, 1.5, 1.5], np.float32)).sum(axis=2))
    far[y, x] = 0
    best, steadiest, previous = None, np.inf, None
    for apart in np.arange(6, 49, 3):
        grown = _around(far <= apart, point)
        if any(grown[v, u] for u, v in others) or grown.mean() > most:
            break
        if previous is not None:
            growth = grown.sum() / previous.sum() - 1
            if growth <= steadiest * 1.05:
                best, steadiest = grown, max(growth, 0.02)
        previous = grown
    if best is None:
        best = previous if previous is not None else far <= 0
    return best


def _around(like: Mask, point: tuple[int, int]) -> Mask:
    """The part of `like` that hangs together with `point` by more than a thin bridge."""
    x, y = point
    core = cv2.erode(like.astype(np.uint8), np.ones((BRIDGE, BRIDGE), np.uint8))
    thick = core if core[y, x] else like.astype(np.uint8)
    _, labels = cv2.connectedComponents(thick, connectivity=4)
    mine = (labels == labels[y, x]).astype(np.uint8)
    return like & (cv2.dilate(mine, np.ones((BRIDGE + 2, BRIDGE + 2), np.uint8)) > 0)


def joined(mask: Mask, known: Mask, inside: Sequence[tuple[int, int]]) -> Mask:
    """Those parts of `mask` that hold a point, or were known before."""
    labels = np.asarray(cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1], np.intp)
    kept = np.zeros(int(labels.max()) + 1, bool)
    kept[labels[known]] = True
    for x, y in inside:
        kept[labels[y, x]] = True
    return mask & kept[labels]


def cut(frame: Frame, guess: Mask, inside: Sequence[tuple[int, int]], away: Sequence[tuple[int, int]]) -> Mask:
    """GrabCut from a guess; pixels at the points are fixed (Rother, Kolmogorov and Blake, SIGGRAPH 2004)."""
    if not guess.any() or guess.all():
        return guess
    solid = cv2.morphologyEx(guess.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    x, y, w, h = cv2.boundingRect(solid)
    pad = max(w, h) // 3 + 12
    part = (slice(max(y - pad, 0), y + h + pad), slice(max(x - pad, 0), x + w + pad))
    near = np.ones((2 * BAND + 1, 2 * BAND + 1), np.uint8)
    labels = np.where(solid > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels = np.where(cv2.dilate(solid, near) == 0, np.uint8(cv2.GC_BGD), labels)
    labels = np.where(cv2.erode(solid, near) > 0, np.uint8(cv2.GC_FGD), labels)
    for points, label in ((inside, cv2.GC_FGD), (away, cv2.GC_BGD)):
        for u, v in points:
            cv2.circle(labels, (u, v), 2, int(label), cv2.FILLED)
    some = np.ascontiguousarray(labels[part])
    things = np.isin(some, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if not things.any() or things.all():
        return guess
    cv2.setRNGSeed(1)  # its clusters begin at random, and the same clip must give the same masks
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(frame[part]), some, (0, 0, 0, 0), *models, 2, cv2.GC_INIT_WITH_MASK)
    found = np.zeros_like(guess)
    found[part] = np.isin(some, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return found if found.sum() > guess.sum() / 4 else guess  # where both sides look alike it may find nothing


def carried(mask: Mask, flow: Float32[np.ndarray, "h w 2"]) -> Mask:
    """`mask` as `flow` (from the new frame to the old one) moves it."""
    h, w = mask.shape
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    return cv2.remap(mask.astype(np.float32), x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR) > 0.5


def _small(frame: Frame) -> tuple[Frame, float]:
    scale = min(1.0, SIDE / max(frame.shape[:2]))
    size = round(frame.shape[1] * scale), round(frame.shape[0] * scale)
    return (frame if scale == 1 else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)), scale


def _shrunk(mask: Mask, shape: tuple[int, ...]) -> Mask:
    if mask.shape == shape[:2]:
        return mask
    return cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA) > 0.5


def _grown(mask: Mask, shape: tuple[int, ...]) -> Mask:
    if mask.shape == shape[:2]:
        return mask
    return cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR) > 0.5
