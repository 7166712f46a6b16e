"""The walk of a job, with an engine that notes what it is given."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from overpaint.clip import Clip, Rate, Size
from overpaint.colour import lay_over
from overpaint.edit import Edit, Guide, GuideKey, Input, Keyframe, Knot, Stroke, Task, Track, TrackPoint
from overpaint.errors import Conflict, Exhausted, Internal, Invalid
from overpaint.job import EventKind, JobSpec
from overpaint_backend.engine import Carry, Conditioning, Progress, WindowInput, WindowOutput
from overpaint_backend.engines.toy.card import card
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.pipeline.picture import small_picture
from overpaint_backend.pipeline.plan import plan_job
from overpaint_backend.pipeline.region import Box
from overpaint_backend.workers import run
from overpaint_backend.workers.run import run_job

from tests.fakes import clip_frames

FRAMES = clip_frames(30, 160, 120)


class Noting:
    """Paints white and keeps everything it was given."""

    card = card
    painter = "noting"

    def __init__(self) -> None:
        self.cuts: list[WindowInput] = []
        self.carries: list[Carry | None] = []

    def encode(self, edit: Edit) -> Conditioning:
        return None

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        self.cuts.append(cut)
        self.carries.append(carry)
        progress("painting", 1, 1)
        return WindowOutput(frames=np.ones_like(cut.frames), carry={"number": np.array([len(self.cuts)])})


class Pausing(Noting):
    """Has its job paused in the second window."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        if len(self.cuts) == 1:
            (job,) = self._store.summaries()
            self._store.ask(job.id, EventKind.PAUSED)
        return super().paint(cut, cond, carry, progress)


class Wrong(Noting):
    """Gives frames that are none: `spoil` makes them out of good ones."""

    def __init__(self, spoil: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__()
        self._spoil = spoil

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        return WindowOutput(frames=self._spoil(super().paint(cut, cond, carry, progress).frames))


def square(left: float, top: float, side: float) -> Stroke:
    corners = ((left, top), (left + side, top), (left + side, top + side), (left, top + side))
    return Stroke(knots=tuple(Knot(x=x, y=y) for x, y in corners), closed=True)


def seal(store: Store, spec: JobSpec) -> None:
    """The job is opened, queued, and claimed by "w"."""
    store.open(spec)
    store.record(spec.id, EventKind.SEALED)
    store.claim("w", 60)


def walk(folder: Path, engine: Noting | None = None, **edit: object) -> tuple[Noting, list[np.ndarray], JobSpec]:
    """Run a job of FRAMES with this edit; the engine, the take's patches, the spec."""
    store, spool = Store(folder / "jobs.sqlite"), Spool(folder / "spool")
    clip = Clip(
        size=Size(width=160, height=120), rate=Rate(numerator=24), depth=8, frames=tuple(map(spool.put, FRAMES))
    )
    spec = JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=Edit(task=Task.REPAINT, **edit))  # type: ignore[arg-type]
    seal(store, spec)
    engine = engine or Noting()
    run_job(spec, engine, store, spool, "w")
    return engine, [spool.get(one) for one in store.take(spec.id)], spec


def test_windows_without_a_mask_are_not_painted(tmp_path: Path) -> None:
    keys = (GuideKey(frame=0, strokes=(square(40, 40, 20),)), GuideKey(frame=5))  # it goes after frame 4
    engine, patches, _ = walk(tmp_path, guides=(Guide(kind=Input.MASK, keys=keys, hold=True),))
    assert [str(cut.span) for cut in engine.cuts] == ["0-15"]  # of 0-15, 12-27 and 24-29
    assert [bool(patch.any()) for patch in patches] == [True] * 5 + [False] * 25


def test_a_window_knows_what_the_one_before_has_painted(tmp_path: Path) -> None:
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(square(40, 40, 20),)),), hold=True)
    engine, patches, _ = walk(tmp_path, guides=(mask,), seed=3)
    assert [(str(cut.span), cut.known) for cut in engine.cuts] == [("0-15", 0), ("12-27", 4), ("24-29", 4)]
    assert [sorted(cut.keyframes) for cut in engine.cuts] == [[], [0, 1, 2, 3], [0, 1, 2, 3]]
    assert all((picture == 1).all() for picture in engine.cuts[1].keyframes.values())
    assert [None if carry is None else int(carry["number"][0]) for carry in engine.carries] == [None, 1, 2]
    assert len({cut.seed for cut in engine.cuts}) == 3
    assert (patches[7][45:55, 45:55] == 255).all() and not patches[7][:38].any()


