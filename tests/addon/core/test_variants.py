from __future__ import annotations

import uuid
from dataclasses import replace

import numpy as np
import pytest
from overpaint import wire
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import Edit, Guide, GuideKey, Input, Task
from overpaint.errors import Invalid
from overpaint.job import JobSpec
from overpaint_addon.core.place import take_of
from overpaint_addon.core.restore import settings
from overpaint_addon.core.variants import THUMBNAIL, Variant, edit_of, seeds, successor, thumbnail

MASK = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, pixels="b" * 64),), hold=True, grow=2.0, feather=3.0)
SPEC = JobSpec(
    id="a" * 32,
    engine="toy",
    clip=Clip(size=Size(width=96, height=64), rate=Rate(numerator=24), depth=8, frames=("c" * 64, "d" * 64)),
    edit=Edit(
        task=Task.REPLACE,
        prompt="a red coat",
        negative_prompt="blue",
        seed=2**32 - 1,
        guides=(MASK,),
        options={"strength": 0.5},
    ),
)


def variant(spec: JobSpec = SPEC) -> Variant:
    take = replace(take_of(wire.request_to_json(spec)), job_id=uuid.uuid4().hex)
    return Variant(take=take, folder="/takes", beside="//takes", offset=3, length=2)


def other(**edit: object) -> JobSpec:
    return replace(SPEC, edit=replace(SPEC.edit, **edit))


def test_takes_of_the_same_frames_and_mask_are_of_one_edit():
    softer = replace(MASK, feather=9.0)
    same = (other(seed=1), other(prompt="a blue coat", task=Task.REPAINT), other(guides=(softer,)))
    moved = replace(MASK, keys=(GuideKey(frame=0, pixels="e" * 64),))
    trimmed = replace(SPEC, clip=replace(SPEC.clip, frames=("c" * 64,)))
    assert {edit_of(spec) for spec in same} == {edit_of(SPEC)}
    assert len({edit_of(SPEC), edit_of(other(guides=(moved,))), edit_of(other(guides=())), edit_of(trimmed)}) == 4


def test_after_a_discard_the_next_take_of_the_edit_shows_else_the_one_before():
    first, second, third = (variant() for _ in range(3))
    elsewhere = variant(other(guides=()))
    all_of_them = (first, elsewhere, second, third)
    assert successor(all_of_them, first.job_id) is second
    assert successor(all_of_them, third.job_id) is second
    assert successor(all_of_them, elsewhere.job_id) is None


def test_a_batch_has_seeds_one_after_another():
    assert seeds(5, 3) == (5, 6, 7)
    assert seeds(2**32 - 1, 2) == (2**32 - 1, 0)
    for count in (0, 9):
        with pytest.raises(Invalid, match="1 to 8"):
            seeds(5, count)


def test_a_take_gives_its_settings_back():
    fields, options = settings(take_of(wire.request_to_json(SPEC)).request)
    assert fields == {
        "engine": "toy",
        "task": "replace",
        "prompt": "a red coat",
        "negative_prompt": "blue",
        "seed": 2**32 - 1,
        "grow": 2.0,
        "feather": 3.0,
    }
    assert options == {"strength": 0.5}
    with pytest.raises(Invalid, match="not a request"):
        settings("{")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_thumbnail_shows_what_the_mask_holds(kind: type):
    top = np.iinfo(kind).max
    patch = np.zeros((300, 400, 4), kind)
    patch[20:280, 100:200] = top
    small = thumbnail([np.zeros_like(patch), patch])
    assert small.dtype == np.uint8 and small.shape == (87, 34, 4) and max(small.shape) <= THUMBNAIL
    assert (small == 255).all()
    assert thumbnail([np.zeros_like(patch)]).shape == (1, 1, 4)
