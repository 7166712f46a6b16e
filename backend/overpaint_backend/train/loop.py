"""The training of a small VIRES, step by step: it can be killed at any time, and goes on as if it had not been."""

from __future__ import annotations

import copy
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

from overpaint_backend.diffusion.schedule import bend
from overpaint_backend.engines.vires import training
from overpaint_backend.engines.vires.dit import Block, DiT, Hint, KeysValues, Ready, Step, Tokens, self_scale
from overpaint_backend.engines.vires.masks import down_sample_mask
from overpaint_backend.engines.vires.pca import BlockVAE
from overpaint_backend.engines.vires.training import draw_frames, draw_times, noised
from overpaint_backend.engines.vires.vae import VideoVAE
from overpaint_backend.engines.vires.weights import load_text
from overpaint_backend.train.batches import Batch, Batches
from overpaint_backend.train.beginning import begin_dit
from overpaint_backend.train.devices import average_gradients, own_device, shared_mean, team
from overpaint_backend.train.settings import Settings, Stage
from overpaint_backend.train.words import Words


class Pupil(DiT):
    """The transformer, whose sketch attention can be left out.

    `thrifty`: what blocks compute is not kept for the way back, but computed again: it takes a third more time.
    """

    sketch_attention = True
    thrifty = False

    def _blocks(self, x: Tokens, step: Step, ready: Ready, hint: Callable[[], Tokens]) -> Tokens:
        guide: Hint | None = None
        words = iter(ready.words)
        for number, (spatial, temporal) in enumerate(self._pairs()):
            x = self._through(spatial, x, step, next(words), guide)
            x = self._through(temporal, x, step, next(words), None)
            if number == 0:
                x, guide = self_scale(x, hint(), self.config.entry)
                guide = guide if self.sketch_attention else None
        return x

    def _through(self, block: Block, x: Tokens, step: Step, words: Sequence[KeysValues], guide: Hint | None) -> Tokens:
        if self.thrifty:
            return cast(Tensor, checkpoint(block, x, step, words, guide, use_reentrant=False))
        return block(x, step, words, guide)


