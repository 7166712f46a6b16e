"""EngineCard and check_spec: what an engine says of itself, and what is wrong with a request, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, islice
from unicodedata import category

from overpaint.clip import Clip, Rate, Size
from overpaint.edit import Edit, Guide, GuideKey, Input, OptionValue, Stroke, Task, Track
from overpaint.errors import Invalid, shown
from overpaint.job import JobSpec

MAX_PROMPT = 4000  # characters; five times the longest caption the field's training sets hold
MAX_SEED = 2**32
MAX_RATE = 100_000  # frames a second, and seconds a frame: three times the most that Blender can be set to
MAX_PLACE = 2**20  # pixels from the picture's corner: strokes may leave the picture, but numbers must stay exact
MAX_REACH = 2**14  # pixels of grow and feather: twice the longest side of a frame of 8K
MAX_WIDTH = 2**10  # pixels of a stroke: what one piece of it covers is drawn at once, so it costs memory by the square
MAX_LAYERS = 100  # of one frame's strokes: each is blended over the whole picture
MAX_KNOTS = 100_000  # on one frame of a guide, and as many strokes: ten times the lines that footage of 8K gives
MAX_TRACKS = 1000  # each is a path that somebody drew
TURNING = frozenset("\u202d\u202e")  # show other words than those that are read; no script needs them


class OptionKind(StrEnum):
    """What values an option takes."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSpec:
    """One option of an engine, described so that the panel, `--help` and the validation derive from it.

    `minimum` and `maximum` (both inclusive) bound numbers; `choices` lists a choice's words.
    """

    name: str
    kind: OptionKind
    default: OptionValue
    description: str
    minimum: float = -math.inf
    maximum: float = math.inf
    choices: tuple[str, ...] = ()

    def problem(self, value: OptionValue) -> str | None:
        """Why `value` cannot be taken, or None."""
        match self.kind:
            case OptionKind.BOOL:
                return None if isinstance(value, bool) else "is on or off"
            case OptionKind.CHOICE:
                return None if value in self.choices else f"is one of {', '.join(self.choices)}"
            case OptionKind.INT | OptionKind.FLOAT:
                whole = self.kind is OptionKind.INT
                wanted = "a whole number" if whole else "a number"
                refusal = f"is {wanted} from {self.minimum:g} to {self.maximum:g}"
                if isinstance(value, bool | str) or not math.isfinite(value) or (whole and value != int(value)):
                    return refusal
                return None if self.minimum <= value <= self.maximum else refusal


