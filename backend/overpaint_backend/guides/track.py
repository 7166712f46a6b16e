"""Masks from clicks: what is clicked on some frames is followed through all of them."""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from overpaint.clip import Size
from overpaint.errors import Invalid
from overpaint.order import Click

from overpaint_backend.guides.classical import ClassicalTracker

Frame = UInt8[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]

MAX_OBJECTS = 100  # each is followed through all frames by itself
MAX_CLICKS = 10_000  # nobody makes more by hand
DISC = 2  # pixels: what a click that nothing agrees with adds or takes away at least
SAM2 = "sam2.1-hiera-small"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Clicks of one object on one frame that were made in a row."""

    frame: int
    clicks: tuple[Click, ...]


class Tracker(Protocol):
    """Knows what a click means, and where a thing is on the next frame."""

    name: str

    def mark(self, frame: Frame, clicks: Sequence[Click], before: Mask | None) -> Mask:
        """What the clicks mean on `frame`; `before` is what was thought of the object there so far."""
        ...

    def follow(self, frames: Iterable[Frame], mask: Mask) -> Iterator[Mask]:
        """The object on each frame after the first, where it is `mask`."""
        ...


def choose(root: Path, device: str) -> Tracker:
    """SAM 2 where its weights are in `root` and what it computes with is installed, else the classical tracker."""
    folder = root / SAM2
    installed = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))
    if not (installed and any(folder.glob("*.safetensors"))):
        return ClassicalTracker()
    return importlib.import_module("overpaint_backend.guides.sam2").SAM2Tracker(folder, device)


def track(
    tracker: Tracker, frames: Sequence[Frame], clicks: Sequence[Click], step: Callable[[], object] = lambda: None
) -> Iterator[Mapping[int, Mask]]:
    """For every frame, in order, each object's mask. `step` is called whenever an object was followed to a frame.

    Clicks are hard: on a frame that has some of an object, its mask holds all positive points and no negative one.
    They are taken in their order, and a frame's clicks change nothing beyond the next frames, before and after, with
    clicks of the same object. Between two such frames the mask is followed from both, and the nearer weighs more.
    Raises Invalid where clicks cannot be obeyed.
    """
    height, width = frames[0].shape[:2]
    check_clicks(clicks, len(frames), Size(width=width, height=height))
    objects = sorted({click.object for click in clicks})
    marked = {number: _marked(tracker, frames, clicks, number, step) for number in objects}
    runs = [_filled(tracker, frames, marked[number], step) for number in objects]
    for masks in zip(*runs, strict=True):
        yield dict(zip(objects, masks, strict=True))


def clicks_on(clicks: Sequence[Click], numbers: Sequence[int]) -> tuple[Click, ...]:
    """The clicks with their places among the frames `numbers` instead of the frames' numbers. Raises Invalid."""
    place = {number: at for at, number in enumerate(numbers)}
    for click in clicks:
        if click.frame not in place:
            what = f"frame {click.frame} has a click, and it is not one of those that came"
            raise Invalid(field="clicks", message=what, remedy="Click on the frames that are to be masked")
    return tuple(replace(click, frame=place[click.frame]) for click in clicks)


def steps_of(length: int, clicks: Sequence[Click]) -> int:
    """How often `track` will call its `step`."""
    total = 0
    for number in {click.object for click in clicks}:
        keyed: list[int] = []
        for frame in (one.frame for one in _corrections(clicks, number)):
            if frame not in keyed:
                total += sum(abs(frame - near) for near in _neighbours(keyed, frame))
                keyed.append(frame)
        keyed.sort()
        total += keyed[0] + length - 1 - keyed[-1] + sum(2 * (b - a - 1) for a, b in pairwise(keyed))
    return total


def check_clicks(clicks: Sequence[Click], length: int, size: Size) -> None:
    """Raises Invalid where the clicks cannot be obeyed on `length` frames of this size."""
    objects = sorted({click.object for click in clicks})
    if len(clicks) > MAX_CLICKS or len(objects) > MAX_OBJECTS:
        what = f"there are {len(clicks)} clicks on {len(objects)} objects"
        most = f"Make at most {MAX_CLICKS} clicks on {MAX_OBJECTS} objects at once"
        raise Invalid(field="clicks", message=what, remedy=most)
    remedy = "Click on the thing that is to be masked"
    if not clicks or not any(click.positive for click in clicks):
        raise Invalid(field="clicks", message="no click says where the thing is", remedy=remedy)
    said: dict[tuple[int, int, int, int], bool] = {}
    for click in clicks:
        if not (0 <= click.frame < length and 0 <= click.x < size.width and 0 <= click.y < size.height):
            what = f"frame {click.frame}, {click.x:g}, {click.y:g} is not in {length} frames of {size}"
            raise Invalid(field="clicks", message=what, remedy="Click inside the picture")
        place = (click.object, click.frame, int(click.x), int(click.y))
        if said.setdefault(place, click.positive) != click.positive:
            what = f"frame {click.frame} has both kinds of click on the pixel {place[2]}, {place[3]}"
            raise Invalid(field="clicks", message=what, remedy="Take one away")
    for number in objects:
        if not any(click.positive for click in _corrections(clicks, number)[0].clicks):
            what = f"the first clicks of object {number} say only where it is not"
            raise Invalid(field="clicks", message=what, remedy=remedy)


