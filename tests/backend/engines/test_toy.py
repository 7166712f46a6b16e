"""The toy engine does all that the contract asks, so that everything around engines can be tried with it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from overpaint.card import OptionKind, check_spec
from overpaint.clip import Clip, FrameRange, Rate, Size
from overpaint.edit import Edit, Guide, GuideKey, Input, Keyframe, Task, Track, TrackPoint
from overpaint.errors import Cancelled
from overpaint.job import JobSpec
from overpaint_backend.engine import WindowInput
from overpaint_backend.engines.toy import build, card

FRAMES, H, W = 5, 32, 48


def window(**more) -> WindowInput:
    mask = np.zeros((FRAMES, H, W), np.float32)
    mask[:, 8:24, 8:40] = 1
    given = {
        "task": Task.REPAINT,
        "frames": np.full((FRAMES, H, W, 3), 0.5, np.float32),
        "mask": mask,
        "span": FrameRange(start=0, stop=FRAMES),
        "seed": 7,
    }
    return WindowInput(**(given | more))


def quiet(stage: str, step: int, steps: int) -> None:
    pass


def paint(cut: WindowInput, carry=None, progress=quiet, **edit):
    engine = build("cpu", Path())
    return engine.paint(cut, engine.encode(Edit(task=cut.task, **edit)), carry, progress)


def test_it_paints_inside_the_mask_only_and_always_the_same():
    out = paint(window(), prompt="a red coat")
    assert out.frames.dtype == np.float32
    assert out.frames.shape == (FRAMES, H, W, 3)
    inside = window().mask > 0
    assert np.array_equal(out.frames[~inside], window().frames[~inside])
    assert np.abs(out.frames[inside] - 0.5).mean() > 0.05
    assert 0 <= out.frames.min() <= out.frames.max() <= 1
    assert out.frames.tobytes() == paint(window(), prompt="a red coat").frames.tobytes()


@pytest.mark.parametrize(
    "edit",
    [
        {"prompt": "another"},
        {"prompt": "a red coat", "negative_prompt": "blue"},
        {"prompt": "a red coat", "options": {"strength": 0.5}},
        {"prompt": "a red coat", "options": {"invert": True}},
        {"prompt": "a red coat", "options": {"pattern": "stripes"}},
    ],
)
def test_every_word_and_option_changes_the_picture(edit):
    assert not np.array_equal(paint(window(), **edit).frames, paint(window(), prompt="a red coat").frames)


def test_the_seed_changes_the_picture():
    assert not np.array_equal(paint(window(seed=8)).frames, paint(window(seed=7)).frames)


def test_guides_keyframes_and_tracks_show():
    sketch = np.zeros((FRAMES, H, W), np.float32)
    sketch[2, 16, 10:30] = 1
    picture = np.full((H, W, 3), 0.25, np.float32)
    track = Track(points=(TrackPoint(frame=3, x=20, y=16),))
    out = paint(
        window(
            guides={Input.SKETCH: sketch},
            given={Input.SKETCH: sketch.any((1, 2))},
            keyframes={4: picture},
            tracks=(track,),
        )
    ).frames
    assert (out[2, 16, 10:30] == 1).all()
    assert np.array_equal(out[4], picture)
    assert (out[3, 16, 20] == 0).all()


def test_a_window_depends_on_the_carry_of_the_window_before():
    first = paint(window(seed=1))
    with_carry, without = paint(window(seed=2), first.carry), paint(window(seed=2))
    assert not np.array_equal(with_carry.frames, without.frames)
    assert np.array_equal(with_carry.frames, paint(window(seed=2), dict(first.carry or {})).frames)


def test_progress_counts_every_step_and_can_cancel():
    seen = []
    paint(window(), progress=lambda *step: seen.append(step), options={"steps": 3})
    assert seen == [("painting", step, 3) for step in range(4)]

    def cancel(stage: str, step: int, steps: int) -> None:
        if step == 2:
            raise Cancelled(field="job", message="cancelled")

    with pytest.raises(Cancelled):
        paint(window(), progress=cancel)


def test_the_card_has_an_option_of_every_kind_and_takes_every_input():
    assert {option.kind for option in card.options} == set(OptionKind)
    assert all(option.problem(option.default) is None for option in card.options)
    clip = Clip(size=Size(width=W, height=H), rate=Rate(numerator=25), depth=8, frames=("f",) * FRAMES)
    guides = (
        Guide(kind=Input.MASK, keys=(GuideKey(frame=0, pixels="m"),), hold=True),
        *(Guide(kind=kind, keys=(GuideKey(frame=1, pixels="g"),)) for kind in (Input.SKETCH, Input.DEPTH, Input.EDGE)),
    )
    edit = Edit(
        task=Task.REPLACE,
        prompt="p",
        negative_prompt="n",
        guides=guides,
        tracks=(Track(points=(TrackPoint(frame=0, x=1, y=1),)),),
        keyframes=(Keyframe(frame=0, pixels="k"),),
    )
    assert edit.given() == set(Input)
    assert check_spec(JobSpec(id="0" * 32, engine="toy", clip=clip, edit=edit), card) == ()
    bare = check_spec(JobSpec(id="0" * 32, engine="toy", clip=clip, edit=Edit(task=Task.REPAINT)), card)
    assert [problem.field for problem in bare] == ["mask"]
    assert check_spec(JobSpec(id="0" * 32, engine="toy", clip=clip, edit=Edit(task=Task.GENERATE)), card) == ()


@pytest.mark.parametrize("name", ["toy", "flow"])
def test_a_card_is_read_without_its_engine(name):
    code = (
        f"import sys; from overpaint_backend.engines.{name} import card; "
        "sys.exit(' '.join({'cv2', 'torch'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
