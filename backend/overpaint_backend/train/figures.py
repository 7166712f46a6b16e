"""Things with names: shapes, patterns cut to them, colours, and how they move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from overpaint.errors import Invalid

Points = Float32[np.ndarray, "n 2"]

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (212, 32, 38),
    "orange": (246, 136, 26),
    "yellow": (248, 224, 48),
    "green": (40, 148, 58),
    "cyan": (62, 206, 214),
    "blue": (34, 72, 206),
    "purple": (120, 40, 160),
    "pink": (250, 142, 192),
    "brown": (112, 66, 32),
    "white": (242, 242, 242),
    "gray": (130, 130, 130),
    "black": (22, 22, 24),
}
SIZES: Mapping[str, tuple[float, float]] = {  # radius of the disc of the same area, in sides of the frame
    "small": (0.165, 0.19),
    "medium": (0.21, 0.25),
    "large": (0.27, 0.31),
}
PATTERNS: Mapping[str, str] = {  # the pattern, and what its cells are called
    "plain": "",
    "striped": "stripes",
    "dotted": "dots",
    "checked": "checks",
    "ringed": "rings",
}
WORDINGS = (
    "a {size} {main} {shape} with {second} {cells}",
    "a {size} {pattern} {shape}, {main} and {second}",
    "{main} {shape} with {second} {cells}, {size}",
    "the {size} {shape} is {main} and has {second} {cells}",
    "a {size} {shape} in {main}, {pattern} in {second}",
)
PLAIN_WORDINGS = (
    "a {size} plain {main} {shape}",
    "a {size} {shape}, all {main}",
    "{main} {shape}, plain and {size}",
    "the {size} {shape} is plain {main}",
    "a {size} {shape} in plain {main}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What an instance is, in words. `second` is the colour of the pattern's cells; None where `pattern` is plain."""

    shape: str
    main: str
    second: str | None
    pattern: str
    size: str


def captions(attributes: Attributes) -> tuple[str, ...]:
    """Every wording of the same attributes; each names all of them."""
    words = {
        "shape": attributes.shape,
        "main": attributes.main,
        "second": attributes.second,
        "pattern": attributes.pattern,
        "size": attributes.size,
        "cells": PATTERNS[attributes.pattern],
    }
    return tuple(wording.format(**words) for wording in (WORDINGS if attributes.second else PLAIN_WORDINGS))


def dominant_colour(pixels: UInt8[np.ndarray, "n 3"]) -> str:
    """The name that most of the RGB `pixels` are nearest to, in CIE Lab. Raises Invalid where there are none."""
    if not len(pixels):
        raise Invalid(field="pixels", message="no pixels, no colour", remedy="Give at least one")
    away = np.linalg.norm(lab(pixels)[:, None] - _named_lab()[None], axis=2)
    return tuple(COLOURS)[int(np.bincount(away.argmin(axis=1), minlength=len(COLOURS)).argmax())]


def lab(pixels: np.ndarray) -> Float32[np.ndarray, "n 3"]:
    scaled = np.asarray(pixels, np.float32).reshape(1, -1, 3) / np.float32(255)
    return cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB)[0]


