"""Strokes become pixels here and nowhere else: lines and areas with exact coverage, layers as Blender's masks blend them, grow and feather."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8
from overpaint.clip import Size
from overpaint.edit import Blend, Guide, Knot, Stroke

Points = Float64[np.ndarray, "n 2"]
Coverage = Float32[np.ndarray, "h w"]

FLATNESS = 0.003  # pixels: how far a flattened curve may lie from the true one


def rasterise(guide: Guide, frame: int, size: Size) -> UInt8[np.ndarray, "h w"] | None:
    """The strokes that rule on `frame` as pixels, 255 where fully covered: lines white on black, areas as a mask.

    None where the guide does not exist on `frame`, or is given there as pixels. The guide's grow and feather are not
    applied: they are steps of their own (`grow`, `feather`), since masks given as pixels have them too.
    """
    key = guide.key_at(frame)
    if key is None or key.pixels is not None:
        return None
    value = np.zeros((size.height, size.width), np.float32)
    for _, strokes in groupby(sorted(key.strokes, key=lambda stroke: stroke.layer), key=lambda stroke: stroke.layer):
        value = _blend_layer(value, tuple(strokes))
    return _bytes(value)


def grow(mask: UInt8[np.ndarray, "h w"], pixels: float) -> UInt8[np.ndarray, "h w"]:
    """`mask` with its edge moved outwards by `pixels` (inwards where negative); fractions count, 0 changes nothing."""
    if pixels == 0 or not mask.any():
        return mask
    grown, near = mask.copy(), _around(mask, pixels)
    grown[near] = _bytes(0.5 - (_edge_distance(mask[near]) - pixels))
    return grown


def feather(mask: UInt8[np.ndarray, "h w"], pixels: float) -> UInt8[np.ndarray, "h w"]:
    """`mask` with a soft edge that lies wholly outside it: what was covered stays covered, and from the mask's edge
    coverage falls smoothly (3x^2 - 2x^3) to 0 at `pixels` from it. Exactly 0 at every pixel whose centre is farther.
    """
    if pixels <= 0 or not mask.any():
        return mask
    soft, near = mask.copy(), _around(mask, pixels)
    left = np.clip(1 - _edge_distance(mask[near]) / pixels, 0, 1)
    soft[near] = np.maximum(mask[near], _bytes(left * left * (3 - 2 * left)))
    return soft


def _blend_layer(below: Coverage, strokes: tuple[Stroke, ...]) -> Coverage:
    """One layer over what lies below: its strokes united, then opacity, then invert, then blend (Blender's order)."""
    first = strokes[0]
    covered = np.zeros_like(below)
    for stroke in strokes:
        # Replace weighs the whole picture with its opacity below, so the area itself must be solid.
        opacity = 1.0 if stroke.blend is Blend.REPLACE else stroke.opacity
        _cover(covered, stroke, opacity)
    layer = 1 - covered if first.invert else covered
    match first.blend:
        case Blend.ADD:
            value = below + layer
        case Blend.SUBTRACT:
            value = below - layer
        case Blend.LIGHTEN:
            value = np.maximum(below, layer)
        case Blend.DARKEN:
            value = np.minimum(below, layer)
        case Blend.MULTIPLY:
            value = below * layer
        case Blend.REPLACE:
            value = below * (1 - first.opacity) + layer * first.opacity
        case Blend.DIFFERENCE:
            value = np.abs(below - layer)
    return np.clip(value, 0, 1).astype(np.float32)


def _cover(covered: Coverage, stroke: Stroke, opacity: float) -> None:
    """Unite `covered`, in place, with how much of every pixel the stroke covers."""
    if not stroke.knots:
        return
    points = _flatten(stroke.knots, stroke.closed)
    reach = 1 if stroke.closed else max(stroke.width, 0) / 2 + 2
    size = np.array(covered.shape[::-1])
    left, top = np.clip(np.floor(points.min(axis=0) - reach), 0, size).astype(int)
    right, bottom = np.clip(np.ceil(points.max(axis=0) + reach), 0, size).astype(int)
    part = covered[top:bottom, left:right]
    if part.size:
        points = points - (left, top)
        found = _area(points, part.shape) if stroke.closed else _line(points, stroke.width, part.shape)
        np.maximum(part, np.float32(opacity) * found, out=part)


def _flatten(knots: tuple[Knot, ...], closed: bool) -> Points:
    """The stroke as a polyline (for a closed one: the last point joins the first)."""
    points = [np.array([[knots[0].x, knots[0].y]])]
    pairs = zip(knots, knots[1:] + knots[:1] if closed else knots[1:], strict=False)
    for a, b in pairs:
        start, end = np.array([a.x, a.y]), np.array([b.x, b.y])
        leave = start if a.right is None else np.array(a.right)
        enter = end if b.left is None else np.array(b.left)
        if a.right is None and b.left is None:
            points.append(end[None])
            continue
        # A cubic's chord error falls with the square of the step and is bound by its second difference.
        bend = max(np.abs(start - 2 * leave + enter).max(), np.abs(leave - 2 * enter + end).max())
        steps = int(np.clip(np.ceil(np.sqrt(0.75 * bend / FLATNESS)), 1, 512))
        t = np.linspace(0, 1, steps + 1)[1:, None]
        s = 1 - t
        points.append(s**3 * start + 3 * s * s * t * leave + 3 * s * t * t * enter + t**3 * end)
    return np.concatenate(points)


def _area(points: Points, shape: tuple[int, ...]) -> Coverage:
    """Exact coverage of a closed polygon: every edge adds the area to its right, and a running sum along rows fills it."""
    h, w = shape
    edges = np.concatenate([points, np.roll(points, -1, axis=0)], axis=1)
    # Above and below the picture nothing is covered. What is left of it covers everything to its right, so it may
    # slide to the border. Cut there first, or clipping would bend the edges.
    edges = _cut(_cut(edges, 1, np.array([0.0, h])), 0, np.array([0.0, w]))
    edges = np.clip(edges, 0, [w, h, w, h])
    edges = _cut(_cut(edges, 1, np.arange(h + 1.0)), 0, np.arange(w + 1.0))
    rise = edges[:, 3] - edges[:, 1]
    edges, rise = edges[rise != 0], rise[rise != 0]
    x, y = (edges[:, 0] + edges[:, 2]) / 2, (edges[:, 1] + edges[:, 3]) / 2
    column, row = np.minimum(x.astype(int), w), np.minimum(y.astype(int), h - 1)
    right = x - column
    flat = row * (w + 2) + column
    cells = np.bincount(flat, rise * (1 - right), h * (w + 2)) + np.bincount(flat + 1, rise * right, h * (w + 2))
    return np.clip(np.abs(np.cumsum(cells.reshape(h, w + 2), axis=1)[:, :w]), 0, 1).astype(np.float32)


def _cut(edges: Float64[np.ndarray, "n 4"], axis: int, lines: np.ndarray) -> Float64[np.ndarray, "m 4"]:
    """`edges` (x0 y0 x1 y1) cut wherever they cross one of the sorted `lines` of x (axis 0) or y (axis 1)."""
    a, b = edges[:, axis], edges[:, axis + 2]
    first = np.searchsorted(lines, np.minimum(a, b), side="right")
    crossings = np.maximum(np.searchsorted(lines, np.maximum(a, b), side="left") - first, 0)
    pieces = np.repeat(edges, crossings + 1, axis=0)
    index = np.arange(len(pieces)) - np.repeat(np.cumsum(crossings + 1) - crossings - 1, crossings + 1)
    count = np.repeat(crossings, crossings + 1)
    backwards = np.repeat(a > b, crossings + 1)
    # Piece i runs from crossing i - 1 to crossing i; the edge's own ends stand in for the outermost.
    order = np.where(backwards, count - 1 - index, index)
    start = np.repeat(first, crossings + 1)
    length = pieces[:, axis + 2] - pieces[:, axis]
    length = np.where(np.abs(length) < 1e-9, 1, length)

    def at(which: np.ndarray) -> np.ndarray:
        line = lines[np.clip(start + which, 0, len(lines) - 1)]
        return ((line - pieces[:, axis]) / length)[:, None]

    end = np.where((index == count)[:, None], 1.0, at(order))
    begin = np.where((index == 0)[:, None], 0.0, at(order + np.where(backwards, 1, -1)))
    origin, run = pieces[:, :2], pieces[:, 2:] - pieces[:, :2]
    return np.concatenate([origin + run * begin, origin + run * end], axis=1)


def _line(points: Points, width: float, shape: tuple[int, ...]) -> Coverage:
    """Coverage of an open line with round ends and joins; exact beside a straight stretch."""
    h, w = shape
    value = np.zeros(shape, np.float32)
    ends = points if len(points) > 1 else np.repeat(points, 2, axis=0)
    half = max(width, 0.0) / 2
    for run in _short(np.concatenate([ends[:-1], ends[1:]], axis=1), max(8.0, width), h, w, half + 1):
        reach = int(np.ceil(half + 1 + np.abs(run[:, 2:4] - run[:, :2]).max() / 2)) + 1
        middle = np.floor((run[:, :2] + run[:, 2:4]) / 2).astype(int)
        around = np.arange(-reach, reach + 1)
        column = middle[:, 0, None, None] + around[None, None, :] + 0 * around[None, :, None]
        row = middle[:, 1, None, None] + around[None, :, None] + 0 * around[None, None, :]
        inside = _beside(column + 0.5, row + 0.5, run[:, 4:], half)
        seen = (inside > 0) & (column >= 0) & (column < w) & (row >= 0) & (row < h)
        np.maximum.at(value, (row[seen], column[seen]), inside[seen].astype(np.float32))
    return value


def _short(
    edges: Float64[np.ndarray, "n 4"], longest: float, h: int, w: int, reach: float
) -> Iterator[Float64[np.ndarray, "m 8"]]:
    """`edges` cut into pieces of at most `longest` pixels, each with the edge it is of, without those off the picture.

    The pieces come in sheaves of a bounded size: a piece stands for all the pixels around it.
    """
    # Strokes may run far off the picture, and pieces cost memory.
    edges = _cut(_cut(edges, 0, np.array([-reach, w + reach])), 1, np.array([-reach, h + reach]))
    middle = (edges[:, :2] + edges[:, 2:]) / 2
    edges = edges[((middle > -reach) & (middle < (w + reach, h + reach))).all(axis=1)]
    count = np.maximum(np.ceil(np.hypot(*(edges[:, 2:] - edges[:, :2]).T) / longest), 1).astype(int)
    whole = np.repeat(edges, count, axis=0)
    index = (np.arange(len(whole)) - np.repeat(np.cumsum(count) - count, count))[:, None]
    total = np.repeat(count, count)[:, None]
    start, run = whole[:, :2], whole[:, 2:] - whole[:, :2]
    pieces = np.concatenate([start + run * index / total, start + run * (index + 1) / total, whole], axis=1)
    sheaf = max(1, int(4_000_000 / (2 * reach + longest + 3) ** 2))
    for at in range(0, len(pieces), sheaf):
        yield pieces[at : at + sheaf]


def _beside(x: np.ndarray, y: np.ndarray, edges: Float64[np.ndarray, "n 4"], half: float) -> np.ndarray:
    """How much of the pixels with middles (x, y), "n r c", lies within `half` of the n edges."""
    x0, y0, x1, y1 = (edges[:, i, None, None] for i in range(4))
    length = np.hypot(x1 - x0, y1 - y0)
    dot = length < 1e-9
    right, down = np.where(dot, 1, x1 - x0) / np.where(dot, 1, length), (y1 - y0) / np.where(dot, 1, length)
    along = (x - x0) * right + (y - y0) * down
    past = along - np.clip(along, 0, length)
    away = np.hypot((x - x0) * down - (y - y0) * right, past)
    flank = _nearer(half - away, right, down) - _nearer(-half - away, right, down)
    # Round an end a pixel counts as if it were turned towards it.
    corner = np.minimum(away + 0.5, half) - np.maximum(away - 0.5, -half)
    return np.where(past == 0, flank, corner)


def _nearer(line: np.ndarray, right: np.ndarray, down: np.ndarray) -> np.ndarray:
    """How much of a pixel lies on the near side of a straight edge along (right, down), `line` from the pixel's middle."""
    long = np.maximum(np.abs(right), np.abs(down))
    short = np.maximum(np.minimum(np.abs(right), np.abs(down)), 1e-3)
    most, least = (long + short) / 2, (long - short) / 2
    a, b, c, d = (np.square(np.maximum(line + shift, 0)) / 2 for shift in (most, least, -least, -most))
    return (a - b - c + d) / np.maximum(long * short, 1e-9)


def _around(mask: UInt8[np.ndarray, "h w"], pixels: float) -> tuple[slice, slice]:
    """The part of the picture that a change of `pixels` at the mask's edge can reach: distances cost time."""
    reach = int(np.ceil(max(pixels, 0))) + 2
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(rows[0] - reach, 0), rows[-1] + reach + 1),
        slice(max(columns[0] - reach, 0), columns[-1] + reach + 1),
    )


