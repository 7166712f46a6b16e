"""GuideOrder and what comes of it: a guide that the backend is to make out of the pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from overpaint.clip import Depth, Size
from overpaint.edit import Guide, GuideKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """A point that is part of an object, or (not `positive`) is not; in clip pixels, a pixel's middle at .5.

    `object` is a number that the client gives it, `frame` counts from 0.
    """

    object: int
    frame: int
    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideFrame:
    """A frame of the clip, counted from 0, named by the digest of its pixels (RGB, of the order's size and depth)."""

    frame: int
    pixels: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackOrder:
    """Masks: what the clicks mean, on all frames; in the order they were made."""

    clicks: tuple[Click, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesOrder:
    """Lines of each frame as a sketch; only those inside `mask`, where one is given."""

    mask: Guide | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideOrder:
    """What is wanted of which frames of the clip; those in order, each once."""

    size: Size
    depth: Depth
    frames: tuple[GuideFrame, ...]
    wanted: TrackOrder | LinesOrder

    def __post_init__(self) -> None:
        numbers = [one.frame for one in self.frames]
        if not numbers or numbers != sorted(set(numbers)):
            raise ValueError("the frames must be in order, each frame once, and at least one")
        if self.depth not in (8, 16):
            raise ValueError(f"a frame has 8 or 16 bits a channel, not {self.depth}")

    def digests(self) -> Iterator[str]:
        """Every digest of pixels that the order names, each once, in the order of first use."""
        mask = self.wanted.mask if isinstance(self.wanted, LinesOrder) else None
        masks = [key.pixels for key in mask.keys if key.pixels] if mask else []
        yield from dict.fromkeys([*(one.pixels for one in self.frames), *masks])


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideProgress:
    """How far the making is: `done` of `total`, where there is a total."""

    stage: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectGuide:
    """The guide of one object; lines have the object 0."""

    object: int
    guide: Guide


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeGuide:
    """What came of an order, or a part of it: a guide of strokes for each object, and by which method ("sam2", "classical")."""

    guides: tuple[ObjectGuide, ...]
    method: str

    def guide(self, number: int = 0) -> Guide:
        """The guide of one object. Raises KeyError."""
        return {one.object: one.guide for one in self.guides}[number]

    def by_frame(self) -> Iterator[MadeGuide]:
        """The keys of each frame by themselves, in the order of the frames: what `joined` takes."""
        frames: dict[int, list[ObjectGuide]] = {}
        for one in self.guides:
            for key in one.guide.keys:
                frames.setdefault(key.frame, []).append(replace(one, guide=replace(one.guide, keys=(key,))))
        for frame in sorted(frames):
            yield replace(self, guides=tuple(frames[frame]))


def joined(parts: Iterable[MadeGuide]) -> MadeGuide:
    """The whole of its parts, which are one or more, in the order of their frames."""
    guides: dict[int, ObjectGuide] = {}
    keys: dict[int, list[GuideKey]] = {}
    method = ""
    for part in parts:
        method = part.method
        for one in part.guides:
            guides.setdefault(one.object, one)
            keys.setdefault(one.object, []).extend(one.guide.keys)
    whole = (
        replace(guides[number], guide=replace(guides[number].guide, keys=tuple(keys[number])))
        for number in sorted(guides)
    )
    return MadeGuide(guides=tuple(whole), method=method)
