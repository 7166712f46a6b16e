"""What every Backend keeps to: the fake that the use-cases are tested with, and the courier to a live server."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import replace
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Guide, GuideKey, Input, Keyframe, OptionValue, Stroke, Task
from overpaint.errors import Conflict, Corrupt, Invalid, Missing
from overpaint.job import EventKind, JobSpec, JobState

from tests.fakes import clip_frames, held_mask, wait_for
from tests.pictures import read_picture

FRAMES = clip_frames()
MASK = np.zeros((24, 32), np.uint8)
MASK[6:15, 10:20] = 255


def job(frames: list[np.ndarray] = FRAMES, mask: np.ndarray = MASK, **edit: Any) -> JobSpec:
    """A job whose pixels no other test has sent, so that what is missing can be told."""
    height, width = frames[0].shape[:2]
    clip = Clip(
        size=Size(width=width, height=height),
        rate=Rate(numerator=24),
        depth=8 if frames[0].dtype == np.uint8 else 16,
        frames=tuple(map(digest, frames)),
    )
    guides = (held_mask(mask),)
    return JobSpec(
        id=uuid.uuid4().hex, engine="toy", clip=clip, edit=Edit(**{"task": Task.REPAINT, "guides": guides} | edit)
    )


def fresh(frames: list[np.ndarray] = FRAMES) -> list[np.ndarray]:
    """The frames with a mark of this call in one corner, so that no server has them."""
    mark = np.frombuffer(os.urandom(3), np.uint8)
    marked = [frame.copy() for frame in frames]
    for frame in marked:
        frame[0, 0] = mark
    return marked


def send(backend: Any, spec: JobSpec, frames: list[np.ndarray], *more: np.ndarray) -> int:
    """Open, upload what is missing, seal; returns the bytes that were sent."""
    pixels = {digest(one): one for one in (*frames, MASK, *more)}
    opened = backend.open_job(spec).result(30)
    sent = backend.upload(spec.id, opened.missing, pixels.__getitem__).result(30)
    assert backend.seal_job(spec.id).result(30) in (JobState.QUEUED, JobState.RUNNING, JobState.FINISHED)
    return sent


def test_only_missing_pixels_are_asked_for_in_order(backend: Any) -> None:
    frames = fresh()
    spec = job([*frames, frames[3], frames[0]])
    opened = backend.open_job(spec).result(30)
    assert opened.state is JobState.OPEN
    assert [one for one in opened.missing if one != digest(MASK)] == [digest(frame) for frame in frames]


def test_law_6_what_was_uploaded_is_never_uploaded_again(backend: Any) -> None:
    frames = fresh()
    first = send(backend, job(frames), frames)
    another = MASK.copy()
    another[0, :] = 255
    spec = job(frames, another)
    assert backend.open_job(spec).result(30).missing == (digest(another),)
    assert 0 < send(backend, spec, frames, another) < 0.02 * first
    again = job(frames, prompt="only words changed")
    assert backend.open_job(again).result(30).missing == ()
    assert send(backend, again, frames) == 0


def test_sending_is_opening_uploading_and_sealing_in_one(backend: Any) -> None:
    frames = fresh()
    spec = job(frames)
    pixels = {digest(one): one for one in (*frames, MASK)}
    queued = (JobState.QUEUED, JobState.RUNNING, JobState.FINISHED)
    assert backend.send(spec, pixels.__getitem__).result(30) in queued
    assert backend.open_job(spec).result(30).missing == ()
    assert backend.send(spec, {}.__getitem__).result(30) in queued  # once more sends nothing
    assert wait_for(backend, spec.id)[-1].kind is EventKind.FINISHED and not backend.away


def test_opening_twice_opens_once(backend: Any) -> None:
    frames = fresh()
    spec = job(frames)
    first = backend.open_job(spec).result(30)
    assert backend.open_job(spec).result(30) == first
    with pytest.raises(Conflict, match="id"):
        backend.open_job(replace(spec, edit=replace(spec.edit, prompt="else"))).result(30)


def test_an_upload_that_was_cut_goes_on_where_it_stopped(backend: Any) -> None:
    frames = fresh()
    spec = job(frames)
    missing = backend.open_job(spec).result(30).missing
    pixels = {digest(one): one for one in (*frames, MASK)}

    def stops(wanted: str) -> np.ndarray:
        if wanted == missing[12]:
            # What was sent before a cut may or may not arrive; the cut comes when some of it has.
            while len(backend.open_job(spec).result(30).missing) == len(missing):
                time.sleep(0.01)
            raise OSError("the disk went away")
        return pixels[wanted]

    with pytest.raises(OSError, match="the disk went away"):
        backend.upload(spec.id, missing, stops).result(30)
    left = backend.open_job(spec).result(30).missing
    assert 0 < len(left) < len(missing) and set(left) < set(missing)
    backend.upload(spec.id, left, pixels.__getitem__).result(30)
    assert backend.open_job(spec).result(30).missing == ()


def test_pixels_that_no_job_names_are_refused(backend: Any) -> None:
    spec = job(fresh())
    backend.open_job(spec).result(30)
    stranger = np.ones((24, 32, 3), np.uint8)
    with pytest.raises(Invalid, match="not named"):
        backend.upload(spec.id, [digest(stranger)], lambda _: stranger).result(30)


def test_pixels_under_a_false_name_are_refused(backend: Any) -> None:
    spec = job(fresh())
    missing = backend.open_job(spec).result(30).missing
    with pytest.raises((Invalid, Corrupt)):
        backend.upload(spec.id, missing[:1], lambda _: np.ones((24, 32, 3), np.uint8)).result(30)
    assert backend.open_job(spec).result(30).missing == missing


def test_sealing_names_what_is_missing_and_may_be_repeated(backend: Any) -> None:
    frames = fresh()
    spec = job(frames)
    backend.open_job(spec).result(30)
    with pytest.raises(Conflict, match="missing"):
        backend.seal_job(spec.id).result(30)
    send(backend, spec, frames)
    assert backend.seal_job(spec.id).result(30) is not JobState.OPEN


def test_events_have_no_gaps_and_go_on_after_any_number(backend: Any) -> None:
    frames = fresh()
    spec = job(frames)
    send(backend, spec, frames)
    events = wait_for(backend, spec.id)
    assert events[0].kind is EventKind.OPENED and events[-1].kind is EventKind.FINISHED
    assert events[0].number == 1
    for before, event in pairwise(events):
        # Of several reports of progress in a row the newest counts; on a busy machine there are some.
        assert event.number == before.number + 1 or (event.number > before.number and event.kind is EventKind.PROGRESS)
    told = [
        one
        for one, later in zip_longest(events, events[1:])
        if not (later and one.kind is later.kind is EventKind.PROGRESS)
    ]
    assert list(backend.events(spec.id, 2)) == [event for event in told if event.number > 2]


def test_law_1_and_2_a_take_has_every_frame_and_nothing_outside_the_mask(backend: Any, tmp_path: Path) -> None:
    frames = fresh()
    spec = job(frames)
    send(backend, spec, frames)
    wait_for(backend, spec.id)
    paths = backend.fetch(spec.id, tmp_path, len(frames)).result(30)
    assert [path.name for path in paths] == [f"{number:05}.png" for number in range(1, len(frames) + 1)]
    for path, source in zip(paths, frames, strict=True):
        patch = read_picture(path)
        assert patch.dtype == source.dtype and patch.shape == (24, 32, 4)
        assert not patch[MASK == 0].any()
        assert (patch[MASK > 0][:, 3] == 255).all()
        assert (patch[MASK > 0][:, 2::-1] != source[MASK > 0]).any()


def test_law_2_sixteen_bits_stay_sixteen_bits(backend: Any, tmp_path: Path) -> None:
    deep = [frame.astype(np.uint16) * 256 + 77 for frame in fresh()]
    spec = job(deep)
    send(backend, spec, deep)
    wait_for(backend, spec.id)
    paths = backend.fetch(spec.id, tmp_path, len(deep)).result(30)
    patch = read_picture(paths[0])
    assert patch.dtype == np.uint16 and patch[10, 12, 3] == 65535 and not patch[MASK == 0].any()


def test_fetching_goes_on_where_it_stopped(backend: Any, tmp_path: Path) -> None:
    frames = fresh()
    spec = job(frames)
    send(backend, spec, frames)
    wait_for(backend, spec.id)
    paths = backend.fetch(spec.id, tmp_path, len(frames)).result(30)
    whole = [path.read_bytes() for path in paths]
    (paths[0]).write_bytes(b"kept as it is")
    for path in paths[15:]:
        path.unlink()
    assert backend.fetch(spec.id, tmp_path, len(frames)).result(30) == paths
    assert [path.read_bytes() for path in paths][1:] == whole[1:]
    assert paths[0].read_bytes() == b"kept as it is"


def test_a_take_that_is_not_there_yet_is_refused(backend: Any, tmp_path: Path) -> None:
    spec = job(fresh())
    backend.open_job(spec).result(30)
    with pytest.raises(Conflict, match="is open"):
        backend.fetch(spec.id, tmp_path, 20).result(30)
    assert not list(tmp_path.glob("*.png"))


# More than three minutes a window: whatever ends such a job, or lets another before it, did not wait for it.
SLOW: dict[str, OptionValue] = {"delay": 0.2, "steps": 1000}


@pytest.mark.parametrize("options", [{}, SLOW])
def test_law_7_cancel_is_acknowledged_and_ends_the_job(backend: Any, options: dict[str, OptionValue]) -> None:
    frames = fresh()
    spec = job(frames, options=options)
    if options:
        send(backend, spec, frames)
        wait_for(backend, spec.id, EventKind.PROGRESS)
    else:
        backend.open_job(spec).result(30)
    assert backend.cancel(spec.id).result(30) in (JobState.CANCELLING, JobState.CANCELLED)
    assert wait_for(backend, spec.id)[-1].kind is EventKind.CANCELLED
    assert backend.cancel(spec.id).result(30) is JobState.CANCELLED  # once more changes nothing


def test_a_paused_job_is_painted_by_nobody_until_it_is_resumed(backend: Any) -> None:
    frames = fresh()
    slow = job(frames, options=SLOW)
    send(backend, slow, frames)
    wait_for(backend, slow.id, EventKind.PROGRESS)
    assert backend.pause(slow.id).result(30) is JobState.PAUSED
    assert backend.pause(slow.id).result(30) is JobState.PAUSED
    assert wait_for(backend, slow.id, EventKind.PAUSED)[-1].kind is EventKind.PAUSED
    frames = fresh()
    other = job(frames)
    send(backend, other, frames)
    # Its worker is free within a step, and takes the next job at once.
    assert wait_for(backend, other.id)[-1].kind is EventKind.FINISHED
    assert backend.events(slow.id, 0)[-1].kind is EventKind.PAUSED
    assert backend.resume(slow.id).result(30) in (JobState.QUEUED, JobState.RUNNING)
    after = [event for event in wait_for(backend, slow.id, EventKind.RESUMED) if event.kind is EventKind.RESUMED]
    assert wait_for_again(backend, slow.id, after[-1].number, EventKind.PROGRESS)
    backend.cancel(slow.id).result(30)
    assert wait_for(backend, slow.id)[-1].kind is EventKind.CANCELLED


def wait_for_again(backend: Any, job_id: str, after: int, kind: EventKind) -> bool:
    """Whether `kind` comes after event number `after`."""
    stop = time.monotonic() + 60
    while time.monotonic() < stop:
        if any(event.kind is kind for event in backend.events(job_id, after)):
            return True
        time.sleep(0.01)
    return False


def test_a_cancelled_job_is_tried_again_without_sending_anything(backend: Any) -> None:
    frames = fresh()
    spec = job(frames, options=SLOW)
    send(backend, spec, frames)
    backend.cancel(spec.id).result(30)
    last = wait_for(backend, spec.id)[-1]
    assert last.kind is EventKind.CANCELLED
    assert backend.retry(spec.id).result(30) in (JobState.QUEUED, JobState.RUNNING)
    assert wait_for_again(backend, spec.id, last.number, EventKind.STARTED)
    with pytest.raises(Conflict, match="frames"):
        unsent = job(fresh())
        backend.open_job(unsent).result(30)
        backend.cancel(unsent.id).result(30)
        backend.retry(unsent.id).result(30)
    backend.cancel(spec.id).result(30)
    assert wait_for_again(backend, spec.id, last.number, EventKind.CANCELLED)


def test_a_job_in_front_is_the_next(backend: Any) -> None:
    frames = fresh()
    slow, second, third = (job(frames, options=SLOW, prompt=str(number)) for number in range(3))
    for spec in (slow, second, third):
        send(backend, spec, frames)
    wait_for(backend, slow.id, EventKind.STARTED)
    assert backend.move_up(third.id).result(30) in (JobState.QUEUED, JobState.RUNNING)
    backend.cancel(slow.id).result(30)
    assert wait_for(backend, third.id, EventKind.STARTED)[-1].kind is not EventKind.CANCELLED
    for spec in (second, third):
        backend.cancel(spec.id).result(30)
        wait_for(backend, spec.id)


def test_a_picture_of_what_is_painted_comes_with_the_events(backend: Any) -> None:
    frames = fresh()
    spec = job(frames)
    send(backend, spec, frames)
    pictures = [event.picture for event in wait_for(backend, spec.id) if event.picture]
    assert pictures and max(pictures[-1].width, pictures[-1].height) <= 256


def test_law_7_an_unknown_job_is_an_error_never_done(backend: Any, tmp_path: Path) -> None:
    unknown = uuid.uuid4().hex
    for ask in (
        lambda: backend.seal_job(unknown).result(30),
        lambda: backend.cancel(unknown).result(30),
        lambda: backend.pause(unknown).result(30),
        lambda: backend.resume(unknown).result(30),
        lambda: backend.move_up(unknown).result(30),
        lambda: backend.retry(unknown).result(30),
        lambda: backend.fetch(unknown, tmp_path, 2).result(30),
        lambda: wait_for(backend, unknown),
    ):
        with pytest.raises(Missing, match=unknown):
            ask()


def test_what_the_engine_does_not_honour_is_refused_in_words(backend: Any) -> None:
    wrong = job(fresh(), guides=())
    with pytest.raises(Invalid, match="needs a mask") as refused:
        backend.open_job(wrong).result(30)
    assert refused.value.field == "mask" and refused.value.remedy
    with pytest.raises(Invalid, match="cannot be taken") as refused:
        backend.open_job(job(fresh(), options={"steps": 0})).result(30)
    assert refused.value.field == "options.steps"
    with pytest.raises(Missing, match="engine"):
        backend.open_job(replace(job(fresh()), engine="none")).result(30)


def test_an_unknown_engine_has_no_card(backend: Any) -> None:
    assert "toy" in [card.name for card in backend.cards().result(30)]
    with pytest.raises(Missing, match="nobody"):
        backend.estimate("nobody", Size(width=32, height=24), 8, 20, Edit(task=Task.REPAINT)).result(30)


def test_an_estimate_needs_no_pixels(backend: Any) -> None:
    unread = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, pixels="0" * 64),), hold=True)
    cost = backend.estimate("toy", Size(width=32, height=24), 16, 20, Edit(task=Task.REPAINT, guides=(unread,)))
    assert (cost.result(30).frames, cost.result(30).pixel_bytes) == (20, 20 * 32 * 24 * 3 * 2)
    with pytest.raises(Invalid, match="needs a mask"):
        backend.estimate("toy", Size(width=32, height=24), 8, 20, Edit(task=Task.REPAINT)).result(30)


def test_everything_an_edit_can_hold_travels(backend: Any) -> None:
    frames = fresh()
    lines = Guide(kind=Input.SKETCH, keys=(GuideKey(frame=3, strokes=(Stroke(knots=(), width=2.0),)),))
    depth = Guide(kind=Input.DEPTH, keys=(GuideKey(frame=5, pixels=digest(MASK)),))
    spec = job(
        frames,
        guides=(held_mask(MASK), lines, depth),
        keyframes=(Keyframe(frame=7, pixels=digest(frames[2])),),
        prompt="ein roter Mantel 🧥",
        negative_prompt="blau",
        seed=2**32 - 1,
        options={"strength": 0.5, "invert": True, "pattern": "stripes"},
    )
    send(backend, spec, frames)
    assert wait_for(backend, spec.id)[-1].kind is EventKind.FINISHED