def _corrections(clicks: Sequence[Click], number: int) -> list[Correction]:
    mine = (click for click in clicks if click.object == number)
    return [Correction(frame=frame, clicks=tuple(row)) for frame, row in groupby(mine, key=lambda click: click.frame)]


def _neighbours(keyed: Iterable[int], frame: int) -> list[int]:
    """The nearest of `keyed` before and after `frame`, where there are such."""
    before, after = [one for one in keyed if one < frame], [one for one in keyed if one > frame]
    return ([max(before)] if before else []) + ([min(after)] if after else [])


def _marked(
    tracker: Tracker, frames: Sequence[Frame], clicks: Sequence[Click], number: int, step: Callable[[], object]
) -> dict[int, Mask]:
    """The object's mask on every frame that has clicks of it.

    What was thought of a frame so far comes from its neighbours as they are when it is first clicked: so a later
    correction elsewhere does not change it any more.
    """
    found: dict[int, Mask] = {}
    said: dict[int, list[Click]] = {}
    for correction in _corrections(clicks, number):
        at, near = correction.frame, _neighbours(found, correction.frame)
        before = found.get(at)
        if before is None and near:
            arrived = [_last(_walk(tracker, frames, one, at, found[one], step)) for one in near]
            share = (at - near[0]) / (near[-1] - near[0]) if len(near) == 2 else 0.0
            before = between(arrived[0], arrived[-1], share)
        said.setdefault(at, []).extend(correction.clicks)
        found[at] = obey(tracker.mark(frames[at], said[at], before), said[at])
    return found


def _filled(
    tracker: Tracker, frames: Sequence[Frame], marked: dict[int, Mask], step: Callable[[], object]
) -> Iterator[Mask]:
    keyed = sorted(marked)
    yield from _reversed(_walk(tracker, frames, keyed[0], 0, marked[keyed[0]], step))
    for a, b in pairwise(keyed):
        yield marked[a]
        backwards = _reversed(_walk(tracker, frames, b, a + 1, marked[b], step))
        forwards = _walk(tracker, frames, a, b - 1, marked[a], step)
        for at, (f, g) in enumerate(zip(forwards, backwards, strict=True), start=a + 1):
            yield between(f, g, (at - a) / (b - a))
    yield marked[keyed[-1]]
    yield from _walk(tracker, frames, keyed[-1], len(frames) - 1, marked[keyed[-1]], step)


def _walk(
    tracker: Tracker, frames: Sequence[Frame], start: int, end: int, mask: Mask, step: Callable[[], object]
) -> Iterator[Mask]:
    """The masks of the frames after `start` up to and with `end`, forwards or backwards in time."""
    way = 1 if end >= start else -1
    if start == end or (end - start) * way < 0:
        return
    for followed in tracker.follow((frames[at] for at in range(start, end + way, way)), mask):
        step()
        yield followed


def _reversed(masks: Iterator[Mask]) -> Iterator[Mask]:
    """Packed while they wait: a long clip's masks would not fit otherwise."""
    kept = [(mask.shape, zlib.compress(np.packbits(mask).tobytes(), 1)) for mask in masks]
    for shape, packed in reversed(kept):
        flat = np.unpackbits(np.frombuffer(zlib.decompress(packed), np.uint8), count=shape[0] * shape[1])
        yield flat.reshape(shape).astype(bool)


def _last(masks: Iterator[Mask]) -> Mask:
    return deque(masks, maxlen=1)[0]


def between(first: Mask, second: Mask, share: float) -> Mask:
    """A shape between two: `share` is 0 at the first and 1 at the second."""
    if first is second or not (first.any() and second.any()):
        return first if share < 0.5 else second
    return _distance(first) * (1 - share) + _distance(second) * share > 0


def _distance(mask: Mask) -> Float32[np.ndarray, "h w"]:
    """To the mask's edge, positive inside."""
    inside, outside = (cv2.distanceTransform(one.astype(np.uint8), cv2.DIST_L2, 3) for one in (mask, ~mask))
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)


def obey(mask: Mask, clicks: Sequence[Click]) -> Mask:
    """`mask` with every positive point in it and every negative one out of it."""
    drawn = mask.astype(np.uint8)
    for discs in (True, False):
        for click in sorted(clicks, key=lambda one: one.positive):
            x, y = int(click.x), int(click.y)
            if discs and bool(drawn[y, x]) != click.positive:
                cv2.circle(drawn, (x, y), DISC, int(click.positive), cv2.FILLED)
            drawn[y, x] = click.positive
    return drawn.astype(bool)
