"""A guide that comes in parts, over a line that is cut between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest
from overpaint import wire
from overpaint.clip import Size
from overpaint.edit import Guide, GuideKey, Input, Knot, Stroke
from overpaint.errors import Unavailable
from overpaint.guide_call import GuideCall
from overpaint.order import (
    Click,
    GuideFrame,
    GuideOrder,
    GuideProgress,
    LinesOrder,
    MadeGuide,
    ObjectGuide,
    TrackOrder,
    joined,
)
from overpaint.v1 import guides_pb2

LINES = LinesOrder()
CLICKS = TrackOrder(clicks=tuple(Click(object=number, frame=2, x=1, y=1) for number in (7, 3)))


def order(wanted: TrackOrder | LinesOrder) -> GuideOrder:
    frames = tuple(GuideFrame(frame=number, pixels=f"{number:064x}") for number in range(2, 8))
    return GuideOrder(size=Size(width=9, height=9), depth=8, frames=frames, wanted=wanted)


def made(frame: int, wanted: TrackOrder | LinesOrder) -> MadeGuide:
    objects, kind = ((3, 7), Input.MASK) if isinstance(wanted, TrackOrder) else ((0,), Input.SKETCH)
    stroke = Stroke(knots=(Knot(x=frame, y=1), Knot(x=2, y=2)))
    guides = (
        ObjectGuide(object=one, guide=Guide(kind=kind, keys=(GuideKey(frame=frame, strokes=(stroke,)),)))
        for one in objects
    )
    return MadeGuide(guides=tuple(guides), method="classical")


WHOLE = {type(wanted): joined(made(frame, wanted) for frame in range(2, 8)) for wanted in (LINES, CLICKS)}


@dataclass
class Line:
    """A server behind a line that is cut after so many parts, the first times; `old`: one that knows no parts."""

    cuts: list[int]
    old: bool = False
    ordered: list[list[int]] = field(default_factory=list[list[int]])

    def start(self, requests: Iterator[guides_pb2.MakeGuideRequest]) -> Stream:
        return Stream(self._answers(next(requests)))

    def _answers(self, request: guides_pb2.MakeGuideRequest) -> Iterator[guides_pb2.MakeGuideResponse]:
        asked = wire.order_from_wire(request.order)
        assert request.in_parts
        self.ordered.append([one.frame for one in asked.frames])
        yield guides_pb2.MakeGuideResponse(missing=guides_pb2.MissingPixels())
        yield guides_pb2.MakeGuideResponse(
            progress=wire.guide_progress_to_wire(GuideProgress(stage="waiting", done=0, total=0))
        )
        left = self.cuts.pop(0) if self.cuts else len(asked.frames)
        for done, one in enumerate(asked.frames[:left], start=1):
            if not self.old:
                yield guides_pb2.MakeGuideResponse(made=wire.made_to_wire(made(one.frame, asked.wanted)))
            progress = GuideProgress(stage="drawing", done=done, total=len(asked.frames))
            yield guides_pb2.MakeGuideResponse(progress=wire.guide_progress_to_wire(progress))
        if self.cuts or left < len(asked.frames):
            raise Unavailable(field="server", message="no server answers")
        if self.old:
            yield guides_pb2.MakeGuideResponse(made=wire.made_to_wire(WHOLE[type(asked.wanted)]))


class Stream:
    def __init__(self, answers: Iterator[guides_pb2.MakeGuideResponse]) -> None:
        self._answers = answers

    def __iter__(self) -> Iterator[guides_pb2.MakeGuideResponse]:
        return self._answers

    def cancel(self) -> None:
        pass


def call(line: Line, wanted: TrackOrder | LinesOrder) -> GuideCall:
    def read(_: str) -> None:
        raise AssertionError

    return GuideCall(line.start, nullcontext, order(wanted), read, patience=30)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overpaint.patience.FIRST", 0.001)


def test_lines_that_came_before_a_cut_are_not_ordered_again() -> None:
    line = Line([2, 0, 3])
    *said, whole = call(line, LINES)
    assert whole == WHOLE[LinesOrder]
    assert line.ordered == [[2, 3, 4, 5, 6, 7], [4, 5, 6, 7], [4, 5, 6, 7], [7]]
    counted = [(one.done, one.total) for one in said if isinstance(one, GuideProgress) and one.total]
    assert counted == [(number, 6) for number in range(1, 7)]
    assert GuideProgress(stage="waiting") in said


def test_nothing_is_ordered_where_the_line_is_cut_behind_the_last_part() -> None:
    line = Line([2, 4, 0])  # the second try brings the rest, and no good end
    *_, whole = call(line, LINES)
    assert whole == WHOLE[LinesOrder] and len(line.ordered) == 2


def test_masks_are_made_anew_after_a_cut_and_come_once() -> None:
    line = Line([4, 2])
    parts = [one for one in call(line, CLICKS).parts() if isinstance(one, MadeGuide)]
    assert parts == [made(frame, CLICKS) for frame in range(2, 8)]
    assert line.ordered == [list(range(2, 8))] * 3


@pytest.mark.parametrize("wanted", [LINES, CLICKS])
def test_a_server_that_knows_no_parts_is_understood(wanted: TrackOrder | LinesOrder) -> None:
    parts = [one for one in call(Line([3], old=True), wanted).parts() if isinstance(one, MadeGuide)]
    assert parts == [made(frame, wanted) for frame in range(2, 8)]
    *_, whole = call(Line([], old=True), wanted)
    assert whole == WHOLE[type(wanted)]
