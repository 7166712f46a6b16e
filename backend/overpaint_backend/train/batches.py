"""What a step learns from: clips with masks as people draw them and sketches of which some frames are missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from overpaint_backend.engines.vires.masks import PAINTING, TRAINING, dilate
from overpaint_backend.train.instances import Instances, Sample
from overpaint_backend.train.looseness import Looseness, loosen
from overpaint_backend.train.settings import Settings, Stage

LOOSE = (Looseness.EXPAND, Looseness.BOX, Looseness.HULL_EXPAND, Looseness.BOX_EXPAND)
MOST = 256  # clips in a step, at most: the numbers of a step's clips are its own, whatever the stages' batches are


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """`frames` and `mask` (1: to be painted) and `sketch` (0 where there is none, and outside the mask) as bytes.

    `corner`: row and column of the frame's pixel that is first here, where the frames are cut out of larger ones.
    `known`: whether the first latent frame is known. `silent`: whether the model must do without the words. Where several
    processes share a step, it is of `together` clips, and here are those of `share`.
    """

    frames: UInt8[Tensor, "b t h w 3"]
    mask: UInt8[Tensor, "b t h w"]
    sketch: UInt8[Tensor, "b t h w"]
    captions: list[str]
    known: Bool[Tensor, " b"]
    silent: Bool[Tensor, " b"]
    corner: tuple[int, int] = (0, 0)
    together: int
    share: slice = field(default_factory=lambda: slice(None))

    def to(self, device: torch.device) -> Batch:
        names = ("frames", "mask", "sketch", "known", "silent")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def noise(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Noise of this shape, for the clips here; a clip's is the same however the step is shared. On the CPU."""
        return torch.randn((self.together, *shape[1:]), generator=generator)[self.share]

    def video(self) -> Float[Tensor, "b 3 t h w"]:
        """In [-1, 1]."""
        return self.frames.permute(0, 4, 1, 2, 3).float() / 127.5 - 1

    def hint(self) -> Float[Tensor, "b 3 t h w"]:
        """In [0, 1]."""
        return (self.sketch.float() / 255)[:, None].expand(-1, 3, -1, -1, -1)

    def painted(self) -> Float[Tensor, "b 1 t h w"]:
        return self.mask[:, None].float()


class Batches(Dataset[Batch]):
    """The batch of each step. It depends on the settings' seed and the step only: in any order, in any process."""

    def __init__(
        self, settings: Settings, clip: Callable[[int, int], Sample] | None = None, share: tuple[int, int] = (0, 1)
    ) -> None:
        """`clip` gives the clip of a number and a length in frames; unless given, from `Instances`.

        `share`: a number below n, and n: only every n-th clip of a batch is made, beginning with that one.
        """
        self._settings, self._clip, self._share = (
            settings,
            clip or settings_clip(settings),
            slice(share[0], None, share[1]),
        )

    def __getitem__(self, step: int) -> Batch:
        settings, stage = self._settings, self._settings.stage(step)
        rng = np.random.default_rng([settings.seed, step])
        # All is drawn for the whole batch, and then made for the share.
        loose = [looseness(stage, rng) for _ in range(stage.batch)]
        there = [drawn(stage, rng)[:, None, None] for _ in range(stage.batch)]
        share, cells = self._share, TRAINING if settings.given else PAINTING
        samples = [self._clip(step * MOST + i, stage.frames) for i in range(stage.batch)[share]]
        masks = [wide(sample, how, cells) for sample, how in zip(samples, loose[share], strict=True)]
        sketches = [
            sample.sketch * mask * shown for sample, mask, shown in zip(samples, masks, there[share], strict=True)
        ]
        frames, mask, sketch = np.stack([sample.frames for sample in samples]), np.stack(masks), np.stack(sketches)
        corner = np.zeros(2, int)
        if stage.crop is not None:
            block = settings.dit.space_factor
            places = (settings.size - stage.crop) // block + 1
            # One corner for the whole batch, near the middle, where things are.
            corner = np.clip(rng.normal((places - 1) / 2, places / 5, 2).round().astype(int), 0, places - 1) * block
            rows, columns = (slice(first, first + stage.crop) for first in corner.tolist())
            frames, mask, sketch = (part[:, :, rows, columns] for part in (frames, mask, sketch))
        return Batch(
            frames=torch.from_numpy(np.ascontiguousarray(frames)),
            mask=torch.from_numpy(np.ascontiguousarray(mask)),
            sketch=torch.from_numpy(np.ascontiguousarray(sketch)),
            corner=(int(corner[0]), int(corner[1])),
            captions=[sample.caption for sample in samples],
            known=torch.from_numpy((rng.random(stage.batch) < stage.known)[share]),
            silent=torch.from_numpy((rng.random(stage.batch) < stage.silent)[share]),
            together=stage.batch,
            share=share,
        )


def settings_clip(settings: Settings) -> Callable[[int, int], Sample]:
    """Clips without end, of any length."""
    return lambda index, frames: Instances(size=settings.size, frames=frames, seed=settings.seed).clip(index)


def looseness(stage: Stage, rng: np.random.Generator) -> tuple[Looseness, int] | None:
    """How a clip's mask is drawn loosely, and a seed for it, so that the lines tell more than the mask; None: exactly."""
    if rng.random() < stage.loose:
        return LOOSE[int(rng.integers(len(LOOSE)))], int(rng.integers(2**31))
    return None


def wide(sample: Sample, loose: tuple[Looseness, int] | None, cells: int) -> UInt8[np.ndarray, "t h w"]:
    """The mask as it is drawn, then as inference widens it, on a grid of so many cells."""
    mask = sample.mask if loose is None else loosen(sample.mask, *loose)
    return dilate(mask, cells).astype(np.uint8)


def drawn(stage: Stage, rng: np.random.Generator) -> UInt8[np.ndarray, " t"]:
    """On which frames there is a sketch: on all, on none, or on some.

    On some: in a fifth of the cases each by chance, else on the first of each of 2^d equal parts, d in 0..4 (arXiv
    2411.16199, section 3.5).
    """
    there, share = np.ones(stage.frames, np.uint8), rng.random()
    if share < stage.full:
        return there
    if share < stage.full + stage.none:
        return 0 * there
    if rng.random() < 0.2:
        return (rng.random(stage.frames) < rng.random()).astype(np.uint8)
    parts = 2 ** int(rng.integers(5))
    there[:] = 0
    there[np.unique(np.arange(parts) * stage.frames // parts)] = 1
    return there
