"""Metrics on pictures whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from overpaint_backend.measure import metrics
from overpaint_backend.train.figures import COLOURS

T, H, W = 4, 32, 40


def flat(level: float) -> np.ndarray:
    return np.full((T, H, W, 3), level, np.uint8)


def box() -> np.ndarray:
    mask = np.zeros((T, H, W), bool)
    mask[:, 8:24, 8:28] = True
    return mask


def texture(height: int = H, width: int = W) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.5)


def sliding(step: int) -> np.ndarray:
    """A texture that moves to the left by `step` pixels a frame."""
    wide = texture(width=W + step * T)
    return np.stack([wide[:, t * step : t * step + W] for t in range(T)])


NOWHERE = np.zeros((T, H, W), bool)


def test_psnr_counts_the_mask_only() -> None:
    take = flat(100)
    take[box()] = 110
    assert metrics.psnr(take, flat(100), box()) == pytest.approx(20 * np.log10(255 / 10))
    assert metrics.psnr(take, flat(100), ~box()) == pytest.approx(10 * np.log10(255**2 / metrics.LEAST))
    assert metrics.psnr(take, flat(100), NOWHERE) is None


def test_ssim_is_the_published_formula() -> None:
    c1 = (0.01 * 255) ** 2
    expected = (2 * 50 * 60 + c1) / (50**2 + 60**2 + c1)  # no variance: only the means are compared
    assert metrics.ssim(flat(50), flat(60), box()) == pytest.approx(expected)
    video = sliding(1)
    assert metrics.ssim(video, video, box()) == pytest.approx(1)
    x, y = video[0].astype(np.float64) @ [0.299, 0.587, 0.114], video[2].astype(np.float64) @ [0.299, 0.587, 0.114]
    offset = np.arange(-5, 6)
    line = np.exp(-(offset**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    px, py = x[10:21, 12:23], y[10:21, 12:23]  # around the pixel (15, 17)
    mx, my = (window * px).sum(), (window * py).sum()
    xx, yy, xy = ((window * a * b).sum() - c for a, b, c in ((px, px, mx * mx), (py, py, my * my), (px, py, mx * my)))
    c2 = (0.03 * 255) ** 2
    by_hand = (2 * mx * my + c1) * (2 * xy + c2) / ((mx**2 + my**2 + c1) * (xx + yy + c2))
    one = np.zeros((1, H, W), bool)
    one[0, 15, 17] = True
    assert metrics.ssim(video[:1], video[2:3], one) == pytest.approx(by_hand)


def test_what_moves_with_the_flow_has_no_warp_error() -> None:
    moving, still = sliding(2), np.repeat(texture()[None], T, axis=0)
    left = [np.full((H, W, 2), (-2, 0), np.float32)] * (T - 1)
    assert metrics.warp_error(moving, box(), left) == pytest.approx(0, abs=1e-5)
    assert (metrics.warp_error(still, box(), left) or 0) > 5
    assert metrics.warp_error(still, NOWHERE, left) is None
    away = [np.full((H, W, 2), (-99, 0), np.float32)] * (T - 1)
    assert metrics.warp_error(moving, box(), away) is None  # nothing stays in the mask


def test_the_usual_flow_finds_a_shift() -> None:
    wide = texture(96, 100)
    field = metrics.dis_flow(wide[:, :96], wide[:, 3:99])
    assert np.median(field[..., 0]) == pytest.approx(-3, abs=0.3) and np.median(field[..., 1]) == pytest.approx(
        0, abs=0.3
    )


def test_flicker_is_change_that_the_truth_does_not_have() -> None:
    take = flat(100)
    take[::2] = 106
    assert metrics.flicker(take, flat(100), box()) == pytest.approx(6)
    assert metrics.flicker(take, take, box()) == 0
    assert metrics.flicker(flat(100), take, box()) == 0
    assert metrics.flicker(take, flat(100), NOWHERE) is None


def test_what_lies_outside_the_mask() -> None:
    take, source = flat(100), flat(100)
    take[box()] = 0
    assert metrics.background_difference(take, source, box()) == 0
    take[2, 0, 0, 1] = 93
    assert metrics.background_difference(take, source, box()) == 7
    assert metrics.mask_leak(flat(102).astype(np.float32) / 255, source, box()) == pytest.approx(2, abs=1e-4)
    assert metrics.mask_leak(np.where(box()[..., None], 0, 100 / 255), source, box()) == pytest.approx(0, abs=1e-4)


def test_a_seam_is_a_jump_that_the_truth_does_not_have() -> None:
    truth, take = flat(100), flat(100)
    take[box()] = 130
    assert metrics.seam(take, truth, box()) == pytest.approx(30)
    assert metrics.seam(take, take, box()) == 0
    assert metrics.seam(truth, take, box()) == pytest.approx(30)


@pytest.mark.parametrize(("column", "expected"), [(15, 0), (16, 1), (17, 1), (18, 1), (19, 0)])
def test_lines_count_within_a_pixel(column: int, expected: float) -> None:
    take, lines = flat(60), np.zeros((T, H, W), np.uint8)
    take[:, :, 18:] = 200  # the edge is found at column 17
    lines[:, :, column] = 255
    assert metrics.line_f1(take, lines, box()) == pytest.approx(expected)


def test_the_outline_is_no_interior_line() -> None:
    take, lines = flat(60), np.zeros((T, H, W), np.uint8)
    take[box()] = 200
    assert metrics.line_f1(take, lines, box()) is None
    lines[:, :, 18] = 255
    assert metrics.line_f1(take, lines, box()) == 0


def test_a_pattern_agrees_also_with_its_colours_swapped() -> None:
    red, blue, green = (np.array(COLOURS[name], np.uint8) for name in ("red", "blue", "green"))
    cells = (np.arange(W) // 3 % 2 == 1)[None, None, :, None]
    truth = np.where(cells, blue, red) + np.zeros((T, H, 1, 1), np.uint8)

    def agreement(take: np.ndarray) -> float | None:
        return metrics.pattern_agreement(take + np.zeros_like(truth), truth, box(), "red", "blue")

    assert agreement(truth) == 1
    assert agreement(np.where(cells, red, blue)) == 1
    assert agreement(red) == 0.5
    assert agreement(np.where(cells, blue, green)) == 0.5
    assert agreement(green) == 0
    assert metrics.pattern_agreement(truth, truth, box(), "red", "green") is None


def test_consistency_is_a_cosine_whatever_the_length() -> None:
    vectors = np.array([[1, 0], [0, 2], [0, 5]], np.float32)
    assert metrics.frame_consistency(vectors) == pytest.approx(0.5)
    assert metrics.text_consistency(vectors, np.array([0, 3], np.float32)) == pytest.approx(2 / 3)
    assert metrics.frame_consistency(vectors[:1]) is None


def test_intervals() -> None:
    low, high = metrics.share_interval([1] * 9 + [0])
    assert (low, high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert metrics.share_interval([1] * 100)[1] == pytest.approx(1) and metrics.share_interval([1] * 100)[0] < 0.97
    values = np.random.default_rng(1).normal(5, 2, 200).tolist()
    low, high = metrics.mean_interval(values)
    assert low < np.mean(values) < high and high - low == pytest.approx(2 * 1.96 * 2 / 200**0.5, rel=0.15)
    assert metrics.mean_interval(values) == (low, high)
    assert metrics.mean_interval([3.0, 3.0]) == (3, 3)
