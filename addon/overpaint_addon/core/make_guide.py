"""Make guide: have the backend make masks from clicks, or lines, out of the strip's frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from overpaint.edit import Input
from overpaint.order import GuideFrame, GuideOrder, LinesOrder, MadeGuide, TrackOrder

from .ports import Backend, Selection, Timeline
from .steps import AWAY, Doing, Steps
from .submit import pixel_readers, read_digests


def make_guide(
    timeline: Timeline,
    backend: Backend,
    selection: Selection,
    wanted: TrackOrder | LinesOrder,
    keep: Callable[[MadeGuide], object],
    frames: Sequence[int] | None = None,
) -> Steps[None]:
    """Capture the selection, send of it what the server lacks, and have the guide made; all on `frames` where they are given.

    `keep` is given each frame's guide as soon as it is there, in their order, one a step: nothing else holds them.
    Lines are of what lies in the selection's mask, where it has one. Frames are counted from the selection's first one, in the clicks, the mask and the guide that comes. Closing this
    ends the work on the server. Raises Invalid in the server's words.
    """
    alone = selection.length == 1
    capture = timeline.start_frame(selection, same_pixels=False) if alone else timeline.start_capture(selection)
    try:
        digests = yield from read_digests(capture, backend, selection.length)
        numbers = range(selection.length) if frames is None else sorted(set(frames))
        if isinstance(wanted, LinesOrder) and wanted.mask is None:
            wanted = LinesOrder(mask=next((one for one in capture.guides() if one.kind is Input.MASK), None))
        order = GuideOrder(
            size=selection.size,
            depth=selection.depth,
            frames=tuple(GuideFrame(frame=number, pixels=digests[number]) for number in numbers),
            wanted=wanted,
        )
        readers = pixel_readers(capture, digests)
        making = backend.make_guide(order, lambda digest: readers[digest]())
        try:
            while not making.done():
                part = making.part()
                if part is not None:
                    keep(part)
                progress = making.progress
                stage = AWAY if backend.away else progress.stage
                yield Doing(stage=stage, done=progress.done, total=progress.total)
            making.result()
        finally:
            making.cancel()
    finally:
        capture.close()
