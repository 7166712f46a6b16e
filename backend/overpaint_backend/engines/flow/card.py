"""What the flow engine says of itself."""

from __future__ import annotations

from overpaint.card import EngineCard, OptionKind, OptionSpec, RegionRule, TaskRule
from overpaint.edit import Input, Task

INKS = {
    "black": (0.05, 0.05, 0.05),
    "white": (0.96, 0.96, 0.96),
    "red": (0.78, 0.08, 0.08),
    "yellow": (0.95, 0.80, 0.10),
    "green": (0.10, 0.55, 0.20),
    "blue": (0.10, 0.25, 0.75),
}

card = EngineCard(
    name="flow",
    title="Flow",
    description=(
        "Works on any computer, without a model. Remove fills the mask with what other frames show there. "
        "Repaint makes a sketch or a painted keyframe stick to the masked instance on all frames."
    ),
    version="1",
    licence="Apache-2.0",
    tasks=(
        TaskRule(
            task=Task.REPAINT,
            honours=frozenset({Input.MASK, Input.SKETCH, Input.KEYFRAME}),
            needs=(frozenset({Input.MASK}), frozenset({Input.SKETCH, Input.KEYFRAME})),
        ),
        TaskRule(
            task=Task.REMOVE,
            honours=frozenset({Input.MASK, Input.KEYFRAME}),
            needs=(frozenset({Input.MASK}),),
        ),
    ),
    sparse=frozenset({Input.SKETCH}),
    region=RegionRule.UNION,
    margin=0.5,
    max_frames=64,
    overlap=4,
    options=(
        OptionSpec(
            name="ink",
            kind=OptionKind.CHOICE,
            default="black",
            choices=tuple(INKS),
            description="The colour that the sketch's lines are drawn in",
        ),
    ),
    memory_bytes_per_pixel=56,
)
