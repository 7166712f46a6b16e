"""What the small VIRES says of itself."""

from __future__ import annotations

from dataclasses import replace

from overpaint.card import TaskRule
from overpaint.clip import Size
from overpaint.edit import Task

from overpaint_backend.engines.vires.card import CHUNK, LINES, MASK, PROMPT
from overpaint_backend.engines.vires.card import card as large

HONOURED = MASK | PROMPT | LINES
STEPS, GUIDANCE = 4, 2.0  # what it was judged with

card = replace(
    large,
    name="vires-small",
    title="VIRES small",
    description=(
        "Our own small VIRES: five million parameters, 64x64 pixels, weights included, quick on any CPU. It was trained on drawn figures "
        "and knows their words: colours, shapes, stripes, dots, checks, rings. It shows how a sketch and a prompt work together, and how a real "
        "clip will go; it does not paint real things. Its MODEL.md says how good it is."
    ),
    version="1",
    licence="Apache-2.0",
    tasks=(
        TaskRule(task=Task.REPAINT, honours=HONOURED, needs=(MASK, PROMPT | LINES)),
        TaskRule(task=Task.REPLACE, honours=HONOURED, needs=(MASK, PROMPT)),
        TaskRule(task=Task.ADD, honours=HONOURED, needs=(MASK, PROMPT)),
    ),
    native_size=Size(width=64, height=64),
    margin=0.5,  # in training a figure's box was about half as wide as the frame
    max_frames=CHUNK,
    overlap=1,  # the first of 17 frames is a latent frame of its own, so a window can know just that one
    options=tuple(
        replace(option, default={"steps": STEPS, "guidance": GUIDANCE}.get(option.name, option.default))
        for option in large.options
    ),
    needs_gpu=False,
    rank=1,
    needs_weights=False,
)
