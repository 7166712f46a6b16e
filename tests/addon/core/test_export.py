"""Export for a farm: the captured strip becomes the folder that the backend's verbs read, and nothing is sent."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from overpaint import wire
from overpaint.edit import Input, Task
from overpaint.errors import Corrupt, Invalid
from overpaint.sealed import read_sealed
from overpaint_addon.core.draft import Draft
from overpaint_addon.core.roles import MaskSource
from overpaint_addon.core.steps import Steps
from overpaint_addon.core.submit import export, submit

from tests.fakes import FakeBackend, FakeTickets, FakeTimeline, clip_frames, held_mask

FRAMES = clip_frames()
MASK = np.zeros((24, 32), np.uint8)
MASK[6:15, 10:20] = 255
DRAFT = Draft(engine="toy", task=Task.REPAINT, prompt="a red coat", seed=5, feather=2.0)


def run(steps: Steps[Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture
def timeline(tmp_path: Path) -> FakeTimeline:
    made = FakeTimeline(FRAMES, (held_mask(MASK),), tmp_path)
    made.selection = replace(made.selection, mask_source=MaskSource.BOX)
    made.capture.drawn[held_mask(MASK).keys[0].pixels or ""] = MASK
    return made


def test_the_folder_holds_the_request_that_would_have_been_sent(timeline: FakeTimeline, tmp_path: Path) -> None:
    backend, job_id = FakeBackend(), uuid.uuid4().hex
    words = run(export(timeline, backend, DRAFT, job_id, tmp_path / "job"))
    assert str(tmp_path / "job") in words and not backend.jobs and not backend.sent and timeline.capture.closed
    found = read_sealed(tmp_path / "job")
    assert found.check() == len(FRAMES) + 2 and found.weights == ""
    for digest, frame in zip(found.spec.clip.frames, FRAMES, strict=True):
        assert np.array_equal(found.frame(digest), frame)
    mask = found.spec.edit.guide(Input.MASK)
    assert mask is not None and mask.feather == 2.0 and np.array_equal(found.frame(mask.keys[0].pixels or ""), MASK)
    ticket = run(submit(timeline, backend, FakeTickets(), DRAFT, job_id))
    assert wire.request_from_json(ticket.request) == found.spec


def test_a_folder_that_holds_something_is_refused_and_the_capture_ends(timeline: FakeTimeline, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(Invalid, match="not empty"):
        run(export(timeline, FakeBackend(), DRAFT, uuid.uuid4().hex, tmp_path))
    assert timeline.capture.closed and [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_pixels_that_changed_since_they_were_captured_are_not_sealed(timeline: FakeTimeline, tmp_path: Path) -> None:
    timeline.capture.drawn = dict.fromkeys(timeline.capture.drawn, MASK // 2)
    with pytest.raises(Corrupt, match="other pixels"):
        run(export(timeline, FakeBackend(), DRAFT, uuid.uuid4().hex, tmp_path / "job"))
    assert list(tmp_path.iterdir()) == []