def test_guides_tracks_and_keyframes_arrive_in_the_pixels_of_the_region(tmp_path: Path) -> None:
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(square(60, 50, 20),)),), hold=True)
    dot = Stroke(knots=(Knot(x=70.5, y=60.5), Knot(x=70.6, y=60.5)), width=3.0)
    sketch = Guide(kind=Input.SKETCH, keys=(GuideKey(frame=14, strokes=(dot,)),))
    track = Track(points=(TrackPoint(frame=3, x=70.5, y=60.5), TrackPoint(frame=20, x=71.5, y=60.5)))
    picture = np.full((120, 160, 3), 9, np.uint8)
    digest = Spool(tmp_path / "spool").put(picture)
    engine, _, _ = walk(
        tmp_path, guides=(mask, sketch), tracks=(track,), keyframes=(Keyframe(frame=13, pixels=digest),)
    )
    first, second, _ = engine.cuts
    assert first.given[Input.SKETCH].tolist() == [False] * 14 + [True, False]
    assert second.given[Input.SKETCH].tolist() == [False, False, True] + [False] * 13
    line = first.guides[Input.SKETCH][14]
    y, x = (np.average(index + 0.5, weights=line) for index in np.indices(line.shape))  # its middle
    point = first.tracks[0].points[0]
    assert point.frame == 3 and abs(point.x - x) < 0.2 and abs(point.y - y) < 0.2
    assert second.tracks[0].points[0].frame == 20 - 12
    assert first.mask[0, int(y), int(x)] == 1 and set(np.unique(first.mask)) == {0, 1}
    assert np.allclose(first.keyframes[13], 9 / 255) and np.allclose(second.keyframes[1], 9 / 255)


def test_law_4_a_paused_job_stops_at_the_next_step_and_goes_on_to_the_same_take(tmp_path: Path) -> None:
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(square(40, 40, 20),)),), hold=True)
    _, whole, spec = walk(tmp_path, guides=(mask,))
    store, spool = Store(tmp_path / "jobs.sqlite"), Spool(tmp_path / "spool")
    for key in store.delete(spec.id)[1]:
        spool.drop_window(key)
    seal(store, spec)
    engine = Pausing(store)
    with pytest.raises(Conflict, match="is paused"):
        run_job(spec, engine, store, spool, "w")
    assert len(engine.cuts) == 2 and len(store.holdings.of_job(spec.id)[1]) == 1
    assert store.claim("w", 60) is None
    store.ask(spec.id, EventKind.RESUMED)
    store.claim("w", 60)
    again = Noting()
    run_job(spec, again, store, spool, "w")
    assert [str(cut.span) for cut in again.cuts] == ["12-27", "24-29"]  # what was painted is not painted again
    assert all(np.array_equal(spool.get(one), patch) for one, patch in zip(store.take(spec.id), whole, strict=True))


def test_a_finished_window_shows_its_middle_frame(tmp_path: Path) -> None:
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(square(40, 40, 20),)),), hold=True)
    _, patches, spec = walk(tmp_path, guides=(mask,))
    done = [event for event in Store(tmp_path / "jobs.sqlite").events(spec.id) if event.kind is EventKind.WINDOW_DONE]
    picture = done[-1].picture
    assert picture is not None and (picture.width, picture.height) == (160, 120)
    frame = 24 + 3  # of the last window, 24-29
    shown = np.frombuffer(picture.rgb, np.uint8).reshape(120, 160, 3)
    assert np.array_equal(shown, lay_over(FRAMES[frame], patches[frame]))


@pytest.mark.parametrize(("shape", "size"), [((720, 1280), (256, 144)), ((4000, 10), (1, 256)), ((9, 7), (7, 9))])
def test_a_small_picture_is_at_most_256_pixels_long(shape: tuple[int, int], size: tuple[int, int]) -> None:
    picture = small_picture(np.full((*shape, 3), 65535, np.uint16))
    assert (picture.width, picture.height) == size and set(picture.rgb) == {255}


def test_an_empty_mask_is_refused_before_anything_is_painted(tmp_path: Path) -> None:
    far = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(square(900, 900, 20),)),), hold=True)
    with pytest.raises(Invalid, match="empty on every frame") as refused:
        walk(tmp_path, guides=(far,))
    assert refused.value.field == "mask" and refused.value.remedy


@pytest.mark.parametrize(
    ("spoil", "words"), [(lambda frames: frames[1:], "where"), (lambda frames: frames * np.nan, "no numbers")]
)
def test_frames_that_are_none_are_not_kept(
    tmp_path: Path, spoil: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(square(40, 40, 20),)),), hold=True)
    with pytest.raises(Internal, match=words) as refused:
        walk(tmp_path, Wrong(spoil), guides=(mask,))
    assert refused.value.field == "engine" and not any(Spool(tmp_path / "spool").windows())


def windows(store: Store, job: str) -> list[bool]:
    """Of each window, whether it was reused."""
    return [event.reused for event in store.events(job) if event.kind is EventKind.WINDOW_DONE]


