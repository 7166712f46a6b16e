"""Value <-> protobuf: one pair of functions per type, and the only place that translates.

`x_from_wire(x_to_wire(value)) == value` for every legal value. What is not legal raises Invalid in both directions:
a message may come from any client, and a value may hold a number that the contract has no room for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import fields
from enum import StrEnum
from typing import Any, Generic, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from overpaint.card import Device, EngineCard, Estimate, OptionKind, OptionSpec, RegionRule, ServerCard, TaskRule
from overpaint.chunks import Chunk
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import Codec, FrameHeader, Prediction
from overpaint.edit import (
    Blend,
    Edit,
    Guide,
    GuideKey,
    Input,
    Keyframe,
    Knot,
    OptionValue,
    Stroke,
    Task,
    Track,
    TrackPoint,
)
from overpaint.errors import Invalid, shown
from overpaint.job import EventKind, JobEvent, JobRecord, JobSpec, JobState, JobSummary, Picture, Pruned
from overpaint.order import Click, GuideFrame, GuideOrder, GuideProgress, LinesOrder, MadeGuide, ObjectGuide, TrackOrder
from overpaint.v1 import engines_pb2, frames_pb2, guides_pb2, jobs_pb2, service_pb2

_V = TypeVar("_V", bound=StrEnum)
_JOB_ID = re.compile("[0-9a-f]{32}")


@contextmanager
def _naming(field: str, remedy: str) -> Generator[None]:
    """Turn a value's or protobuf's refusal into Invalid with the field's name."""
    try:
        yield
    except (ValueError, TypeError) as refusal:
        raise Invalid(
            field=field, message=f"the {field.replace('_', ' ')} is not legal: {refusal}", remedy=remedy
        ) from refusal


class _Words(Generic[_V]):
    """An enum's values and their numbers on the wire, both ways; the names agree, so a gap shows at import."""

    def __init__(self, values: type[_V], number: Callable[[str], int], prefix: str, field: str) -> None:
        self._numbers = {value: number(f"{prefix}_{value.name}") for value in values}
        self._values = {number: value for value, number in self._numbers.items()}
        self._field = field

    def to_wire(self, value: _V) -> Any:
        return self._numbers[value]

    def from_wire(self, number: int) -> _V:
        value = self._values.get(number)
        if value is None:
            raise Invalid(
                field=self._field,
                message=f"no {self._field} is given"
                if number == 0
                else f"the {self._field} {number} is not known here",
                remedy=f"Give one of {', '.join(self._numbers)}" if number == 0 else "Update Overpaint on this side",
            )
        return value


_TASKS = _Words(Task, jobs_pb2.Task.Value, "TASK", "task")
_INPUTS = _Words(Input, jobs_pb2.Input.Value, "INPUT", "input")
_BLENDS = _Words(Blend, jobs_pb2.Blend.Value, "BLEND", "blend")
_STATES = _Words(JobState, jobs_pb2.JobState.Value, "JOB_STATE", "state")
_EVENTS = _Words(EventKind, jobs_pb2.EventKind.Value, "EVENT_KIND", "event")
_OPTIONS = _Words(OptionKind, engines_pb2.OptionKind.Value, "OPTION_KIND", "option")
_REGIONS = _Words(RegionRule, engines_pb2.RegionRule.Value, "REGION_RULE", "region")

task_to_wire, task_from_wire = _TASKS.to_wire, _TASKS.from_wire
input_to_wire, input_from_wire = _INPUTS.to_wire, _INPUTS.from_wire
state_to_wire, state_from_wire = _STATES.to_wire, _STATES.from_wire


def digest_to_wire(digest: str, field: str = "digest") -> bytes:
    """64 hex digits -> 32 bytes."""
    with _naming(field, "Name pixels by the SHA-256 that codec.digest gives"):
        wired = _whole_digest(bytes.fromhex(digest))
        if wired.hex() != digest:
            raise ValueError("its letters are small and nothing stands between them")
        return wired


def digest_from_wire(digest: bytes, field: str = "digest") -> str:
    """32 bytes -> 64 hex digits."""
    with _naming(field, "Name pixels by the SHA-256 that codec.digest gives"):
        return _whole_digest(digest).hex()


def _whole_digest(digest: bytes) -> bytes:
    if len(digest) != 32:
        raise ValueError(f"a digest has 32 bytes, not {len(digest)}")
    return digest


# The clip


