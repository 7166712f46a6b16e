"""Conversions are exact where they promise it, and a patch leaves the rest of the picture alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from overpaint.colour import from_float, lay_over, to_depth, to_float
from overpaint.errors import Invalid

from tests.shared.strategies import depths, pictures

EVERY8, EVERY16 = np.arange(256, dtype=np.uint8), np.arange(65536, dtype=np.uint16)


def test_every_value_survives_being_a_float() -> None:
    assert to_float(EVERY16).dtype == np.float32 and to_float(EVERY16).max() == 1
    assert np.array_equal(from_float(to_float(EVERY8), 8), EVERY8)
    assert np.array_equal(from_float(to_float(EVERY16), 16), EVERY16)


def test_floats_are_rounded_and_clipped() -> None:
    assert from_float(np.array([-1, 0, 0.5001, 0.998, 1, 7]), 8).tolist() == [0, 0, 128, 254, 255, 255]


def test_depths() -> None:
    assert np.array_equal(to_depth(to_depth(EVERY8, 16), 8), EVERY8)
    assert np.array_equal(to_depth(EVERY16, 8), np.rint(EVERY16 / 257).astype(np.uint8))
    assert to_depth(EVERY8, 8) is EVERY8


@given(st.data())
def test_law_1_a_patch_leaves_the_source_alone_where_it_is_clear(data: st.DataObject) -> None:
    depth = data.draw(depths)
    source, patch = data.draw(pictures((9, 7, 3), depth)), data.draw(pictures((9, 7, 4), depth)).copy()
    clear = np.random.default_rng(data.draw(st.integers(0, 99))).random((9, 7)) < 0.5
    patch[clear] = 0
    patch[~clear, 3] = np.iinfo(patch.dtype).max
    laid = lay_over(source, patch)
    assert laid.dtype == source.dtype
    assert np.array_equal(laid[clear], source[clear])
    assert np.array_equal(laid[~clear], patch[~clear][:, :3])


def test_a_patch_that_does_not_fit_is_refused() -> None:
    source = np.zeros((4, 6, 3), np.uint8)
    for patch in (np.zeros((4, 5, 4), np.uint8), np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6, 4), np.uint16)):
        with pytest.raises(Invalid):
            lay_over(source, patch)
