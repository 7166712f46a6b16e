"""What a training run is made of: widths, stages, how much of everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from overpaint.errors import Invalid

from overpaint_backend.engines.vires.config import DiTConfig, PCAConfig, VAEConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of the training of the diffusion transformer, `steps` long.

    `frames` and `batch` of a step; the shares of clips whose sketch is there on all frames (`full`), and on no frame
    (`none`): the others have it on some. `known`: the share of clips whose first latent frame is known. `silent`: the share
    without words. `crop`: the side in pixels of the square in the mask that the model sees (None: it sees all): lines are
    followed nearby, and a quarter of the picture takes a quarter of the time. `sketch_attention`: it joins late, as in the
    paper, since what it adds is small before its queries mean anything. `loose`: the share of clips whose mask is drawn
    loosely. `learns`: a regular expression that is found in the names of the parameters that learn; "" is in all.
    """

    steps: int
    frames: int
    batch: int
    full: float = 1.0
    none: float = 0.0
    known: float = 0.0
    silent: float = 0.1
    crop: int | None = None
    sketch_attention: bool = True
    loose: float = 0.5
    learns: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A run. `vae_steps` are of the decoder; rates are of AdamW; `size` in pixels; `cool`: the last share of all steps, in
    which the rate falls to nothing.

    `given`: the run begins with published weights. Text encoder and autoencoder are theirs, and loss, known frames and
    times are the official code's (`engines/vires/training.py`). Without it everything begins at nothing, and the words
    learn as well.
    """

    dit: DiTConfig
    vae: PCAConfig | VAEConfig
    stages: tuple[Stage, ...]
    vae_steps: int = 1200
    vae_batch: int = 16  # pictures
    vae_frames: int = 4
    vae_crop: int | None = None
    text_layers: int = 2
    size: int = 64
    rate: float = 1e-3
    warm: int = 100
    cool: float = 0.3
    ema: float = 0.998
    seed: int = 0
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-8
    decay: float = 0.01
    given: bool = False
    half: bool = True  # compute in bfloat16; parameters, their averages and the optimizer stay in float32

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    @property
    def vae_clips(self) -> int:
        """In a step of the decoder."""
        return self.vae_batch // self.vae_frames

    def stage(self, step: int) -> Stage:
        """The stage that the step of this number belongs to; the last one for all beyond."""
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        return self.stages[-1]


SMALL = Settings(
    dit=DiTConfig(
        latent_channels=16,
        patch=(1, 1),
        hidden=128,
        depth=3,
        heads=4,
        caption_channels=64,
        caption_length=24,
        position_size=64,
        hint_widths=(16, 16, 32, 64, 128),
        hint_groups=(4, 4, 4),
        space_factor=4,
        direct_sketch=True,
        time_ratio=2.0,
    ),
    vae=PCAConfig(),
    stages=(
        Stage(steps=2500, frames=4, batch=16, full=0.9, none=0.1, crop=32, sketch_attention=False),
        Stage(steps=1800, frames=17, batch=4, full=0.5, none=0.15, known=0.2, crop=32),
        Stage(steps=800, frames=17, batch=2, full=0.4, none=0.15, known=0.2),
    ),
)

ABLATED = replace(
    SMALL,
    vae_steps=600,
    stages=(
        Stage(steps=900, frames=4, batch=16, full=0.9, none=0.1, crop=32, sketch_attention=False),
        Stage(steps=500, frames=17, batch=4, full=0.6, none=0.15, crop=32),
    ),
)
"""The small one trained for a quarter of its time: what the ablations are compared with."""

HINT = r"hint|(?<!cross_)attn\.proj"
"""Hint net and the outputs of self-attention; self-scaling has no parameters."""

PUBLISHED = Settings(
    dit=DiTConfig(),
    vae=VAEConfig(),
    stages=(
        Stage(steps=35_000, frames=51, batch=8, loose=0.0, learns=HINT, sketch_attention=False),
        Stage(steps=45_000, frames=51, batch=8, loose=0.0, learns=rf"{HINT}|sketch_attn|scale_pww"),
    ),
    vae_steps=22_000,
    vae_batch=8 * 17,
    vae_frames=17,
    vae_crop=256,
    size=512,
    rate=1e-5,
    warm=1000,
    cool=0.0,
    ema=0.99,
    betas=(0.9, 0.999),
    epsilon=1e-15,
    decay=0.0,
    given=True,
)
"""As published (arXiv 2411.16199, section 4.1), numbers that it lacks from the official code: eight graphics cards, a clip each.

The same code runs at small widths in a test. At these widths it was never run: neither the memory that it takes nor what
comes of it is known. Not as published: the sketch-aware encoder learns without LPIPS and from crops (the paper does not
say how large its clips are), the optimizer's state is whole on each card (there: in parts, ZeRO-2), and the fine-tuning on
sparse sketches, whose length is not published, is no stage.
"""

CONFIGS: Mapping[str, Settings] = {
    "small": SMALL,
    "published": PUBLISHED,
    "ablated": ABLATED,
    "ablated-self-scaling": replace(ABLATED, dit=replace(ABLATED.dit, entry="standardised")),
    "ablated-standardised-self-scaling": replace(ABLATED, dit=replace(ABLATED.dit, entry="added")),
    "ablated-sketch-attention": replace(
        ABLATED, stages=tuple(replace(stage, sketch_attention=False) for stage in ABLATED.stages)
    ),
    "ablated-sketch-aware-decoder": replace(ABLATED, vae=replace(ABLATED.vae, sketch_aware=False)),
    "ablated-direct-sketch": replace(ABLATED, dit=replace(ABLATED.dit, direct_sketch=False)),
}
"""Those that the command line knows by name; `ablated-X` goes without X (VIRES, arXiv 2411.16199, table 1)."""


def named(name: str) -> Settings:
    """One of `CONFIGS`. Raises Invalid."""
    if name not in CONFIGS:
        raise Invalid(field="config", message=f"no config is called {name!r}", remedy=f"Say {', '.join(CONFIGS)}")
    return CONFIGS[name]
