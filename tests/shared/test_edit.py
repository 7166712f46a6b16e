"""What an edit says of itself: which key rules, what is given, which pixels it names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import Edit, Guide, GuideKey, Input, Keyframe, Knot, Stroke, Task, Track
from overpaint.job import JobSpec

from tests.shared.strategies import edits, specs

STROKE = Stroke(knots=(Knot(x=1, y=2), Knot(x=3, y=4)))


def guide(*frames: int, hold: bool = False, kind: Input = Input.SKETCH) -> Guide:
    return Guide(kind=kind, keys=tuple(GuideKey(frame=frame, strokes=(STROKE,)) for frame in frames), hold=hold)


@given(st.sets(st.integers(0, 30), min_size=1), st.integers(0, 40))
def test_the_key_that_rules(frames: set[int], frame: int) -> None:
    keyed = sorted(frames)
    sparse = guide(*keyed).key_at(frame)
    assert (sparse.frame if sparse else None) == (frame if frame in frames else None)
    held = guide(*keyed, hold=True).key_at(frame)
    assert held is not None and held.frame == max((one for one in keyed if one <= frame), default=keyed[0])


def test_a_guide_without_keys_rules_nowhere() -> None:
    assert guide().key_at(0) is None and guide(hold=True).key_at(0) is None


@pytest.mark.parametrize("frames", [(2, 1), (1, 1)])
def test_keys_out_of_order_are_refused(frames: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="frame order"):
        guide(*frames)


@pytest.mark.parametrize("kind", [Input.TRACK, Input.KEYFRAME, Input.PROMPT, Input.NEGATIVE_PROMPT])
def test_only_pixel_aligned_hints_are_guides(kind: Input) -> None:
    with pytest.raises(ValueError, match="not a pixel-aligned guide"):
        guide(0, kind=kind)


def test_what_is_given() -> None:
    empty = Edit(task=Task.REPAINT, prompt="  ", guides=(guide(),))
    assert empty.given() == frozenset()
    full = Edit(
        task=Task.REPAINT,
        prompt="a red coat",
        negative_prompt="blur",
        guides=(guide(1), guide(0, kind=Input.MASK)),
        tracks=(Track(points=()),),
        keyframes=(Keyframe(frame=0, pixels="ab"),),
    )
    assert full.given() == {
        *(Input.PROMPT, Input.NEGATIVE_PROMPT, Input.SKETCH, Input.MASK, Input.TRACK, Input.KEYFRAME)
    }
    assert full.guide(Input.MASK) == guide(0, kind=Input.MASK) and full.guide(Input.EDGE) is None


@given(edits)
def test_every_digest_is_named(edit: Edit) -> None:
    keys = [key.pixels for one in edit.guides for key in one.keys if key.pixels]
    assert list(edit.digests()) == keys + [keyframe.pixels for keyframe in edit.keyframes]


@given(specs)
def test_law_6_a_job_names_each_pixel_digest_once(spec: JobSpec) -> None:
    named = spec.digests()
    assert len(set(named)) == len(named)
    assert set(named) == {*spec.clip.frames, *spec.edit.digests()}


def test_a_still_clip_needs_one_frame() -> None:
    clip = Clip(size=Size(width=1, height=1), rate=Rate(numerator=24), depth=8, frames=("ab",) * 9)
    assert JobSpec(id="0" * 32, engine="toy", clip=clip, edit=Edit(task=Task.REMOVE)).digests() == ("ab",)