@cache
def _named_lab() -> Float32[np.ndarray, "n 3"]:
    return lab(np.array(list(COLOURS.values())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A thing that moves. `move` takes points of its own plane to where they are on every frame, "t n 2".

    In its plane the disc of the same area has the radius 1, and y points down. In the frame places and `radius` are
    measured in sides of the frame. `cells` are closed lines, `seams` open ones.
    """

    attributes: Attributes
    outline: Points
    cells: tuple[Points, ...]
    seams: tuple[Points, ...]
    radius: float
    move: Callable[[Points], np.ndarray]
    tint: np.ndarray  # added to both colours, in RGB bytes
    light: np.ndarray  # how the brightness changes along x and y of the frame, across a radius


def figure(
    rng: np.random.Generator,
    frames: int,
    centre: np.ndarray,
    *,
    size_name: str = "small",
    radius: float | None = None,
    avoid: Set[str | None] = frozenset(),
) -> Figure:
    """Any figure, moving around `centre`: of a named size, or of a `radius` of its own; of colours not in `avoid`."""
    radius = rng.uniform(*SIZES[size_name]) if radius is None else radius
    shape = str(rng.choice(list(SHAPES)))
    squash = np.exp(rng.uniform(-0.12, 0.12))
    outline = (SHAPES[shape] * np.array([squash, 1 / squash])).astype(np.float32)
    main, second = (str(name) for name in rng.permutation([name for name in COLOURS if name not in avoid])[:2])
    pattern, cells = "plain", ()
    if rng.random() > 0.15:
        for _ in range(6):
            pattern = str(rng.choice(list(PATTERNS)[1:]))
            if cells := _cells(rng, pattern, outline, 1 / (64 * radius)):
                break
        else:
            pattern = "plain"
    return Figure(
        attributes=Attributes(
            shape=shape, main=main, second=second if cells else None, pattern=pattern, size=size_name
        ),
        outline=outline,
        cells=cells,
        seams=_seams(rng) if not cells and rng.random() < 0.7 else (),
        radius=radius,
        move=_motion(rng, frames, radius, centre),
        tint=rng.uniform(-9, 9, 3),
        light=rng.uniform(-0.06, 0.06, 2),
    )


def _motion(rng: np.random.Generator, frames: int, radius: float, centre: np.ndarray) -> Callable[[Points], np.ndarray]:
    """Bounded and smooth: drift, turning, growing and bending, each a wave of its own."""
    time = np.arange(frames)

    def wave(most: float, count: int) -> np.ndarray:
        period, phase = rng.uniform(14, 60, (count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
        return rng.uniform(0.2, 1, (count, 1)) * most * np.sin(2 * np.pi * time / period + phase)

    place = centre[:, None] + wave(0.13, 2)
    angle = rng.uniform(-0.6, 0.6) + wave(0.5, 1)[0] + rng.uniform(-0.03, 0.03) * time
    scale = radius * np.exp(wave(0.12, 2))
    bend, across = wave(0.1, 4).reshape(2, 2, frames), rng.uniform(-1.6, 1.6, (2, 2))
    phase = rng.uniform(0, 2 * np.pi, 2)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]

    def move(points: Points) -> np.ndarray:
        waves = np.sin(points @ across.T + phase)
        bent = points[None] + np.einsum("nk,kdt->tnd", waves, bend)
        x, y = bent[..., 0] * scale[0][:, None], bent[..., 1] * scale[1][:, None]
        return np.stack([x * cos - y * sin + place[0][:, None], x * sin + y * cos + place[1][:, None]], axis=2)

    return move


# ---------------------------------------------------------------------------------------------------------------------
# Shapes and patterns, in the figure's plane


def _shapes() -> dict[str, Points]:
    """Every shape as a closed polygon of the disc's area, its points dense enough to bend."""
    turn = np.linspace(0, 2 * np.pi, 72, endpoint=False)

    def spokes(radii: Sequence[float]) -> np.ndarray:
        angle = np.arange(len(radii)) * 2 * np.pi / len(radii) - np.pi / 2
        return np.stack([np.cos(angle), np.sin(angle)], 1) * np.array(radii)[:, None]

    arm, belly = 0.36, np.linspace(-2.65, 2.65, 48)
    shapes = {
        "circle": np.stack([np.cos(turn), np.sin(turn)], 1),
        "square": np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]),
        "triangle": spokes([1, 1, 1]),
        "star": spokes([1, 0.52] * 5),
        "hexagon": spokes([1] * 6),
        "heart": np.stack(
            [16 * np.sin(turn) ** 3, -13 * np.cos(turn) + 5 * np.cos(2 * turn) + 2 * np.cos(3 * turn)], 1
        ),
        "cross": np.array(
            [
                *([-arm, -1], [arm, -1], [arm, -arm], [1, -arm], [1, arm], [arm, arm]),
                *([arm, 1], [-arm, 1], [-arm, arm], [-1, arm], [-1, -arm], [-arm, -arm]),
            ]
        ),
        "flower": np.stack([np.cos(turn), np.sin(turn)], 1) * (0.62 + 0.5 * np.abs(np.cos(2.5 * turn)))[:, None],
        "drop": np.stack([np.sin(turn) * np.abs(np.sin(turn / 2)) ** 1.3, -np.cos(turn)], 1),
        "fish": np.concatenate(
            [np.stack([0.25 + 0.95 * np.cos(belly), 0.68 * np.sin(belly)], 1), [[-1.2, 0.6], [-1.0, 0.0], [-1.2, -0.6]]]
        ),
    }
    return {name: _normal(shape.astype(np.float32)) for name, shape in shapes.items()}


def _normal(shape: Points) -> Points:
    area = cv2.contourArea(shape)
    moments = cv2.moments(shape)
    middle = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    return _dense(((shape - middle) * np.sqrt(np.pi / area)).astype(np.float32))


def _dense(polygon: Points, longest: float = 0.2) -> Points:
    """The closed polygon with a point at least every `longest`."""
    ends = np.roll(polygon, -1, axis=0)
    counts = np.maximum(np.ceil(np.linalg.norm(ends - polygon, axis=1) / longest), 1).astype(int)
    pieces = [a + (b - a) * np.arange(n)[:, None] / n for a, b, n in zip(polygon, ends, counts, strict=True)]
    return np.concatenate(pieces).astype(np.float32)