def test_only_what_a_change_reaches_is_painted_again(tmp_path: Path) -> None:
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(square(60, 50, 20),)),), hold=True)

    def lines(*ys: int) -> Guide:
        at = zip((2, 20, 28), ys, strict=True)
        keys = [GuideKey(frame=f, strokes=(Stroke(knots=(Knot(x=60, y=y), Knot(x=80, y=y))),)) for f, y in at]
        return Guide(kind=Input.SKETCH, keys=tuple(keys))

    _, before, first = walk(tmp_path, guides=(mask, lines(55, 60, 65)))
    engine, after, second = walk(tmp_path, guides=(mask, lines(55, 61, 65)))
    store = Store(tmp_path / "jobs.sqlite")
    assert windows(store, first.id) == [False, False, False]
    # Frame 20 lies in 12-27 alone; 24-29 sees the same white frames of it, and another number carried on.
    assert windows(store, second.id)[:2] == [True, False]
    assert str(engine.cuts[0].span) == "12-27"
    again, same, third = walk(tmp_path, guides=(mask, lines(55, 60, 65)))
    assert windows(store, third.id) == [True, True, True] and not again.cuts
    assert all(map(np.array_equal, before, same)) and len(after) == len(before)


def test_nobodys_window_is_taken_for_anothers_job(tmp_path: Path) -> None:
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(square(60, 50, 20),)),), hold=True)
    _, patches, first = walk(tmp_path, guides=(mask,))
    store, spool = Store(tmp_path / "jobs.sqlite"), Spool(tmp_path / "spool")
    theirs = replace(first, id=uuid.uuid4().hex)
    store.open(theirs, "bert")
    store.record(theirs.id, EventKind.SEALED)
    store.claim("w", 60)
    engine = Noting()
    run_job(theirs, engine, store, spool, "w")
    assert len(engine.cuts) == 3 and windows(store, theirs.id) == [False] * 3
    assert all(np.array_equal(spool.get(one), patch) for one, patch in zip(store.take(theirs.id), patches, strict=True))


class Large:
    """What lies on the device while a window is painted."""


class Forgetful(Noting):
    """Has memory for windows of so many frames, and for no more than one."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.held: list[weakref.ref[Large]] = []

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        assert not any(one() for one in self.held), "what a window needed was not let go of"
        here = Large()
        self.held.append(weakref.ref(here))
        if len(cut.frames) > self.most:
            raise MemoryError("no room")
        return super().paint(cut, cond, carry, progress)


def test_a_window_that_memory_does_not_hold_is_painted_as_smaller_ones(tmp_path: Path) -> None:
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(square(60, 50, 20),)),), hold=True)
    store, spool = Store(tmp_path / "jobs.sqlite"), Spool(tmp_path / "spool")
    frames = tuple(map(spool.put, FRAMES))
    clip = Clip(size=Size(width=160, height=120), rate=Rate(numerator=24), depth=8, frames=frames)
    spec = JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=Edit(task=Task.REPAINT, guides=(mask,)))
    seal(store, spec)
    engine = Forgetful(8)
    run_job(spec, engine, store, spool, "w")
    assert {len(cut.frames) for cut in engine.cuts} <= set(range(1, 9)) and len(engine.cuts) == 7
    planned = [event for event in store.events(spec.id) if event.kind is EventKind.PLANNED]
    assert [(event.step, event.windows) for event in planned] == [(0, 3), (1, 7)]
    assert "windows of 8 frames" in planned[-1].stage
    assert store.shrunk(spec.id) == 1  # so that it is taken up with the same plan
    for key in store.delete(spec.id)[1]:
        spool.drop_window(key)
    seal(store, spec)
    with pytest.raises(Exhausted, match="does not hold a window of 8 frames"):
        run_job(spec, Forgetful(4), store, spool, "w")


def test_what_is_left_is_told_by_the_pace_of_the_plan_that_is_painted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After memory ran out the windows are others, and the time that the first ones took is no measure of them."""
    now = 100.0
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: now))
    store, spool = Store(tmp_path / "jobs.sqlite"), Spool(tmp_path / "spool")
    clip = Clip(
        size=Size(width=160, height=120), rate=Rate(numerator=24), depth=8, frames=tuple(map(spool.put, FRAMES))
    )
    spec = JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=Edit(task=Task.GENERATE))
    seal(store, spec)
    reporter = run.Reporter(store, spec.id, "w")
    whole: Box = (0, 0, 160, 120)
    for shrunk in (0, 1):
        plan = plan_job([whole] * len(FRAMES), clip.size, run.smaller(card, shrunk))
        reporter.planned(plan, shrunk, "")
        for step in (0, 1, 2):
            now += 60.0 if shrunk == 0 else 1.0
            reporter("painting", step, 2)
        windows, left = len(plan.windows), store.events(spec.id)[-1].seconds_left
        assert left == pytest.approx(2 * (windows - 1) * (60.0 if shrunk == 0 else 1.0))