def size_to_wire(size: Size) -> jobs_pb2.Size:
    with _naming("size", "Give width and height in pixels"):
        return jobs_pb2.Size(width=size.width, height=size.height)


def size_from_wire(message: jobs_pb2.Size) -> Size:
    with _naming("size", "Give width and height in pixels"):
        return Size(width=message.width, height=message.height)


def clip_to_wire(clip: Clip) -> jobs_pb2.Clip:
    with _naming("rate", "Give the rate as a fraction of two numbers below 2**32"):
        rate = jobs_pb2.Rate(numerator=clip.rate.numerator, denominator=clip.rate.denominator)
    frames = [digest_to_wire(digest, "clip") for digest in clip.frames]
    return jobs_pb2.Clip(size=size_to_wire(clip.size), rate=rate, depth=clip.depth, frames=frames)


def clip_from_wire(message: jobs_pb2.Clip) -> Clip:
    with _naming("rate", "Give the rate as a fraction, such as 24000/1001"):
        rate = Rate(numerator=message.rate.numerator, denominator=message.rate.denominator)
    size = size_from_wire(message.size)
    frames = tuple(digest_from_wire(digest, "clip") for digest in message.frames)
    with _naming("clip", "Send the size, the rate, the depth and the digest of every frame"):
        return Clip(size=size, rate=rate, depth=message.depth, frames=frames)  # pyright: ignore[reportArgumentType]


# The edit


def _stroke_to_wire(stroke: Stroke) -> jobs_pb2.Stroke:
    return jobs_pb2.Stroke(
        knots=[_knot_to_wire(knot) for knot in stroke.knots],
        width=stroke.width,
        closed=stroke.closed,
        opacity=stroke.opacity,
        layer=stroke.layer,
        blend=_BLENDS.to_wire(stroke.blend),
        invert=stroke.invert,
    )


def _stroke_from_wire(message: jobs_pb2.Stroke) -> Stroke:
    return Stroke(
        knots=tuple(_knot_from_wire(knot) for knot in message.knots),
        width=message.width,
        closed=message.closed,
        opacity=message.opacity,
        layer=message.layer,
        blend=_BLENDS.from_wire(message.blend),
        invert=message.invert,
    )


def _knot_to_wire(knot: Knot) -> jobs_pb2.Knot:
    left, right = (side and jobs_pb2.Point(x=side[0], y=side[1]) for side in (knot.left, knot.right))
    return jobs_pb2.Knot(x=knot.x, y=knot.y, left=left, right=right)


def _knot_from_wire(message: jobs_pb2.Knot) -> Knot:
    left = (message.left.x, message.left.y) if message.HasField("left") else None
    right = (message.right.x, message.right.y) if message.HasField("right") else None
    return Knot(x=message.x, y=message.y, left=left, right=right)


def _guide_to_wire(guide: Guide) -> jobs_pb2.Guide:
    with _naming(guide.kind, "Give frames from 0 on, and numbers in clip pixels"):
        keys = [
            jobs_pb2.GuideKey(
                frame=key.frame,
                pixels=b"" if key.pixels is None else digest_to_wire(key.pixels, guide.kind),
                strokes=[_stroke_to_wire(stroke) for stroke in key.strokes],
            )
            for key in guide.keys
        ]
        return jobs_pb2.Guide(
            kind=_INPUTS.to_wire(guide.kind), keys=keys, hold=guide.hold, grow=guide.grow, feather=guide.feather
        )


def _guide_from_wire(message: jobs_pb2.Guide) -> Guide:
    kind = _INPUTS.from_wire(message.kind)
    with _naming(kind, "Give each frame once and in order, and as a guide only mask, sketch, depth or edge"):
        keys = tuple(
            GuideKey(
                frame=key.frame,
                pixels=digest_from_wire(key.pixels, kind) if key.pixels else None,
                strokes=tuple(_stroke_from_wire(stroke) for stroke in key.strokes),
            )
            for key in message.keys
        )
        return Guide(kind=kind, keys=keys, hold=message.hold, grow=message.grow, feather=message.feather)


def _track_to_wire(track: Track) -> jobs_pb2.Track:
    with _naming("track", "Give frames from 0 on, and points in clip pixels"):
        return jobs_pb2.Track(
            points=[jobs_pb2.TrackPoint(frame=point.frame, x=point.x, y=point.y) for point in track.points]
        )


def _track_from_wire(message: jobs_pb2.Track) -> Track:
    return Track(points=tuple(TrackPoint(frame=point.frame, x=point.x, y=point.y) for point in message.points))


