"""The sampler of VIRES: rectified flow inside the mask, everything else held at the clip's own latent (arXiv 2411.16199)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from overpaint.errors import Invalid
from torch import Tensor

from overpaint_backend.diffusion.schedule import END
from overpaint_backend.diffusion.solvers import Euler, Solver

Latent = Float[Tensor, "b c t h w"]

Velocity = Callable[[Float[Tensor, "b c+1 t h w"], float, Bool[Tensor, "b t"] | None], tuple[Tensor, Tensor | None]]
"""The model: latent with its mask as last channel, time in 0..1000, which frames are denoised (None: all) ->
velocity with the prompt, and without (None: no guidance). Channels after the latent's are left aside."""


def sample(
    velocity: Velocity,
    start: Latent,
    mask: Float[Tensor, "b 1 t h w"],
    *,
    times: Sequence[float],
    guidance: float,
    frames: Float[Tensor, "b t"] | None = None,
    noise: Callable[[int], Latent] | None = None,
    solver: Solver | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "b c t h w"]:
    """Walk from noise to a latent, in float32.

    `start`     noise where `mask` is 1, the clip's latent where it is 0: there the result is `start`, bit by bit
                (rounded to bfloat16 beforehand it repeats the official inference)
    `times`     falling, in (0, 1000], see `schedule.times`; the walk ends at 0
    `guidance`  classifier-free guidance (arXiv 2207.12598): without + guidance * (with - without)
    `frames`    None: all frames are painted. Else 1: painted; 0: known, kept as they are; between: kept until the time
                falls to 1000 times that number, and then noised to that time: the smaller, the less is changed
    `noise`     noise for the step of that number; asked only when a frame begins to move after the first step
    `solver`    a new one; None: Euler, as the official code
    `progress`  called with steps done and all steps; what it raises (Cancelled) ends the walk

    Raises Invalid where `times` do not fall, or `frames` need noise and there is none.
    """
    if any(a <= b for a, b in pairwise((*times, 0.0))):
        raise Invalid(field="times", message="must fall and stay above 0", remedy="Use the schedule's times")
    if frames is not None and noise is None and bool(((frames > 0) & (frames < 1)).any()):
        raise Invalid(field="frames", message="between 0 and 1 they need noise", remedy="Give `noise`")
    solver = solver or Euler()
    clean = z = start.float()
    inside = mask > 0
    active = None if frames is None else frames >= 1
    for i, (t, after) in enumerate(pairwise((*times, 0.0))):
        before, fresh = z, None
        if frames is not None and active is not None:
            now = frames * END >= t
            fresh, active = now & ~active, now
            if noise is not None and bool(fresh.any()):
                noised = z + (noise(i).to(z) - z) * (t / END)
                z = torch.where(_framewise(fresh), noised, z)
        wanted, unwanted = velocity(torch.cat([z, mask.to(z)], 1), t, active)
        v = wanted if unwanted is None else unwanted + guidance * (wanted - unwanted)
        z = z + solver.move(v[:, : z.shape[1]].float(), (t - after) / END, fresh)
        z = torch.where(inside, z, clean)
        if active is not None:
            z = torch.where(_framewise(active), z, before)
        if progress is not None:
            progress(i + 1, len(times))
    return z


def _framewise(frames: Bool[Tensor, "b t"]) -> Bool[Tensor, "b 1 t 1 1"]:
    return frames[:, None, :, None, None]
