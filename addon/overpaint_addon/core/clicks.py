"""Clicks on a strip: where they are in the picture, what they ask of the backend, and the one mask that comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from overpaint.clip import Size
from overpaint.edit import Guide, GuideKey, Input, Stroke
from overpaint.errors import Invalid
from overpaint.order import Click, MadeGuide

from .areas import bounds

METHODS = {"sam2": "Tracked by SAM 2", "classical": "Tracked by the classical method, without SAM 2"}

Place = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point that is part of an object, or (not `positive`) is not.

    `x` and `y` are shares of the picture's width and height, from its top left corner; `frame` counts from the first
    one of the strip's content, so that the point moves with it.
    """

    object: int
    frame: int
    x: float
    y: float
    positive: bool = True


def from_view(x: float, y: float, full: Size, stretch: float) -> Place | None:
    """The shares of the picture for a place in the sequencer's preview, or None beside the picture.

    The preview counts pixels of the picture at 100 % (`full`) from its middle, y up, x times the aspect of the pixels.
    """
    across, down = 0.5 + x / stretch / full.width, 0.5 - y / full.height
    return (across, down) if 0 <= across < 1 and 0 <= down < 1 else None


def to_view(point: Point, full: Size, stretch: float) -> Place:
    """Where the preview shows the point: `from_view` backwards."""
    return (point.x - 0.5) * full.width * stretch, (0.5 - point.y) * full.height


def to_clicks(points: Iterable[Point], first: int, length: int, size: Size) -> tuple[Click, ...]:
    """The points in clip pixels, in the order they were made; the clip begins at frame `first` of the content.

    Raises Invalid where there is none, or one is on a frame that is not painted.
    """
    found = tuple(
        Click(
            object=point.object,
            frame=point.frame - first,
            x=point.x * size.width,
            y=point.y * size.height,
            positive=point.positive,
        )
        for point in points
    )
    if not found:
        raise Invalid(field="points", message="the strip has no points", remedy="Add Points, on the thing to be masked")
    outside = sum(not 0 <= click.frame < length for click in found)
    if outside:
        raise Invalid(
            field="points",
            message=f"{outside} of {len(found)} points are on frames that are not to be painted",
            remedy="Paint more frames, or remove these points",
        )
    return found


def united(made: MadeGuide) -> Guide:
    """All objects as one mask that is held."""
    keys = (
        GuideKey(frame=column[0].frame, strokes=tuple(_stacked([key.strokes for key in column])))
        for column in zip(*(one.guide.keys for one in made.guides), strict=True)
    )
    return Guide(kind=Input.MASK, keys=tuple(keys), hold=True)


def _stacked(objects: Sequence[Sequence[Stroke]]) -> Iterator[Stroke]:
    # The largest first: what lies in the hole of another is added after the hole was cut.
    above = 0
    for strokes in sorted(objects, key=_extent, reverse=True):
        for stroke in strokes:
            yield replace(stroke, layer=above + stroke.layer)
        above += 1 + max((stroke.layer for stroke in strokes), default=-1)


def _extent(strokes: Sequence[Stroke]) -> float:
    _, _, width, height = bounds(strokes) or (0.0, 0.0, 0.0, 0.0)
    return width * height


def signs(
    points: Iterable[Point], frame: int, place: Callable[[Point], Place], radius: float, margin: float = 0.0
) -> dict[tuple[bool, bool], list[Place]]:
    """The corners of the triangles of a plus or a minus at each point, by (positive, on this frame).

    `place` says where a point is shown; it, `radius` and the `margin` around a sign are in pixels of the screen.
    """
    found: dict[tuple[bool, bool], list[Place]] = {}
    long, thick = radius + margin, radius / 4 + margin
    for point in points:
        x, y = place(point)
        corners = found.setdefault((point.positive, point.frame == frame), [])
        corners += _bar(x, y, long, thick)
        if point.positive:
            corners += _bar(x, y, thick, long)
    return found


def _bar(x: float, y: float, width: float, height: float) -> list[Place]:
    a, b, c, d = ((x + sx * width, y + sy * height) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1)))
    return [a, b, c, a, c, d]
