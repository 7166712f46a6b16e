from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from overpaint.codec import digest
from overpaint.edit import Input, Task
from overpaint.errors import Invalid, Missing
from overpaint.job import JobState
from overpaint_addon.core.draft import Draft
from overpaint_addon.core.preview import GRACE, Live, preview
from overpaint_addon.core.submit import submit, submit_batch
from overpaint_addon.link.pictures import read_png, write_png

from tests.fakes import FakeBackend, FakeTickets, FakeTimeline, clip_frames, held_mask

FRAMES = clip_frames()
MASK = np.zeros((24, 32), np.uint8)
MASK[6:15, 10:20] = 255
DRAFT = Draft(engine="toy", task=Task.REPAINT, prompt="a red coat", seed=5)


def run(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class Desk:
    def __init__(self, folder: Path) -> None:
        self.timeline = FakeTimeline(FRAMES, (held_mask(MASK),), folder)
        self.backend, self.tickets = FakeBackend(), FakeTickets()
        self.backend.frames[digest(MASK)] = MASK

    def accept(self, frame: int, picture: np.ndarray, folder: Path) -> Path:
        write_png(folder / f"{frame}.png", picture)
        self.timeline.accept(frame, folder / f"{frame}.png")
        return folder / f"{frame}.png"

    def submitted(self) -> Any:
        ticket = run(submit(self.timeline, self.backend, self.tickets, DRAFT, uuid.uuid4().hex))
        return self.backend.jobs[ticket.job_id].spec


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_law_6_a_batch_captures_and_sends_once(desk: Desk):
    seeds = {uuid.uuid4().hex: seed for seed in (5, 6, 7)}
    tickets = run(submit_batch(desk.timeline, desk.backend, desk.tickets, DRAFT, seeds))
    specs = [desk.backend.jobs[ticket.job_id].spec for ticket in tickets]
    assert [spec.edit.seed for spec in specs] == [5, 6, 7]
    assert len({spec.clip for spec in specs}) == 1
    assert desk.backend.sent == sum(frame.nbytes for frame in FRAMES)
    assert desk.tickets.all() == tickets and desk.timeline.capture.closed


def test_a_preview_paints_one_frame_and_keeps_no_ticket(desk: Desk):
    desk.timeline.frame = 4
    run(preview(desk.timeline, desk.backend, DRAFT, uuid.uuid4().hex))
    ((selection, patch, picture),) = desk.timeline.previews
    (job,) = desk.backend.jobs.values()
    assert (selection.start, selection.length, len(job.spec.clip)) == (15, 1, 1)
    whole = read_png(picture)
    assert (whole[MASK == 0] == FRAMES[4][MASK == 0]).all()
    assert (whole[MASK > 0] == read_png(patch)[MASK > 0][:, :3]).all()
    assert not desk.tickets.history and not desk.timeline.placed and desk.timeline.capture.closed


def test_a_preview_that_is_closed_is_cancelled(desk: Desk):
    steps = preview(desk.timeline, desk.backend, replace(DRAFT, options={"toy": {"delay": 1.0}}), "a" * 32)
    while "a" * 32 not in desk.backend.jobs or next(steps).stage != "painting":
        next(steps)
    steps.close()
    assert desk.backend.jobs["a" * 32].state is JobState.CANCELLING and desk.timeline.capture.closed


def test_live_paints_the_newest_state_when_it_has_settled_and_never_two_at_once():
    live = Live()
    assert not live.due("one", 10.0, busy=False)
    assert not live.due("two", 10.2, busy=False)  # still being drawn
    assert not live.due("two", 10.2 + GRACE / 2, busy=False)
    assert live.due("two", 10.2 + GRACE, busy=False)
    assert not live.due("two", 20.0, busy=False)
    assert not live.due("three", 21.0, busy=True) and not live.due("four", 22.0, busy=True)
    assert not live.due("four", 23.0, busy=True)
    assert live.due("four", 23.1, busy=False)
    assert not live.due("four", 30.0, busy=False)


def test_an_accepted_keyframe_is_sent_and_named(desk: Desk, tmp_path: Path):
    desk.accept(3, FRAMES[3] // 2, tmp_path)
    spec = desk.submitted()
    (keyframe,) = spec.edit.keyframes
    assert (keyframe.frame, keyframe.pixels) == (3, digest(FRAMES[3] // 2))
    assert (desk.backend.frames[keyframe.pixels] == FRAMES[3] // 2).all()
    assert Input.KEYFRAME in spec.edit.given()


def test_a_keyframe_that_was_painted_over_is_sent_as_it_is_now(desk: Desk, tmp_path: Path):
    file = desk.accept(3, FRAMES[3], tmp_path)
    opaque = np.full((*MASK.shape, 1), 255, np.uint8)
    write_png(file, np.dstack([FRAMES[4], opaque]))  # by a program that adds an alpha
    (keyframe,) = desk.submitted().edit.keyframes
    assert keyframe.pixels == digest(FRAMES[4])


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda file: write_png(file, FRAMES[3][:9]), Invalid, "is 32x9 with 3 channels of 8 bits, and the clip 32x24"),
        (lambda file: write_png(file, FRAMES[3].astype(np.uint16)), Invalid, "of 16 bits"),
        (lambda file: write_png(file, np.dstack([FRAMES[3], MASK])), Invalid, "4 channels"),
        (lambda file: file.write_bytes(b"no picture"), Invalid, "cannot be read"),
        (lambda file: file.unlink(), Missing, "is gone"),
    ],
)
def test_a_keyframe_that_does_not_fit_is_refused_in_words(
    desk: Desk, tmp_path: Path, spoil: Callable[[Path], None], error: type[Exception], words: str
):
    spoil(desk.accept(3, FRAMES[3], tmp_path))
    with pytest.raises(error, match=words):
        desk.submitted()
    assert not desk.backend.jobs and desk.timeline.capture.closed
