"""How well a small model paints clips it has not seen: near the truth, after the lines, in the colours of the words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from overpaint_backend.diffusion.noise import normal
from overpaint_backend.diffusion.schedule import times
from overpaint_backend.engines.vires.dit import DiT
from overpaint_backend.engines.vires.masks import down_sample_mask
from overpaint_backend.engines.vires.pca import BlockVAE
from overpaint_backend.engines.vires.sampling import sample
from overpaint_backend.train.batches import Batch
from overpaint_backend.train.figures import dominant_colour
from overpaint_backend.train.instances import Sample
from overpaint_backend.train.marks import line_f1, psnr

SKETCHES = ("full", "first", "none", "wrong")
"""On all frames, on the first, on none; and that of another clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Means over clips: `db` PSNR in the instance's mask, `linear` the same of the linear decoder (so without what the sketch
    tells the decoder), `f1` of the interior lines at 1 pixel (of the clips that have any), `colour`: how often the dominant
    colour is the true one."""

    db: float
    linear: float
    f1: float
    colour: float


Texts = Sequence[Tensor]


@torch.inference_mode()
def paint(
    dit: DiT, vae: BlockVAE, batch: Batch, texts: Texts, *, sketch: Tensor, steps: int = 8, guidance: float = 1.0
) -> Tensor:
    """Latents of the batch's clips painted anew, from the same noise whatever `sketch` "b 3 f h w" in [0, 1] is."""
    clean = vae.encode(batch.video())
    mask = down_sample_mask(batch.painted(), vae.config.block, blocks=True)
    start = torch.lerp(clean, normal(clean.shape, 0).to(clean), mask)
    ready = dit.prepare(sketch, texts)
    nothing = [dit.get_buffer("y_embedder.y_embedding")[: len(text)] for text in texts]
    silent = None if guidance == 1 else dit.prepare(sketch, nothing)

    def velocity(x: Tensor, t: float, frames: Tensor | None) -> tuple[Tensor, Tensor | None]:
        when = torch.full((len(x),), t, device=x.device)
        return dit.step(x, when, ready, frames), None if silent is None else dit.step(x, when, silent, frames)

    return sample(velocity, start, mask, times=times(steps, dit.config.time_ratio or 1.0), guidance=guidance)


def judge(
    dit: DiT,
    vae: BlockVAE,
    samples: Sequence[Sample],
    batch: Batch,
    texts: Texts,
    *,
    sketches: Sequence[str] = SKETCHES,
    guidance: float = 1.0,
) -> tuple[Mapping[str, Score], Mapping[str, UInt8[np.ndarray, "b t h w 3"]]]:
    """A score, and the painted frames, for each kind of sketch. `batch` are `samples` with their masks."""
    hint, frames = batch.hint(), batch.frames.shape[1]
    kinds: dict[str, Callable[[], Tensor]] = {
        "full": lambda: hint,
        "first": lambda: torch.cat([hint[:, :, :1], torch.zeros_like(hint[:, :, 1:])], 2),
        "none": lambda: torch.zeros_like(hint),
        "wrong": lambda: hint.roll(1, 0) * batch.painted(),
    }
    scores, painted = {}, {}
    for kind in sketches:
        lines = kinds[kind]()
        z = paint(dit, vae, batch, texts, sketch=lines, guidance=guidance)
        with torch.inference_mode():
            whole, linear = vae.decode(z, frames, lines * 2 - 1), vae.decode_linear(z, frames)
        painted[kind] = _bytes(whole)
        marks = [_score(one, *both) for one, *both in zip(samples, painted[kind], _bytes(linear), strict=True)]
        scores[kind] = Score(**{name: _mean([mark[name] for mark in marks]) for name in marks[0]})
    return scores, painted


def _bytes(video: Tensor) -> UInt8[np.ndarray, "b t h w 3"]:
    return ((video.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 4, 1).cpu().numpy()


def _score(truth: Sample, painted: np.ndarray, linear: np.ndarray) -> dict[str, float | None]:
    inside = truth.mask > 0
    return {
        "db": psnr(painted, truth.frames, inside),
        "linear": psnr(linear, truth.frames, inside),
        "f1": line_f1(painted, truth.interior, inside),
        "colour": float(dominant_colour(painted[inside]) == dominant_colour(truth.frames[inside])),
    }


def _mean(marks: Sequence[float | None]) -> float:
    """Of those that there are; 0 where there are none."""
    return float(np.mean([mark for mark in marks if mark is not None] or [0.0]))
