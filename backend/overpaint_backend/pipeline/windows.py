"""Cut a clip into the windows that an engine paints at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from overpaint.card import EngineCard
from overpaint.clip import FrameRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A run of frames that an engine paints at once.

    `span` are the frames of the clip, `known` how many of its first ones the window before has painted, and `pad`
    how often the last frame is repeated so that the engine's frame rule holds.
    """

    index: int
    span: FrameRange
    known: int
    pad: int


def plan_windows(length: int, card: EngineCard) -> tuple[Window, ...]:
    """Windows that cover `length` frames, each beginning with the last `card.overlap` frames of the one before.

    Raises ValueError where the card's numbers leave no legal window.
    """
    most = _legal(card.max_frames, card, up=False)
    stride = most - card.overlap
    if most < 1 or stride < 1:
        raise ValueError(f"the card of {card.name} allows no window: {most} frames with an overlap of {card.overlap}")
    windows: list[Window] = []
    start = 0
    while True:
        stop = min(start + most, length)
        known = windows[-1].span.stop - start if windows else 0
        pad = _legal(stop - start, card, up=True) - (stop - start)
        windows.append(Window(index=len(windows), span=FrameRange(start=start, stop=stop), known=known, pad=pad))
        if stop == length:
            return tuple(windows)
        start += stride


def shorter(card: EngineCard) -> EngineCard | None:
    """The card with windows half as long, or None where they cannot be shorter."""
    most = _legal(card.max_frames // 2, card, up=False)
    return replace(card, max_frames=most) if card.overlap < most < card.max_frames else None


def _legal(frames: int, card: EngineCard, *, up: bool) -> int:
    """The nearest number of frames (not below with `up`, not above without) that the card's frame rule allows."""
    over = frames - card.frame_offset
    steps = -(-over // card.frame_step) if up else over // card.frame_step
    legal = card.frame_offset + max(steps, 0) * card.frame_step
    return legal if legal > 0 else legal + card.frame_step
