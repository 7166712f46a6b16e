"""Loose masks: each way holds the instance, grows within its bounds, and is what its name says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from overpaint_backend.train.looseness import Looseness, loosen


def blobs(seed: int, frames: int = 3, size: int = 48) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = np.zeros((frames, size, size), np.uint8)
    for frame in mask:
        for _ in range(int(rng.integers(0, 3))):
            x, y, a, b = (int(value) for value in rng.integers([0, 0, 1, 1], [size, size, 9, 14]))
            cv2.ellipse(frame, (x, y), (a, b), float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return mask


@settings(max_examples=60, deadline=None)
@given(shape=st.integers(0, 2**32), looseness=st.sampled_from(Looseness), seed=st.integers(0, 2**32))
def test_every_way_holds_the_mask_and_stays_within_its_bounds(shape: int, looseness: Looseness, seed: int) -> None:
    mask = blobs(shape)
    loose = loosen(mask, looseness, seed)
    assert loose.dtype == np.uint8 and loose.shape == mask.shape and loose.max(initial=0) <= 1
    assert (loose >= mask).all()
    assert np.array_equal(loose, loosen(mask, looseness, seed))
    ratio = {Looseness.EXPAND: 0.3, Looseness.HULL_EXPAND: 0.2, Looseness.BOX_EXPAND: 0.5}.get(looseness, 0)
    for before, after in zip(mask, loose, strict=True):
        if not before.any():
            assert not after.any()
            continue
        x, y, w, h = cv2.boundingRect(before)
        left, top, wide, high = cv2.boundingRect(after)
        grown = x - left, y - top, left + wide - x - w, top + high - y - h
        free = x, y, 48 - x - w, 48 - y - h
        for side, most, room in zip(grown, (w, h, w, h), free, strict=True):
            assert 0 <= side <= min(ratio * most, room / 2) + 0.5


def test_the_ways_are_what_they_are_called() -> None:
    mask = np.zeros((1, 40, 40), np.uint8)
    mask[0, 10:20, 10:13] = mask[0, 17:20, 10:20] = 1  # an L
    box = loosen(mask, Looseness.BOX, 0)[0]
    hull = loosen(mask, Looseness.HULL, 0)[0]
    assert np.array_equal(loosen(mask, Looseness.ORIGINAL, 0), mask)
    assert box.sum() == 100 and box[10:20, 10:20].all()
    assert mask.sum() < hull.sum() < box.sum() and not hull[10, 19]
    for seed in range(5):
        wide = loosen(mask, Looseness.BOX_EXPAND, seed)[0]
        w, h = cv2.boundingRect(wide)[2:]
        assert wide.sum() == w * h and (w, h) >= (10, 10)
        assert (loosen(mask, Looseness.HULL_EXPAND, seed)[0] >= hull).all()
    assert len({loosen(mask, Looseness.EXPAND, seed).tobytes() for seed in range(20)}) > 10


@pytest.mark.parametrize("axis", [1, 2])
def test_a_side_grows_to_its_own_side(axis: int) -> None:
    """What touches one edge of the frame cannot grow there, and grows to the other side."""
    mask = np.zeros((1, 60, 60), np.uint8)
    mask[0, 20:40, 20:40] = 1
    mask = np.roll(mask, -20, axis=axis)
    loose = [loosen(mask, Looseness.EXPAND, seed)[0] for seed in range(10)]
    ends = [one.any(axis=2 - axis).nonzero()[0] for one in loose]
    assert all(end[0] == 0 for end in ends) and max(end[-1] for end in ends) > 21
