"""Jobs out of an edit: the clips of an OpenTimelineIO timeline that carry a marker named `overpaint`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from overpaint.card import EngineCard, usual
from overpaint.clip import FrameRange, Rate
from overpaint.edit import Input, OptionValue, Task
from overpaint.errors import Invalid, Missing, OverpaintError

from overpaint_backend.files import Files
from overpaint_backend.media import probe

MARK = "overpaint"
KEYS = (
    *("task", "prompt", "negative_prompt", "mask", "sketch", "depth", "edge", "keyframes", "grow", "feather"),
    *("engine", "options", "seed", "handles"),
)
"""What a marker's metadata may say, under the name of the mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A clip that carries the marker: its name, where it is in words, and the edit by paths."""

    name: str
    where: str
    files: Files


def read_timeline(path: Path, cards: Sequence[EngineCard]) -> tuple[Marked, ...]:
    """Every marked clip, in the order of the tracks. Raises Missing or Invalid that name the clips which cannot be painted.

    Nothing is guessed: what the edit does to a clip and a job cannot (speed, nesting, media that are not there) is refused.
    """
    timeline = _load(path)
    found: list[Marked] = []
    wrong: list[OverpaintError] = []
    for item, marker in _marks(timeline):
        where = _where(item, timeline)
        try:
            found.append(Marked(name=item.name, where=where, files=_files(item, marker, timeline, path.parent, cards)))
        except OverpaintError as error:
            wrong.append(type(error)(field=error.field, message=f"{where}: {error.message}", remedy=error.remedy))
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        said = "; ".join(f"{error.field}: {error.message}" for error in wrong)
        raise Invalid(field="timeline", message=f"{len(wrong)} clips cannot be painted: {said}", remedy=wrong[0].remedy)
    if not found:
        what = f"no clip in {path} has a marker that is named {MARK}"
        raise Invalid(field="timeline", message=what, remedy="Mark the clips that are to be painted")
    return tuple(found)


def _load(path: Path) -> Any:
    try:
        import opentimelineio as otio
    except ImportError:
        what = "OpenTimelineIO is not installed"
        raise Missing(field="timeline", message=what, remedy="pip install 'overpaint[farm]'") from None
    try:
        timeline = otio.adapters.read_from_file(str(path))
    except FileNotFoundError:
        raise Missing(field="timeline", message=f"{path} is not there", remedy="Check the path") from None
    except (ValueError, KeyError, otio.exceptions.OTIOError) as error:
        what = f"{path} is no timeline that can be read ({error})"
        raise Invalid(field="timeline", message=what, remedy="Export the edit as .otio") from None
    if not isinstance(timeline, otio.schema.Timeline):
        what = f"{path} holds a {type(timeline).__name__} and no timeline"
        raise Invalid(field="timeline", message=what, remedy="Export one timeline")
    return timeline


def _marks(timeline: Any) -> Iterator[tuple[Any, Any]]:
    for item in (timeline.tracks, *timeline.find_children()):
        for marker in getattr(item, "markers", ()):  # a transition has none
            if MARK in (marker.name.strip().lower(), marker.color.lower()):
                yield item, marker


def _where(item: Any, timeline: Any) -> str:
    import opentimelineio as otio

    kind = item.schema_name().lower()
    words = f"{kind} {item.name!r}" if item.name else f"a {kind} without a name"
    parent = item.parent()
    if isinstance(parent, otio.schema.Track):
        number = list(parent.parent() or [parent]).index(parent) + 1
        words += f" on track {parent.name or number}"
    if item is timeline.tracks or parent is None:
        return words
    start = item.transformed_time(item.trimmed_range().start_time, timeline.tracks)
    return (
        f"{words} at {start.to_seconds():.3f} s of the timeline (frame {math.floor(start.value)} at {start.rate:.6g})"
    )