def _edge_distance(mask: UInt8[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Distance of every pixel's centre to the mask's edge, negative inside; coverage places the edge within a pixel."""
    cover = mask.astype(np.float32) / 255
    outside = _nearest_distance(mask > 0, 0.5 - cover)
    inside = _nearest_distance(mask < 255, cover - 0.5)
    partly = (mask > 0) & (mask < 255)
    return np.where(partly, 0.5 - cover, np.where(mask == 0, outside, -inside)).astype(np.float32)


def _nearest_distance(seeds: np.ndarray, extra: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Distance to the nearest seed plus that seed's `extra`; infinite where there is no seed at all."""
    h, w = seeds.shape
    if not seeds.any():
        return np.full((h, w), np.inf, np.float32)
    _, labels = cv2.distanceTransformWithLabels(
        (~seeds).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # OpenCV numbers the seeds in an order of its own; reading the labels under the seeds gives it back.
    y, x = np.nonzero(seeds)
    number = labels[y, x].astype(np.intp)
    table = np.zeros((int(labels.max()) + 1, 3), np.float32)
    table[number, 0], table[number, 1], table[number, 2] = x, y, extra[y, x]
    found = table[labels.astype(np.intp)]
    columns, rows = np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32)[:, None]
    return np.hypot(columns - found[..., 0], rows - found[..., 1]) + found[..., 2]


def _bytes(value: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    return np.round(np.clip(value, 0, 1) * 255).astype(np.uint8)
