"""Endless clips made of numbers: a thing with a name that moves, its exact mask, lines and tracks, and words for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from overpaint.errors import Invalid

from overpaint_backend.train.figures import COLOURS, SIZES, Attributes, Figure, Points, captions, figure, lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A clip with one instance in it, and all that is known of the instance.

    `frames` uint8 "t h w 3" RGB. `mask` uint8 "t h w": 1 where the instance shows in any part of the pixel, else 0.
    `sketch` uint8 "t h w": white lines on black, outline and interior; `interior`: the interior lines alone.
    `tracks` float32 "t n 2": x, y in clip pixels (a pixel's middle is at .5) of points of the instance, `visible` bool
    "t n": in the frame and not covered. `alternatives`: the colours that the instance does not have, for an edit.
    Footage has no attributes, tracks or alternatives.
    """

    frames: UInt8[np.ndarray, "t h w 3"]
    mask: UInt8[np.ndarray, "t h w"]
    sketch: UInt8[np.ndarray, "t h w"]
    interior: UInt8[np.ndarray, "t h w"]
    tracks: Float32[np.ndarray, "t n 2"]
    visible: Bool[np.ndarray, "t n"]
    caption: str
    attributes: Attributes | None = None
    alternatives: tuple[str, ...] = ()


class Instances:
    """Clips `size` pixels square of `frames` frames.

    Footage (uint8 "t h w 3" RGB, h and w at least `size`) gives half of the backgrounds.

    A clip depends on seed and index (and footage) only: in any order, in any process. `size` scales the same scene.
    The lines tell the picture: a closed line inside the outline holds the second colour (a line closed within it holds
    the main colour again), what touches the outline has the main colour, and an open line is ink. Where something
    stands before the instance its edge is drawn too, and the instance's lines end there.
    """

    def __init__(
        self, *, size: int = 64, frames: int = 17, seed: int = 0, footage: Sequence[UInt8[np.ndarray, "t h w 3"]] = ()
    ) -> None:
        if size < 32:
            raise Invalid(field="size", message=f"{size} pixels cannot show a pattern", remedy="Give 32 or more")
        if frames < 1:
            raise Invalid(field="frames", message="a clip has at least one frame", remedy="Give 1 or more")
        self.size, self.frames, self.seed, self.footage = size, frames, seed, tuple(footage)

    def clip(self, index: int) -> Sample:
        """The clip number `index` (0 or more)."""
        return self._sample(index, {})

    def repainted(self, index: int, **changes: str) -> Sample:
        """The same clip with other colours (`main`, `second`): what an edit should give. Raises Invalid for others."""
        for what, colour in changes.items():
            if what not in ("main", "second"):
                raise Invalid(
                    field=what, message="only colours can change under the same lines", remedy="main or second"
                )
            if colour not in COLOURS:
                raise Invalid(field=what, message=f"no colour is called {colour!r}", remedy=", ".join(COLOURS))
        return self._sample(index, changes)

    def _sample(self, index: int, changes: Mapping[str, str]) -> Sample:
        rng = np.random.default_rng([self.seed, index])
        scene = _scene(rng, self.size, self.frames, self.footage)
        instance, wording = scene.instance, rng.random()
        if changes:
            if "second" in changes and instance.attributes.second is None:
                raise Invalid(field="second", message="a plain instance has one colour", remedy="Change main")
            instance = replace(instance, attributes=replace(instance.attributes, **changes))
            if instance.attributes.main == instance.attributes.second:
                raise Invalid(field="main", message="both colours are the same", remedy="Give two colours")
        words, said = instance.attributes, captions(instance.attributes)
        return Sample(
            **_render(replace(scene, instance=instance), self.size),
            caption=said[int(wording * len(said))],
            attributes=words,
            alternatives=tuple(colour for colour in COLOURS if colour not in (words.main, words.second)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """`instance` between what is before it and what is behind it; `marks`: points that are tracked."""

    before: tuple[Figure, ...]
    instance: Figure
    behind: tuple[Figure, ...]
    background: Float32[np.ndarray, "t h w 3"]
    marks: Points


def _scene(rng: np.random.Generator, size: int, frames: int, footage: Sequence[np.ndarray]) -> _Scene:
    centre = rng.uniform(0.4, 0.6, 2)
    instance = figure(rng, frames, centre, size_name=str(rng.choice(list(SIZES))))
    own = {instance.attributes.main, instance.attributes.second}
    before, behind = (), ()
    if rng.random() < 0.25:
        towards = rng.normal(size=2)
        place = centre + towards / np.linalg.norm(towards) * instance.radius * rng.uniform(0.7, 1.1)
        before = (figure(rng, frames, place, radius=instance.radius * rng.uniform(0.4, 0.6), avoid=own),)
    if rng.random() < 0.3:
        place = rng.uniform(0.05, 0.95, 2)
        behind = (figure(rng, frames, place, size_name=str(rng.choice(list(SIZES))), avoid=own),)
    background = _background(rng, size, frames, footage, instance.attributes)
    inside = [point for point in rng.uniform(-1, 1, (40, 2)).astype(np.float32) if _within(instance.outline, point)]
    marks = np.array([[0, 0], *inside[:7]], np.float32)
    return _Scene(before=before, instance=instance, behind=behind, background=background, marks=marks)


def _within(outline: Points, point: np.ndarray) -> bool:
    return cv2.pointPolygonTest(outline, (float(point[0]), float(point[1])), measureDist=True) > 0.1


# ---------------------------------------------------------------------------------------------------------------------
# Backgrounds


def _background(
    rng: np.random.Generator, size: int, frames: int, footage: Sequence[np.ndarray], words: Attributes
) -> Float32[np.ndarray, "t h w 3"]:
    if footage and rng.random() < 0.5:
        return _filmed(rng, size, frames, footage[int(rng.integers(len(footage)))])
    pair = np.array([_other_colour(rng, words.main), _other_colour(rng, words.main)], np.float32)
    family = str(rng.choice(["gradient", "noise", "tiles", "flow"]))
    wide = size * 3 // 2
    if family == "gradient":
        corners = pair[rng.permutation([0, 1, 0, 1])].reshape(2, 2, 3) + rng.uniform(-15, 15, (2, 2, 3))
        return _panned(rng, cv2.resize(corners.astype(np.float32), (wide, wide)), size, frames)
    if family == "flow":  # two textures that slide over each other
        layers = [_panned(rng, _noise(rng, wide), size, frames, reach=1.0) for _ in range(2)]
        weight = np.clip(layers[0] + layers[1] - 0.5, 0, 1)[..., None]
        return pair[0] + weight * (pair[1] - pair[0])
    if family == "noise":
        weight = _noise(rng, wide)
    else:
        angle, pitch = rng.uniform(0, np.pi), size * rng.uniform(0.12, 0.3)
        along = np.arange(wide, dtype=np.float32)
        x = along[None] * np.cos(angle) + along[:, None] * np.sin(angle)
        y = along[:, None] * np.cos(angle) - along[None] * np.sin(angle)
        weight = cv2.GaussianBlur((((x // pitch) + (y // pitch)) % 2).astype(np.float32), (0, 0), size / 160)
        pair[1] = pair[0] + 0.5 * (pair[1] - pair[0])
    return _panned(rng, pair[0] + weight[..., None] * (pair[1] - pair[0]), size, frames)


def _other_colour(rng: np.random.Generator, main: str) -> np.ndarray:
    """Any colour that the instance can be told from."""
    colour = np.zeros(3)
    for _ in range(8):
        colour = rng.uniform(25, 230, 3)
        if np.linalg.norm(lab(colour) - lab(np.array(COLOURS[main]))) > 32:
            break
    return colour


def _noise(rng: np.random.Generator, wide: int) -> Float32[np.ndarray, "h w"]:
    """Soft spots of three sizes, in [0, 1]."""
    found = np.zeros((wide, wide), np.float32)
    for cells, weight in ((4, 0.5), (9, 0.3), (20, 0.2)):
        coarse = rng.random((cells, cells), np.float32)
        found += np.float32(weight) * cv2.resize(coarse, (wide, wide), interpolation=cv2.INTER_CUBIC)
    return np.clip((found - 0.5) * 1.8 + 0.5, 0, 1)


def _panned(rng: np.random.Generator, texture: np.ndarray, size: int, frames: int, reach: float = 0.6) -> np.ndarray:
    """`texture` (half as wide again as the frame) as a camera sees it that glides over it."""
    spare = (len(texture) - size) / 2
    time, period = np.arange(frames), rng.uniform(20, 90, (2, 1))
    shift = spare * (1 + reach * np.sin(2 * np.pi * time / period + rng.uniform(0, 2 * np.pi, (2, 1))))
    texture = texture.astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    views = [
        cv2.warpAffine(texture, np.array([[1, 0, x], [0, 1, y]], np.float32), (size, size), flags=flags)
        for x, y in shift.T
    ]
    return np.stack(views)


def _filmed(rng: np.random.Generator, size: int, frames: int, footage: np.ndarray) -> np.ndarray:
    """A square of the footage from any frame on; forwards and backwards where it is too short."""
    t, h, w = footage.shape[:3]
    side = int(rng.integers(size, min(h, w) + 1))
    top, left = int(rng.integers(h - side + 1)), int(rng.integers(w - side + 1))
    turn = np.concatenate([np.arange(t), np.arange(t - 2, 0, -1)])
    order = turn[(int(rng.integers(t)) + np.arange(frames)) % len(turn)]
    cut = footage[order, top : top + side, left : left + side]
    return np.stack([cv2.resize(one, (size, size), interpolation=cv2.INTER_AREA) for one in cut]).astype(np.float32)


# ---------------------------------------------------------------------------------------------------------------------
# Drawing: every figure is rastered finer than the frame, and coverage is averaged down


def _render(scene: _Scene, size: int) -> dict[str, np.ndarray]:
    """The arrays of a Sample. Only pixels that the mask holds take any colour from the instance."""
    fine = 3 if size <= 128 else 2
    side, frames = size * fine, len(scene.background)
    drawings = [_Drawing(one, size, fine) for one in (*scene.before, scene.instance, *scene.behind)]
    marks = scene.instance.move(scene.marks) * size
    video, mask = np.empty((frames, size, size, 3), np.uint8), np.empty((frames, size, size), np.uint8)
    sketch, interior, seen = np.empty_like(mask), np.empty_like(mask), np.empty(marks.shape[:2], bool)
    for t in range(frames):
        free = np.full((side, side), 255, np.uint8)
        picture = np.zeros((size, size, 3), np.float32)
        edges = np.zeros_like(free)
        for number, drawing in enumerate(drawings):
            whole = drawing.body(t)
            body = whole & free
            cover = _down(body, size)
            picture += drawing.colours(t, body, cover)
            if number < len(scene.before):
                edges |= drawing.outline(t)
            if number == len(scene.before):
                lines = drawing.outline(t)
                if scene.before:
                    # Where something stands before the instance, its edge is the line that one sees.
                    lines = (lines & free) | (edges & whole)
                    lines[cv2.dilate(body, np.ones((fine + 2, fine + 2), np.uint8)) == 0] = 0
                inner = drawing.interior(t) & body
                mask[t], interior[t], sketch[t] = cover > 0, _down(inner, size), _down(lines | inner, size)
                column, row = np.floor(marks[t] * fine).astype(int).T
                within = (column >= 0) & (column < side) & (row >= 0) & (row < side)
                seen[t] = within & (body[row.clip(0, side - 1), column.clip(0, side - 1)] > 0)
            free &= ~body
        picture += scene.background[t] * (_down(free, size) / np.float32(255))[..., None]
        video[t] = np.clip(np.rint(picture), 0, 255)
    tracks = marks.astype(np.float32)
    return {"frames": video, "mask": mask, "sketch": sketch, "interior": interior, "tracks": tracks, "visible": seen}


class _Drawing:
    """One figure's polygons on every frame, in the fine raster's pixels, and its coverage of them."""

    def __init__(self, figure: Figure, size: int, fine: int) -> None:
        self._figure, self._size, self._side = figure, size, size * fine
        parts = (figure.outline, *figure.cells, *figure.seams)
        moved = figure.move(np.concatenate(parts)) * self._side
        bounds = np.cumsum([len(part) for part in parts])[:-1]
        fixed = np.rint((moved - 0.5) * 16).astype(
            np.int32, order="C"
        )  # OpenCV's pixels have their middle at whole numbers
        pieces = np.split(fixed, bounds, axis=1)
        self._outline, self._cells = pieces[0], pieces[1 : 1 + len(figure.cells)]
        self._seams = pieces[1 + len(figure.cells) :]
        self._middle = moved.mean(axis=1) / self._side
        self._line = max(round(0.8 * fine * (size / 64) ** 0.5), 1)  # about 1 pixel at 64, 2 to 3 at 512
        self._ink = max(round(1.5 * fine * size / 64), 1)

    def body(self, t: int) -> np.ndarray:
        return self._filled([self._outline[t]])

    def outline(self, t: int) -> np.ndarray:
        return self._drawn([self._outline[t]], True, self._line)

    def interior(self, t: int) -> np.ndarray:
        closed = self._drawn([cell[t] for cell in self._cells], True, self._line)
        return closed | self._drawn([seam[t] for seam in self._seams], False, self._line)

    def colours(self, t: int, body: np.ndarray, cover: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
        """The figure's share of the picture: its colours times how much of each pixel they cover. `body` shows."""
        figure, words = self._figure, self._figure.attributes
        main = np.float32(np.array(COLOURS[words.main]) + figure.tint)
        parts = cover[..., None] * main
        if figure.cells:
            cells = _down(self._filled([cell[t] for cell in self._cells]) & body, self._size)
            parts += cells[..., None] * (np.float32(np.array(COLOURS[words.second or ""]) + figure.tint) - main)
        if figure.seams:
            ink = _down(self._drawn([seam[t] for seam in self._seams], False, self._ink) & body, self._size)
            dark = main * np.float32(0.35) if main.mean() > 60 else main + np.float32(110)
            parts += ink[..., None] * (dark - main)
        along = (np.arange(self._size, dtype=np.float32) + 0.5) / self._size
        light = figure.light / figure.radius
        shade = 1 + (along - self._middle[t, 0])[None] * light[0] + (along - self._middle[t, 1])[:, None] * light[1]
        return np.clip(parts * (shade / 255).astype(np.float32)[..., None], 0, 255)

    def _filled(self, polygons: list[np.ndarray]) -> np.ndarray:
        """Where an odd number of the polygons lie: a ring is two."""
        return cv2.fillPoly(np.zeros((self._side, self._side), np.uint8), polygons, 255, shift=4)

    def _drawn(self, lines: list[np.ndarray], closed: bool, width: int) -> np.ndarray:
        return cv2.polylines(np.zeros((self._side, self._side), np.uint8), lines, closed, 255, width, shift=4)


def _down(fine: np.ndarray, size: int) -> UInt8[np.ndarray, "h w"]:
    return cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)