def _files(item: Any, marker: Any, timeline: Any, folder: Path, cards: Sequence[EngineCard]) -> Files:
    _check_place(item, timeline)
    wish = _Wish(plain=dict(marker.metadata.get(MARK, {})), folder=folder)
    wish.check_keys()
    span, handles = _span(item, wish.whole("handles", minimum=0))
    clip, rate, span = _media(item, span, folder)
    guides: dict[Input, Path | dict[int, Path]] = {}
    for kind in (Input.SKETCH, Input.DEPTH, Input.EDGE):
        if wish.has(kind):
            guides[kind] = wish.pictures(kind, handles)
    task = wish.task()
    mask = wish.path("mask", wish.plain["mask"]) if wish.has("mask") else None
    keyframes = wish.by_frame("keyframes", wish.plain["keyframes"], handles) if wish.has("keyframes") else {}
    given = {*guides, *([Input.MASK] if mask else []), *([Input.KEYFRAME] if keyframes else [])}
    given |= {kind for kind in (Input.PROMPT, Input.NEGATIVE_PROMPT) if wish.words(kind).strip()}
    return Files(
        clip=clip,
        engine=_engine(wish.words("engine"), task, frozenset(given), cards),
        task=task,
        mask=mask,
        guides=guides,
        keyframes=keyframes,
        prompt=wish.words("prompt"),
        negative_prompt=wish.words("negative_prompt"),
        seed=wish.whole("seed", minimum=0),
        grow=wish.number("grow"),
        feather=wish.number("feather"),
        options=wish.options(),
        rate=rate,
        span=span,
    )


def _check_place(item: Any, timeline: Any) -> None:
    """Only clips that lie on a video track of the timeline itself, that play their media as they are."""
    import opentimelineio as otio

    track = item.parent()
    if not isinstance(item, otio.schema.Clip):
        raise _refused("is no clip", "Put the marker on the clip")
    if not isinstance(track, otio.schema.Track) or track.parent() is not timeline.tracks:
        raise _refused("is inside a nested stack or track", "Mark it in a timeline of its own, without nesting")
    if track.kind != otio.schema.TrackKind.Video:
        raise _refused("is not on a video track", "Mark the picture")
    if not item.enabled:
        raise _refused("is disabled in the edit", "Enable it, or take the marker off")
    for effect in (*item.effects, *track.effects, *timeline.tracks.effects):
        if isinstance(effect, otio.schema.TimeEffect) and getattr(effect, "time_scalar", None) != 1:
            what = f"has the speed effect {effect.effect_name or effect.name or effect.schema_name()}"
            raise _refused(what, "Render it at its speed first, or take the effect off")


def _span(item: Any, handles: int) -> tuple[FrameRange, int]:
    """The frames that are seen (transitions too) and the handles, counted from the first that the media have."""
    import opentimelineio as otio

    try:
        available = item.available_range()
    except otio.exceptions.CannotComputeAvailableRangeError:
        what = "does not say which frames its media have (available_range)"
        raise _refused(
            what, "Export the timeline with it: without it nobody knows which frame of the file is meant"
        ) from None
    seen, rate = item.visible_range(), available.start_time.rate
    start, length = seen.start_time - available.start_time, seen.duration
    first, count, total = (_frames(time, rate) for time in (start, length, available.duration))
    first, stop = first - handles, first + count + handles
    if first < 0 or stop > total:
        what = (
            f"needs frames {first} to {stop - 1} of its media (handles: {handles}), which have frames 0 to {total - 1}"
        )
        raise _refused(what, "Shorten the handles or the clip: nothing is trimmed or repeated")
    if count < 1:
        raise _refused("has no frames", "Take the marker off")
    return FrameRange(start=first, stop=stop), handles


def _frames(time: Any, rate: float) -> int:
    value = time.value_rescaled_to(rate)
    whole = round(value)
    if not math.isclose(value, whole, abs_tol=1e-3):
        what = f"begins or ends between two frames of its media ({value:.3f} at {rate:g} frames a second)"
        raise _refused(what, "Cut it on whole frames of the media")
    return whole


def exact_rate(rate: float) -> Rate:
    """The rate that a rounded decimal means: whole, or an NTSC rate (23.976 is 24000/1001). Raises Invalid."""
    whole, ntsc = round(rate), Fraction(round(rate * 1.001) * 1000, 1001)
    if whole >= 1 and math.isclose(rate, whole, abs_tol=1e-6):
        return Rate(numerator=whole)
    if ntsc > 0 and abs(rate - ntsc) < 0.006:
        return Rate.of(ntsc)
    raise _refused(f"has {rate:g} frames a second, which is neither a whole nor an NTSC rate", "Conform it first")


