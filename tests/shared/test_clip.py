"""Sizes, rates, ranges and clips: arithmetic, and what they refuse to be."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overpaint.clip import Clip, FrameRange, Rate, Size

SIZE, RATE = Size(width=4, height=2), Rate(numerator=25)


@given(st.fractions(min_value=Fraction(1, 10**6), max_value=10**6), st.integers(1, 1000))
def test_law_2_a_rate_is_the_exact_fraction(value: Fraction, factor: int) -> None:
    rate = Rate(numerator=value.numerator * factor, denominator=value.denominator * factor)
    assert rate == Rate.of(value)
    assert Fraction(rate.numerator, rate.denominator) == value == Fraction(str(rate))


@given(st.integers(-50, 50), st.integers(1, 50), st.integers(-120, 120))
def test_a_range_is_its_frames(start: int, length: int, frame: int) -> None:
    span = FrameRange(start=start, stop=start + length)
    assert list(span) == list(range(start, start + length)) and len(span) == length
    assert (frame in span) == (frame in list(span))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Size(width=0, height=1),
        lambda: Size(width=1, height=-1),
        lambda: Rate(numerator=0),
        lambda: Rate(numerator=1, denominator=0),
        lambda: FrameRange(start=3, stop=3),
        lambda: Clip(size=SIZE, rate=RATE, depth=8, frames=()),
        lambda: Clip(size=SIZE, rate=RATE, depth=12, frames=("ab",)),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_cannot_be_is_refused(make) -> None:
    with pytest.raises(ValueError, match="a "):
        make()


def test_how_they_read() -> None:
    assert (str(SIZE), SIZE.pixels) == ("4x2", 8)
    assert str(Rate(numerator=24000, denominator=1001)) == "24000/1001" and str(RATE) == "25"
    assert str(FrameRange(start=3, stop=9)) == "3-8"
    assert len(Clip(size=SIZE, rate=RATE, depth=16, frames=("ab", "cd"))) == 2
