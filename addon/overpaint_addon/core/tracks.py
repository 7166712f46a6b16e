"""Strokes that are motion tracks: one stroke is the path of one point, spread over frames."""

from __future__ import annotations

from overpaint.edit import Stroke, Track, TrackPoint


def track(stroke: Stroke, first: int, last: int, length: int) -> Track:
    """The point that is at the stroke's beginning on frame `first` and at its end on frame `last`.

    Between them it passes the stroke's points evenly in time: where they lie close, it goes slowly. The track holds
    those of its frames that are within 0 to `length` - 1; it may have none.
    """
    ends = len(stroke.knots) - 1
    points: list[TrackPoint] = []
    for frame in range(max(first, 0), min(last, length - 1) + 1):
        at = ends * (frame - first) / (last - first) if last > first else 0.0
        before = min(int(at), ends)
        a, b, part = stroke.knots[before], stroke.knots[min(before + 1, ends)], at - before
        points.append(TrackPoint(frame=frame, x=a.x + (b.x - a.x) * part, y=a.y + (b.y - a.y) * part))
    return Track(points=tuple(points))