def _media(item: Any, span: FrameRange, folder: Path) -> tuple[Path | tuple[Path, ...], Rate | None, FrameRange | None]:
    """The clip of a Files: a movie and its span, or the very pictures of a run and their rate."""
    import opentimelineio as otio

    media = item.media_reference
    rate = exact_rate(item.available_range().start_time.rate)
    if isinstance(media, otio.schema.ImageSequenceReference):
        if media.frame_step != 1:
            raise _refused(f"has only every {media.frame_step}th picture", "Render every frame")
        pictures = tuple(_local(media.target_url_for_image_number(number), folder) for number in span)
        if exact_rate(media.rate) != rate:
            what = f"says {media.rate:g} pictures a second, and its available range {rate}"
            raise _refused(what, "Export the timeline again")
        for picture in pictures:
            if not picture.is_file():
                raise Missing(field="clip", message=f"{picture} is not there", remedy="Render or relink it")
        return pictures, rate, None
    if not isinstance(media, otio.schema.ExternalReference):
        raise _refused(f"has no media file ({media.schema_name()})", "Relink it")
    path = _local(media.target_url, folder)
    footage = probe(path)
    if footage.rate is None:
        remedy = "Refer to it as an image sequence, or give a movie"
        raise _refused(f"refers to {path} as one file, and that is pictures", remedy)
    if footage.rate != rate:
        what = f"says {rate} frames a second, and {path} has {footage.rate}"
        raise _refused(what, "Relink it, or conform the media: frames are not resampled")
    return path, None, span


def _local(url: str, folder: Path) -> Path:
    """A path as it is, or a file: URL; relative ones lie beside the timeline."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(
            url2pathname(f"//{parts.netloc}{parts.path}" if parts.netloc not in ("", "localhost") else parts.path)
        )
    if "://" in url:
        raise _refused(f"has its media at {url}, which is no file here", "Relink it to a file")
    plain = folder / url
    return plain if plain.exists() else folder / unquote(url)


def _engine(named: str, task: Task, given: frozenset[Input], cards: Sequence[EngineCard]) -> str:
    known = [card.name for card in cards]
    if named and named not in known:
        raise Missing(field="engine", message=f"there is no engine {named!r}", remedy=f"Choose {', '.join(known)}")
    return named or usual(cards, task, given).name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What a marker's metadata ask for, read key by key; every error names the key."""

    plain: dict[str, Any]
    folder: Path

    def check_keys(self) -> None:
        for key in self.plain.keys() - set(KEYS):
            raise Invalid(field=key, message=f"the marker says {key}", remedy=f"Known are {', '.join(KEYS)}")

    def has(self, key: str) -> bool:
        return bool(self.plain.get(key))

    def task(self) -> Task:
        said = self.words("task")
        if said not in list(Task):
            raise self._wrong("task", "one of " + ", ".join(Task))
        return Task(said)

    def words(self, key: str) -> str:
        return self._of_kind(key, str, "", "text")

    def whole(self, key: str, minimum: int) -> int:
        value = self._of_kind(key, int, 0, "a whole number")
        if value < minimum:
            raise self._wrong(key, f"at least {minimum}")
        return value

    def number(self, key: str) -> float:
        return float(self._of_kind(key, (int, float), 0.0, "a number"))

    def options(self) -> dict[str, OptionValue]:
        return dict(self._of_kind("options", dict, {}, "options by name"))

    def pictures(self, key: str, handles: int) -> Path | dict[int, Path]:
        value = self.plain[key]
        return self.path(key, value) if isinstance(value, str) else self.by_frame(key, value, handles)

    def by_frame(self, key: str, value: Any, handles: int) -> dict[int, Path]:
        """Frames count from the first that is seen; the job counts from its first handle."""
        try:
            return {int(frame) + handles: self.path(key, path) for frame, path in dict(value).items()}
        except (TypeError, ValueError):
            raise self._wrong(key, "a path, or paths by frame") from None

    def path(self, key: str, value: Any) -> Path:
        if not isinstance(value, str):
            raise self._wrong(key, "a path")
        path = _local(value, self.folder)
        if not path.exists():
            raise Missing(field=key, message=f"{path} is not there", remedy="Check the path")
        return path

    def _of_kind(self, key: str, kind: Any, otherwise: Any, words: str) -> Any:
        value = self.plain.get(key, otherwise)
        if hasattr(value, "items"):
            value = dict(value.items())
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self._wrong(key, words)
        return value

    def _wrong(self, key: str, words: str) -> Invalid:
        return Invalid(field=key, message=f"the marker says {key} {self.plain.get(key)!r}", remedy=f"Give {words}")


def _refused(what: str, remedy: str) -> Invalid:
    return Invalid(field="timeline", message=f"it {what}", remedy=remedy)
