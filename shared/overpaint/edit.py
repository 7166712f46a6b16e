"""Edit, Task, Guide, Track, Keyframe: what the artist asks of a clip."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

OptionValue = bool | int | float | str


class Task(StrEnum):
    """What happens to the masked instance."""

    REPAINT = "repaint"  # keep it, change how it looks
    REPLACE = "replace"  # put another in its place
    ADD = "add"  # paint one where there was none
    REMOVE = "remove"  # take it away and show what is behind
    GENERATE = "generate"  # the whole frame


class Input(StrEnum):
    """Everything an edit may give to an engine; an engine's card says which of them it honours."""

    MASK = "mask"
    SKETCH = "sketch"
    DEPTH = "depth"
    EDGE = "edge"
    TRACK = "track"
    KEYFRAME = "keyframe"
    PROMPT = "prompt"
    NEGATIVE_PROMPT = "negative_prompt"


GUIDE_KINDS = frozenset({Input.MASK, Input.SKETCH, Input.DEPTH, Input.EDGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Knot:
    """A point of a stroke in clip pixels: x right, y down, (0, 0) the top left corner of the picture.

    `left` and `right` are the Bezier handles (absolute positions); a corner has both on the point itself.
    """

    x: float
    y: float
    left: tuple[float, float] | None = None
    right: tuple[float, float] | None = None


class Blend(StrEnum):
    """How a stroke joins the strokes under it; a mask's layers in order give exactly this."""

    ADD = "add"
    SUBTRACT = "subtract"
    LIGHTEN = "lighten"
    DARKEN = "darken"
    MULTIPLY = "multiply"
    REPLACE = "replace"
    DIFFERENCE = "difference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A drawn vector: an open line of `width` pixels, or (closed) an area filled with `opacity` in [0, 1].

    `layer` groups areas that are united before they are blended with what lies below, and `invert`
    turns that group's coverage around, as a mask's layers do.
    """

    knots: tuple[Knot, ...]
    width: float = 1.0
    closed: bool = False
    opacity: float = 1.0
    layer: int = 0
    blend: Blend = Blend.ADD
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideKey:
    """A guide on one frame (counted from 0): the digest of its pixels, or strokes. Never both."""

    frame: int
    pixels: str | None = None
    strokes: tuple[Stroke, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """A pixel-aligned hint: mask, sketch, depth or edge; uint8 "h w" in the clip's size.

    A *held* guide stays as it is from each key to the next (and the first key also holds backwards);
    one that is not held exists on its keyed frames only: a sparse guide.
    `grow` widens (or, negative, shrinks) and `feather` softens a mask, both in clip pixels.
    """

    kind: Input
    keys: tuple[GuideKey, ...]
    hold: bool = False
    grow: float = 0.0
    feather: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in GUIDE_KINDS:
            raise ValueError(f"{self.kind} is not a pixel-aligned guide")
        frames = [key.frame for key in self.keys]
        if frames != sorted(set(frames)):
            raise ValueError(f"the keys of a {self.kind} guide must be in frame order, each frame once")

    def key_at(self, frame: int) -> GuideKey | None:
        """The key that rules on `frame`, or None where the guide does not exist."""
        before = bisect_right(self.keys, frame, key=lambda key: key.frame)
        if self.hold:
            return self.keys[max(before - 1, 0)] if self.keys else None
        return self.keys[before - 1] if before and self.keys[before - 1].frame == frame else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPoint:
    """Where a tracked point is on one frame, in clip pixels."""

    frame: int
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A motion track: where one point of the instance should go."""

    points: tuple[TrackPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyframe:
    """A finished picture of one frame (the digest of RGB pixels of the clip's size and depth) that the take must pass through."""

    frame: int
    pixels: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What the artist asks of a clip, complete. `seed` is in [0, 2**32)."""

    task: Task
    prompt: str = ""
    negative_prompt: str = ""
    seed: int = 0
    guides: tuple[Guide, ...] = ()
    tracks: tuple[Track, ...] = ()
    keyframes: tuple[Keyframe, ...] = ()
    options: Mapping[str, OptionValue] = field(default_factory=lambda: MappingProxyType({}))

    def guide(self, kind: Input) -> Guide | None:
        """The guide of this kind, or None. There is at most one of each."""
        return next((guide for guide in self.guides if guide.kind == kind), None)

    def given(self) -> frozenset[Input]:
        """The inputs that this edit really gives."""
        found = {guide.kind for guide in self.guides if guide.keys}
        if self.tracks:
            found.add(Input.TRACK)
        if self.keyframes:
            found.add(Input.KEYFRAME)
        if self.prompt.strip():
            found.add(Input.PROMPT)
        if self.negative_prompt.strip():
            found.add(Input.NEGATIVE_PROMPT)
        return frozenset(found)

    def digests(self) -> Iterator[str]:
        """Every digest of pixels that the edit names, in order, repeats included."""
        for guide in self.guides:
            yield from (key.pixels for key in guide.keys if key.pixels)
        yield from (keyframe.pixels for keyframe in self.keyframes)
