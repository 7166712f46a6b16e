"""The hint net where a sketch reaches, against the hint net everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import torch  # noqa: E402
from overpaint_backend.engines.vires.config import DiTConfig  # noqa: E402
from overpaint_backend.engines.vires.hint import Begun, HintNet, drawn  # noqa: E402

WIDTH = 8
SMALL = DiTConfig(hidden=WIDTH, heads=2, hint_widths=(4, 4, 8, 8, 8), hint_groups=(2, 4, 4))


@pytest.fixture(scope="module")
def net() -> HintNet:
    torch.manual_seed(0)
    net = HintNet(SMALL)
    for layers in (net.stem, net.blocks, net.last):
        for parameter in layers.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return net


@st.composite
def sketches(draw: st.DrawFn) -> torch.Tensor:
    """A hint of one or two chunks whose lines lie somewhere, often at the border; sides are multiples of 8."""
    height, width = (8 * draw(st.integers(1, 24)) for _ in range(2))
    frames = draw(st.sampled_from([1, 4, 17, 20]))
    hint = torch.zeros(1, 3, frames, height, width)
    for start in range(0, frames, 17):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        bottom, right = draw(st.integers(top, min(height, top + 40))), draw(st.integers(left, min(width, left + 40)))
        part = hint[:, :, start : start + 17, top:bottom, left:right]
        part.copy_(torch.rand(part.shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99)))))
    return hint


@settings(max_examples=15, deadline=None)
@given(hint=sketches(), seed=st.integers(0, 99))
def test_only_where_the_sketch_reaches_is_the_same_as_everywhere(net: HintNet, hint: torch.Tensor, seed: int) -> None:
    t = torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        everywhere = net.finish(net.begin(hint), t)
        there = net.finish(net.begin(hint, drawn(hint, 17)), t)
    assert there.shape == everywhere.shape
    assert (there - everywhere).abs().max() <= 2e-5 * everywhere.abs().max().clamp(min=1)


def stored(begun: Begun) -> int:
    assert begun.h.rest is not None
    return begun.h.patch.numel() + begun.h.rest.numel()


def test_a_small_sketch_is_little_work(net: HintNet) -> None:
    hint = torch.zeros(1, 3, 17, 512, 512)
    hint[..., 200:260, 300:350] = 1
    with torch.inference_mode():
        (begun,) = net.begin(hint, drawn(hint, 17))
    # The box and 11 pixels around it, at half the size, and a border that is a few pixels wide.
    assert begun.h.patch.shape[-2:] == (41, 36)
    assert stored(begun) < 0.04 * (256 * 256 * 20 * 8)


def test_what_is_not_drawn_is_one_pixel() -> None:
    assert drawn(torch.zeros(1, 3, 20, 16, 16), 17) == ((0, 1, 0, 1), (0, 1, 0, 1))


def test_the_boxes_hold_all_that_is_drawn_in_their_chunk() -> None:
    hint = torch.zeros(1, 3, 34, 32, 48)
    hint[0, 1, 3, 5, 7] = hint[0, 2, 16, 9, 40] = hint[0, 0, 17, 31, 47] = 0.1
    assert drawn(hint, 17) == ((5, 10, 7, 41), (31, 32, 47, 48))


def test_the_features_depend_on_the_diffusion_time_only_at_the_end(net: HintNet) -> None:
    """What `begin` made is used for every step, so it must not be written into."""
    hint = torch.rand(1, 3, 17, 32, 32)
    t = torch.randn(2, 1, WIDTH)
    with torch.inference_mode():
        begun = net.begin(hint, drawn(hint, 17))
        first = net.finish(begun, t[0])
        other = net.finish(begun, t[1])
        again = net.finish(begun, t[0])
    assert torch.equal(first, again) and not torch.equal(first, other)