SHAPES: Mapping[str, Points] = _shapes()
REACH = 1.9  # how far from its middle a shape may go
GRID = 256  # pixels of the raster on which patterns are cut to shapes
UNIT = GRID / (2 * REACH)


def _cells(rng: np.random.Generator, pattern: str, outline: Points, pixel: float) -> tuple[Points, ...]:
    """The closed lines of one pattern; empty where this draw does not suit the shape.

    `pixel` is the width of a pixel of a 64 pixel frame, in the figure's plane: no cell and no gap is finer than a few.
    """
    step = pixel * UNIT
    body = np.zeros((GRID, GRID), np.uint8)
    cv2.fillPoly(body, [_on_grid(outline)], 255)
    room = cv2.distanceTransform(body, cv2.DIST_L2, cv2.DIST_MASK_5) > 2.8 * step
    cells = np.zeros_like(body)
    match pattern:
        case "striped":
            x, y = _turned(rng)
            band, gap = rng.uniform(4.2, 7.0) * step, rng.uniform(4.0, 7.0) * step
            cells[(x + rng.uniform(0, band + gap)) % (band + gap) < band] = 1
        case "checked":
            x, y = _turned(rng)
            pitch, share = rng.uniform(7.5, 10.5) * step, rng.uniform(0.33, 0.37)
            x, y = (x + rng.uniform(0, 2 * pitch)) / pitch % 2, (y + rng.uniform(0, 2 * pitch)) / pitch % 2
            for even in (0.5, 1.5):
                cells[(np.abs(x - even) < share) & (np.abs(y - even) < share)] = 1
        case "dotted" | "ringed":
            _scatter(rng, cells, room, step, ringed=pattern == "ringed")
    cells[~room] = 0
    share = cells.sum() / (body > 0).sum()
    lines, nesting = cv2.findContours(cells, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    kept = [
        _off_grid(cv2.approxPolyDP(line, 0.5, closed=True)[:, 0])
        for line, parent in zip(lines, np.reshape(nesting, (-1, 4))[:, 3] if len(lines) else (), strict=True)
        if parent >= 0 or _thick(line, step)  # a line within a line is a ring's
    ]
    enough = 0.07 if pattern == "dotted" else 0.1
    return tuple(kept) if len(kept) > 1 and enough < share < 0.40 else ()


def _scatter(rng: np.random.Generator, cells: np.ndarray, room: np.ndarray, step: float, *, ringed: bool) -> None:
    """Discs or rings anywhere that is inside, apart from each other."""
    thin = cv2.distanceTransform(room.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    for _ in range(int(rng.integers(1, 4)) if ringed else int(rng.integers(2, 8))):
        radius = rng.uniform(5.6, 8.0) * step if ringed else rng.uniform(2.3, 4.0) * step
        places = np.argwhere(thin >= radius)
        if not len(places):
            continue
        y, x = (int(value) for value in places[rng.integers(len(places))])
        cv2.circle(cells, (x, y), round(radius), 1, -1)
        cv2.circle(thin, (x, y), round(2 * radius + 3 * step), 0, -1)
        if ringed:
            cv2.circle(cells, (x, y), round(radius - 3.9 * step), 0, -1)


def _thick(line: np.ndarray, step: float) -> bool:
    """Whether what the line holds can be seen at 64 pixels."""
    (_, _), sides, _ = cv2.minAreaRect(line)
    return min(sides) > 3.8 * step and cv2.contourArea(line) > 14 * step * step


def _turned(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The raster's coordinates, turned by any angle."""
    angle = rng.uniform(0, np.pi)
    along = np.arange(GRID, dtype=np.float32) - GRID / 2
    x, y = along[None] * np.cos(angle), along[:, None] * np.sin(angle)
    u, v = -along[None] * np.sin(angle), along[:, None] * np.cos(angle)
    return x + y, u + v


def _on_grid(points: Points) -> np.ndarray:
    return np.round((points + REACH) * UNIT - 0.5).astype(np.int32)


def _off_grid(line: np.ndarray) -> Points:
    return _dense(((line + 0.5) / UNIT - REACH).astype(np.float32))


def _seams(rng: np.random.Generator) -> tuple[Points, ...]:
    """One or two open curves through a plain figure."""
    along = np.linspace(-1, 1, 16)
    seams = []
    for _ in range(int(rng.integers(1, 3))):
        angle, bow = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4)
        line = np.stack([rng.uniform(0.35, 0.7) * along, bow * (1 - along**2) + 0.1 * np.sin(3 * along)], 1)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        seams.append((line @ turn.T + rng.uniform(-0.25, 0.25, 2)).astype(np.float32))
    return tuple(seams)
