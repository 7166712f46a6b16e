"""When a sampler looks: the times of rectified flow, and the noise levels of the older schedule that VIRES reads."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float32
from overpaint.errors import Invalid
from torch import Tensor

END = 1000.0
"""Pure noise; a picture is at 0. x_t = (1 - t/1000) x_0 + (t/1000) noise, and the velocity is x_0 - noise."""

NATIVE = 512 * 512  # pixels whose times are not bent
CHUNK, LATENT = 17, 5  # so many frames are so many latent ones


def bend(height: int, width: int, frames: int, *, parity: bool = False) -> float:
    """How far times move towards the noise: sqrt(pixels / 512^2) sqrt(latent frames). Sizes in pixels and frames.

    The larger a clip, the more noise it takes to hide its content (Stable Diffusion 3, arXiv 2403.03206, eq. 23; frames
    as in Open-Sora 1.2). As there, only whole chunks of 17 frames count, and a picture counts as one; a shorter clip
    counts as one latent frame as well, where the official code divides by zero. `parity` computes in bfloat16, as the
    official inference does: 3.875 in place of sqrt(15).
    """
    kind = torch.bfloat16 if parity else torch.float32
    h, w, f = (torch.tensor(float(side), dtype=kind) for side in (height, width, frames))
    latent = f // CHUNK * LATENT if f >= CHUNK else torch.ones_like(f)
    return float((h * w / NATIVE).sqrt() * latent.sqrt())


def bent(u: Float32[Tensor, " n"], ratio: float) -> Float32[Tensor, " n"]:
    """Even times `u` in [0, 1] to times in [0, 1000], moved towards the noise by `ratio`, see `bend`."""
    return (ratio * u / (1 + (ratio - 1) * u) * END).clamp(max=END)  # rounding may lead a little past it


def times(steps: int, ratio: float) -> tuple[float, ...]:
    """When to look in each step: falling from 1000, the last above 0, where sampling ends. `ratio` as in `bend`. Raises Invalid."""
    if steps < 1:
        raise Invalid(field="steps", message=f"{steps} steps paint nothing", remedy="Give 1 or more")
    # In thousandths, and divided after rounding to float32: so the official code gets its last digits.
    u = torch.tensor([(1 - i / steps) * END for i in range(steps)]) / END
    return tuple(bent(u, ratio).tolist())


def lms_sigmas() -> Float32[Tensor, 1001]:
    """Noise levels sigma of Stable Diffusion's 1000 training steps, from most to least noise, and 0 at the end.

    sqrt((1 - a) / a) with a the running product of 1 - beta, and sqrt(beta) even from sqrt(0.00085) to sqrt(0.012): the
    table of diffusers' LMSDiscreteScheduler.
    """
    beta = torch.linspace(math.sqrt(0.00085), math.sqrt(0.012), 1000, dtype=torch.float64) ** 2
    a = (1 - beta).cumprod(0)
    return torch.cat([((1 - a) / a).sqrt().flip(0), a.new_zeros(1)]).float()
