from __future__ import annotations

import cv2
import numpy as np
import pytest
from overpaint.clip import Size
from overpaint.edit import Blend, Guide, GuideKey, Input, Stroke
from overpaint_backend.guides.raster import rasterise
from overpaint_backend.guides.sketch import MOST, line_strokes, mask_strokes, thin, trace
from overpaint_backend.train.instances import Instances


def drawn(strokes: tuple[Stroke, ...], shape: tuple[int, ...], kind: Input = Input.MASK) -> np.ndarray:
    found = rasterise(
        Guide(kind=kind, keys=(GuideKey(frame=0, strokes=strokes),)), 0, Size(width=shape[1], height=shape[0])
    )
    assert found is not None
    return found > 127


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


@pytest.mark.parametrize("size", [64, 128])
def test_a_mask_comes_back_from_its_strokes(size: int) -> None:
    clips, found = Instances(size=size, frames=1, seed=3), []
    for index in range(20):
        mask = clips.clip(index).mask[0] > 0
        found.append(overlap(drawn(mask_strokes(mask), mask.shape), mask))
    assert min(found) > 0.97 and np.mean(found) > 0.99


def test_holes_and_what_is_in_them_come_back() -> None:
    mask = np.zeros((60, 70), np.uint8)
    for radius, value in ((28, 1), (20, 0), (12, 1), (5, 0)):
        cv2.circle(mask, (34, 30), radius, value, -1)
    strokes = mask_strokes(mask > 0)
    assert [stroke.blend for stroke in strokes] == [Blend.ADD, Blend.SUBTRACT, Blend.ADD, Blend.SUBTRACT]
    assert overlap(drawn(strokes, mask.shape), mask > 0) > 0.97


def test_masks_of_any_shape_come_back() -> None:
    rng = np.random.default_rng(1)
    for blur in (2, 4, 8):
        mask = cv2.GaussianBlur(rng.random((80, 90)), (0, 0), blur) > 0.5
        assert overlap(drawn(mask_strokes(mask), mask.shape), mask) > 0.97
    everything = np.ones((20, 30), bool)
    assert drawn(mask_strokes(everything), everything.shape).all()


def test_nothing_has_no_strokes_and_a_speck_alone_has_one() -> None:
    mask = np.zeros((20, 20), bool)
    assert mask_strokes(mask) == ()
    mask[7, 8] = True
    assert (drawn(mask_strokes(mask), mask.shape) == mask).all()


def test_lines_are_thinned_and_traced_whole() -> None:
    picture = np.zeros((80, 100), np.uint8)
    cv2.line(picture, (10, 10), (90, 60), 1, 3)
    cv2.circle(picture, (25, 60), 14, 1, 3)
    skeleton = thin(picture > 0)
    assert 0 < skeleton.sum() < (picture > 0).sum() / 2 and not (skeleton & (picture == 0)).any()
    runs = list(trace(skeleton))
    pixels = {(int(x), int(y)) for run in runs for x, y in run}
    assert len(runs) <= 6 and len(pixels) > 0.95 * skeleton.sum()
    assert any((run[0] == run[-1]).all() for run in runs)  # the circle


def test_forks_next_to_each_other_are_traced_and_end() -> None:
    every = np.ones((12, 12), bool)
    assert all(len(run) > 1 for run in trace(every))
    cross = np.zeros((15, 15), bool)
    cross[7], cross[:, 7] = True, True
    assert sorted(len(run) for run in trace(cross)) == [8, 8, 8, 8]


def test_the_lines_of_a_frame_are_where_the_picture_changes() -> None:
    frame = np.full((120, 160, 3), 60, np.uint8)
    cv2.circle(frame, (80, 60), 35, (240, 200, 90), -1, cv2.LINE_AA)
    strokes = line_strokes(frame)
    assert strokes and len(strokes) <= MOST and all(not one.closed and one.width >= 1 for one in strokes)
    knots = np.array([(knot.x, knot.y) for stroke in strokes for knot in stroke.knots])
    away = np.abs(np.hypot(knots[:, 0] - 80.5, knots[:, 1] - 60.5) - 35)
    assert away.max() < 2.5 and drawn(strokes, frame.shape, Input.SKETCH).sum() > 150
    left = np.zeros((120, 160), bool)
    left[:, :80] = True
    inside = line_strokes(frame, left)
    assert inside and max(knot.x for stroke in inside for knot in stroke.knots) < 84
    assert line_strokes(frame, np.zeros_like(left)) == ()


def test_another_extractor_can_draw_the_lines() -> None:
    def row(frame: np.ndarray) -> np.ndarray:
        found = np.zeros(frame.shape[:2], np.uint8)
        found[10] = 255
        return found

    (stroke,) = line_strokes(np.zeros((20, 60, 3), np.uint8), lines=row)
    assert {knot.y for knot in stroke.knots} == {10.5}
