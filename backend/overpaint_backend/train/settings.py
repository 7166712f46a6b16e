"""What a training run is made of: widths, stages, how much of everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from overpaint_backend.engines.vires.config import DiTConfig, PCAConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of the training of the diffusion transformer, `steps` long.

    `frames` and `batch` of a step; the shares of clips whose sketch is there on all frames (`full`), and on no frame
    (`none`): the others have it on some. `known`: the share of clips whose first latent frame is known. `silent`: the share
    without words. `crop`: the side in pixels of the square in the mask that the model sees (None: it sees all): lines are
    followed nearby, and a quarter of the picture takes a quarter of the time. `sketch_attention`: it joins late, as in the
    paper, since what it adds is small before its queries mean anything.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A run. `vae_steps` are of the decoder; rates are of AdamW; `size` in pixels; `cool`: the last share of all steps, in
    which the rate falls to nothing."""

    dit: DiTConfig
    vae: PCAConfig
    stages: tuple[Stage, ...]
    vae_steps: int = 1200
    vae_batch: int = 16  # pictures
    text_layers: int = 2
    size: int = 64
    rate: float = 1e-3
    warm: int = 100
    cool: float = 0.3
    ema: float = 0.998
    seed: int = 0
    half: bool = True  # compute in bfloat16; parameters, their averages and the optimizer stay in float32

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

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

CONFIGS: Mapping[str, Settings] = {
    "small": SMALL,
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
