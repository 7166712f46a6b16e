from __future__ import annotations

from dataclasses import replace

import pytest
from overpaint.card import EngineCard, OptionKind, OptionSpec, TaskRule
from overpaint.edit import Input, Task
from overpaint.errors import Invalid, Missing
from overpaint_addon.core.choose import Quality, choose_card, choose_task, options_of, quality_option

MASK, PROMPT, SKETCH, KEYFRAME, NEGATIVE = (
    Input.MASK,
    Input.PROMPT,
    Input.SKETCH,
    Input.KEYFRAME,
    Input.NEGATIVE_PROMPT,
)
STEPS = OptionSpec(name="steps", kind=OptionKind.INT, default=30, minimum=1, maximum=50, description="How many")


def card(
    name: str, *tasks: Task, rank: int = 0, obstacle: str = "", options: tuple[OptionSpec, ...] = ()
) -> EngineCard:
    return EngineCard(
        name=name,
        title=name.title(),
        description="",
        version="1",
        licence="",
        tasks=tuple(TaskRule(task=task, honours=frozenset(Input)) for task in tasks),
        max_frames=8,
        rank=rank,
        obstacle=obstacle,
        options=options,
    )


@pytest.mark.parametrize(
    ("given", "task"),
    [
        ({MASK}, Task.REMOVE),
        ({MASK, NEGATIVE}, Task.REMOVE),  # says what should not be there, and nothing should
        ({MASK, PROMPT}, Task.REPAINT),
        ({MASK, SKETCH}, Task.REPAINT),
        ({MASK, KEYFRAME}, Task.REPAINT),
        ({MASK, Input.TRACK}, Task.REPAINT),
        ({PROMPT}, Task.REPAINT),  # and never the whole frame because a mask was forgotten
        (set(), Task.REPAINT),
    ],
)
def test_the_task_is_guessed_from_what_is_given(given: set[Input], task: Task) -> None:
    assert choose_task(frozenset(given)) is task


def test_an_engine_by_name_or_the_usual_one() -> None:
    low, high = card("low", Task.REMOVE, rank=1), card("high", Task.REMOVE, rank=2)
    given = frozenset({MASK})
    assert choose_card((low, high), "", Task.REMOVE, given) is high
    assert choose_card((low, high), "low", Task.REMOVE, given) is low
    assert choose_card((low, replace(high, obstacle="it sleeps")), "", Task.REMOVE, given) is low


def test_an_engine_that_cannot_be_used_is_refused_in_words() -> None:
    cards = (card("flow", Task.REMOVE), card("vires", Task.REPAINT, obstacle="it needs a graphics card"))
    with pytest.raises(Missing, match=r"no engine 'nobody'") as missing:
        choose_card(cards, "nobody", Task.REMOVE, frozenset())
    assert missing.value.remedy == "Choose flow, vires"
    for engine in ("vires", ""):
        with pytest.raises(Invalid, match="needs a graphics card") as refused:
            choose_card(cards, engine, Task.REPAINT, frozenset({MASK}))
        assert refused.value.remedy


@pytest.mark.parametrize(("quality", "steps"), [(Quality.DRAFT, 15), (Quality.STANDARD, 30), (Quality.BEST, 50)])
def test_a_quality_is_a_share_of_the_usual_steps_within_their_bounds(quality: Quality, steps: int) -> None:
    assert options_of(card("some", options=(STEPS,)), quality) == {"steps": steps}


def test_few_steps_are_never_none() -> None:
    assert options_of(card("some", options=(replace(STEPS, default=1),)), Quality.DRAFT) == {"steps": 1}


def test_an_engine_without_steps_has_no_quality() -> None:
    ink = OptionSpec(name="ink", kind=OptionKind.CHOICE, default="black", choices=("black",), description="")
    assert quality_option(card("some", options=(ink,))) is None
    assert options_of(card("some", options=(ink,)), Quality.BEST) == {"ink": "black"}
