"""What the bytes in tests/data/wire/v0.1.0 say. Never change it: later versions must still read the same from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from overpaint import wire
from overpaint.card import EngineCard, OptionKind, OptionSpec, RegionRule, TaskRule
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import (
    Blend,
    Edit,
    Guide,
    GuideKey,
    Input,
    Keyframe,
    Knot,
    Stroke,
    Task,
    Track,
    TrackPoint,
)
from overpaint.job import EventKind, JobEvent, JobSpec
from overpaint.v1 import engines_pb2, jobs_pb2

ONE, TWO, THREE = "01" * 32, "2f" * 32, "f3" * 32

SPEC = JobSpec(
    id="0123456789abcdef0123456789abcdef",
    engine="flow",
    clip=Clip(
        size=Size(width=1920, height=1080),
        rate=Rate(numerator=24000, denominator=1001),
        depth=16,
        frames=(ONE, TWO, ONE),
    ),
    edit=Edit(
        task=Task.REPLACE,
        prompt="a red coat, ärmellos",
        negative_prompt="blur",
        seed=4294967295,
        guides=(
            Guide(
                kind=Input.MASK,
                keys=(
                    GuideKey(
                        frame=0,
                        strokes=(
                            Stroke(
                                knots=(
                                    Knot(x=0.1, y=-20.5, left=(0.0, 1 / 3), right=(2.5, 1e-9)),
                                    Knot(x=1919.999, y=1080.0, left=(7.0, 8.0)),
                                    Knot(x=3.0, y=4.0, right=(5.0, 6.0)),
                                ),
                                width=2.5,
                                closed=True,
                                opacity=0.75,
                                layer=3,
                                blend=Blend.SUBTRACT,
                                invert=True,
                            ),
                        ),
                    ),
                    GuideKey(frame=2),
                ),
                hold=True,
                grow=-1.5,
                feather=12.25,
            ),
            Guide(kind=Input.SKETCH, keys=(GuideKey(frame=1, pixels=THREE),)),
        ),
        tracks=(Track(points=(TrackPoint(frame=0, x=1.5, y=2.5), TrackPoint(frame=2, x=3.5, y=4.5))),),
        keyframes=(Keyframe(frame=0, pixels=TWO),),
        options={"quality": "best", "steps": 30, "strength": 0.1, "occlusion": True, "shift": -2},
    ),
)

CARD = EngineCard(
    name="flow",
    title="Flow",
    description="Carries pixels along the optical flow",
    version="1.2",
    licence="Apache-2.0",
    tasks=(
        TaskRule(
            task=Task.REPAINT,
            honours=frozenset({Input.MASK, Input.KEYFRAME}),
            needs=(frozenset({Input.MASK}), frozenset({Input.KEYFRAME, Input.SKETCH})),
        ),
        TaskRule(task=Task.REMOVE, honours=frozenset({Input.MASK})),
    ),
    sparse=frozenset({Input.SKETCH}),
    region=RegionRule.UNION,
    native_size=Size(width=512, height=512),
    size_multiple=8,
    margin=0.3,
    max_frames=49,
    frame_step=4,
    frame_offset=1,
    overlap=5,
    options=(
        OptionSpec(
            name="quality", kind=OptionKind.CHOICE, default="fast", description="How well", choices=("fast", "best")
        ),
        OptionSpec(name="steps", kind=OptionKind.INT, default=20, description="How long", minimum=1, maximum=100),
        OptionSpec(name="strength", kind=OptionKind.FLOAT, default=0.5, description="How much"),
        OptionSpec(name="occlusion", kind=OptionKind.BOOL, default=False, description="Whether"),
    ),
    needs_gpu=True,
    needs_weights=True,
    memory_bytes_per_pixel=96,
)

PROGRESS = JobEvent(
    number=5,
    kind=EventKind.PROGRESS,
    at=1795255200.25,
    stage="paint",
    step=3,
    steps=30,
    window=1,
    windows=4,
    seconds_left=12.5,
    queue_place=2,
)
FAILED = JobEvent(
    number=6, kind=EventKind.FAILED, at=1795255201.0, field="mask", message="it is empty", remedy="Paint one"
)

# File -> the value in it, how it is read now, and how it was written then.
VALUES: dict[str, tuple[Any, Callable[[bytes], Any], Callable[[Any], Any]]] = {
    "spec.bin": (SPEC, lambda body: wire.spec_from_wire(jobs_pb2.JobSpec.FromString(body)), wire.spec_to_wire),
    "card.bin": (CARD, lambda body: wire.card_from_wire(engines_pb2.EngineCard.FromString(body)), wire.card_to_wire),
    "progress.bin": (
        PROGRESS,
        lambda body: wire.event_from_wire(jobs_pb2.JobEvent.FromString(body)),
        wire.event_to_wire,
    ),
    "failed.bin": (FAILED, lambda body: wire.event_from_wire(jobs_pb2.JobEvent.FromString(body)), wire.event_to_wire),
}


def frames() -> list[np.ndarray]:
    """Frames that every codec and prediction is used on, made without chance."""
    y, x, c = np.meshgrid(np.arange(21), np.arange(15), np.arange(4), indexing="ij")
    deep = [
        ((x * 977 + y * 3001 + c * 7919 + t * 557 + (x * y * (t + 3)) % 41 * 64) % 65536).astype(np.uint16)
        for t in range(3)
    ]
    clips = [
        [frame[:, :, :3] for frame in deep],
        [(frame[:, :, :3] >> 8).astype(np.uint8) for frame in deep],
        [np.where(x[..., :1] + t > 7, (frame >> 8), 0).astype(np.uint8) for t, frame in enumerate(deep)],
        [(frame[:, :, 0] >> 8).astype(np.uint8) for frame in deep],
        [np.where(frame[:, :, 0] > 30000, 255, 0).astype(np.uint8) for frame in deep],
        [np.where(frame[:, :, 0] > 30000, 65535, 0).astype(np.uint16) for frame in deep],
    ]
    return [frame for clip in clips for frame in clip]
