"""Noising and loss; the official code's numbers are in test_parity."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import torch  # noqa: E402
from overpaint_backend.diffusion.noise import normal  # noqa: E402
from overpaint_backend.diffusion.schedule import END, bend, bent  # noqa: E402
from overpaint_backend.engines.vires.training import KNOWN, draw_frames, draw_times, loss, noised  # noqa: E402

SHAPE = (2, 4, 5, 3, 4)
CLEAN, NOISE = normal(SHAPE, 0), normal(SHAPE, 1)
MASK = (normal((2, 1, *SHAPE[2:]), 2) > 0).float()
FRAMES = torch.tensor([[False, True, True, True, True], [True] * 5])
T = torch.tensor([250.0, 1000.0])


def test_only_what_is_to_be_painted_is_noised() -> None:
    x = noised(CLEAN, NOISE, MASK, T, FRAMES)
    assert torch.equal(x[:, 4:], MASK)
    painted = (MASK.bool() & FRAMES[:, None, :, None, None]).expand(SHAPE)
    assert torch.equal(x[:, :4][~painted], CLEAN[~painted])
    assert torch.allclose(x[:1, :4][painted[:1]], (0.75 * CLEAN + 0.25 * NOISE)[:1][painted[:1]], atol=1e-6)
    assert torch.allclose(x[1:, :4][painted[1:]], NOISE[1:][painted[1:]], atol=1e-6)


def test_the_right_velocity_costs_nothing_and_only_painted_pixels_count() -> None:
    painted = MASK * FRAMES[:, None, :, None, None]
    velocity = torch.cat([(CLEAN - NOISE) * painted, NOISE], 1)  # anything outside, and in the variance's channels
    assert torch.equal(loss(velocity, CLEAN, NOISE, MASK, FRAMES), torch.zeros(2))
    velocity[:, :4] += 2 * painted
    area = painted.mean((1, 3, 4)).sum(1) / FRAMES.sum(1)
    assert torch.allclose(loss(velocity, CLEAN, NOISE, MASK, FRAMES), 4 * area)
    assert torch.allclose(loss(velocity, CLEAN, NOISE, MASK)[1], 4 * area[1])


def test_a_wrong_velocity_costs_in_reach_of_gradients() -> None:
    velocity = torch.zeros(2, 10, *SHAPE[2:], requires_grad=True)
    loss(velocity, CLEAN, NOISE, MASK, FRAMES).sum().backward()
    gradient = velocity.grad
    assert gradient is not None and bool((gradient[:, :4] != 0).any()) and not gradient[:, 4:].any()


def test_times_are_logit_normal_and_bent() -> None:
    ratio = bend(512, 512, 51)
    drawn = draw_times(20_000, ratio, torch.Generator().manual_seed(0))
    assert drawn.min() > 0 and drawn.max() < END
    assert drawn.median() == pytest.approx(bent(torch.tensor([0.5]), ratio).item(), rel=0.01)
    inside = (drawn < bent(torch.ones(1).sigmoid(), ratio)).float().mean()  # up to one standard deviation
    assert inside == pytest.approx(0.8413, abs=0.01)


def test_known_frames_come_as_often_as_they_should() -> None:
    drawn = draw_frames(20_000, 15, torch.Generator().manual_seed(0))
    assert sum(KNOWN.values()) == pytest.approx(1)
    assert drawn.all(1).float().mean() == pytest.approx(0.75, abs=0.01)
    first = ~drawn[:, 0] & drawn[:, 1:].all(1)
    assert first.float().mean() == pytest.approx(0.22, abs=0.01)
    assert drawn.any(1).all()


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_however_short_a_clip_is_something_is_painted(length: int) -> None:
    assert draw_frames(3000, length, torch.Generator().manual_seed(length)).any(1).all()
