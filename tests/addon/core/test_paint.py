from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from overpaint.edit import Guide, GuideKey, Input, Stroke, Task
from overpaint.errors import Cancelled, Invalid, Missing
from overpaint.job import JobState
from overpaint_addon.core.draft import Draft
from overpaint_addon.core.paint import paint, resume
from overpaint_addon.core.steps import Doing, Steps
from overpaint_addon.core.submit import submit

from tests.fakes import FakeBackend, FakeTickets, FakeTimeline, clip_frames, held_mask, request_of

FRAMES = clip_frames()
MASK = np.zeros((24, 32), np.uint8)
MASK[6:15, 10:20] = 255
SKETCH = Guide(kind=Input.SKETCH, keys=(GuideKey(frame=3, strokes=(Stroke(knots=(), width=2.0),)),))
DRAFT = Draft(engine="toy", task=Task.REPAINT, prompt="a red coat", seed=5)


class Desk:
    """The four parts of a use-case, with the mask's pixels on the server already."""

    def __init__(self, folder: Path, *guides: Guide) -> None:
        self.timeline = FakeTimeline(FRAMES, (held_mask(MASK), *guides), folder)
        self.backend, self.tickets = FakeBackend(), FakeTickets()
        self.backend.frames[next(iter(held_mask(MASK).keys)).pixels or ""] = MASK

    def paint(self, draft: Draft = DRAFT) -> Steps[Any]:
        return paint(self.timeline, self.backend, self.tickets, draft, uuid.uuid4().hex)


def run(steps: Steps[Any], most: int = 1000) -> tuple[Any, list[Doing]]:
    said: list[Doing] = []
    while len(said) < most:
        try:
            said.append(next(steps))
        except StopIteration as end:
            return end.value, said
    raise AssertionError(f"no end after {most} steps")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_whole_path_places_a_take_of_every_frame(desk: Desk) -> None:
    strip, said = run(desk.paint())
    assert (strip.start, strip.length, strip.channel) == (11, 20, 2)
    assert all(path.exists() for path in desk.timeline.placed[0][1])
    assert strip.name == "a red coat (5)"
    stages = list(dict.fromkeys(one.stage for one in said))
    assert stages[0] == "reading the strip" and "painting" in stages


def test_law_10_the_take_carries_its_whole_request(desk: Desk) -> None:
    run(desk.paint(replace(DRAFT, feather=3.0, grow=1.0, negative_prompt="blue")))
    spec = request_of(desk.timeline.placed[0])
    assert spec == desk.backend.jobs[spec.id].spec
    assert (spec.edit.prompt, spec.edit.negative_prompt, spec.edit.seed) == ("a red coat", "blue", 5)
    mask = spec.edit.guide(Input.MASK)
    assert mask is not None and (mask.feather, mask.grow) == (3.0, 1.0)
    assert spec.edit.options["steps"] == 4  # the engine's defaults too: they may change with its next version


def test_law_6_a_second_edit_sends_nothing_again(desk: Desk, tmp_path: Path) -> None:
    run(desk.paint())
    sent = desk.backend.sent
    desk.timeline.capture = FakeTimeline(FRAMES, (held_mask(MASK), SKETCH), tmp_path).capture
    run(desk.paint(replace(DRAFT, seed=6)))
    assert desk.backend.sent == sent and len(desk.timeline.placed) == 2


def test_law_8_every_step_is_short(desk: Desk) -> None:
    """No step captures, sends or fetches more than one thing: there are at least as many steps as frames."""
    _, said = run(desk.paint())
    assert sum(one.stage == "reading the strip" for one in said) >= len(FRAMES) - 1


def test_a_sketch_that_is_not_wanted_stays_at_home(tmp_path: Path) -> None:
    desk = Desk(tmp_path, SKETCH)
    run(desk.paint(replace(DRAFT, sketch=False)))
    assert request_of(desk.timeline.placed[0]).edit.guide(Input.SKETCH) is None


def test_a_refused_request_leaves_nothing_behind(desk: Desk) -> None:
    desk.timeline.capture = FakeTimeline(FRAMES, (), Path()).capture
    with pytest.raises(Invalid, match="needs a mask") as refused:
        run(desk.paint())
    assert refused.value.remedy
    assert desk.timeline.capture.closed and not desk.tickets.kept and not desk.backend.jobs and not desk.timeline.placed


def test_an_unknown_engine_is_said_before_anything_is_captured(desk: Desk) -> None:
    with pytest.raises(Missing, match="nobody"):
        run(desk.paint(replace(DRAFT, engine="nobody")))
    assert desk.timeline.capture.done == 0


def test_a_job_is_followed_to_its_end_after_the_file_was_closed(desk: Desk) -> None:
    ticket, _ = run(submit(desk.timeline, desk.backend, desk.tickets, DRAFT, uuid.uuid4().hex))
    assert desk.tickets.all() == (ticket,) and ticket.state is JobState.QUEUED
    strip, _ = run(resume(desk.timeline, desk.backend, desk.tickets, ticket))
    assert strip.length == 20 and not desk.tickets.kept


def test_progress_does_not_touch_the_file(desk: Desk) -> None:
    run(desk.paint())
    events = [ticket.event for ticket in desk.tickets.history]
    assert len(events) == len(set(events)) and len(events) < len(next(iter(desk.backend.jobs.values())).events) + 1


def test_progress_stands_while_there_is_no_news(desk: Desk) -> None:
    steps = desk.paint(replace(DRAFT, options={"toy": {"delay": 1.0}}))
    while (said := next(steps)).stage != "painting":
        pass
    assert (said.done, said.total) == (1000, 1000)
    assert [next(steps) for _ in range(3)] == [said] * 3


def test_a_cancelled_job_places_nothing(desk: Desk) -> None:
    steps = desk.paint(replace(DRAFT, options={"toy": {"delay": 1.0}}))
    while not desk.tickets.kept or next(steps).stage != "painting":
        next(steps)
    desk.backend.cancel(next(iter(desk.tickets.kept)))
    with pytest.raises(Cancelled):
        run(steps)
    (kept,) = desk.tickets.all()  # it can be tried again
    assert not desk.timeline.placed and kept.state is JobState.CANCELLED


def test_closing_a_use_case_stops_its_capture(desk: Desk) -> None:
    steps = desk.paint()
    next(steps)
    steps.close()
    assert desk.timeline.capture.closed


def test_a_long_prompt_still_names_a_strip(desk: Desk) -> None:
    strip, _ = run(desk.paint(replace(DRAFT, prompt="x" * 300, seed=2**32 - 1)))
    assert len(strip.name) <= 60 and strip.name.endswith("(4294967295)")


def test_the_pixels_of_a_guide_are_sent_with_the_frames(desk: Desk) -> None:
    (name,) = desk.backend.frames
    desk.backend.frames.clear()
    desk.timeline.capture.drawn = {name: MASK}
    run(desk.paint())
    assert np.array_equal(desk.backend.frames[name], MASK) and len(desk.backend.frames) == len(FRAMES) + 1
