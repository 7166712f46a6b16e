"""check_spec: every problem names the field, what is wrong in words, and what to do; a good request has none."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from overpaint.card import MAX_PROMPT, MAX_SEED, EngineCard, OptionKind, OptionSpec, TaskRule, check_spec, usual
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import (
    Edit,
    Guide,
    GuideKey,
    Input,
    Keyframe,
    Knot,
    OptionValue,
    Stroke,
    Task,
    Track,
    TrackPoint,
)
from overpaint.errors import Invalid
from overpaint.job import JobSpec

from tests.shared.strategies import cards, specs

ONE = "01" * 32
MASK = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, pixels=ONE),), hold=True)
SKETCH = Guide(kind=Input.SKETCH, keys=tuple(GuideKey(frame=frame, pixels=ONE) for frame in range(3)))
CARD = EngineCard(
    name="toy",
    title="Toy",
    description="",
    version="1",
    licence="Apache-2.0",
    tasks=(
        TaskRule(
            task=Task.REPAINT,
            honours=frozenset(Input) - {Input.DEPTH},
            needs=(frozenset({Input.MASK}), frozenset({Input.SKETCH, Input.KEYFRAME})),
        ),
        TaskRule(task=Task.REMOVE, honours=frozenset({Input.MASK})),
    ),
    max_frames=10,
    options=(
        OptionSpec(name="steps", kind=OptionKind.INT, default=20, description="", minimum=1, maximum=100),
        OptionSpec(name="strength", kind=OptionKind.FLOAT, default=0.5, description="", minimum=0, maximum=1),
        OptionSpec(name="quality", kind=OptionKind.CHOICE, default="fast", description="", choices=("fast", "best")),
        OptionSpec(name="loop", kind=OptionKind.BOOL, default=False, description=""),
    ),
)
EDIT = Edit(task=Task.REPAINT, prompt="a red coat", guides=(MASK, SKETCH), options={"steps": 30, "quality": "best"})
CLIP = Clip(size=Size(width=8, height=6), rate=Rate(numerator=24), depth=8, frames=(ONE,) * 3)


def spec(edit: Edit) -> JobSpec:
    return JobSpec(id="0" * 32, engine="toy", clip=CLIP, edit=edit)


def stroked(*numbers: float) -> Guide:
    """A mask drawn with these numbers: x, y, width, opacity, left x."""
    x, y, width, opacity, left = numbers
    stroke = Stroke(knots=(Knot(x=x, y=y, left=(left, 0)),), width=width, opacity=opacity)
    return Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(stroke,)),), hold=True)


def guided(*guides: Guide) -> Edit:
    return replace(EDIT, guides=guides)


def test_a_good_request_has_no_problem() -> None:
    assert check_spec(spec(EDIT), CARD) == ()
    assert check_spec(spec(guided(stroked(1, 2, 3, 1, 5), SKETCH)), CARD) == ()
    full = replace(
        EDIT,
        guides=(MASK,),
        keyframes=(Keyframe(frame=2, pixels=ONE),),
        tracks=(Track(points=(TrackPoint(frame=0, x=1, y=2),)),),
        options={"steps": 1, "strength": 1, "quality": "fast", "loop": True},
    )
    assert check_spec(spec(full), CARD) == ()


PROBLEMS: dict[str, tuple[Edit, str, str, str]] = {
    "a task that it cannot do": (replace(EDIT, task=Task.GENERATE), "task", "cannot generate", "repaint, remove"),
    "a guide that it does not honour": (
        guided(MASK, SKETCH, replace(SKETCH, kind=Input.DEPTH)),
        "depth",
        "does not honour a depth",
        "Leave the depth out",
    ),
    "a prompt that it does not honour": (
        Edit(task=Task.REMOVE, guides=(MASK,), prompt="x"),
        "prompt",
        "does not honour a prompt for remove",
        "Leave the prompt out",
    ),
    "no mask": (guided(SKETCH), "mask", "needs a mask", "Give a mask"),
    "neither sketch nor keyframe": (guided(MASK), "keyframe", "needs a keyframe or a sketch", "Give a keyframe or a"),
    "a mask without keys": (guided(replace(MASK, keys=()), SKETCH), "mask", "no key", "at least one frame"),
    "a mask off the clip": (
        guided(replace(MASK, keys=(GuideKey(frame=3, pixels=ONE),)), SKETCH),
        "mask",
        "frame 3, and the clip has frames 0 to 2",
        "frames of the clip",
    ),
    "a mask of another length": (
        guided(replace(MASK, hold=False), SKETCH),
        "mask",
        "1 frames and the clip has 3",
        "every frame",
    ),
    "pixels and strokes at once": (
        guided(replace(MASK, keys=(GuideKey(frame=0, pixels=ONE, strokes=(Stroke(knots=()),)),)), SKETCH),
        "mask",
        "both pixels and strokes",
        "either",
    ),
    "a sketch of nothing": (
        guided(MASK, replace(SKETCH, keys=(GuideKey(frame=0),), hold=True)),
        "sketch",
        "neither pixels",
        "either",
    ),
    "a stroke that is nowhere": (guided(stroked(math.nan, 2, 3, 1, 5), SKETCH), "mask", "not finite", "again"),
    "a stroke that is endless": (guided(stroked(1, math.inf, 3, 1, 5), SKETCH), "mask", "not finite", "again"),
    "a handle that is nowhere": (guided(stroked(1, 2, 3, 1, math.nan), SKETCH), "mask", "not finite", "again"),
    "a feather of no number": (guided(replace(MASK, feather=math.nan), SKETCH), "mask", "feather is nan", "from 0 to"),
    "a negative feather": (guided(replace(MASK, feather=-1), SKETCH), "mask", "feather is -1", "from 0 to"),
    "a keyframe off the clip": (
        replace(EDIT, keyframes=(Keyframe(frame=-1, pixels=ONE),)),
        "keyframe",
        "frame -1, and the clip has frames 0 to 2",
        "frames of the clip",
    ),
    "two keyframes in one place": (
        replace(EDIT, keyframes=(Keyframe(frame=1, pixels=ONE),) * 2),
        "keyframe",
        "same frame",
        "Keep one",
    ),
    "a track off the clip": (
        replace(EDIT, tracks=(Track(points=(TrackPoint(frame=3, x=0, y=0),)),)),
        "track",
        "frames 0 to 2",
        "again",
    ),
    "a track that is nowhere": (
        replace(EDIT, tracks=(Track(points=(TrackPoint(frame=0, x=math.nan, y=0),)),)),
        "track",
        "not finite",
        "again",
    ),
    "a long prompt": (replace(EDIT, prompt="x" * (MAX_PROMPT + 1)), "prompt", "4001 characters", "4000"),
    "a long negative prompt": (
        replace(EDIT, negative_prompt="x" * (MAX_PROMPT + 1)),
        "negative_prompt",
        "negative prompt has 4001",
        "4000",
    ),
    "a large seed": (replace(EDIT, seed=MAX_SEED), "seed", "4294967296 is out of range", "0 to 4294967295"),
    "a negative seed": (replace(EDIT, seed=-1), "seed", "out of range", "0 to"),
    "an unknown option": (replace(EDIT, options={"step": 3}), "options.step", "no option step", "steps, strength"),
    "too many steps": (replace(EDIT, options={"steps": 101}), "options.steps", "101", "whole number from 1 to 100"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_names_its_field_and_the_remedy(name: str) -> None:
    edit, field, message, remedy = PROBLEMS[name]
    problems = check_spec(spec(edit), CARD)
    assert {problem.field for problem in problems} == {field}
    problem = next(problem for problem in problems if message in problem.message)
    assert remedy in problem.remedy
    assert str(problem) == f"{problem.field}: {problem.message}. {problem.remedy}"


def test_all_problems_are_told_at_once() -> None:
    edit = replace(EDIT, seed=-1, prompt="x" * 5000, guides=(SKETCH,), options={"nothing": 1})
    assert [problem.field for problem in check_spec(spec(edit), CARD)] == ["mask", "prompt", "seed", "options.nothing"]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("steps", [1, 100, 7.0], [0, 101, 1.5, True, "7", math.nan, math.inf]),
        ("strength", [0, 1, 0.25], [-0.1, 1.1, False, "x", math.nan]),
        ("quality", ["fast", "best"], ["", "slow", 1, True]),
        ("loop", [True, False], [0, 1, "on", 0.0]),
    ],
)
def test_options_take_what_they_describe(name: str, good: list[OptionValue], bad: list[OptionValue]) -> None:
    for value in good:
        assert check_spec(spec(replace(EDIT, options={name: value})), CARD) == ()
    for value in bad:
        (problem,) = check_spec(spec(replace(EDIT, options={name: value})), CARD)
        assert problem.field == f"options.{name}" and problem.remedy.startswith(f"{name} is ")


def test_defaults_complete_the_options() -> None:
    assert CARD.complete({"steps": 5}) == {"steps": 5, "strength": 0.5, "quality": "fast", "loop": False}


@given(specs, cards)
def test_any_request_is_answered_in_words(asked: JobSpec, card: EngineCard) -> None:
    for problem in check_spec(asked, card):
        assert problem.field and problem.message and problem.remedy


# Which engine paints where nobody chooses.

DRAWN = frozenset({Input.MASK, Input.SKETCH})
GOOD = replace(CARD, name="good", rank=2)
ANY = replace(CARD, name="any", rank=-1)


def test_the_highest_rank_that_can_paints() -> None:
    assert usual([CARD, GOOD], Task.REPAINT, DRAWN).name == "good"
    narrow = replace(GOOD, tasks=(TaskRule(task=Task.REMOVE, honours=frozenset({Input.MASK})),))
    assert usual([narrow, CARD], Task.REPAINT, DRAWN).name == "toy"


def test_an_engine_that_cannot_be_used_here_is_passed_over() -> None:
    blocked = replace(GOOD, obstacle="it needs a graphics card")
    assert usual([blocked, CARD], Task.REPAINT, DRAWN).name == "toy"
    with pytest.raises(Invalid, match="the engine good could do this, but it needs a graphics card"):
        usual([blocked], Task.REPAINT, DRAWN)


def test_an_engine_below_zero_paints_only_where_it_is_named() -> None:
    with pytest.raises(Invalid, match="there is no engine"):
        usual([ANY], Task.REPAINT, DRAWN)


def test_nothing_that_is_given_is_left_aside_to_find_an_engine() -> None:
    with pytest.raises(Invalid, match="does not honour a depth for repaint"):
        usual([CARD], Task.REPAINT, DRAWN | {Input.DEPTH})


def test_where_none_can_the_nearest_engine_says_what_it_lacks() -> None:
    keen = replace(CARD, tasks=(TaskRule(task=Task.REPAINT, honours=DRAWN, needs=(frozenset({Input.MASK}),)),))
    with pytest.raises(Invalid, match="to repaint, the engine toy needs a mask, and none is given"):
        usual([GOOD, keen], Task.REPAINT, frozenset())
