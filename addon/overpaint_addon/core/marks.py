"""Small diamonds that mark the keyed frames on a strip, as triangles in pixels of the screen."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]


def diamonds(middles: Sequence[Point], radius: float) -> list[Point]:
    """The corners of two triangles for every middle, in the order a GPU draws them."""
    return [
        corner
        for x, y in middles
        for corner in (
            (x - radius, y),
            (x, y - radius),
            (x + radius, y),
            (x + radius, y),
            (x, y + radius),
            (x - radius, y),
        )
    ]


def neighbour(frames: Sequence[int], here: int, *, forward: bool) -> int | None:
    """The nearest of `frames` after (or before) this one, or None."""
    return (
        min((frame for frame in frames if frame > here), default=None)
        if forward
        else max((frame for frame in frames if frame < here), default=None)
    )
