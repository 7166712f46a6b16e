"""Pixels become strokes: the lines of a frame, and the outlines of a mask, as vectors that can be edited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, pairwise
from typing import Protocol

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from overpaint.edit import Blend, Knot, Stroke

Mask = Bool[np.ndarray, "h w"]

ERROR = 0.6  # pixels: how far a stroke may lie from the pixels it was traced from
SPECK = 6  # pixels: a mask's parts and holes of less area are not drawn
SHORT = 12.0  # pixels: shorter lines are not drawn, at 512 pixels
STEEPEST = 2048  # more than both of Sobel's sums of 8 bits give together
MOST = 400  # lines of a frame, the longest ones


class Lines(Protocol):
    """Draws the lines of a picture."""

    def __call__(self, frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
        """White lines on black."""
        ...


def edges(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    """Thin, smooth lines where the picture changes most: Canny's edges at twice the size, averaged down."""
    h, w = frame.shape[:2]
    twice = cv2.GaussianBlur(cv2.resize(frame, (2 * w, 2 * h), interpolation=cv2.INTER_CUBIC), (0, 0), 1.6)
    gray = cv2.cvtColor(twice, cv2.COLOR_RGB2GRAY)
    across, along = (cv2.Sobel(gray, cv2.CV_16S, *way) for way in ((1, 0), (0, 1)))
    steep = (np.abs(across) + np.abs(along)).astype(np.uint16)
    # Counted, and not sorted, which takes longer than all the rest.
    up_to = np.cumsum(cv2.calcHist([steep], [0], None, [STEEPEST], [0, STEEPEST]), dtype=np.float64)
    strong = float(np.searchsorted(up_to, 0.92 * steep.size))
    thin = cv2.Canny(across, along, 0.4 * max(strong, 40), max(strong, 40))
    return cv2.resize(cv2.dilate(thin, np.ones((2, 2), np.uint8)), (w, h), interpolation=cv2.INTER_AREA)


