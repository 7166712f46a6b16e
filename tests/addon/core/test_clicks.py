"""Points on a strip: their places, the clicks they become, the one mask of all objects, the signs that show them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overpaint.clip import Size
from overpaint.edit import Blend, Guide, GuideKey, Input, Knot, Stroke
from overpaint.errors import Invalid
from overpaint.order import Click, MadeGuide, ObjectGuide
from overpaint_addon.core.clicks import Point, from_view, signs, to_clicks, to_view, united

HD = Size(width=1920, height=1080)


@pytest.mark.parametrize(
    ("x", "y", "stretch", "place"),
    [
        (0, 0, 1.0, (0.5, 0.5)),
        (-960, 540, 1.0, (0.0, 0.0)),
        (480, -270, 1.0, (0.75, 0.75)),
        (960, 270, 2.0, (0.75, 0.25)),  # wide pixels: the preview is 3840 wide
        (960, 0, 1.0, None),  # the first pixel beside it
        (0, -540, 1.0, None),
        (-960.5, 0, 1.0, None),
        (0, 541, 1.0, None),
    ],
)
def test_a_place_in_the_preview_is_a_share_of_the_picture(x, y, stretch, place):
    assert from_view(x, y, HD, stretch) == place


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.sampled_from([0.5, 1.0, 1.4]))
def test_a_point_is_shown_where_it_was_clicked(x, y, stretch):
    point = Point(object=1, frame=0, x=x, y=y)
    assert from_view(*to_view(point, HD, stretch), HD, stretch) == pytest.approx((x, y), abs=1e-9)


def test_points_become_clicks_in_clip_pixels_in_the_order_they_were_made():
    points = (Point(object=2, frame=9, x=0.5, y=0.25), Point(object=1, frame=7, x=0.0, y=0.75, positive=False))
    assert to_clicks(points, 6, 4, Size(width=960, height=540)) == (
        Click(object=2, frame=3, x=480, y=135),
        Click(object=1, frame=1, x=0, y=405, positive=False),
    )


def test_no_points_and_points_elsewhere_are_refused():
    with pytest.raises(Invalid, match="no points"):
        to_clicks((), 0, 5, HD)
    points = [Point(object=1, frame=frame, x=0.5, y=0.5) for frame in (2, 3, 7, 8)]
    with pytest.raises(Invalid, match="2 of 4 points"):
        to_clicks(points, 3, 5, HD)
    assert len(to_clicks(points[1:3], 3, 5, HD)) == 2


def square(side: float, layer: int = 0, blend: Blend = Blend.ADD) -> Stroke:
    corners = ((0, 0), (side, 0), (side, side), (0, side))
    return Stroke(knots=tuple(Knot(x=x, y=y) for x, y in corners), closed=True, layer=layer, blend=blend)


def made(*objects: tuple[Stroke, ...]) -> MadeGuide:
    guides = (
        ObjectGuide(
            object=number, guide=Guide(kind=Input.MASK, keys=(GuideKey(frame=0), GuideKey(frame=1, strokes=it)))
        )
        for number, it in enumerate(objects)
    )
    return MadeGuide(guides=tuple(guides), method="classical")


def test_an_object_in_the_hole_of_another_is_not_cut_by_it():
    ring = (square(9), square(7, 1, Blend.SUBTRACT))
    for objects in ([ring, (square(3),)], [(square(3),), ring]):
        mask = united(made(*objects))
        assert mask.hold and mask.kind is Input.MASK and mask.keys[0].strokes == ()
        assert mask.keys[1].frame == 1 and mask.keys[1].strokes == (*ring, square(3, 2))


def test_an_object_that_is_not_there_adds_nothing():
    assert united(made((), (square(3),))).keys[1].strokes == (square(3),)


def test_a_plus_has_two_bars_and_a_minus_one_and_only_this_frames_points_are_here():
    def place(point: Point) -> tuple[float, float]:
        return 100 * point.x, 100 * point.y

    points = [
        Point(object=1, frame=4, x=0.5, y=0.5),
        Point(object=1, frame=4, x=0.1, y=0.1, positive=False),
        Point(object=1, frame=5, x=0.9, y=0.9, positive=False),
    ]
    found = signs(points, 4, place, 8)
    assert {key: len(corners) for key, corners in found.items()} == {
        (True, True): 12,
        (False, True): 6,
        (False, False): 6,
    }
    plus, minus = found[True, True], found[False, True]
    assert (min(plus)[0], max(plus)[0], min(y for _, y in plus), max(y for _, y in plus)) == (42, 58, 42, 58)
    assert (min(minus)[0], max(minus)[0], min(y for _, y in minus), max(y for _, y in minus)) == (2, 18, 8, 12)
    (wide,) = signs(points[1:2], 4, place, 8, margin=1).values()
    assert (min(wide), max(wide)) == ((1, 7), (19, 13))
