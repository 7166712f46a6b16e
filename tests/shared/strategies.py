"""Hypothesis strategies for every value that travels; each one names all fields of its value, so none is forgotten."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from overpaint.card import Device, EngineCard, Estimate, OptionKind, OptionSpec, RegionRule, ServerCard, TaskRule
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import (
    GUIDE_KINDS,
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
from overpaint.errors import BY_STATUS
from overpaint.job import EventKind, JobEvent, JobRecord, JobSpec, JobState, JobSummary, Picture, Pruned
from overpaint.order import Click, GuideFrame, GuideOrder, GuideProgress, LinesOrder, MadeGuide, ObjectGuide, TrackOrder

T = TypeVar("T")


def whole(value: Callable[..., T], **fields: SearchStrategy[Any]) -> SearchStrategy[T]:
    """`st.builds`, but every field of the value must be named."""
    names = {field.name for field in dataclasses.fields(value)}  # pyright: ignore[reportArgumentType]
    assert names == set(fields), names ^ set(fields)
    return st.builds(value, **fields)


def counts(top: int = 2**32 - 1) -> SearchStrategy[int]:
    return st.integers(0, top)


def several(one: SearchStrategy[T], at_least: int = 0, at_most: int = 3) -> SearchStrategy[tuple[T, ...]]:
    return st.lists(one, min_size=at_least, max_size=at_most).map(tuple)


texts = st.text(max_size=20)
numbers = st.floats(allow_nan=False)
places = st.floats(allow_nan=False, allow_infinity=False)
frames = counts(2**32 - 1)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
job_ids = st.uuids().map(lambda made: made.hex)

sizes = whole(Size, width=st.integers(1, 2**32 - 1), height=st.integers(1, 2**32 - 1))
rates = whole(Rate, numerator=st.integers(1, 2**32 - 1), denominator=st.integers(1, 2**32 - 1))
clips = whole(Clip, size=sizes, rate=rates, depth=st.sampled_from([8, 16]), frames=several(digests, at_least=1))

handles = st.none() | st.tuples(places, places)
knots = whole(Knot, x=places, y=places, left=handles, right=handles)
strokes = whole(
    Stroke,
    knots=several(knots),
    width=places,
    closed=st.booleans(),
    opacity=places,
    layer=counts(),
    blend=st.sampled_from(Blend),
    invert=st.booleans(),
)
guide_keys = whole(GuideKey, frame=frames, pixels=st.none() | digests, strokes=several(strokes, at_most=2))
key_rows = st.lists(guide_keys, max_size=3, unique_by=lambda key: key.frame).map(
    lambda keys: tuple(sorted(keys, key=lambda key: key.frame))
)


def guides_of(kind: Input) -> SearchStrategy[Guide]:
    return whole(Guide, kind=st.just(kind), keys=key_rows, hold=st.booleans(), grow=places, feather=places)


guides = st.lists(st.sampled_from(sorted(GUIDE_KINDS)), unique=True, max_size=4).flatmap(
    lambda kinds: st.tuples(*map(guides_of, kinds))
)
tracks = whole(Track, points=several(whole(TrackPoint, frame=frames, x=places, y=places)))
keyframes = whole(Keyframe, frame=frames, pixels=digests)
option_values = st.booleans() | st.integers(-(2**63), 2**63 - 1) | numbers | texts
edits = whole(
    Edit,
    task=st.sampled_from(Task),
    prompt=texts,
    negative_prompt=texts,
    seed=counts(2**64 - 1),
    guides=guides,
    tracks=several(tracks, at_most=2),
    keyframes=several(keyframes),
    options=st.dictionaries(texts, option_values, max_size=3),
)
specs = whole(JobSpec, id=job_ids, engine=texts, clip=clips, edit=edits)

small_pictures = st.tuples(st.integers(0, 9), st.integers(0, 9)).flatmap(
    lambda size: whole(
        Picture,
        width=st.just(size[0]),
        height=st.just(size[1]),
        rgb=st.binary(min_size=(n := size[0] * size[1] * 3), max_size=n),
    )
)
events = whole(
    JobEvent,
    number=counts(2**64 - 1),
    kind=st.sampled_from(EventKind),
    at=places,
    stage=texts,
    step=counts(),
    steps=counts(),
    window=counts(),
    windows=counts(),
    seconds_left=st.none() | places,
    queue_place=counts(),
    field=texts,
    message=texts,
    remedy=texts,
    picture=st.none() | small_pictures,
    reused=st.booleans(),
    status=st.sampled_from(("", *BY_STATUS)),
)
summaries = whole(
    JobSummary,
    id=job_ids,
    engine=texts,
    state=st.sampled_from(JobState),
    task=st.sampled_from(Task),
    prompt=texts,
    frames=counts(),
    opened_at=places,
    events=counts(2**64 - 1),
    owner=texts,
    priority=st.integers(-10, 10),
)
records = whole(
    JobRecord,
    summary=summaries,
    spec=specs,
    frames=counts(2**64 - 1),
    windows=counts(2**64 - 1),
    bytes=counts(2**64 - 1),
)
pruned = whole(
    Pruned,
    jobs=counts(2**64 - 1),
    frames=counts(2**64 - 1),
    windows=counts(2**64 - 1),
    bytes=counts(2**64 - 1),
)

inputs = st.frozensets(st.sampled_from(Input))
options = whole(
    OptionSpec,
    name=texts,
    kind=st.sampled_from(OptionKind),
    default=option_values,
    description=texts,
    minimum=numbers | st.just(-math.inf),
    maximum=numbers | st.just(math.inf),
    choices=several(texts),
)
cards = whole(
    EngineCard,
    name=texts,
    title=texts,
    description=texts,
    version=texts,
    licence=texts,
    tasks=several(whole(TaskRule, task=st.sampled_from(Task), honours=inputs, needs=several(inputs.filter(bool)))),
    sparse=inputs,
    region=st.sampled_from(RegionRule),
    native_size=st.none() | sizes,
    size_multiple=st.integers(1, 2**32 - 1),
    margin=places,
    max_frames=st.integers(1, 2**32 - 1),
    frame_step=st.integers(1, 2**32 - 1),
    frame_offset=counts(),
    overlap=counts(),
    options=several(options),
    needs_gpu=st.booleans(),
    needs_weights=st.booleans(),
    memory_bytes_per_pixel=counts(2**64 - 1),
    rank=st.integers(-(2**31), 2**31 - 1),
    obstacle=texts,
    carries=st.booleans(),
)
server_cards = whole(
    ServerCard,
    version=texts,
    devices=several(whole(Device, name=texts, title=texts, memory_bytes=counts(2**64 - 1))),
    max_frames=counts(2**64 - 1),
    max_pixels=counts(2**64 - 1),
    now=places,
)
estimates = whole(
    Estimate,
    frames=counts(),
    windows=counts(),
    window_size=sizes,
    pixel_bytes=counts(2**64 - 1),
    seconds=st.none() | places,
    device=texts,
)

# Pixels

shapes = st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 4]))
depths = st.sampled_from([8, 16])


@st.composite
def pictures(draw: st.DrawFn, shape: tuple[int, int, int] | None = None, depth: int | None = None) -> np.ndarray:
    """A frame: noise, flat, smooth, two-valued or mostly empty; sometimes "h w", sometimes not in C order."""
    height, width, channels = shape or draw(shapes)
    dtype = np.dtype(np.uint8 if (depth or draw(depths)) == 8 else np.uint16)
    top, rng = int(np.iinfo(dtype).max), np.random.default_rng(draw(counts()))
    full = (height, width, channels)
    match draw(st.sampled_from(["noise", "flat", "smooth", "two", "empty"])):
        case "noise":
            frame = rng.integers(0, top + 1, full)
        case "flat":
            frame = np.full(full, rng.integers(0, top + 1))
        case "smooth":
            slope = np.linspace(0, top, height)[:, None, None] + np.linspace(0, top, width)[None, :, None]
            frame = np.broadcast_to(slope / 2, full) + rng.integers(0, 3, full)
        case "two":
            frame = rng.integers(0, 2, full) * top
        case _:
            frame = rng.integers(0, top + 1, full) * (rng.random((height, width, 1)) < 0.05)
    frame = np.clip(frame, 0, top).astype(dtype)
    if channels == 1 and draw(st.booleans()):
        frame = frame[:, :, 0]
    return draw(st.sampled_from([np.ascontiguousarray, np.asfortranarray, _strided]))(frame)


def _strided(frame: np.ndarray) -> np.ndarray:
    """The same pixels as a view that skips memory and runs backwards."""
    wide = np.zeros((frame.shape[0], frame.shape[1] * 2, *frame.shape[2:]), frame.dtype)
    wide[:, ::2] = frame[::-1]
    return wide[::-1, ::2]


clicks = whole(Click, object=counts(), frame=frames, x=places, y=places, positive=st.booleans())
guide_frames = whole(GuideFrame, frame=frames, pixels=digests)
track_orders = whole(TrackOrder, clicks=several(clicks))
lines_orders = whole(LinesOrder, mask=st.none() | guides_of(Input.MASK))
guide_orders = whole(
    GuideOrder,
    size=sizes,
    depth=st.sampled_from([8, 16]),
    frames=st.lists(guide_frames, min_size=1, max_size=4, unique_by=lambda one: one.frame).map(
        lambda found: tuple(sorted(found, key=lambda one: one.frame))
    ),
    wanted=track_orders | lines_orders,
)
made_guides = whole(
    MadeGuide, guides=several(whole(ObjectGuide, object=counts(), guide=guides_of(Input.SKETCH))), method=texts
)
guide_progresses = whole(GuideProgress, stage=texts, done=counts(), total=counts())
