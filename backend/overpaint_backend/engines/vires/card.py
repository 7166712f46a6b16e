"""What the VIRES engine says of itself."""

from __future__ import annotations

from overpaint.card import EngineCard, OptionKind, OptionSpec, RegionRule, TaskRule
from overpaint.clip import Size
from overpaint.edit import Input, Task

CHUNK = 17  # frames that hint net and autoencoder take at once; a window is whole chunks, and knows one

MASK = frozenset({Input.MASK})
PROMPT = frozenset({Input.PROMPT})
LINES = frozenset({Input.SKETCH, Input.EDGE, Input.DEPTH})
HONOURED = MASK | PROMPT | LINES | {Input.NEGATIVE_PROMPT, Input.KEYFRAME}

card = EngineCard(
    name="vires",
    title="VIRES",
    description=(
        "Repaints the masked instance after a sketch and a prompt (arXiv 2411.16199). A sketch may be there on some frames only. "
        "Edges count as a sketch, a depth picture through its outlines: the published weights know lines. "
        "Remove paints an empty background where no prompt says what is behind. A negative prompt counts where the guidance is above 1."
    ),
    version="1",
    licence="Apache-2.0; the weights: see their page",
    tasks=(
        TaskRule(task=Task.REPAINT, honours=HONOURED, needs=(MASK, PROMPT | LINES | {Input.KEYFRAME})),
        TaskRule(task=Task.REPLACE, honours=HONOURED, needs=(MASK, PROMPT)),
        TaskRule(task=Task.ADD, honours=HONOURED, needs=(MASK, PROMPT)),
        TaskRule(task=Task.REMOVE, honours=HONOURED, needs=(MASK,)),
        TaskRule(task=Task.GENERATE, honours=HONOURED, needs=(PROMPT,)),
    ),
    sparse=LINES,
    region=RegionRule.TRACKED,
    native_size=Size(width=512, height=512),
    size_multiple=16,
    margin=0.06,  # training cut 15 pixels around the instance: so much of a box of 250
    max_frames=3 * CHUNK,
    frame_step=CHUNK,
    overlap=CHUNK,
    options=(
        OptionSpec(
            name="steps",
            kind=OptionKind.INT,
            default=30,
            minimum=1,
            maximum=100,
            description="Steps from noise to picture: more are slower and a little finer",
        ),
        OptionSpec(
            name="guidance",
            kind=OptionKind.FLOAT,
            default=7.0,
            minimum=1.0,
            maximum=15.0,
            description="How strongly the prompt counts; at 1 the negative prompt does not count, and a step takes half the time",
        ),
        OptionSpec(
            name="solver",
            kind=OptionKind.CHOICE,
            default="euler",
            choices=("euler", "corrected"),
            description="How a step is taken: euler as published; corrected is as near to the end in about half the steps",
        ),
        OptionSpec(
            name="hint_every",
            kind=OptionKind.INT,
            default=1,
            minimum=1,
            maximum=10,
            description="Look at the sketch anew on every so many steps: faster, and only about right above 1",
        ),
        OptionSpec(
            name="stillness",
            kind=OptionKind.FLOAT,
            default=0.0,
            minimum=0.0,
            maximum=1.0,
            description="Leave out steps in which less than this share has changed: faster, and only about right above 0",
        ),
    ),
    needs_gpu=True,
    rank=2,
    needs_weights=True,
    memory_bytes_per_pixel=2000,  # reckoned for 51 frames: weights in bfloat16, and the features of the sketch
)
