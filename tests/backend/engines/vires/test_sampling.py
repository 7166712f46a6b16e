"""The sampler: what is known stays as it is, whatever the model says, and guidance, frames and solvers do as told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overpaint.errors import Cancelled, Invalid

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import torch  # noqa: E402
from overpaint_backend.diffusion.noise import normal  # noqa: E402
from overpaint_backend.diffusion.schedule import END, bend, times  # noqa: E402
from overpaint_backend.diffusion.solvers import Corrected, Euler  # noqa: E402
from overpaint_backend.engines.vires.sampling import sample  # noqa: E402

SHAPE = (1, 4, 7, 3, 5)
TIMES = times(6, bend(512, 512, 22))
START = normal(SHAPE, 3)
WHOLE = torch.ones(1, 1, *SHAPE[2:])
SOLVERS = (Euler, Corrected)


def unruly(x: torch.Tensor, t: float, frames: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Every pixel depends on all others, and ten channels come out, as from the model."""
    wanted = torch.cat([x, x], 1).roll((1, 2), (2, 4)) + x.mean() + t / END
    return wanted, -wanted


class Still:
    """A velocity of 1, and of 50 on known frames, where it should not count. Remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []
        self.frames: list[torch.Tensor] = []

    def __call__(self, x: torch.Tensor, t: float, frames: torch.Tensor | None) -> tuple[torch.Tensor, None]:
        self.seen.append(x)
        self.frames += [] if frames is None else [frames]
        one = torch.ones_like(x)
        return one if frames is None else torch.where(frames[:, None, :, None, None], one, 50.0), None


@pytest.mark.parametrize("solver", SOLVERS)
@given(seed=st.integers(0, 999), share=st.floats(0, 1), known=st.integers(0, 7))
def test_what_is_known_is_kept_bit_by_bit(solver: type, seed: int, share: float, known: int) -> None:
    mask = (normal((1, 1, *SHAPE[2:]), seed) < 4 * share - 2).float()
    frames = torch.ones(1, 7)
    frames[:, :known] = 0
    out = sample(unruly, START, mask, times=TIMES, guidance=7.0, frames=frames, solver=solver())
    kept = ((mask == 0) | (frames == 0)[:, None, :, None, None]).expand(SHAPE)
    assert torch.equal(out[kept], START[kept])
    assert not torch.equal(out, START) or bool(kept.all())


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_put_back_does_not_reach_its_neighbours_through_the_solver(solver: type) -> None:
    """Where the model looks at each pixel alone, a masked walk is the whole walk, cut out."""

    def alone(x: torch.Tensor, t: float, frames: object) -> tuple[torch.Tensor, None]:
        return x[:, :4].sin() * t / END, None

    mask = (normal((1, 1, *SHAPE[2:]), 5) > 0).float()
    whole, part = (sample(alone, START, m, times=TIMES, guidance=1.0, solver=solver()) for m in (WHOLE, mask))
    assert torch.equal(part, torch.where(mask > 0, whole, START))


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_constant_velocity_goes_all_the_way(solver: type) -> None:
    out = sample(Still(), START, WHOLE, times=TIMES, guidance=7.0, solver=solver())
    assert torch.allclose(out, START + 1, atol=1e-5)


def test_guidance_goes_from_without_past_with() -> None:
    def two(x: torch.Tensor, t: float, frames: object) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full_like(x, 3.0), torch.full_like(x, 1.0)

    out = sample(two, START, WHOLE, times=TIMES, guidance=4.0)
    assert torch.allclose(out, START + 9, atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_frame_with_an_edit_ratio_waits_and_is_then_noised(solver: type) -> None:
    model, asked = Still(), []
    noise = normal(SHAPE, 9)
    frames = torch.tensor([[0.0, 0.5, 0.8, 1.0, 1.0, 1.0, 1.0]])
    looks = (1000.0, 750.0, 500.0, 250.0)
    out = sample(
        model,
        START,
        WHOLE,
        times=looks,
        guidance=1.0,
        frames=frames,
        noise=lambda step: asked.append(step) or noise,
        solver=solver(),
    )
    assert asked == [1, 2]
    assert [one[0, :4].tolist() for one in model.frames] == [
        [False, False, False, True],
        [False, False, True, True],
        [False, True, True, True],
        [False, True, True, True],
    ]
    for frame, t, step in ((1, 0.5, 2), (2, 0.75, 1)):
        noised = (1 - t) * START[:, :, frame] + t * noise[:, :, frame]
        assert torch.allclose(model.seen[step][:, :4, frame], noised, atol=1e-6)
        assert torch.allclose(out[:, :, frame], noised + t, atol=1e-5)
        assert torch.equal(model.seen[step - 1][:, :4, frame], START[:, :, frame])
    assert torch.equal(out[:, :, 0], START[:, :, 0])


def test_noise_is_not_drawn_where_no_frame_needs_it() -> None:
    def never(step: int) -> torch.Tensor:
        raise AssertionError

    for frames in (None, torch.ones(1, 7), torch.tensor([[0.0, 0, 1, 1, 1, 1, 1]])):
        sample(Still(), START, WHOLE, times=TIMES, guidance=1.0, frames=frames, noise=never)


def test_the_mask_is_the_last_channel() -> None:
    model, mask = Still(), (normal((1, 1, *SHAPE[2:]), 5) > 0).float()
    sample(model, START, mask, times=TIMES, guidance=1.0)
    assert len(model.seen) == len(TIMES)
    assert all(one.shape[1] == 5 and torch.equal(one[:, 4:], mask) for one in model.seen)


def test_a_walk_from_bfloat16_goes_on_in_float32() -> None:
    out = sample(Still(), START.bfloat16(), WHOLE, times=TIMES, guidance=1.0)
    assert out.dtype == torch.float32 and torch.allclose(out, START.bfloat16().float() + 1, atol=1e-5)


def test_progress_is_told_and_can_end_the_walk() -> None:
    told, model = [], Still()
    sample(model, START, WHOLE, times=TIMES, guidance=1.0, progress=lambda *at: told.append(at))
    assert told == [(i, 6) for i in range(1, 7)]

    def stop(step: int, steps: int) -> None:
        raise Cancelled(field="job", message="cancelled")

    model = Still()
    with pytest.raises(Cancelled):
        sample(model, START, WHOLE, times=TIMES, guidance=1.0, progress=stop)
    assert len(model.seen) == 1


def test_what_cannot_be_walked_is_refused_in_words() -> None:
    for bad in ((500.0, 500.0), (500.0, 0.0), (200.0, 300.0)):
        with pytest.raises(Invalid, match="times"):
            sample(Still(), START, WHOLE, times=bad, guidance=1.0)
    with pytest.raises(Invalid, match="need noise"):
        sample(Still(), START, WHOLE, times=TIMES, guidance=1.0, frames=torch.full((1, 7), 0.5))
