from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from overpaint.edit import Guide, GuideKey, Input
from overpaint.order import Click, LinesOrder, MadeGuide, TrackOrder, joined
from overpaint_addon.core.make_guide import make_guide
from overpaint_addon.core.steps import Doing, Steps

from tests.fakes import FakeBackend, FakeTimeline, clip_frames

CLICKS = TrackOrder(clicks=(Click(object=1, frame=2, x=10, y=10),))


def drive(make: Callable[[Callable[[MadeGuide], object]], Steps[None]]) -> tuple[list[Doing], MadeGuide]:
    """What was said, and the whole guide; each step kept one frame of it at most."""
    seen: list[Doing] = []
    parts: list[MadeGuide] = []
    before = 0
    for doing in make(parts.append):
        seen.append(doing)
        assert len(parts) <= before + 1
        before = len(parts)
    return seen, joined(parts)


def test_masks_come_of_the_whole_strip(tmp_path: Path) -> None:
    timeline, backend = FakeTimeline(clip_frames(6), (), tmp_path), FakeBackend()
    capture = timeline.capture
    seen, made = drive(lambda keep: make_guide(timeline, backend, timeline.read_selection(), CLICKS, keep))
    assert [key.frame for key in made.guide(1).keys] == list(range(6))
    assert {one.stage for one in seen} == {"reading the strip", "tracking"}
    assert capture.closed and len(backend.frames) == 6


def test_lines_come_of_the_frames_that_are_named(tmp_path: Path) -> None:
    timeline, backend = FakeTimeline(clip_frames(6), (), tmp_path), FakeBackend()
    _, made = drive(lambda keep: make_guide(timeline, backend, timeline.read_selection(), LinesOrder(), keep, [4, 1]))
    assert made.guide().kind is Input.SKETCH and [key.frame for key in made.guide().keys] == [1, 4]
    assert len(backend.frames) == 2


def test_closing_it_ends_the_work_and_the_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timeline, backend = FakeTimeline(clip_frames(6), (), tmp_path), FakeBackend()
    capture, begun = timeline.capture, []
    monkeypatch.setattr(
        backend, "make_guide", lambda *given: begun.append(FakeBackend.make_guide(backend, *given)) or begun[0]
    )
    steps = make_guide(timeline, backend, timeline.read_selection(), CLICKS, lambda _: None)
    while next(steps).stage != "tracking":
        pass
    steps.close()
    assert begun[0].cancelled and capture.closed


def test_lines_are_of_what_lies_in_the_selections_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0),), hold=True)
    sketch = Guide(kind=Input.SKETCH, keys=(GuideKey(frame=0),))
    timeline, backend, ordered = FakeTimeline(clip_frames(2), (sketch, mask), tmp_path), FakeBackend(), []
    make = backend.make_guide
    monkeypatch.setattr(backend, "make_guide", lambda order, read: ordered.append(order.wanted) or make(order, read))
    drive(lambda keep: make_guide(timeline, backend, timeline.read_selection(), LinesOrder(), keep))
    assert ordered == [LinesOrder(mask=mask)]
