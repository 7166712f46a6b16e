"""Clip, Size, Rate, FrameRange: what a run of frames is, and its arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Depth = Literal[8, 16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Width and height in pixels, both at least 1."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a size needs at least 1x1 pixels, not {self}")

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def pixels(self) -> int:
        return self.width * self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Frames per second as an exact fraction in lowest terms (24000/1001 is not 23.976)."""

    numerator: int
    denominator: int = 1

    def __post_init__(self) -> None:
        if self.numerator < 1 or self.denominator < 1:
            raise ValueError(f"a rate needs positive terms, not {self}")
        lowest = Fraction(self.numerator, self.denominator)
        object.__setattr__(self, "numerator", lowest.numerator)
        object.__setattr__(self, "denominator", lowest.denominator)

    def __str__(self) -> str:
        if self.denominator == 1:
            return str(self.numerator)
        return f"{self.numerator}/{self.denominator}"

    @classmethod
    def of(cls, value: Fraction) -> Rate:
        return cls(numerator=value.numerator, denominator=value.denominator)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FrameRange:
    """A run of consecutive frames; `stop` is the first frame after it."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if self.stop <= self.start:
            raise ValueError(f"a frame range needs at least one frame, not {self.start}..{self.stop}")

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and self.start <= frame < self.stop

    def __str__(self) -> str:
        return f"{self.start}-{self.stop - 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A run of RGB frames: their pixels are named by `frames`, digests in order (see codec.digest).

    Pixels are display-referred sRGB, uint8 where `depth` is 8 and uint16 where it is 16, shape "h w 3".
    """

    size: Size
    rate: Rate
    depth: Depth
    frames: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.frames:
            raise ValueError("a clip needs at least one frame")
        if self.depth not in (8, 16):
            raise ValueError(f"a clip has 8 or 16 bits a channel, not {self.depth}")

    def __len__(self) -> int:
        return len(self.frames)