class Learner(nn.Module):
    """The transformer and its words, with what it takes to train them.

    Parameters are float32. Where the settings say `half`, a copy of the transformer in bfloat16 computes, and is made
    anew after each step: on a CPU this is faster than autocast, which goes back to float32 for each normalisation.

    Where several processes share a step, only the sketch attention's bonus is another than in one: it is the largest of
    the clips that are attended to together (see `dit.SketchAttention`).
    """

    def __init__(self, settings: Settings, weights: Path = Path()) -> None:
        """`weights`: where those are that the run begins with, if the settings say `given`."""
        super().__init__()
        torch.manual_seed(settings.seed)
        self.settings, self.device = settings, own_device()
        self.dit = Pupil(settings.dit)
        self.text = self.words = None
        if settings.given:
            begin_dit(self.dit, weights)
            self.dit.thrifty = True
            self.text = load_text(weights, self.device)
        else:
            self.words = Words(settings.dit.caption_channels, settings.text_layers)
            prime(self.dit)
        self.to(self.device)
        learns = re.compile("|".join(f"(?:{stage.learns})" for stage in settings.stages))
        self.names = [name for name, value in self.named_parameters() if value.requires_grad and learns.search(name)]
        self.trained = [self.get_parameter(name) for name in self.names]
        self.average = [value.detach().clone() for value in self.trained]
        # In a list, and so no part of the state.
        self.quick = [copy.deepcopy(self.dit).bfloat16() if settings.half else self.dit]
        self.optimizer = torch.optim.AdamW(
            self.trained,
            lr=settings.rate,
            betas=settings.betas,
            eps=settings.epsilon,
            weight_decay=settings.decay,
            fused=True,
        )

    def read(self, captions: Sequence[str]) -> None:
        """Encode these once, where a published encoder does it, and give back its memory."""
        if self.text is not None:
            for caption in sorted(set(captions))[team().process_index :: team().num_processes]:
                self.text.encode(caption)
            team().wait_for_everyone()
            self.text.release()

    def enter(self, stage: Stage) -> None:
        """Let learn what learns in this stage."""
        quick, names = self.quick[0], set(self.names)
        quick.sketch_attention = stage.sketch_attention
        parameters = [(f"dit.{name}", value) for name, value in quick.named_parameters()]
        if self.words is not None:
            parameters += [(f"words.{name}", value) for name, value in self.words.named_parameters()]
        for name, value in parameters:
            value.requires_grad_(name in names and re.search(stage.learns, name) is not None)

    def learn(self, vae: BlockVAE | VideoVAE, batch: Batch, step: int) -> float:
        """One step; gives the loss before it."""
        quick = self.quick[0]
        self.enter(self.settings.stage(step))
        loss = self.loss(vae, batch.to(self.device), torch.Generator().manual_seed(self.settings.seed * 2**32 + step))
        loss.backward()
        if quick is not self.dit:
            for value, computed in zip(self.dit.parameters(), quick.parameters(), strict=True):
                if computed.grad is not None:
                    value.grad, computed.grad = computed.grad.float(), None
        average_gradients(self.trained)  # all else is the same in each process
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
        return float(shared_mean(loss.detach()))

    def state(self) -> dict[str, Any]:
        """All that the next step depends on but the settings and its number."""
        return {"model": self.state_dict(), "average": self.average, "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = [value.to(self.device) for value in state["average"]]
        if self.quick[0] is not self.dit:
            self.quick[0].load_state_dict(self.dit.state_dict())

    def averaged(self) -> tuple[Pupil, Words | None]:
        """Both models with the average of their parameters over the last steps, to paint with."""
        held = dict(zip(self.names, self.average, strict=True))
        both = copy.deepcopy(self.dit), copy.deepcopy(self.words)
        for prefix, model in zip(("dit.", "words."), both, strict=True):
            own = {name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)}
            if model is not None:
                model.load_state_dict(own, strict=False)
        both[0].sketch_attention = self.quick[0].sketch_attention
        return both

    def loss(self, vae: BlockVAE | VideoVAE, batch: Batch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Squared distance of the velocity in the mask, by the mask's size and not the frame's, so small masks count.

        Where the run begins with published weights, it is the official one.
        """
        video, device = batch.video(), batch.frames.device
        with torch.no_grad():
            clean = vae.encode(video)
        mask = down_sample_mask(batch.painted(), vae.space_factor, blocks=isinstance(vae, BlockVAE))
        noise = batch.noise(clean.shape, generator).to(device)
        ratio = self.settings.dit.time_ratio or bend(video.shape[3], video.shape[4], video.shape[2])
        t = draw_times(batch.together, ratio, generator)[batch.share].to(device)
        if self.settings.given:
            moving = draw_frames(batch.together, clean.shape[2], generator)[batch.share].to(device)
        else:
            moving = torch.ones(len(clean), clean.shape[2], dtype=torch.bool, device=device)
            if clean.shape[2] > 1:  # of a single one nothing would be left
                moving[:, 0] &= ~batch.known
        quick, hint = self.quick[0], batch.hint()
        ready = quick.prepare(hint, self.texts(batch), boxes=whole(hint, self.settings.dit.chunk))
        if hint.shape[-1] < self.settings.size:
            ready = replace(ready, where=self.cut(quick, batch.corner, hint.shape[-1]))
        velocity = quick.step(noised(clean, noise, mask, t, moving), t, ready, moving)[:, : clean.shape[1]]
        if self.settings.given:
            return training.loss(velocity, clean, noise, mask, moving).mean()
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
        if self.words is not None:
            said = self.words(batch.captions)
        else:
            assert self.text is not None
            said = [self.text.encode(caption).values.to(self.device) for caption in batch.captions]
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
    loader: DataLoader[Any] = DataLoader(
        batches, batch_size=None, sampler=steps, num_workers=1, prefetch_factor=4, worker_init_fn=_heed_no_signal
    )
    return iter(loader)


def _heed_no_signal(number: int) -> None:
    """Ctrl-C and a batch system signal all processes; the one that trains answers, and ends this one when it has no more use for it."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
