"""The rasteriser against geometry that is known exactly."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from overpaint.clip import Size
from overpaint.edit import Blend, Guide, GuideKey, Input, Knot, Stroke
from overpaint_backend.guides.raster import feather, grow, rasterise

SIZE = Size(width=96, height=64)
ROUND = 0.5522847498  # handle length of the cubic that comes nearest to a quarter circle


def circle(x: float, y: float, r: float, **more) -> Stroke:
    k = ROUND * r
    knots = (
        Knot(x=x + r, y=y, left=(x + r, y - k), right=(x + r, y + k)),
        Knot(x=x, y=y + r, left=(x + k, y + r), right=(x - k, y + r)),
        Knot(x=x - r, y=y, left=(x - r, y + k), right=(x - r, y - k)),
        Knot(x=x, y=y - r, left=(x - k, y - r), right=(x + k, y - r)),
    )
    return Stroke(knots=knots, closed=True, **more)


def box(x0: float, y0: float, x1: float, y1: float, **more) -> Stroke:
    corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    return Stroke(knots=tuple(Knot(x=x, y=y) for x, y in corners), closed=True, **more)


def line(*points: tuple[float, float], width: float = 1.0) -> Stroke:
    return Stroke(knots=tuple(Knot(x=x, y=y) for x, y in points), width=width)


def draw(*strokes: Stroke, size: Size = SIZE, kind: Input = Input.MASK) -> np.ndarray:
    pixels = rasterise(Guide(kind=kind, keys=(GuideKey(frame=0, strokes=strokes),)), 0, size)
    assert pixels is not None
    assert pixels.dtype == np.uint8
    assert pixels.shape == (size.height, size.width)
    return pixels


def area(pixels: np.ndarray) -> float:
    return float(pixels.sum()) / 255


@settings(max_examples=40, deadline=None)
@given(st.floats(30, 60), st.floats(28, 36), st.floats(4, 25))
def test_area_of_a_circle_wherever_it_lies(x, y, r):
    assert area(draw(circle(x, y, r))) == pytest.approx(np.pi * r * r, rel=0.005)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(-40, 140), st.floats(-40, 100)), min_size=3, max_size=3))
def test_triangles_match_a_finely_sampled_truth_also_where_they_leave_the_picture(points):
    stroke = Stroke(knots=tuple(Knot(x=x, y=y) for x, y in points), closed=True)
    fine = 8
    y, x = (np.mgrid[0 : 64 * fine, 0 : 96 * fine] + 0.5) / fine
    sides = [
        (x - ax) * (by - ay) - (y - ay) * (bx - ax)
        for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True)
    ]
    inside = np.all([side > 0 for side in sides], axis=0) | np.all([side < 0 for side in sides], axis=0)
    truth = inside.reshape(64, fine, 96, fine).mean((1, 3))
    assert np.abs(draw(stroke) / 255 - truth).max() < 0.15
    assert np.abs(draw(stroke) / 255 - truth).mean() < 0.003


def test_coverage_is_exact_at_fractions_of_a_pixel():
    pixels = draw(box(10.25, 20.5, 20, 30))
    assert pixels[25, 10] == round(0.75 * 255)
    assert pixels[20, 15] == round(0.5 * 255)
    assert pixels[20, 10] == round(0.75 * 0.5 * 255)
    assert (pixels[21:30, 11:20] == 255).all()
    assert area(pixels) == pytest.approx(9.75 * 9.5, abs=0.05)


def test_symmetry_and_winding():
    pixels = draw(circle(48, 32, 20))
    assert np.abs(pixels.astype(int) - pixels[::-1]).max() <= 1
    assert np.abs(pixels.astype(int) - pixels[:, ::-1]).max() <= 1
    other_way = Stroke(
        knots=tuple(Knot(x=k.x, y=k.y, left=k.right, right=k.left) for k in circle(48, 32, 20).knots[::-1]), closed=True
    )
    assert np.abs(draw(other_way).astype(int) - pixels).max() <= 1


def test_a_whole_picture_and_more_is_covered():
    assert (draw(box(-500, -500, 900, 900)) == 255).all()
    assert (draw(box(-500, 10, -2, 20)) == 0).all()
    assert (draw(box(96, 0, 200, 64)) == 0).all()
    half = draw(box(-500, -500, 48, 900))
    assert (half[:, :48] == 255).all()
    assert (half[:, 48:] == 0).all()


@settings(max_examples=30, deadline=None)
@given(st.floats(0, np.pi), st.floats(0.4, 9), st.floats(-2, 2))
def test_a_line_has_its_width(angle, width, shift):
    away = np.array([np.cos(angle), np.sin(angle)]) * 20
    middle = np.array([48 + shift, 32 - shift])
    pixels = draw(line(tuple(middle - away), tuple(middle + away), width=width), kind=Input.SKETCH)
    ends = np.pi * width * width / 4
    assert area(pixels) == pytest.approx(40 * width + ends, rel=0.03, abs=0.6)
    assert pixels.max() >= min(width, 1) * 255 * 0.45


def test_a_line_of_one_pixel_through_pixel_centres_fills_just_those():
    pixels = draw(line((10, 20.5), (50, 20.5)), kind=Input.SKETCH)
    assert (pixels[20, 11:49] == 255).all()
    assert (pixels[19, :] == 0).all()
    assert (pixels[21, :] == 0).all()


def test_long_strokes_with_many_points_equal_their_parts():
    x = np.linspace(-30, 130, 700)
    points = list(zip(x, 32 + 20 * np.sin(x / 9), strict=True))
    whole = draw(line(*points, width=3), kind=Input.SKETCH)
    parts = draw(line(*points[:350], width=3), line(*points[349:], width=3), kind=Input.SKETCH)
    assert np.array_equal(whole, parts)


def test_strokes_that_run_very_far_cost_no_more():
    far = draw(line((-1e9, 20.5), (1e9, 20.5), width=3), kind=Input.SKETCH)
    assert np.array_equal(far, draw(line((-200, 20.5), (300, 20.5), width=3), kind=Input.SKETCH))
    assert area(draw(box(-1e9, -1e9, 1e9, 10))) == 960


def test_dots_nothing_and_strokes_that_are_too_short():
    assert area(draw(line((30, 30), width=8), kind=Input.SKETCH)) == pytest.approx(np.pi * 16, rel=0.05)
    assert not draw().any()
    assert not draw(Stroke(knots=(), closed=True)).any()
    assert not draw(box(5, 5, 5, 5)).any()
    assert not draw(line((500, 500), (900, 700)), kind=Input.SKETCH).any()


def test_bezier_lines_follow_their_handles():
    bow = Stroke(knots=(Knot(x=10, y=50, right=(10, 10)), Knot(x=80, y=50, left=(80, 10))), width=2)
    pixels = draw(bow, kind=Input.SKETCH)
    assert pixels[20, 45] > 100  # a cubic's middle lies three quarters of the way to its handles
    assert pixels[50, 45] == 0


LEFT, RIGHT = (10, 10, 40, 40), (30, 10, 60, 40)


@pytest.mark.parametrize(
    ("blend", "opacity", "only_left", "both", "only_right"),
    [
        (Blend.ADD, 0.5, 255, 255, 128),
        (Blend.SUBTRACT, 0.5, 255, 128, 0),
        (Blend.LIGHTEN, 0.5, 255, 255, 128),
        (Blend.DARKEN, 0.5, 0, 128, 0),
        (Blend.MULTIPLY, 0.5, 0, 128, 0),
        (Blend.REPLACE, 0.5, 128, 255, 128),
        (Blend.DIFFERENCE, 0.5, 255, 128, 128),
    ],
)
def test_layers_blend_as_masks_do(blend, opacity, only_left, both, only_right):
    pixels = draw(box(*LEFT), box(*RIGHT, layer=1, blend=blend, opacity=opacity))
    assert pixels[25, 20] == pytest.approx(only_left, abs=1)
    assert pixels[25, 35] == pytest.approx(both, abs=1)
    assert pixels[25, 50] == pytest.approx(only_right, abs=1)


def test_areas_of_one_layer_unite_and_invert_turns_the_layer_around():
    assert (draw(box(*LEFT, opacity=0.5), box(*RIGHT, opacity=0.5))[25, 35]) == 128
    hole = draw(box(*LEFT, layer=1, blend=Blend.MULTIPLY, invert=True), box(0, 0, 96, 64))
    assert hole[25, 20] == 0
    assert hole[50, 80] == 255


def test_held_guides_reach_on_and_sparse_ones_do_not():
    keys = (GuideKey(frame=2, strokes=(box(*LEFT),)), GuideKey(frame=5, pixels="digest"))
    held, sparse = Guide(kind=Input.MASK, keys=keys, hold=True), Guide(kind=Input.MASK, keys=keys)
    for frame, there in ((0, True), (2, True), (4, True), (5, False), (9, False)):
        assert (rasterise(held, frame, SIZE) is not None) is there
    assert rasterise(sparse, 3, SIZE) is None


@settings(max_examples=30, deadline=None)
@given(st.floats(8, 20), st.floats(-5, 8))
def test_growing_a_circle_gives_the_larger_circle(r, pixels):
    grown = grow(draw(circle(48.3, 31.8, r)), pixels)
    assert np.sqrt(area(grown) / np.pi) == pytest.approx(r + pixels, abs=0.2)


def test_growing_by_nothing_changes_nothing_and_back_again_returns():
    mask = draw(circle(48, 32, 17.3))
    assert np.array_equal(grow(mask, 0), mask)
    assert np.abs(grow(mask, 1e-6).astype(int) - mask).max() <= 1
    assert np.abs(area(grow(grow(mask, 5), -5)) - area(mask)) < 0.01 * area(mask)
    assert not grow(np.zeros_like(mask), 5).any()
    assert (grow(np.full_like(mask, 255), -5) == 255).all()
    assert not grow(mask, -40).any()


def test_what_lies_far_away_changes_nothing():
    near = draw(box(30, 20, 60, 40))
    padded = np.pad(near, 50)
    assert np.array_equal(grow(padded, 7.5)[50:-50, 50:-50], grow(near, 7.5))
    assert np.array_equal(feather(padded, 9)[50:-50, 50:-50], feather(near, 9))


def test_feather_keeps_the_inside_falls_smoothly_and_ends_where_it_says():
    mask = draw(box(30, 20, 60, 40))
    soft = feather(mask, 6)
    assert (soft[mask == 255] == 255).all()
    assert np.array_equal(feather(mask, 0), mask)
    row = soft[30, 60:70].astype(int)
    assert (np.diff(row) <= 0).all()
    assert row[0] > 240
    assert soft[30, 62] + soft[30, 63] == pytest.approx(255, abs=2)  # half way out, half is left
    away = cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) - 0.5
    assert (soft[away > 6] == 0).all()
    assert (soft[away < 5] > 0).all()
