"""What VIRES learns from: clips noised inside their mask, and the loss on the velocity there (arXiv 2411.16199, eq. 1 to 4)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from overpaint_backend.diffusion.schedule import END, bent

KNOWN = {
    "none": 0.75,
    "first": 0.22,
    "some": 0.01,
    "last": 0.005,
    "ends": 0.005,
    "head": 0.002,
    "tail": 0.002,
    "both": 0.002,
    "run": 0.002,
    "alternate": 0.002,
}
"""How often which latent frames are known: none, one or both of the outer ones, up to a quarter of the clip at its head, at
its tail, at both, or as a run anywhere, every second frame, or each by chance. Shares of the official configuration."""


def noised(
    clean: Float[Tensor, "b c t h w"],
    noise: Float[Tensor, "b c t h w"],
    mask: Float[Tensor, "b 1 t h w"],
    t: Float[Tensor, " b"],
    frames: Bool[Tensor, "b t"] | None = None,
) -> Float[Tensor, "b c+1 t h w"]:
    """The model's input: the latent at the times `t` (0..1000) inside the mask (0 or 1), clean elsewhere; and the mask.

    x_t = (1 - t/1000) clean + (t/1000) noise. Where `frames` is false a frame is known, and clean as a whole.
    """
    amount = (t / END)[:, None, None, None, None] * _counted(mask, frames)
    return torch.cat([clean + amount * (noise - clean), mask.to(clean)], 1)


def loss(
    velocity: Float[Tensor, "b n t h w"],
    clean: Float[Tensor, "b c t h w"],
    noise: Float[Tensor, "b c t h w"],
    mask: Float[Tensor, "b 1 t h w"],
    frames: Bool[Tensor, "b t"] | None = None,
) -> Float[Tensor, " b"]:
    """Squared distance of the velocity's first c channels to clean - noise inside the mask, one number for each clip.

    As in the official code it is divided by the whole of the frames that are not known, not by the mask's part of them: a
    small mask weighs little.
    """
    b, c, t, h, w = clean.shape
    error = (velocity[:, :c].float() - (clean - noise)) * _counted(mask, frames)
    active = torch.full((b,), t, device=clean.device) if frames is None else frames.sum(1)
    return error.square().sum((1, 2, 3, 4)) / (active * c * h * w)


def _counted(mask: Tensor, frames: Tensor | None) -> Tensor:
    return mask if frames is None else mask * frames[:, None, :, None, None]


def draw_times(count: int, ratio: float, generator: torch.Generator) -> Float[Tensor, " count"]:
    """Times in (0, 1000): logit-normal (arXiv 2403.03206, section 3.1), then moved by `ratio`, see `schedule.bend`."""
    return bent(torch.randn(count, generator=generator).sigmoid(), ratio)


def draw_frames(count: int, length: int, generator: torch.Generator) -> Bool[Tensor, "count length"]:
    """Which of `length` latent frames are denoised in each of `count` clips, by the shares of `KNOWN`; never none."""
    kinds = list(KNOWN)
    drawn = torch.multinomial(torch.tensor(list(KNOWN.values())), count, replacement=True, generator=generator)
    return ~torch.stack([_known(kinds[kind], length, generator) for kind in drawn.tolist()])


def _known(kind: str, length: int, generator: torch.Generator) -> Bool[Tensor, " length"]:
    def number(low: int, high: int) -> int:
        """From `low` to `high`, both possible."""
        return int(torch.randint(low, high + 1, (), generator=generator))

    known = torch.zeros(length, dtype=torch.bool)
    if length == 1:
        return known
    size = number(1, max(1, length // 4))
    if kind == "first":
        known[0] = True
    elif kind == "last":
        known[-1] = True
    elif kind == "ends":
        known[[0, -1]] = length > 2
    elif kind == "head":
        known[:size] = True
    elif kind == "tail":
        known[-size:] = True
    elif kind == "both":
        known[:size] = known[-number(1, size) :] = length > 2
    elif kind == "run":
        begin = number(0, length - size)
        known[begin : begin + size] = True
    elif kind == "alternate":
        known[number(0, 1) :: 2] = True
    elif kind == "some":
        share = 0.1 + 0.8 * float(torch.rand((), generator=generator))
        known = torch.rand(length, generator=generator) < share
        known[number(0, length - 1)] = False
    return known