def line_strokes(
    frame: UInt8[np.ndarray, "h w 3"], inside: Mask | None = None, lines: Lines = edges
) -> tuple[Stroke, ...]:
    """The frame's lines as open strokes, the longest first, MOST at most; those within `inside` or on its edge, where it is given."""
    scale = max(frame.shape[:2]) / 512
    drawn = lines(frame) > 90
    if inside is not None:
        drawn &= cv2.dilate(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    runs = [_simple(run, closed=False) for run in trace(thin(drawn))]
    long = {index: float(cv2.arcLength(run.astype(np.float32), False)) for index, run in enumerate(runs)}
    chosen = sorted((index for index in long if long[index] >= SHORT * scale), key=lambda index: -long[index])
    return tuple(_stroke(runs[index], width=max(1.0, 1.5 * scale)) for index in chosen[:MOST])


def thin(drawn: Mask) -> Mask:
    """Lines of one pixel's width (Zhang and Suen, CACM 1984)."""
    value = np.pad(drawn, 1).astype(np.uint8)
    while True:
        before = value
        for stays in STAYS:
            value = cv2.bitwise_and(value, cv2.LUT(cv2.filter2D(value, -1, AROUND), stays))
        if (value == before).all():
            return value[1:-1, 1:-1].astype(bool)


def _stays(turn: int) -> UInt8[np.ndarray, 256]:
    """Whether a pixel stays in a turn, by which of its eight neighbours are drawn: bits, clockwise from the one above."""
    p = [np.arange(256) >> bit & 1 for bit in range(8)]
    near = sum(p)
    rises = sum((p[i] == 0) & (p[(i + 1) % 8] == 1) for i in range(8))
    a, b = (p[0] * p[2] * p[4], p[2] * p[4] * p[6]) if turn == 0 else (p[0] * p[2] * p[6], p[0] * p[4] * p[6])
    goes = (near >= 2) & (near <= 6) & (rises == 1) & (a == 0) & (b == 0)
    return (~goes).astype(np.uint8)


AROUND = np.array([[128, 1, 2], [64, 0, 4], [32, 16, 8]], np.float32)
STAYS = _stays(0), _stays(1)


def trace(skeleton: Mask) -> Iterator[np.ndarray]:
    """Lines of one pixel's width as runs of pixels, "n 2" x, y: from ends and forks, then what is round."""
    whole = {(int(x), int(y)) for y, x in zip(*np.nonzero(skeleton), strict=True)}

    def around(at: tuple[int, int]) -> list[tuple[int, int]]:
        x, y = at
        found = [(x + dx, y + dy) for dx, dy in ((0, -1), (1, 0), (0, 1), (-1, 0)) if (x + dx, y + dy) in whole]
        # A corner joins two pixels only where no side does: else every step of a slope would look like a fork.
        for dx, dy in ((1, -1), (1, 1), (-1, 1), (-1, -1)):
            if (x + dx, y + dy) in whole and (x + dx, y) not in whole and (x, y + dy) not in whole:
                found.append((x + dx, y + dy))
        return found

    beside = {at: around(at) for at in whole}
    gone: set[tuple[tuple[int, int], tuple[int, int]]] = set()  # steps, both ways
    for at in sorted(whole, key=lambda one: (len(beside[one]) == 2, len(beside[one]), one)):
        for ahead in beside[at]:
            if (at, ahead) in gone:
                continue
            run = [at, ahead]
            while len(beside[run[-1]]) == 2 and run[-1] != at:
                run.append(next(one for one in beside[run[-1]] if one != run[-2]))
            gone.update(pairwise(run))
            gone.update(pairwise(reversed(run)))
            yield np.array(run, np.float64) + 0.5


def mask_strokes(mask: Mask) -> tuple[Stroke, ...]:
    """The outlines of a mask as closed strokes: parts are added, holes in them subtracted, parts in holes added again.

    No stroke lies farther than ERROR from the true outline. Specks are left out, unless there is nothing else.
    """
    strokes: list[Stroke] = []
    for layer in count():
        if not mask.any():
            return tuple(strokes)
        solid = _filled(mask)
        outlines = [(abs(cv2.contourArea(one.astype(np.float32))), one) for one in _outlines(solid)]
        largest = max(area for area, _ in outlines)
        blend = Blend.SUBTRACT if layer % 2 else Blend.ADD
        for area, outline in outlines:
            if area >= SPECK or (layer == 0 and area == largest):
                strokes.append(_stroke(_simple(outline, closed=True), closed=True, layer=layer, blend=blend))
        mask = solid & ~mask
    raise AssertionError


def _filled(mask: Mask) -> Mask:
    """`mask` without holes."""
    outside = np.pad(mask, 1).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2)
    return outside[1:-1, 1:-1] != 2


def _outlines(mask: Mask) -> Iterator[np.ndarray]:
    """Along the pixels' sides, "n 2" x, y, each part (joined by sides, not by corners) once."""
    p = np.pad(mask, 1)
    ahead: dict[tuple[int, int], list[tuple[int, int]]] = {}
    # With the mask to the right of every step: along a pixel's upper side eastwards, its right side southwards ...
    for side, start, step in (
        (p[1:-1, 1:-1] & ~p[:-2, 1:-1], (0, 0), (1, 0)),
        (p[1:-1, 1:-1] & ~p[1:-1, 2:], (1, 0), (0, 1)),
        (p[1:-1, 1:-1] & ~p[2:, 1:-1], (1, 1), (-1, 0)),
        (p[1:-1, 1:-1] & ~p[1:-1, :-2], (0, 1), (0, -1)),
    ):
        for y, x in zip(*np.nonzero(side), strict=True):
            ahead.setdefault((int(x) + start[0], int(y) + start[1]), []).append(step)
    while ahead:
        first = at = next(iter(ahead))
        way, run = None, []
        while True:
            ways = ahead[at]
            right = None if way is None else (-way[1], way[0])
            way = right if right in ways else ways[0]
            ways.remove(way)
            if not ways:
                del ahead[at]
            run.append(at)
            at = (at[0] + way[0], at[1] + way[1])
            if at == first:
                break
        yield np.array(run, np.float64)


def _simple(points: np.ndarray, *, closed: bool) -> np.ndarray:
    return cv2.approxPolyDP(points.astype(np.float32)[:, None], ERROR, closed)[:, 0].astype(np.float64)


def _stroke(points: Sequence[np.ndarray] | np.ndarray, **kind: object) -> Stroke:
    knots = tuple(Knot(x=float(x), y=float(y)) for x, y in points)
    return Stroke(knots=knots, **kind)  # pyright: ignore[reportArgumentType]