def _keyframe_to_wire(keyframe: Keyframe) -> jobs_pb2.Keyframe:
    with _naming("keyframe", "Give frames from 0 on"):
        return jobs_pb2.Keyframe(frame=keyframe.frame, pixels=digest_to_wire(keyframe.pixels, "keyframe"))


def _keyframe_from_wire(message: jobs_pb2.Keyframe) -> Keyframe:
    return Keyframe(frame=message.frame, pixels=digest_from_wire(message.pixels, "keyframe"))


def _option_to_wire(value: OptionValue, name: str) -> jobs_pb2.OptionValue:
    with _naming(f"options.{name}", "Give on or off, a number or a word"):
        match value:
            case bool():
                return jobs_pb2.OptionValue(flag=value)
            case int():
                return jobs_pb2.OptionValue(whole=value)
            case float():
                return jobs_pb2.OptionValue(number=value)
            case str():
                return jobs_pb2.OptionValue(word=value)
            case _:  # what the types forbid, but a panel or a file may still bring
                raise TypeError(f"{value!r} is none of these")


def _option_from_wire(message: jobs_pb2.OptionValue, name: str) -> OptionValue:
    match message.WhichOneof("value"):
        case "flag":
            return message.flag
        case "whole":
            return message.whole
        case "number":
            return message.number
        case "word":
            return message.word
        case _:
            raise Invalid(
                field=f"options.{shown(name)}",
                message=f"{shown(name)} has no value",
                remedy="Give it one or leave it out",
            )


def _options_from_wire(messages: Mapping[str, jobs_pb2.OptionValue]) -> dict[str, OptionValue]:
    return {name: _option_from_wire(messages[name], name) for name in sorted(messages)}


def edit_to_wire(edit: Edit) -> jobs_pb2.Edit:
    with _naming("edit", "Give a seed from 0 on, and text as prompts"):
        return jobs_pb2.Edit(
            task=_TASKS.to_wire(edit.task),
            prompt=edit.prompt,
            negative_prompt=edit.negative_prompt,
            seed=edit.seed,
            guides=[_guide_to_wire(guide) for guide in edit.guides],
            tracks=[_track_to_wire(track) for track in edit.tracks],
            keyframes=[_keyframe_to_wire(keyframe) for keyframe in edit.keyframes],
            options={name: _option_to_wire(value, name) for name, value in edit.options.items()},
        )


def edit_from_wire(message: jobs_pb2.Edit) -> Edit:
    if len(message.guides) > len(Input):
        what = f"there are {len(message.guides)} guides, so some kind of them is given twice"
        raise Invalid(field="guides", message=what, remedy="Put all frames of a kind into one guide")
    guides = tuple(_guide_from_wire(guide) for guide in message.guides)
    kinds = [guide.kind for guide in guides]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise Invalid(
                field=kind, message=f"the {kind} is given twice", remedy=f"Put all its frames into one {kind}"
            )
    return Edit(
        task=_TASKS.from_wire(message.task),
        prompt=message.prompt,
        negative_prompt=message.negative_prompt,
        seed=message.seed,
        guides=guides,
        tracks=tuple(_track_from_wire(track) for track in message.tracks),
        keyframes=tuple(_keyframe_from_wire(keyframe) for keyframe in message.keyframes),
        options=_options_from_wire(message.options),
    )


# The job


def spec_to_wire(spec: JobSpec) -> jobs_pb2.JobSpec:
    return jobs_pb2.JobSpec(id=spec.id, engine=spec.engine, clip=clip_to_wire(spec.clip), edit=edit_to_wire(spec.edit))


def spec_from_wire(message: jobs_pb2.JobSpec) -> JobSpec:
    if not _JOB_ID.fullmatch(message.id):
        raise Invalid(field="id", message="a job's id is 32 hex digits", remedy="Make it with uuid.uuid4().hex")
    return JobSpec(
        id=message.id,
        engine=message.engine,
        clip=clip_from_wire(message.clip),
        edit=edit_from_wire(message.edit),
    )


