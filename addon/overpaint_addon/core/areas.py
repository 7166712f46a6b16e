"""Strokes that are areas: closed lines, boxes, and masks that were made elsewhere and are kept with a strip."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from overpaint.clip import Size
from overpaint.edit import Guide, GuideKey, Input, Knot, Stroke
from overpaint.errors import Invalid

GAP = 0.15  # of the diagonal of the box around a stroke: ends that are nearer than this meet

Box = tuple[float, float, float, float]
"""Left, top, width and height in pixels."""


def is_closed(stroke: Stroke) -> bool:
    """Whether the stroke encloses something: its ends meet, or nearly do."""
    knots = stroke.knots
    if stroke.closed:
        return True
    if len(knots) < 3:
        return False
    _, _, width, height = bounds([stroke]) or (0.0, 0.0, 0.0, 0.0)
    apart = math.hypot(knots[0].x - knots[-1].x, knots[0].y - knots[-1].y)
    return max(width, height) > 0 and apart <= GAP * math.hypot(width, height)


def area(stroke: Stroke) -> Stroke:
    """What the stroke encloses when its last point is joined to its first."""
    return Stroke(knots=stroke.knots, closed=True)


def box_mask(box: Box) -> Guide:
    """The box as a mask on every frame; `box` in clip pixels."""
    left, top, width, height = box
    corners = ((left, top), (left + width, top), (left + width, top + height), (left, top + height))
    knots = tuple(Knot(x=x, y=y) for x, y in corners)
    return Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(Stroke(knots=knots, closed=True),)),), hold=True)


def bounds(strokes: Iterable[Stroke]) -> Box | None:
    """The smallest box around the strokes' points, or None where there are none."""
    knots = [knot for stroke in strokes for knot in stroke.knots]
    if not knots:
        return None
    left, top = min(knot.x for knot in knots), min(knot.y for knot in knots)
    return left, top, max(knot.x for knot in knots) - left, max(knot.y for knot in knots) - top


def check_shape(made: Size, size: Size) -> None:
    """Raises Invalid where a mask made for a picture of size `made` cannot be one of a picture of `size`."""
    # Sizes are whole pixels: at a resolution percentage they may be off by one.
    if abs(made.width * size.height - made.height * size.width) > made.width + made.height:
        raise Invalid(
            field="mask",
            message=f"the stored mask was made for a picture of {made}, and the picture is {size}",
            remedy="Forget the stored mask and make it again, or choose another source for it",
        )


def resized(guide: Guide, made: Size, size: Size) -> Guide:
    """A guide made for a picture of size `made`, for one of `size` and of the same shape."""
    x, y = size.width / made.width, size.height / made.height
    keys = (replace(key, strokes=tuple(_scaled(stroke, x, y) for stroke in key.strokes)) for key in guide.keys)
    return replace(guide, keys=tuple(keys), grow=guide.grow * x, feather=guide.feather * x)


def over(drawn: Guide, below: Guide) -> Guide:
    """A guide that is not held, with the keys of `drawn` in the place of those that `below` has on these frames."""
    keys = {key.frame: key for key in (*below.keys, *drawn.keys)}
    return replace(below, keys=tuple(keys[frame] for frame in sorted(keys)))


def moved(guide: Guide, shift: int, length: int) -> Guide:
    """A held guide with every key `shift` frames later, as it rules on the frames 0 to `length` - 1."""
    keys = [replace(key, frame=key.frame + shift) for key in guide.keys]
    before = [key for key in keys if key.frame <= 0]
    within = [key for key in keys if 0 < key.frame < length]
    if before:
        within.insert(0, replace(before[-1], frame=0))
    elif keys and not within:  # the first key also holds backwards
        within = [replace(keys[0], frame=0)]
    return replace(guide, keys=tuple(within))


def _scaled(stroke: Stroke, x: float, y: float) -> Stroke:
    knots = tuple(
        Knot(x=knot.x * x, y=knot.y * y, left=_pair(knot.left, x, y), right=_pair(knot.right, x, y))
        for knot in stroke.knots
    )
    return replace(stroke, knots=knots, width=stroke.width * x)


def _pair(at: tuple[float, float] | None, x: float, y: float) -> tuple[float, float] | None:
    return None if at is None else (at[0] * x, at[1] * y)
