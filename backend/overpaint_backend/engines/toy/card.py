"""What the toy engine says of itself."""

from __future__ import annotations

from overpaint.card import EngineCard, OptionKind, OptionSpec, RegionRule, TaskRule
from overpaint.edit import GUIDE_KINDS, Input, Task

EVERYTHING = frozenset(Input)
MASK = frozenset({Input.MASK})

card = EngineCard(
    name="toy",
    title="Toy",
    description="Paints a coloured pattern where the mask is. For tests and for learning how an engine is made.",
    version="1",
    licence="Apache-2.0",
    tasks=tuple(
        TaskRule(task=task, honours=EVERYTHING, needs=() if task is Task.GENERATE else (MASK,)) for task in Task
    ),
    sparse=GUIDE_KINDS - MASK,
    region=RegionRule.TRACKED,
    size_multiple=8,
    margin=0.25,
    max_frames=16,
    overlap=4,
    options=(
        OptionSpec(
            name="strength",
            kind=OptionKind.FLOAT,
            default=1.0,
            minimum=0.0,
            maximum=1.0,
            description="How much of the source the pattern covers",
        ),
        OptionSpec(
            name="steps",
            kind=OptionKind.INT,
            default=4,
            minimum=1,
            maximum=1000,
            description="How many steps a window takes",
        ),
        OptionSpec(
            name="delay",
            kind=OptionKind.FLOAT,
            default=0.0,
            minimum=0.0,
            maximum=5.0,
            description="Seconds that every step waits, so that cancelling and killing can be tried",
        ),
        OptionSpec(name="invert", kind=OptionKind.BOOL, default=False, description="Turn the pattern's colours around"),
        OptionSpec(
            name="pattern",
            kind=OptionKind.CHOICE,
            default="checks",
            choices=("checks", "stripes", "flat"),
            description="What the pattern looks like",
        ),
    ),
    memory_bytes_per_pixel=48,
    rank=-1,  # for tests: it can do everything, and nothing well
)
