from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from overpaint.colour import lay_over
from overpaint_backend.pipeline.composite import composite
from overpaint_backend.pipeline.stitch import stitch
from overpaint_backend.pipeline.windows import Window, plan_windows

from .test_windows import card


@given(length=st.integers(1, 60), most=st.integers(2, 12), overlap=st.integers(0, 6))
def test_law_2_stitching_gives_every_frame_once_and_right(length: int, most: int, overlap: int) -> None:
    windows = plan_windows(length, card(most, min(overlap, most - 1), 2 if most % 2 == 0 else 1))

    def painted(window: Window) -> np.ndarray:
        frames = [*window.span, *[window.span.stop - 1] * window.pad]
        return np.array(frames, np.float32)[:, None, None, None] * np.ones((1, 2, 3, 3), np.float32)

    frames = list(stitch(windows, painted))
    assert np.allclose([frame[0, 0, 0] for frame in frames], np.arange(length))


def test_the_later_window_fades_in() -> None:
    windows = plan_windows(9, card(6, 3))
    frames = stitch(windows, lambda window: np.full((6, 1, 1, 3), float(window.index), np.float32))
    assert [round(float(frame[0, 0, 0]), 2) for frame in frames] == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(data=st.data())
def test_law_1_outside_the_feathered_mask_no_byte_changes(dtype: type, data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    source = data.draw(hnp.arrays(dtype, (*shape, 3)))
    painted = data.draw(hnp.arrays(np.float32, (*shape, 3), elements=st.floats(-1, 2, width=32)))
    weight = data.draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.25, 1.0])))
    patch = composite(source, painted, (slice(0, shape[0]), slice(0, shape[1])), weight)
    take = lay_over(source, patch)
    assert take.dtype == source.dtype
    assert np.array_equal(take[weight == 0], source[weight == 0])
    assert not patch[weight == 0].any() and (patch[weight > 0][:, 3] == np.iinfo(dtype).max).all()
    full = np.rint(np.clip(painted * np.iinfo(dtype).max, 0, np.iinfo(dtype).max)).astype(dtype)
    assert np.abs(take[weight == 1].astype(int) - full[weight == 1]).max(initial=0) <= (0 if dtype is np.uint8 else 1)


def test_what_lies_outside_the_region_is_left_alone() -> None:
    source = np.full((6, 6, 3), 9, np.uint8)
    patch = composite(source, np.ones((2, 3, 3), np.float32), (slice(1, 3), slice(2, 5)), np.ones((6, 6), np.float32))
    assert patch[1:3, 2:5].min() == 255 and patch[..., 3].sum() == 6 * 255
