"""How a sampler walks along a velocity: Euler, and a corrected two-step method that needs fewer steps."""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Solver(Protocol):
    """One walk: made anew for each, since it may remember earlier steps."""

    def move(
        self, velocity: Float[Tensor, "b c t h w"], step: float, fresh: Bool[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b c t h w"]:
        """What to add to the state, given the velocity there and the length of the step to come (time runs 0 to 1).

        `fresh` is true on frames whose earlier velocities say nothing, since they begin to move only now. Each pixel is
        moved on its own, so a pixel that the caller puts back does not disturb another.
        """
        ...


class Euler:
    """Straight on: first order, and what the official code does."""

    def move(self, velocity: Tensor, step: float, fresh: Tensor | None = None) -> Tensor:
        return step * velocity


class Corrected:
    """Adams-Bashforth 2 as predictor, the trapezoidal rule as corrector, with steps of any length: second order.

    One velocity a step, as Euler (the corrector reuses the velocity at the place where the predictor arrived). See
    Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, III.1 and III.5. Towards mixtures of Gaussians 15
    steps of it are nearer to the end than 30 of Euler, and where these are very narrow, 20 (tests/backend/diffusion).
    """

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor, float] | None = None  # velocity, slope that was walked, length

    def move(self, velocity: Tensor, step: float, fresh: Tensor | None = None) -> Tensor:
        earlier, slope, length = self._last or (velocity, velocity, step)
        if fresh is not None:
            new = fresh[:, None, :, None, None]
            earlier, slope = torch.where(new, velocity, earlier), torch.where(new, velocity, slope)
        correction = length * ((earlier + velocity) / 2 - slope)
        ahead = velocity + (velocity - earlier) * (step / (2 * length))
        self._last = velocity, ahead, step
        return correction + step * ahead
