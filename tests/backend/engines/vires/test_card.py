"""The card of VIRES: windows that begin on a chunk, and requests that are refused before a model is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from overpaint.card import check_spec
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import Edit, Guide, GuideKey, Input, Keyframe, Knot, Stroke, Task
from overpaint.errors import Missing, Unavailable
from overpaint.job import JobSpec
from overpaint_backend import registry
from overpaint_backend.engines.vires.card import CHUNK, card
from overpaint_backend.pipeline.plan import plan_job
from overpaint_backend.pipeline.windows import plan_windows

AREA = Stroke(knots=tuple(Knot(x=x, y=y) for x, y in ((9, 9), (30, 9), (30, 30), (9, 30))), closed=True)
MASK = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(AREA,)),), hold=True)


def guide(kind: Input) -> Guide:
    line = Stroke(knots=(Knot(x=9, y=9), Knot(x=30, y=30)))
    return Guide(kind=kind, keys=(GuideKey(frame=3, strokes=(line,)),))


def problems(task: Task, *guides: Guide, **edit: object) -> list[str]:
    clip = Clip(size=Size(width=64, height=48), rate=Rate(numerator=24), depth=8, frames=("0" * 64,) * 20)
    made = Edit(task=task, guides=guides, **edit)  # type: ignore[arg-type]
    return [problem.field for problem in check_spec(JobSpec(id="0" * 32, engine="vires", clip=clip, edit=made), card)]


@pytest.mark.parametrize("length", [1, 2, 17, 18, 20, 34, 50, 51, 52, 85, 119, 120, 1000])
def test_every_window_is_whole_chunks_and_knows_one(length: int) -> None:
    windows = plan_windows(length, card)
    assert windows[0].known == 0 and all(window.known == CHUNK for window in windows[1:])
    assert all((len(window.span) + window.pad) % CHUNK == 0 for window in windows)
    assert all(len(window.span) + window.pad <= 51 for window in windows)
    assert [frame for window in windows for frame in [*window.span][window.known :]] == [*range(length)]


def test_windows_are_as_the_paper_has_them() -> None:
    """51 frames first; then 34 new ones after the last 17, and what is left over in whole chunks."""
    spans = [(window.span.start, window.span.stop, window.pad) for window in plan_windows(120, card)]
    assert spans == [(0, 51, 0), (34, 85, 0), (68, 119, 0), (102, 120, 16)]
    assert [(len(window.span), window.pad) for window in plan_windows(20, card)] == [(20, 14)]


def test_the_region_is_a_square_around_the_mask() -> None:
    plan = plan_job([(100, 100, 300, 200)] * 20, Size(width=1920, height=1080), card)
    assert plan.region.size == Size(width=512, height=512)
    assert plan.region.crop == Size(width=225, height=225)  # 12 pixels on either side


def test_what_each_task_needs() -> None:
    assert problems(Task.REPAINT, MASK, guide(Input.SKETCH)) == []  # sketch inpainting: no words needed
    assert problems(Task.REPAINT, MASK, keyframes=(Keyframe(frame=2, pixels="0" * 64),)) == []
    assert problems(Task.REPAINT, MASK) and problems(Task.REPAINT, prompt="a coat") == ["mask"]
    for task in (Task.REPLACE, Task.ADD):
        assert problems(task, MASK, guide(Input.EDGE)) == ["prompt"]
        assert problems(task, MASK, guide(Input.EDGE), guide(Input.DEPTH), prompt="a cat", negative_prompt="fog") == []
    assert problems(Task.REMOVE, MASK) == [] and problems(Task.GENERATE, prompt="a beach") == []
    assert problems(Task.GENERATE) == ["prompt"]
    assert problems(Task.REMOVE, MASK, options={"guidance": 0.5, "steps": 0}) == ["options.guidance", "options.steps"]


def test_missing_weights_are_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises((Missing, Unavailable)) as refused:
        registry.build("vires", "cpu", tmp_path)
    assert "overpaint weights fetch vires" in refused.value.remedy or "overpaint[engines]" in refused.value.remedy
