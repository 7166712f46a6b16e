"""How well a small model paints clips it has not seen: near the truth, after the lines, in the colours of the words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, UInt8
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

SKETCHES = ("full", "first", "none", "wrong")
"""On all frames, on the first, on none; and that of another clip."""
REACH = np.ones((3, 3), np.uint8)  # one pixel to every side


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Means over clips: `db` PSNR in the instance's mask, `linear` the same of the linear decoder (so without what the sketch
    tells the decoder), `f1` of the interior lines at 1 pixel, `colour`: how often the dominant colour is the true one."""

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
    start = torch.lerp(clean, normal(clean.shape, 0), mask)
    ready = dit.prepare(sketch, texts)
    nothing = [dit.get_buffer("y_embedder.y_embedding")[: len(text)] for text in texts]
    silent = None if guidance == 1 else dit.prepare(sketch, nothing)

    def velocity(x: Tensor, t: float, frames: Tensor | None) -> tuple[Tensor, Tensor | None]:
        when = torch.full((len(x),), t)
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
        scores[kind] = Score(**{name: float(np.mean([mark[name] for mark in marks])) for name in marks[0]})
    return scores, painted


def _bytes(video: Tensor) -> UInt8[np.ndarray, "b t h w 3"]:
    return ((video.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 4, 1).numpy()


def _score(truth: Sample, painted: np.ndarray, linear: np.ndarray) -> dict[str, float]:
    inside = truth.mask > 0
    return {
        "db": psnr(painted[inside], truth.frames[inside]),
        "linear": psnr(linear[inside], truth.frames[inside]),
        "f1": interior_f1(painted, truth),
        "colour": float(dominant_colour(painted[inside]) == dominant_colour(truth.frames[inside])),
    }


def psnr(one: UInt8[np.ndarray, "n 3"], other: UInt8[np.ndarray, "n 3"]) -> float:
    """In dB."""
    return float(10 * np.log10(255**2 / max(np.square(one.astype(np.float32) - other).mean(), 1e-6)))


def interior_f1(painted: UInt8[np.ndarray, "t h w 3"], truth: Sample) -> float:
    """How well edges found in the painted instance and its interior lines agree, to 1 pixel; its outline does not count."""
    found = wanted = hit = met = 0
    for frame, mask, lines in zip(painted, truth.mask, truth.interior, strict=True):
        deep = cv2.erode(mask, np.ones((5, 5), np.uint8), borderValue=0) > 0
        edges, drawn = (edges_in(frame) & deep), (lines > 127) & deep
        found, wanted = found + edges.sum(), wanted + drawn.sum()
        hit, met = hit + (edges & near(drawn)).sum(), met + (drawn & near(edges)).sum()
    if not wanted:
        return 1.0 if not found else 0.0
    precision, recall = hit / max(found, 1), met / wanted
    return float(2 * precision * recall / max(precision + recall, 1e-6))


def edges_in(frame: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    return cv2.Canny(np.ascontiguousarray(frame), 80, 160) > 0


def near(lines: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    return cv2.dilate(lines.astype(np.uint8), REACH) > 0
