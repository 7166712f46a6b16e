from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overpaint.card import EngineCard
from overpaint_backend.pipeline.windows import plan_windows


def card(max_frames: int, overlap: int, step: int = 1, offset: int = 0) -> EngineCard:
    return EngineCard(
        name="x", title="x", description="", version="1", licence="", tasks=(),
        max_frames=max_frames, overlap=overlap, frame_step=step, frame_offset=offset,
    )  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> EngineCard:
    step, offset = draw(st.integers(1, 17)), draw(st.integers(0, 5))
    most = step * draw(st.integers(1, 6)) + offset
    return card(most + draw(st.integers(0, step - 1)), draw(st.integers(0, most - 1)), step, offset)


@given(length=st.integers(1, 400), card=rules())
def test_windows_cover_every_frame_once_known_or_painted(length: int, card: EngineCard) -> None:
    windows = plan_windows(length, card)
    assert [window.index for window in windows] == list(range(len(windows)))
    assert windows[0].span.start == 0 and windows[0].known == 0 and windows[-1].span.stop == length
    for before, after in pairwise(windows):
        assert before.span.stop - after.span.start == after.known == card.overlap
        assert after.span.stop > before.span.stop  # every window paints something new


@given(length=st.integers(1, 400), card=rules())
def test_windows_keep_the_frame_rule(length: int, card: EngineCard) -> None:
    windows = plan_windows(length, card)
    for window in windows:
        frames = len(window.span) + window.pad
        assert frames <= card.max_frames
        assert (frames - card.frame_offset) % card.frame_step == 0
    assert all(window.pad == 0 for window in windows[:-1])


def test_the_published_model_knows_17_of_51_frames() -> None:
    windows = plan_windows(120, card(51, 17, 17))
    assert [(str(window.span), window.known, window.pad) for window in windows] == [
        ("0-50", 0, 0), ("34-84", 17, 0), ("68-118", 17, 0), ("102-119", 17, 16),
    ]  # fmt: skip


def test_an_overlap_as_long_as_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="no window"):
        plan_windows(10, card(4, 4))
