"""A take that reuses painted windows is, byte for byte, the take that a fresh spool gives; and what nothing changes is not painted."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from overpaint.card import OptionSpec
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Guide, GuideKey, Input, Keyframe, Knot, Stroke, Task, Track, TrackPoint
from overpaint.job import EventKind, JobSpec, windows_done
from overpaint_backend.engines.toy import alone
from overpaint_backend.engines.toy.card import card
from overpaint_backend.engines.toy.engine import ToyEngine
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.workers.run import run_job

from tests.fakes import clip_frames

LENGTH, WINDOWS = 40, 3
FRAMES = clip_frames(LENGTH, 40, 24)
KEY = np.full((24, 40, 3), 222, np.uint8)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # thousands of small files that nobody needs on a disk


def line(y: float) -> Stroke:
    return Stroke(knots=(Knot(x=8, y=y), Knot(x=20, y=y)), width=2.0)


def mask(left: float) -> Guide:
    corners = ((left, 6), (left + 14, 6), (left + 14, 18), (left, 18))
    area = Stroke(knots=tuple(Knot(x=x, y=y) for x, y in corners), closed=True)
    return Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(area,)),), hold=True)


def sketch(*keys: tuple[int, float]) -> Guide:
    return Guide(kind=Input.SKETCH, keys=tuple(GuideKey(frame=frame, strokes=(line(y),)) for frame, y in sorted(keys)))


def keyframe(frame: int) -> tuple[Keyframe, ...]:
    return (Keyframe(frame=frame, pixels=digest(KEY)),)


BASE = Edit(task=Task.REPAINT, prompt="a coat", seed=4, guides=(mask(8), sketch((3, 9.0), (20, 12.0), (37, 15.0))))

frames = st.integers(0, LENGTH - 1)
changes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "guides": st.builds(
            lambda left, frame, y, soft: (replace(mask(left), **soft), sketch((frame, y), (38, 15.0))),
            st.sampled_from([8, 9, 12]),
            st.integers(0, 37),
            st.sampled_from([9.0, 9.5, 14.0]),
            st.sampled_from([{}, {"grow": 1.0}, {"feather": 2.0}]),
        ),
        "keyframes": frames.map(keyframe),
        "prompt": st.sampled_from(["a coat", "a coat ", "two coats"]),
        "negative_prompt": st.sampled_from(["", "rain"]),
        "seed": st.integers(3, 5),
        "task": st.sampled_from([Task.REPAINT, Task.REPLACE]),
        "options": st.fixed_dictionaries(
            {}, optional={"strength": st.sampled_from([1.0, 0.5]), "invert": st.booleans(), "steps": st.just(2)}
        ),
        "tracks": frames.map(lambda frame: (Track(points=(TrackPoint(frame=frame, x=12.0, y=12.0),)),)),
    },
)


def paint(
    folder: Path, edit: Edit, engine: ToyEngine, frames: list[np.ndarray] = FRAMES
) -> tuple[Any, tuple[int, int]]:
    """The digests of the take, and how many windows were painted and reused."""
    store, spool = Store(folder / "jobs.sqlite"), Spool(folder / "spool")
    spool.put(KEY)
    clip = Clip(size=Size(width=40, height=24), rate=Rate(numerator=24), depth=8, frames=tuple(map(spool.put, frames)))
    spec = JobSpec(id=uuid.uuid4().hex, engine=engine.card.name, clip=clip, edit=edit)
    store.open(spec)
    store.record(spec.id, EventKind.SEALED)
    store.claim("w", 60)
    run_job(spec, engine, store, spool, "w")
    return store.take(spec.id), windows_done(store.events(spec.id))


def fresh(act: Callable[[Path], Any]) -> Any:
    folder = Path(tempfile.mkdtemp(prefix="overpaint-test-", dir=MEMORY))
    try:
        return act(folder)
    finally:
        shutil.rmtree(folder)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(changes, min_size=1, max_size=2), st.sampled_from([card, alone.card]), frames)
def test_a_take_with_reuse_is_the_fresh_take(edits: list[dict[str, Any]], which: Any, touched: int) -> None:
    engine = ToyEngine(which)

    def all_in_one_spool(folder: Path) -> None:
        paint(folder, BASE, engine)
        for one in edits:
            edit = replace(BASE, **one)
            take, (painted, reused) = paint(folder, edit, engine)
            assert painted + reused == WINDOWS
            assert take == fresh(lambda folder, edit=edit: paint(folder, edit, engine)[0])
        other = [frame.copy() for frame in FRAMES]
        other[touched][12, 14] ^= 255  # one pixel, inside the mask
        take, _ = paint(folder, BASE, engine, other)
        assert take == fresh(lambda folder: paint(folder, BASE, engine, other)[0])

    fresh(all_in_one_spool)


far = Stroke(knots=(Knot(x=900, y=900), Knot(x=950, y=900)))
NOTHING: dict[str, dict[str, Any]] = {
    "nothing at all": {},
    "defaults that are said": {"options": {"strength": 1.0, "pattern": "checks", "steps": 4}},
    "a stroke far outside of the picture": {
        "guides": (mask(8), replace(s := sketch((3, 9.0), (20, 12.0), (37, 15.0)), keys=(replace(s.keys[0], strokes=(*s.keys[0].strokes, far)), *s.keys[1:])))
    },
    "a held mask that is keyed twice": {
        "guides": (replace(m := mask(8), keys=(m.keys[0], replace(m.keys[0], frame=7))), sketch((3, 9.0), (20, 12.0), (37, 15.0)))
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_an_edit_that_changes_nothing_visible_reuses_all(name: str, tmp_path: Path) -> None:
    first, done = paint(tmp_path, BASE, ToyEngine())
    assert done == (WINDOWS, 0)
    assert paint(tmp_path, replace(BASE, **NOTHING[name]), ToyEngine()) == (first, (0, WINDOWS))


def test_an_engine_whose_defaults_or_libraries_changed_paints_anew(tmp_path: Path) -> None:
    _, done = paint(tmp_path, BASE, ToyEngine())
    newer = ToyEngine()
    newer.painter += " of tomorrow"  # another numpy, say
    assert paint(tmp_path, BASE, newer)[1] == done == (WINDOWS, 0)

    def other(option: OptionSpec) -> OptionSpec:
        return replace(option, default="stripes") if option.name == "pattern" else option

    changed = replace(card, options=tuple(map(other, card.options)))  # and its author forgot the version
    take, painted = paint(tmp_path, BASE, ToyEngine(changed))
    assert painted == (WINDOWS, 0)
    assert take == fresh(lambda folder: paint(folder, BASE, ToyEngine(changed))[0])


def test_a_job_that_goes_on_with_another_plan_takes_no_window_of_the_old_one(tmp_path: Path) -> None:
    """The card says another overlap than when the job was begun, and its author forgot the version."""
    store, spool = Store(tmp_path / "jobs.sqlite"), Spool(tmp_path / "spool")
    clip = Clip(size=Size(width=40, height=24), rate=Rate(numerator=24), depth=8, frames=tuple(map(spool.put, FRAMES)))
    spec = JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=BASE)
    store.open(spec)
    store.record(spec.id, EventKind.SEALED)
    store.claim("w", 60)

    class Stopped(Exception):
        pass

    class Stopping(ToyEngine):
        turns = 0

        def paint(self, cut: Any, cond: Any, carry: Any, progress: Any) -> Any:
            self.turns += 1
            if self.turns == 3:
                raise Stopped
            return super().paint(cut, cond, carry, progress)

    with pytest.raises(Stopped):
        run_job(spec, Stopping(), store, spool, "w")
    engine = ToyEngine(replace(card, overlap=8))
    run_job(spec, engine, store, spool, "w")
    assert store.take(spec.id) == fresh(lambda folder: paint(folder, BASE, engine)[0])
