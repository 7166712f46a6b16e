"""The places of those who want a guide."""

from __future__ import annotations

from pathlib import Path

import pytest
from overpaint.clip import Size
from overpaint.errors import Cancelled, Unavailable
from overpaint.order import GuideFrame, GuideOrder, GuideProgress, LinesOrder
from overpaint_backend.workers import guide
from overpaint_backend.workers.guide import GuideMaker

ORDER = GuideOrder(
    size=Size(width=8, height=8), depth=8, frames=(GuideFrame(frame=0, pixels="0" * 64),), wanted=LinesOrder()
)


def test_so_many_wait_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guide, "AT_ONCE", 0)  # nobody's turn comes
    monkeypatch.setattr(guide, "WAITING", 2)
    maker, wanted = GuideMaker(tmp_path, tmp_path, "cpu"), [True]
    calls = [maker.make(ORDER, lambda: wanted[0]) for _ in range(3)]
    assert [next(calls[number]) for number in (0, 1)] == [GuideProgress(stage="waiting")] * 2
    with pytest.raises(Unavailable, match="2 guides are made or wait already") as refused:
        next(calls[2])
    assert refused.value.remedy
    wanted[0] = False
    with pytest.raises(Cancelled):
        next(calls[0])
    again = maker.make(ORDER, lambda: True)
    assert next(again) == GuideProgress(stage="waiting")  # in the place that became free
