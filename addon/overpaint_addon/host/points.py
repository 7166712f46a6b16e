"""The points that were clicked on a strip, kept with it as JSON: they move with its content and go where its copies go."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ..core.clicks import Point

PROPERTY = "overpaint_points"


def kept(strip: Any) -> tuple[Point, ...]:
    """The points in the order they were made."""
    return tuple(Point(**one) for one in json.loads(strip.get(PROPERTY, "[]")))


def add(strip: Any, point: Point) -> None:
    """Keep one more point with the strip."""
    _keep(strip, (*kept(strip), point))


def remove_last(strip: Any) -> None:
    """Forget the point that was made last; where there is none, nothing happens."""
    _keep(strip, kept(strip)[:-1])


def clear(strip: Any) -> None:
    """Forget all points."""
    _keep(strip, ())


def _keep(strip: Any, points: tuple[Point, ...]) -> None:
    if points:
        strip[PROPERTY] = json.dumps([asdict(point) for point in points])
    elif PROPERTY in strip:
        del strip[PROPERTY]
