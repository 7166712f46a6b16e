from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from overpaint.card import Estimate
from overpaint.clip import Rate, Size
from overpaint.edit import Task
from overpaint.errors import Invalid
from overpaint_addon.core import estimate
from overpaint_addon.core.draft import Draft
from overpaint_addon.core.ports import Selection
from overpaint_addon.core.roles import MaskSource
from overpaint_backend.engines.toy.card import card as toy

from tests.fakes import FakeBackend

SELECTION = Selection(
    scene="Scene",
    strip="shot",
    channel=1,
    start=1,
    length=20,
    size=Size(width=32, height=24),
    rate=Rate(numerator=24),
    depth=8,
    sketch_layers=("Lines",),
    track_layers=("track",),
    keyframes=(3,),
    mask_source=MaskSource.BOX,
)
DRAFT = Draft(engine="toy", task=Task.REPAINT, prompt="a red coat")


def answered(wanted: estimate.Question) -> Any:
    steps = estimate.ask(FakeBackend(), wanted)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "QUIET", 0.0)


def test_the_guides_are_given_without_their_pixels() -> None:
    wanted = estimate.question(DRAFT, (SELECTION,), toy)
    assert wanted.edits[0].given() == DRAFT.given(SELECTION) and len(DRAFT.given(SELECTION)) == 5
    assert answered(wanted).frames == 20


def test_several_strips_cost_their_sum() -> None:
    longer = replace(SELECTION, strip="other", length=30)
    one, both = (answered(estimate.question(DRAFT, chosen, toy)) for chosen in ((SELECTION,), (SELECTION, longer)))
    assert (both.frames, both.windows, both.pixel_bytes) == (50, 2, one.pixel_bytes * 5 // 2)


def test_only_what_costs_brings_a_new_question() -> None:
    wanted = estimate.question(DRAFT, (SELECTION,), toy)
    assert estimate.question(replace(DRAFT, seed=9), (SELECTION,), toy) == wanted
    assert estimate.question(replace(DRAFT, options={"toy": {"steps": 9}}), (SELECTION,), toy) != wanted


def test_a_refusal_comes_as_the_error_that_painting_would_end_with() -> None:
    with pytest.raises(Invalid, match="needs a mask"):
        answered(estimate.question(DRAFT, (replace(SELECTION, mask_source=MaskSource.NONE),), toy))


def test_nothing_is_asked_while_the_artist_still_changes_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "QUIET", 60.0)
    steps = estimate.ask(FakeBackend(), estimate.question(DRAFT, (SELECTION,), toy))
    assert len({next(steps) for _ in range(100)}) == 1


COST = Estimate(
    frames=55,
    windows=4,
    window_size=Size(width=512, height=512),
    pixel_bytes=152_064_000,
    seconds=None,
    device="cuda:0",
)


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (COST, ("55 frames, 4 windows of 512x512", "At most 152.1 MB to send", "On cuda:0")),
        (replace(COST, windows=1), ("55 frames, 1 window of 512x512", "At most 152.1 MB to send", "On cuda:0")),
        (replace(COST, seconds=0.2), "About a second on cuda:0"),
        (replace(COST, seconds=88.0), "About 88 s on cuda:0"),
        (replace(COST, seconds=600.0), "About 10 min on cuda:0"),
        (replace(COST, seconds=9000.0), "About 2.5 h on cuda:0"),
        (replace(COST, pixel_bytes=3 * 10**9), "At most 3.0 GB to send"),
    ],
)
def test_the_cost_in_words(cost: Estimate, said: tuple[str, ...] | str) -> None:
    assert said in (estimate.words(cost), *estimate.words(cost))