class RegionRule(StrEnum):
    """How the planner cuts the region of the picture that an engine works on."""

    TRACKED = "tracked"  # a box of constant size follows the mask
    UNION = "union"  # one box around everything the mask touches in the window
    WHOLE = "whole"  # the whole picture


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRule:
    """A task that an engine can do: what it honours, and what it cannot do without.

    Every group of `needs` must have at least one of its inputs given.
    """

    task: Task
    honours: frozenset[Input]
    needs: tuple[frozenset[Input], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCard:
    """An engine's self-description.

    A window has `frame_step * n + frame_offset` frames for some n >= 0, at most `max_frames`; each window begins with
    the last `overlap` frames of the one before. Regions have sides that are multiples of `size_multiple` and are
    scaled to `native_size` where that is given. `margin` is the picture around the mask that the engine wants to see, as a
    fraction of the mask's size. `sparse` lists the guides that may be there on some frames only.
    `memory_bytes_per_pixel` is working memory for each pixel of each frame of a window. Where nobody chooses, the engine
    of the highest `rank` that can do it paints; one below 0 is never asked unless it is named. `obstacle` says why a
    server cannot use the engine at present, and is empty where it can. An engine that `carries` hands something to the
    next window besides the frames that they share.
    """

    name: str
    title: str
    description: str
    version: str
    licence: str
    tasks: tuple[TaskRule, ...]
    sparse: frozenset[Input] = frozenset()
    region: RegionRule = RegionRule.TRACKED
    native_size: Size | None = None
    size_multiple: int = 1
    margin: float = 0.25
    max_frames: int
    frame_step: int = 1
    frame_offset: int = 0
    overlap: int = 0
    options: tuple[OptionSpec, ...] = ()
    needs_gpu: bool = False
    needs_weights: bool = False
    memory_bytes_per_pixel: int = 64
    rank: int = 0
    obstacle: str = ""
    carries: bool = False

    @property
    def chained(self) -> bool:
        """Whether a window needs the one before it; the windows of other engines can be painted in any order."""
        return self.overlap > 0 or self.carries

    def rule(self, task: Task) -> TaskRule | None:
        return next((rule for rule in self.tasks if rule.task == task), None)

    def option(self, name: str) -> OptionSpec | None:
        return next((option for option in self.options if option.name == name), None)

    def complete(self, options: dict[str, OptionValue]) -> dict[str, OptionValue]:
        """`options` with the default of every option that is not given."""
        return {option.name: option.default for option in self.options} | options


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong with a request: the field, what is wrong, and what to do about it."""

    field: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}. {self.remedy}"


def check_spec(spec: JobSpec, card: EngineCard) -> tuple[Problem, ...]:
    """Everything that keeps `card`'s engine from honouring `spec`, in words; empty where nothing does."""
    return (
        *_check_rate(spec.clip.rate),
        *check_task(spec.edit.task, spec.edit.given(), card),
        *(problem for guide in spec.edit.guides for problem in _check_guide(guide, spec.clip, card)),
        *_check_keyframes(spec.edit, spec.clip),
        *_check_tracks(spec.edit, spec.clip),
        *_check_words(spec.edit),
        *_check_options(spec.edit, card),
    )


def usual(cards: Iterable[EngineCard], task: Task, given: frozenset[Input]) -> EngineCard:
    """The engine for a task with these inputs where nobody chooses one. Raises Invalid where none can."""
    ranked = sorted((card for card in cards if card.rank >= 0), key=lambda card: (bool(card.obstacle), -card.rank))
    problems = [tuple(check_task(task, given, card)) for card in ranked]
    nearest = min(zip(problems, ranked, strict=True), key=lambda pair: len(pair[0]), default=None)
    if nearest is None:
        raise Invalid(field="engine", message="there is no engine", remedy="Install one")
    wrong, card = nearest
    if wrong:  # what the engine that is nearest to it would say
        raise Invalid(field=wrong[0].field, message=wrong[0].message, remedy=wrong[0].remedy)
    if card.obstacle:
        raise Invalid(
            field="engine",
            message=f"the engine {card.name} could do this, but {card.obstacle}",
            remedy="Make it usable, or give something else",
        )
    return card


def check_task(task: Task, given: frozenset[Input], card: EngineCard) -> Iterator[Problem]:
    """What keeps `card`'s engine from doing the task with these inputs."""
    rule = card.rule(task)
    if rule is None:
        can = ", ".join(rule.task for rule in card.tasks)
        yield Problem(
            field="task",
            message=f"the engine {card.name} cannot {task}",
            remedy=f"Choose {can}, or another engine",
        )
        return
    for extra in sorted(given - rule.honours):
        yield Problem(
            field=extra,
            message=f"the engine {card.name} does not honour a {_words(extra)} for {task}",
            remedy=f"Leave the {_words(extra)} out, or choose another engine",
        )
    for group in rule.needs:
        if not group & given:
            wanted = " or a ".join(_words(one) for one in sorted(group))
            yield Problem(
                field=min(group),
                message=f"to {task}, the engine {card.name} needs a {wanted}, and none is given",
                remedy=f"Give a {wanted}",
            )


def _words(given: Input) -> str:
    return given.replace("_", " ")


def _check_guide(guide: Guide, clip: Clip, card: EngineCard) -> Iterator[Problem]:
    field = guide.kind
    if not guide.keys:
        yield Problem(field=field, message=f"the {field} has no key", remedy="Give it on at least one frame")
        return
    outside = [key.frame for key in guide.keys if not 0 <= key.frame < len(clip)]
    if outside:
        yield Problem(
            field=field,
            message=f"the {field} is given on frame {outside[0]}, and the clip has frames 0 to {len(clip) - 1}",
            remedy=f"Give the {field} on frames of the clip only",
        )
    if not guide.hold and len(guide.keys) < len(clip) and guide.kind not in card.sparse:
        yield Problem(
            field=field,
            message=f"the {field} has {len(guide.keys)} frames and the clip has {len(clip)}",
            remedy=f"Give the {field} on every frame: the engine {card.name} takes no sparse {field}",
        )
    yield from check_drawn(guide)


def check_drawn(guide: Guide) -> Iterator[Problem]:
    """What is wrong with a guide wherever it is used: its keys, its strokes, its numbers."""
    field = guide.kind
    yield from _first(_check_key(key, field) for key in guide.keys)
    for name, pixels, least in (("grow", guide.grow, -MAX_REACH), ("feather", guide.feather, 0)):
        if not least <= pixels <= MAX_REACH:
            yield Problem(
                field=field,
                message=f"the {name} is {pixels:g} pixels",
                remedy=f"Give a {name} from {least} to {MAX_REACH} pixels",
            )


def _first(found: Iterable[Iterator[Problem]]) -> Iterator[Problem]:
    """The first problem only: what is wrong with one key or stroke is mostly wrong with all."""
    yield from islice(chain.from_iterable(found), 1)


def _check_key(key: GuideKey, field: Input) -> Iterator[Problem]:
    if (key.pixels is None) == (not key.strokes) and (key.pixels is not None or field is not Input.MASK):
        has = "both pixels and strokes" if key.pixels else "neither pixels nor strokes"
        yield Problem(
            field=field, message=f"frame {key.frame} of the {field} has {has}", remedy="Give either pixels or strokes"
        )
    knots, layers = sum(len(stroke.knots) for stroke in key.strokes), len({stroke.layer for stroke in key.strokes})
    if layers > MAX_LAYERS:
        yield Problem(
            field=field,
            message=f"frame {key.frame} of the {field} has strokes in {layers} layers",
            remedy=f"Draw in at most {MAX_LAYERS}",
        )
    if max(knots, len(key.strokes)) > MAX_KNOTS:
        yield Problem(
            field=field,
            message=f"frame {key.frame} of the {field} has {len(key.strokes)} strokes with {knots} knots",
            remedy=f"Draw at most {MAX_KNOTS} of each on a frame",
        )
    else:
        yield from _first(_check_stroke(stroke, field) for stroke in key.strokes)


def _check_stroke(stroke: Stroke, field: Input) -> Iterator[Problem]:
    places = [place for knot in stroke.knots for place in (knot.x, knot.y, *(knot.left or ()), *(knot.right or ()))]
    wrong = None
    if not all(map(math.isfinite, (stroke.width, stroke.opacity, *places))):
        wrong = "holds a number that is not finite"
    elif places and max(max(places), -min(places)) > MAX_PLACE:
        wrong = f"has a point more than {MAX_PLACE} pixels from the picture's corner"
    elif not 0 <= stroke.width <= MAX_WIDTH:
        wrong = f"has a stroke of width {stroke.width:g}, and a width is from 0 to {MAX_WIDTH} pixels"
    elif not 0 <= stroke.opacity <= 1:
        wrong = f"has a stroke of opacity {stroke.opacity:g}, and an opacity is from 0 to 1"
    if wrong:
        yield Problem(field=field, message=f"the {field} {wrong}", remedy="Draw that stroke again")


def _check_rate(rate: Rate) -> Iterator[Problem]:
    if not rate.denominator <= MAX_RATE * rate.numerator or not rate.numerator <= MAX_RATE * rate.denominator:
        yield Problem(
            field="rate",
            message=f"the rate is {rate} frames a second",
            remedy=f"Give one from one frame in {MAX_RATE} seconds to at most {MAX_RATE} frames a second",
        )


def _check_keyframes(edit: Edit, clip: Clip) -> Iterator[Problem]:
    frames = [keyframe.frame for keyframe in edit.keyframes]
    for frame in frames:
        if not 0 <= frame < len(clip):
            yield Problem(
                field="keyframe",
                message=f"a keyframe is on frame {frame}, and the clip has frames 0 to {len(clip) - 1}",
                remedy="Put keyframes on frames of the clip only",
            )
    if len(set(frames)) < len(frames):
        yield Problem(field="keyframe", message="two keyframes are on the same frame", remedy="Keep one of them")


def _check_tracks(edit: Edit, clip: Clip) -> Iterator[Problem]:
    if len(edit.tracks) > MAX_TRACKS:
        yield Problem(
            field="track", message=f"the edit has {len(edit.tracks)} tracks", remedy=f"Draw at most {MAX_TRACKS}"
        )
        return
    yield from _first(_check_track(track, len(clip)) for track in edit.tracks)


def _check_track(track: Track, length: int) -> Iterator[Problem]:
    frames = [point.frame for point in track.points]
    places = [place for point in track.points for place in (point.x, point.y)]
    wrong = None
    if any(not 0 <= frame < length for frame in frames) or not all(map(math.isfinite, places)):
        wrong = f"has a point off the clip's frames 0 to {length - 1}, or one that is not finite"
    elif any(abs(place) > MAX_PLACE for place in places):
        wrong = f"has a point more than {MAX_PLACE} pixels from the picture's corner"
    elif not frames:
        wrong = "has no point"
    elif frames != sorted(set(frames)):
        wrong = "has points that are not in frame order, each frame once"
    if wrong:
        yield Problem(field="track", message=f"a track {wrong}", remedy="Draw that track again")


def _check_words(edit: Edit) -> Iterator[Problem]:
    for field, text in (("prompt", edit.prompt), ("negative_prompt", edit.negative_prompt)):
        if len(text) > MAX_PROMPT:
            yield Problem(
                field=field,
                message=f"the {_words(Input(field))} has {len(text)} characters",
                remedy=f"Shorten it to {MAX_PROMPT}",
            )
            continue
        # Tabs and ends of lines apart, control characters are no words, and a terminal that shows the prompt obeys them.
        wrong = next((one for one in text if (category(one) == "Cc" and one not in "\t\n\r") or one in TURNING), None)
        if wrong is not None:
            yield Problem(
                field=field,
                message=f"the {_words(Input(field))} has the invisible character U+{ord(wrong):04X}",
                remedy="Take it out",
            )
    if not 0 <= edit.seed < MAX_SEED:
        yield Problem(
            field="seed",
            message=f"the seed {edit.seed} is out of range",
            remedy=f"Give a seed from 0 to {MAX_SEED - 1}",
        )


def _check_options(edit: Edit, card: EngineCard) -> Iterator[Problem]:
    for name, value in edit.options.items():
        option, called = card.option(name), shown(name)
        if option is None:
            known = ", ".join(option.name for option in card.options) or "none"
            yield Problem(
                field=f"options.{called}",
                message=f"the engine {card.name} has no option {called}",
                remedy=f"Its options are: {known}",
            )
        elif (why := option.problem(value)) is not None:
            given = f"'{shown(value)}'" if isinstance(value, str) else repr(value)
            yield Problem(field=f"options.{name}", message=f"{given} cannot be taken", remedy=f"{name} {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What an engine computes on: "cpu", "cuda:0", ..., with its memory in bytes."""

    name: str
    title: str
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCard:
    """A server's self-description: its version, devices, and the largest job it takes (pixels of one frame).

    `now` is its clock, Unix time in seconds; 0 where a server of before does not tell.
    """

    version: str
    devices: tuple[Device, ...]
    max_frames: int
    max_pixels: int
    now: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a job would cost.

    `window_size` is what the engine sees of a frame, `pixel_bytes` all the clip's pixels before compression, `seconds`
    from earlier jobs of the same engine (None where there were none), `device` what paints it, in words.
    """

    frames: int
    windows: int
    window_size: Size
    pixel_bytes: int
    seconds: float | None
    device: str