def message_to_dict(message: Message) -> dict[str, Any]:
    """A message as JSON's values, with the contract's own field names; digests are base64 there."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def request_to_json(spec: JobSpec) -> str:
    """The whole request as one line of JSON; `request_from_json` gives the equal spec back."""
    return json.dumps(message_to_dict(spec_to_wire(spec)), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def request_from_json(text: str) -> JobSpec:
    """The spec that `request_to_json` wrote. Raises Invalid where the text is not a whole, legal request."""
    try:
        message = json_format.Parse(text, jobs_pb2.JobSpec())
    except json_format.ParseError as error:
        raise Invalid(
            field="request",
            message=f"this is not a request that this version can read: {error}",
            remedy="Use the text that a take carries, with the version of Overpaint that made it, or a newer one",
        ) from error
    return spec_from_wire(message)


_EVENT_PLAIN = tuple(one.name for one in fields(JobEvent) if one.name not in ("kind", "seconds_left", "picture"))


_PICTURE_PLAIN = ("width", "height", "rgb")


def event_to_wire(event: JobEvent) -> jobs_pb2.JobEvent:
    with _naming("event", "Give counts from 0 on"):
        return jobs_pb2.JobEvent(
            kind=_EVENTS.to_wire(event.kind),
            seconds_left=event.seconds_left,
            picture=event.picture and jobs_pb2.Picture(**_plain(event.picture, _PICTURE_PLAIN)),
            **_plain(event, _EVENT_PLAIN),
        )


def event_from_wire(message: jobs_pb2.JobEvent) -> JobEvent:
    return JobEvent(
        kind=_EVENTS.from_wire(message.kind),
        seconds_left=message.seconds_left if message.HasField("seconds_left") else None,
        picture=_picture_from_wire(message.picture) if message.HasField("picture") else None,
        **_plain(message, _EVENT_PLAIN),
    )


def _picture_from_wire(message: jobs_pb2.Picture) -> Picture:
    with _naming("picture", "Send its rows from the top, 3 bytes a pixel"):
        return Picture(**_plain(message, _PICTURE_PLAIN))


_SUMMARY_PLAIN = ("id", "engine", "prompt", "frames", "opened_at", "events", "owner", "priority")


def summary_to_wire(summary: JobSummary) -> jobs_pb2.JobSummary:
    return jobs_pb2.JobSummary(
        state=_STATES.to_wire(summary.state), task=_TASKS.to_wire(summary.task), **_plain(summary, _SUMMARY_PLAIN)
    )


def summary_from_wire(message: jobs_pb2.JobSummary) -> JobSummary:
    return JobSummary(
        state=_STATES.from_wire(message.state),
        task=_TASKS.from_wire(message.task),
        **_plain(message, _SUMMARY_PLAIN),
    )


_RECORD_PLAIN = ("frames", "windows", "bytes")


def record_to_wire(record: JobRecord) -> service_pb2.GetJobResponse:
    return service_pb2.GetJobResponse(
        job=summary_to_wire(record.summary), spec=spec_to_wire(record.spec), **_plain(record, _RECORD_PLAIN)
    )


def record_from_wire(message: service_pb2.GetJobResponse) -> JobRecord:
    return JobRecord(
        summary=summary_from_wire(message.job), spec=spec_from_wire(message.spec), **_plain(message, _RECORD_PLAIN)
    )


_PRUNED_PLAIN = ("jobs", "frames", "windows", "bytes")


def pruned_to_wire(pruned: Pruned) -> service_pb2.PruneJobsResponse:
    return service_pb2.PruneJobsResponse(**_plain(pruned, _PRUNED_PLAIN))


def pruned_from_wire(message: service_pb2.PruneJobsResponse) -> Pruned:
    return Pruned(**_plain(message, _PRUNED_PLAIN))


# Frames

_HEADER_PLAIN = ("width", "height", "channels", "depth", "payload_bytes")


def codec_to_wire(codec: Codec) -> Any:
    return int(codec)


def codec_from_wire(number: int) -> Codec:
    with _naming("codec", "Use one of those that GetServer names"):
        return Codec(number)


def chunk_to_wire(chunk: Chunk, message: frames_pb2.FrameChunk | None = None) -> frames_pb2.FrameChunk:
    """Writes into `message` where one is given: to set a part of a larger message as a whole copies its payload twice."""
    message = frames_pb2.FrameChunk() if message is None else message
    message.number, message.payload = chunk.number, chunk.payload
    if chunk.header is not None:
        message.header.CopyFrom(header_to_wire(chunk.header))
    return message


def chunk_from_wire(message: frames_pb2.FrameChunk) -> Chunk:
    header = header_from_wire(message.header) if message.HasField("header") else None
    return Chunk(number=message.number, header=header, payload=message.payload)


def header_to_wire(header: FrameHeader) -> frames_pb2.FrameHeader:
    return frames_pb2.FrameHeader(
        digest=digest_to_wire(header.digest),
        codec=codec_to_wire(header.codec),
        prediction=int(header.prediction),
        **_plain(header, _HEADER_PLAIN),
    )


def header_from_wire(message: frames_pb2.FrameHeader) -> FrameHeader:
    if message.prediction & ~sum(Prediction):
        raise Invalid(
            field="prediction",
            message=f"the prediction {message.prediction} is not known here",
            remedy="Update Overpaint on this side",
        )
    return FrameHeader(
        digest=digest_from_wire(message.digest),
        codec=codec_from_wire(message.codec),
        prediction=Prediction(message.prediction),
        **_plain(message, _HEADER_PLAIN),
    )


# The cards

_CARD_PLAIN = (
    *("name", "title", "description", "version", "licence", "size_multiple", "margin", "max_frames", "frame_step"),
    *("frame_offset", "overlap", "needs_gpu", "needs_weights", "memory_bytes_per_pixel", "rank", "obstacle", "carries"),
)
_OPTION_PLAIN = ("name", "description", "minimum", "maximum")


def card_to_wire(card: EngineCard) -> engines_pb2.EngineCard:
    with _naming("engine", "Give counts from 0 on, and text as titles"):
        return engines_pb2.EngineCard(
            tasks=[_rule_to_wire(rule) for rule in card.tasks],
            sparse=_inputs_to_wire(card.sparse),
            region=_REGIONS.to_wire(card.region),
            native_size=size_to_wire(card.native_size) if card.native_size else None,
            options=[_option_spec_to_wire(option) for option in card.options],
            **_plain(card, _CARD_PLAIN),
        )


def card_from_wire(message: engines_pb2.EngineCard) -> EngineCard:
    for name in ("size_multiple", "max_frames", "frame_step"):
        if getattr(message, name) < 1:
            raise Invalid(field=name, message=f"the card of {message.name} has no {name}", remedy="Give at least 1")
    return EngineCard(
        tasks=tuple(_rule_from_wire(rule) for rule in message.tasks),
        sparse=_inputs_from_wire(message.sparse),
        region=_REGIONS.from_wire(message.region),
        native_size=size_from_wire(message.native_size) if message.HasField("native_size") else None,
        options=tuple(_option_spec_from_wire(option) for option in message.options),
        **_plain(message, _CARD_PLAIN),
    )


def _rule_to_wire(rule: TaskRule) -> engines_pb2.TaskRule:
    return engines_pb2.TaskRule(
        task=_TASKS.to_wire(rule.task),
        honours=_inputs_to_wire(rule.honours),
        needs=[engines_pb2.InputGroup(any_of=_inputs_to_wire(group)) for group in rule.needs],
    )


def _rule_from_wire(message: engines_pb2.TaskRule) -> TaskRule:
    needs = tuple(_inputs_from_wire(group.any_of) for group in message.needs)
    if not all(needs):
        raise Invalid(field="needs", message="a task needs one of no inputs", remedy="Name an input in every group")
    return TaskRule(task=_TASKS.from_wire(message.task), honours=_inputs_from_wire(message.honours), needs=needs)


def _inputs_to_wire(inputs: frozenset[Input]) -> list[Any]:
    return sorted(_INPUTS.to_wire(one) for one in inputs)


def _inputs_from_wire(numbers: Iterable[int]) -> frozenset[Input]:
    return frozenset(_INPUTS.from_wire(number) for number in numbers)


def _option_spec_to_wire(option: OptionSpec) -> engines_pb2.OptionSpec:
    return engines_pb2.OptionSpec(
        kind=_OPTIONS.to_wire(option.kind),
        default=_option_to_wire(option.default, option.name),
        choices=option.choices,
        **_plain(option, _OPTION_PLAIN),
    )


def _option_spec_from_wire(message: engines_pb2.OptionSpec) -> OptionSpec:
    return OptionSpec(
        kind=_OPTIONS.from_wire(message.kind),
        default=_option_from_wire(message.default, message.name),
        choices=tuple(message.choices),
        **_plain(message, _OPTION_PLAIN),
    )


_SERVER_PLAIN = ("version", "max_frames", "max_pixels", "now")
_DEVICE_PLAIN = ("name", "title", "memory_bytes")
_ESTIMATE_PLAIN = ("frames", "windows", "pixel_bytes", "device")


def server_to_wire(card: ServerCard) -> service_pb2.GetServerResponse:
    return service_pb2.GetServerResponse(
        codecs=[codec_to_wire(codec) for codec in Codec],
        devices=[service_pb2.Device(**_plain(device, _DEVICE_PLAIN)) for device in card.devices],
        **_plain(card, _SERVER_PLAIN),
    )


def server_from_wire(message: service_pb2.GetServerResponse) -> ServerCard:
    devices = tuple(Device(**_plain(device, _DEVICE_PLAIN)) for device in message.devices)
    return ServerCard(devices=devices, **_plain(message, _SERVER_PLAIN))


def estimate_to_wire(estimate: Estimate) -> service_pb2.EstimateJobResponse:
    return service_pb2.EstimateJobResponse(
        window_size=size_to_wire(estimate.window_size), seconds=estimate.seconds, **_plain(estimate, _ESTIMATE_PLAIN)
    )


def estimate_from_wire(message: service_pb2.EstimateJobResponse) -> Estimate:
    return Estimate(
        window_size=size_from_wire(message.window_size),
        seconds=message.seconds if message.HasField("seconds") else None,
        **_plain(message, _ESTIMATE_PLAIN),
    )


# Guides that are made

_CLICK_PLAIN = ("object", "frame", "x", "y")
_GUIDE_PROGRESS_PLAIN = ("stage", "done", "total")


def order_to_wire(order: GuideOrder) -> guides_pb2.GuideOrder:
    with _naming("clicks", "Give objects and frames from 0 on"):
        frames = [
            guides_pb2.GuideFrame(frame=one.frame, pixels=digest_to_wire(one.pixels, "frames")) for one in order.frames
        ]
        message = guides_pb2.GuideOrder(size=size_to_wire(order.size), depth=order.depth, frames=frames)
        match order.wanted:
            case TrackOrder(clicks=clicks):
                message.track.SetInParent()
                message.track.clicks.extend(
                    guides_pb2.Click(negative=not click.positive, **_plain(click, _CLICK_PLAIN)) for click in clicks
                )
            case LinesOrder(mask=mask):
                message.lines.SetInParent()
                if mask is not None:
                    message.lines.mask.CopyFrom(_guide_to_wire(mask))
        return message


def order_from_wire(message: guides_pb2.GuideOrder) -> GuideOrder:
    wanted = message.WhichOneof("wanted")
    if wanted is None:
        raise Invalid(
            field="wanted", message="the order says nothing that is known here", remedy="Give clicks or lines"
        )
    if wanted == "track":
        found = TrackOrder(
            clicks=tuple(
                Click(positive=not click.negative, **_plain(click, _CLICK_PLAIN)) for click in message.track.clicks
            )
        )
    else:
        found = LinesOrder(mask=_guide_from_wire(message.lines.mask) if message.lines.HasField("mask") else None)
    frames = tuple(GuideFrame(frame=one.frame, pixels=digest_from_wire(one.pixels, "frames")) for one in message.frames)
    size = size_from_wire(message.size)
    with _naming("frames", "Send the size, the depth and the digest of every frame, in order"):
        return GuideOrder(size=size, depth=message.depth, frames=frames, wanted=found)  # pyright: ignore[reportArgumentType]


def made_to_wire(made: MadeGuide) -> guides_pb2.MadeGuide:
    with _naming("object", "Give objects from 0 on"):
        guides = [guides_pb2.ObjectGuide(object=one.object, guide=_guide_to_wire(one.guide)) for one in made.guides]
        return guides_pb2.MadeGuide(guides=guides, method=made.method)


def made_from_wire(message: guides_pb2.MadeGuide) -> MadeGuide:
    guides = tuple(ObjectGuide(object=one.object, guide=_guide_from_wire(one.guide)) for one in message.guides)
    return MadeGuide(guides=guides, method=message.method)


def guide_progress_to_wire(progress: GuideProgress) -> guides_pb2.GuideProgress:
    with _naming("progress", "Give counts from 0 on"):
        return guides_pb2.GuideProgress(**_plain(progress, _GUIDE_PROGRESS_PLAIN))


def guide_progress_from_wire(message: guides_pb2.GuideProgress) -> GuideProgress:
    return GuideProgress(**_plain(message, _GUIDE_PROGRESS_PLAIN))


def _plain(one: object, names: Iterable[str]) -> dict[str, Any]:
    """The fields that travel as they are."""
    return {name: getattr(one, name) for name in names}
