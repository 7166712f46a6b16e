"""Masks on the latent grid and their dilation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from overpaint_backend.engines.vires.masks import TRAINING, dilate, down_sample_mask  # noqa: E402


def latent_frames(frames: int) -> int:
    return 5 * (frames // 17) + -(-(frames % 17) // 4)


@given(frames=st.integers(1, 60), rows=st.integers(1, 4), columns=st.integers(1, 4), full=st.booleans())
def test_any_number_of_frames_has_as_many_latent_ones_as_the_autoencoder_makes(
    frames: int, rows: int, columns: int, full: bool
) -> None:
    out = down_sample_mask(torch.full((1, 1, frames, 8 * rows, 8 * columns), float(full)))
    assert out.shape == (1, 1, latent_frames(frames), rows, columns)
    assert bool((out == float(full)).all())


@pytest.mark.parametrize(
    ("frame", "latent"),
    [(0, 0), (1, None), (2, 1), (3, 1), (4, None), (14, 4), (16, None), (17, 5), (19, 6), (20, 6), (22, None)],
)
def test_a_frame_is_seen_where_official_interpolation_looks(frame: int, latent: int | None) -> None:
    """It looks at the middle two of four frames, and at the first of a chunk."""
    mask = torch.zeros(1, 1, 22, 16, 16)
    mask[:, :, min(frame, 21)] = 1 if frame < 22 else 0
    found = down_sample_mask(mask)[0, 0].amax((1, 2)).nonzero().flatten().tolist()
    assert found == ([] if latent is None else [latent])


def test_it_looks_at_the_middle_pixels() -> None:
    mask = torch.zeros(1, 1, 1, 16, 16)
    mask[..., 3, 12] = mask[..., 8, 0] = 1
    assert down_sample_mask(mask)[0, 0, 0].tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize(("cells", "reach"), [(64, 16), (TRAINING, 8)])
def test_a_pixel_grows_by_two_cells(cells: int, reach: int) -> None:
    mask = np.zeros((2, 512, 512), np.uint8)
    mask[0, 256, 256] = 255  # on a cell's corner, where thinning looks
    grown = dilate(mask, cells)
    rows, columns = (np.flatnonzero(grown[0].any(axis)) for axis in (1, 0))
    cell = 512 // cells
    for found in (rows, columns):
        assert (found[0], found[-1]) == (256 - reach, 256 + reach + cell - 1)
    assert not grown[1].any() and grown.dtype == bool


@given(height=st.integers(8, 200), width=st.integers(8, 200), row=st.floats(0, 1), column=st.floats(0, 1))
def test_what_is_drawn_is_always_inside(height: int, width: int, row: float, column: float) -> None:
    mask = np.zeros((1, height, width), bool)
    mask[0, int(row * (height - 1)), int(column * (width - 1))] = True
    assert dilate(mask)[mask].all()
