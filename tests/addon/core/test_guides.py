"""What a layer is for, what a stroke encloses, how a path is spread over frames, which frames are painted."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from overpaint.clip import FrameRange, Size
from overpaint.edit import Guide, GuideKey, Input, Knot, Stroke
from overpaint.errors import Invalid
from overpaint_addon.core.areas import bounds, box_mask, check_shape, is_closed, moved, over, resized
from overpaint_addon.core.marks import diamonds, neighbour
from overpaint_addon.core.roles import Layer, MaskSource, Role, Rule, mask_source, role_of
from overpaint_addon.core.span import painted, words
from overpaint_addon.core.tracks import track


def stroke(*points: tuple[float, float]) -> Stroke:
    return Stroke(knots=tuple(Knot(x=x, y=y) for x, y in points))


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Mask", Role.MASK),
        ("masks of the coat", Role.MASK),
        (" MASK 2", Role.MASK),
        ("Track.001", Role.TRACK),
        ("motion of the arm", Role.TRACK),
        ("Note", Role.SKETCH),
        ("unmasked", Role.SKETCH),
        ("", Role.SKETCH),
    ],
)
def test_without_a_rule_the_name_says_what_a_layer_is_for(name, role):
    assert role_of(Layer(name=name), ()) is role


def test_a_rule_for_the_name_goes_before_one_for_the_colour_and_both_before_the_name_itself():
    red = (0.8, 0.1, 0.1)
    coloured = Rule(role=Role.TRACK, colour=red)
    named = Rule(role=Role.UNUSED, layer="mask")
    assert role_of(Layer(name="mask", colour=red), (coloured,)) is Role.TRACK
    assert role_of(Layer(name="mask", colour=red), (coloured, named)) is Role.UNUSED
    assert role_of(Layer(name="mask 2", colour=(0.8, 0.1, 0.2)), (coloured, named)) is Role.MASK


def test_a_colour_fits_where_it_is_the_same_in_8_bits():
    rule = Rule(role=Role.MASK, colour=(0.8, 0.1, 0.1))
    assert rule.fits(Layer(name="a", colour=(0.8000001, 0.0999999, 0.1)))
    assert not rule.fits(Layer(name="a", colour=(0.8 + 1 / 255, 0.1, 0.1)))


@pytest.mark.parametrize(
    ("wanted", "there", "source"),
    [
        ("automatic", ["stored", "layers", "datablock"], "datablock"),
        ("automatic", ["stored", "closed", "layers"], "layers"),
        ("automatic", ["stored", "box"], "stored"),
        ("automatic", ["closed", "box"], "none"),  # these two are only taken when they are asked for
        ("box", ["datablock", "box"], "box"),
        ("box", ["datablock"], "none"),
    ],
)
def test_where_the_mask_comes_from(wanted, there, source):
    assert mask_source(MaskSource(wanted), [MaskSource(one) for one in there]) is MaskSource(source)


def circle(turn: float, radius: float = 10.0) -> Stroke:
    """A stroke around that part of a circle."""
    angles = [2 * math.pi * turn * number / 40 for number in range(41)]
    return stroke(*((radius * math.cos(angle), radius * math.sin(angle)) for angle in angles))


def test_a_stroke_whose_ends_nearly_meet_is_closed():
    assert is_closed(circle(1.0))
    assert is_closed(circle(0.95, radius=200))
    assert is_closed(circle(1.05))
    assert not is_closed(circle(0.8))
    assert not is_closed(stroke((0, 0), (10, 0), (10, 10), (0, 10)))
    assert not is_closed(stroke((0, 0), (10, 0)))
    hatching = [(x, 40 * (x % 2)) for x in range(20)]  # a long way, and its ends are apart
    assert not is_closed(stroke(*hatching))
    assert not is_closed(stroke((5, 5), (5, 5), (5, 5)))


def test_a_box_is_an_area_on_every_frame():
    guide = box_mask((3, 4, 10, 20))
    corners = [(knot.x, knot.y) for knot in guide.keys[0].strokes[0].knots]
    assert corners == [(3, 4), (13, 4), (13, 24), (3, 24)]
    assert guide.keys[0].strokes[0].closed and guide.key_at(99) == guide.keys[0]


def test_bounds():
    assert bounds([stroke((3, 9), (5, 1)), stroke((4, 12))]) == (3, 1, 2, 11)
    assert bounds([]) is None


def held(*frames: int) -> Guide:
    keys = (GuideKey(frame=frame, strokes=(stroke((frame, 1)),)) for frame in frames)
    return Guide(kind=Input.MASK, keys=tuple(keys), hold=True)


@pytest.mark.parametrize("shift", [-9, -6, -3, 0, 4, 20])
def test_a_moved_mask_rules_where_it_ruled(shift):
    guide, length = held(2, 5, 8), 10
    now = moved(guide, shift, length)
    assert all(0 <= key.frame < length for key in now.keys)
    for frame in range(length):
        here, there = now.key_at(frame), guide.key_at(frame - shift)
        assert here is not None and there is not None and here.strokes == there.strokes


def test_a_mask_made_at_another_size_is_scaled_where_the_shape_is_the_same():
    knot = Knot(x=10, y=20, left=(8, 20), right=(12, 20))
    made = replace(
        held(0), keys=(GuideKey(frame=0, strokes=(Stroke(knots=(knot,), width=4, closed=True),)),), grow=2, feather=6
    )
    half = resized(made, Size(width=201, height=100), Size(width=100, height=50))
    (one,) = half.keys[0].strokes
    assert one.knots[0].y == 10 and one.knots[0].x == pytest.approx(10 * 100 / 201)
    assert one.knots[0].left == pytest.approx((8 * 100 / 201, 10))
    assert half.feather == pytest.approx(6 * 100 / 201)
    check_shape(Size(width=201, height=100), Size(width=100, height=50))
    with pytest.raises(Invalid, match="200x100"):
        check_shape(Size(width=200, height=100), Size(width=100, height=100))


def test_a_track_passes_its_strokes_points_evenly_in_time():
    path = track(stroke((0, 0), (10, 0), (10, 40)), 2, 6, 100)
    assert [(point.frame, point.x, point.y) for point in path.points] == [
        (2, 0, 0),
        (3, 5, 0),
        (4, 10, 0),
        (5, 10, 20),
        (6, 10, 40),
    ]


def test_a_track_is_cut_at_the_clips_ends_and_not_hurried():
    whole = track(stroke((0, 0), (8, 0)), 0, 8, 100).points
    cut = track(stroke((0, 0), (8, 0)), -3, 5, 4).points
    assert [(point.frame, point.x) for point in cut] == [(0, 3), (1, 4), (2, 5), (3, 6)]
    assert [point.x for point in cut] == [point.x for point in whole[3:7]]
    assert track(stroke((0, 0), (8, 0)), 9, 12, 4).points == ()
    (only,) = track(stroke((7, 1), (8, 0)), 3, 3, 4).points
    assert (only.frame, only.x, only.y) == (3, 7, 1)
    assert [point.x for point in track(stroke((7, 1)), 1, 3, 4).points] == [7, 7, 7]


def test_the_frames_to_paint_are_those_of_the_strip():
    shown = FrameRange(start=5, stop=41)
    assert painted(shown, 1, 250) == shown
    assert painted(shown, 10, 12) == FrameRange(start=10, stop=13)
    assert painted(shown, 40, 60) == FrameRange(start=40, stop=41)
    for first, last in ((41, 60), (1, 4), (12, 10)):
        with pytest.raises(Invalid, match="frames to paint"):
            painted(shown, first, last)


def test_the_panel_says_what_is_left_out():
    shown = FrameRange(start=5, stop=41)
    assert words(shown, shown) == "All 36 frames, 5-40"
    assert words(painted(shown, 10, 12), shown) == "3 of 36 frames, 10-12 of 5-40"


def test_a_diamond_is_two_triangles_around_its_middle():
    corners = diamonds([(10, 20), (30, 20)], 4)
    assert len(corners) == 12
    assert {corner for corner in corners[:6]} == {(6, 20), (10, 16), (14, 20), (10, 24)}
    assert {corner for corner in corners[6:]} == {(26, 20), (30, 16), (34, 20), (30, 24)}


def test_the_next_and_the_previous_key():
    assert neighbour([3, 7, 9], 7, forward=True) == 9
    assert neighbour([3, 7, 9], 7, forward=False) == 3
    assert neighbour([3, 7, 9], 9, forward=True) is None
    assert neighbour([], 9, forward=False) is None


def test_a_drawing_stands_for_the_lines_below_it_on_its_own_frame_only() -> None:
    below = Guide(kind=Input.SKETCH, keys=tuple(GuideKey(frame=frame, pixels=f"{frame}") for frame in (0, 1, 3)))
    drawn = (GuideKey(frame=1, strokes=(stroke((0, 0), (1, 1)),)), GuideKey(frame=2, strokes=(stroke((2, 2)),)))
    found = over(Guide(kind=Input.SKETCH, keys=drawn), below)
    assert found.keys == (below.keys[0], *drawn, below.keys[2]) and not found.hold
