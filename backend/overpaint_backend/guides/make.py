"""A guide made as ordered: pictures in, strokes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from overpaint.card import check_drawn
from overpaint.colour import to_depth
from overpaint.edit import Guide, GuideKey, Input, Stroke
from overpaint.errors import Invalid
from overpaint.order import GuideOrder, GuideProgress, LinesOrder, MadeGuide, ObjectGuide, TrackOrder

from overpaint_backend.guides.raster import rasterise
from overpaint_backend.guides.sketch import line_strokes, mask_strokes
from overpaint_backend.guides.track import Mask, Tracker, check_clicks, choose, clicks_on, steps_of, track

Read = Callable[[str], np.ndarray]
Say = Callable[[GuideProgress], object]


def make_guide(order: GuideOrder, read: Read, say: Say, root: Path, device: str) -> Iterator[MadeGuide]:
    """What is ordered, frame by frame, of pixels that `read` finds by their digest; `root` has the weights.

    Raises Invalid in words.
    """
    if isinstance(order.wanted, LinesOrder):
        yield from _lines(order, order.wanted.mask, read, say)
        return
    say(GuideProgress(stage="loading"))
    tracker = choose(root, device)
    masks = track_masks(order, order.wanted, tracker, read, say)
    for one, found in zip(order.frames, masks, strict=True):
        guides = (_drawn(number, Input.MASK, one.frame, mask_strokes(mask)) for number, mask in found.items())
        yield MadeGuide(guides=tuple(guides), method=tracker.name)


def _drawn(number: int, kind: Input, frame: int, strokes: tuple[Stroke, ...]) -> ObjectGuide:
    return ObjectGuide(object=number, guide=Guide(kind=kind, keys=(GuideKey(frame=frame, strokes=strokes),)))


def check_order(order: GuideOrder) -> None:
    """Raises Invalid where the order cannot be obeyed, whatever its pixels are."""
    match order.wanted:
        case TrackOrder(clicks=clicks):
            check_clicks(clicks_on(clicks, [one.frame for one in order.frames]), len(order.frames), order.size)
        case LinesOrder(mask=Guide() as mask):
            if mask.kind is not Input.MASK:
                what = f"the lines are wanted inside a {mask.kind}"
                raise Invalid(field="mask", message=what, remedy="Give a mask, or none")
            for problem in check_drawn(mask):
                raise Invalid(field=problem.field, message=problem.message, remedy=problem.remedy)
        case _:
            pass  # lines everywhere


def track_masks(
    order: GuideOrder, wanted: TrackOrder, tracker: Tracker, read: Read, say: Say
) -> Iterator[Mapping[int, Mask]]:
    """Each object's mask for every frame of the order."""
    frames = _Frames(order, read)
    clicks = clicks_on(wanted.clicks, [one.frame for one in order.frames])
    total, done = steps_of(len(frames), clicks), count(1)
    yield from track(
        tracker, frames, clicks, lambda: say(GuideProgress(stage="tracking", done=next(done), total=total))
    )


def _lines(order: GuideOrder, mask: Guide | None, read: Read, say: Say) -> Iterator[MadeGuide]:
    for done, (one, frame) in enumerate(zip(order.frames, _Frames(order, read), strict=True), start=1):
        inside = None if mask is None else _inside(mask, one.frame, order, read)
        drawn = _drawn(0, Input.SKETCH, one.frame, line_strokes(frame, inside))
        yield MadeGuide(guides=(drawn,), method="classical")
        say(GuideProgress(stage="drawing", done=done, total=len(order.frames)))


def _inside(mask: Guide, frame: int, order: GuideOrder, read: Read) -> Mask:
    """Where the mask is on `frame`: nowhere, where it does not exist."""
    key = mask.key_at(frame)
    drawn = read(key.pixels) if key and key.pixels else rasterise(mask, frame, order.size)
    return np.zeros((order.size.height, order.size.width), bool) if drawn is None else drawn > 127


class _Frames(Sequence[UInt8[np.ndarray, "h w 3"]]):
    """The order's frames in 8 bits, read when they are looked at."""

    def __init__(self, order: GuideOrder, read: Read) -> None:
        self._digests, self._read = [one.pixels for one in order.frames], read

    def __len__(self) -> int:
        return len(self._digests)

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "h w 3"]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return to_depth(self._read(self._digests[index]), 8)
