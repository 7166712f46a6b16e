"""The training of a small VIRES, step by step: it can be killed at any time, and goes on as if it had not been."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import DataLoader

from overpaint_backend.engines.vires.dit import Block, DiT, Ready, Step, Tokens, self_scale
from overpaint_backend.engines.vires.masks import down_sample_mask
from overpaint_backend.engines.vires.pca import BlockVAE
from overpaint_backend.engines.vires.training import draw_times, noised
from overpaint_backend.train.batches import Batch, Batches
from overpaint_backend.train.settings import Settings
from overpaint_backend.train.words import Words


class Pupil(DiT):
    """The transformer, whose sketch attention can be left out."""

    sketch_attention = True

    def _blocks(self, x: Tokens, step: Step, ready: Ready, hint: Callable[[], Tokens]) -> Tokens:
        if self.sketch_attention:
            return super()._blocks(x, step, ready, hint)
        words = iter(ready.words)
        for number, (spatial, temporal) in enumerate(self._pairs()):
            x = temporal(spatial(x, step, next(words)), step, next(words))
            if number == 0:
                x, _ = self_scale(x, hint(), self.config.entry)
        return x


class Learner(nn.Module):
    """The transformer and its words, with what it takes to train them.

    Parameters are float32. Where the settings say `half`, a copy of the transformer in bfloat16 computes, and is made
    anew after each step: on a CPU this is faster than autocast, which goes back to float32 for each normalisation.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.dit = Pupil(settings.dit)
        self.words = Words(settings.dit.caption_channels, settings.text_layers)
        prime(self.dit)
        self.trained = [value for value in self.parameters() if value.requires_grad]
        self.average = [value.detach().clone() for value in self.trained]
        # In a list, and so no part of the state.
        self.quick = [copy.deepcopy(self.dit).bfloat16() if settings.half else self.dit]
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=settings.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )

    def learn(self, vae: BlockVAE, batch: Batch, step: int) -> float:
        """One step; gives the loss before it."""
        quick = self.quick[0]
        quick.sketch_attention = self.settings.stage(step).sketch_attention
        loss = self.loss(vae, batch, torch.Generator().manual_seed(self.settings.seed * 2**32 + step))
        loss.backward()
        if quick is not self.dit:
            for value, computed in zip(self.dit.parameters(), quick.parameters(), strict=True):
                if computed.grad is not None:
                    value.grad, computed.grad = computed.grad.float(), None
        # With several devices their gradients would be averaged here; all else is the same on each.
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate * pace(step, self.settings)
        self.optimizer.step()
        self.optimizer.zero_grad()
        decay = min(self.settings.ema, (step + 1) / (step + 10))
        with torch.no_grad():
            for mean, value in zip(self.average, self.trained, strict=True):
                mean.lerp_(value, 1 - decay)
            if quick is not self.dit:
                for rounded, value in zip(quick.parameters(), self.dit.parameters(), strict=True):
                    rounded.copy_(value)
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        """All that the next step depends on but the settings and its number."""
        return {"model": self.state_dict(), "average": self.average, "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        if self.quick[0] is not self.dit:
            self.quick[0].load_state_dict(self.dit.state_dict())

    def averaged(self) -> tuple[Pupil, Words]:
        """Both models with the average of their parameters over the last steps, to paint with."""
        names = [name for name, value in self.named_parameters() if value.requires_grad]
        held = dict(zip(names, self.average, strict=True))
        both = copy.deepcopy(self.dit), copy.deepcopy(self.words)
        for prefix, model in zip(("dit.", "words."), both, strict=True):
            own = {name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)}
            model.load_state_dict(own, strict=False)
        both[0].sketch_attention = self.quick[0].sketch_attention
        return both

    def loss(self, vae: BlockVAE, batch: Batch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Squared distance of the velocity in the mask, by the mask's size and not the frame's, so small masks count."""
        with torch.no_grad():
            clean = vae.encode(batch.video())
        mask = down_sample_mask(batch.painted(), vae.config.block, blocks=True)
        moving = torch.ones(len(clean), clean.shape[2], dtype=torch.bool)
        moving[:, 0] &= ~batch.known
        noise = torch.randn(clean.shape, generator=generator)
        t = draw_times(len(clean), self.settings.dit.time_ratio or 1.0, generator)
        quick, hint = self.quick[0], batch.hint()
        ready = quick.prepare(hint, self.texts(batch), boxes=whole(hint, self.settings.dit.chunk))
        if hint.shape[-1] < self.settings.size:
            ready = replace(ready, where=self.cut(quick, batch.corner, hint.shape[-1]))
        velocity = quick.step(noised(clean, noise, mask, t, moving), t, ready, moving)[:, : clean.shape[1]]
        counted = mask * moving[:, None, :, None, None]
        error = ((velocity - (clean - noise)).square() * counted).sum((1, 2, 3, 4))
        return (error / (clean.shape[1] * counted.sum((1, 2, 3, 4)).clamp(min=1))).mean()

    def cut(self, dit: DiT, corner: tuple[int, int], side: int) -> Float[Tensor, "s d"]:
        """The position embeddings of a square of the frame: those that its tokens have in the whole frame."""
        cells, first = self.settings.size, corner
        ph, pw = (patch * self.settings.dit.space_factor for patch in self.settings.dit.patch)
        rows, columns = cells // ph, cells // pw
        table = dit._where(rows, columns, cells).unflatten(0, (rows, columns))
        return table[first[0] // ph :, first[1] // pw :][: side // ph, : side // pw].flatten(0, 1)

    def texts(self, batch: Batch) -> list[Float[Tensor, "l c"]]:
        nothing = self.dit.get_buffer("y_embedder.y_embedding")
        said = self.words(batch.captions)
        return [nothing[: len(one)] if mute else one for one, mute in zip(said, batch.silent.tolist(), strict=True)]


def prime(dit: DiT) -> None:
    """Initial values with which so small a model learns soon.

    Blocks count from the start (gates about 1). The hint's tokens get a mean of about twice their spread: standardised
    self-scaling squares what it is given, and around 0 a square tells little, and never a sign. Sketch attention begins
    at nothing, so that a model is whole before it joins.
    """
    for name, value in dit.named_parameters():
        if name.endswith("scale_pww"):
            nn.init.zeros_(value)
    for block in (*dit.spatial_blocks, *dit.temporal_blocks):
        assert isinstance(block, Block)
        block.scale_shift_table.data[[2, 5]] += 1
    layer = dit.t_block[1]
    assert isinstance(layer, nn.Linear)
    layer.weight.data *= 0.3
    nn.init.constant_(dit.hint_embedder.proj.bias, 0.7)  # pyright: ignore[reportArgumentType]
    nn.init.zeros_(dit.final_layer.linear.weight)
    nn.init.zeros_(dit.final_layer.linear.bias)


def pace(step: int, settings: Settings) -> float:
    """The share of the full rate: a linear rise, then flat, then a linear fall over the last part."""
    left = (settings.steps - step) / max(settings.cool * settings.steps, 1)
    return max(min((step + 1) / settings.warm, left, 1.0), 0.01)


def whole(hint: Tensor, chunk: int) -> list[tuple[int, int, int, int]]:
    return [(0, hint.shape[3], 0, hint.shape[4])] * -(-hint.shape[2] // chunk)


def ahead(batches: Batches, steps: Sequence[int]) -> Iterator[Batch]:
    """The batches of these steps, made ahead of time in another process."""
    loader: DataLoader[Any] = DataLoader(batches, batch_size=None, sampler=steps, num_workers=1, prefetch_factor=4)
    return iter(loader)
