"""The times of rectified flow and the table of noise levels."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overpaint.errors import Invalid

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import torch  # noqa: E402
from overpaint_backend.diffusion.noise import normal  # noqa: E402
from overpaint_backend.diffusion.schedule import END, bend, lms_sigmas, times  # noqa: E402

SIDES = st.integers(8, 256).map(lambda eighths: 8 * eighths)


@given(steps=st.integers(1, 100), height=SIDES, width=SIDES, frames=st.integers(1, 300), parity=st.booleans())
def test_times_fall_from_noise_to_just_above_the_picture(
    steps: int, height: int, width: int, frames: int, parity: bool
) -> None:
    found = times(steps, bend(height, width, frames, parity=parity))
    assert len(found) == steps and found[0] == pytest.approx(END)
    lengths = [before - after for before, after in pairwise((*found, 0.0))]
    assert min(lengths) > 0
    assert sum(lengths) == pytest.approx(END)


def test_the_larger_the_clip_the_longer_it_stays_noisy() -> None:
    assert bend(512, 512, 51) == pytest.approx(math.sqrt(15))
    assert bend(512, 512, 51, parity=True) == 3.875
    assert bend(512, 512, 1) == bend(512, 512, 16) == 1.0
    assert bend(256, 1024, 1) == 1.0 and bend(1024, 1024, 1) == 2.0
    assert times(4, 1.0) == (1000, 750, 500, 250)
    assert all(a <= b for a, b in zip(times(30, bend(512, 512, 17)), times(30, bend(512, 512, 51)), strict=True))


def test_no_steps_are_refused() -> None:
    with pytest.raises(Invalid, match="steps"):
        times(0, 1.0)


@pytest.mark.filterwarnings("default")  # about what diffusers imports
def test_noise_levels_are_those_of_diffusers() -> None:
    """Its LMSDiscreteScheduler has the same ones, but wants scipy."""
    schedulers = pytest.importorskip("diffusers.schedulers")
    theirs = schedulers.EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").sigmas
    assert lms_sigmas().shape == theirs.shape == (1001,)
    assert (lms_sigmas() - theirs).abs().max() < 1e-5


def test_noise_is_told_by_its_seed() -> None:
    noise = normal((2, 3, 500), 7)
    assert torch.equal(noise, normal((2, 3, 500), 7)) and not torch.equal(noise, normal((2, 3, 500), 8))
    assert abs(noise.mean()) < 0.1 and abs(noise.std() - 1) < 0.1
    before = torch.get_rng_state()
    normal((4,), 2**63 - 1)
    assert torch.equal(before, torch.get_rng_state())
    for seed in (-1, 2**63):
        with pytest.raises(Invalid, match="seed"):
            normal((1,), seed)
