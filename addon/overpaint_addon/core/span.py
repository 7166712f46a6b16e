"""Which frames of a strip are painted."""

from __future__ import annotations

from enum import StrEnum

from overpaint.clip import FrameRange
from overpaint.errors import Invalid

from .words import say


class Span(StrEnum):
    """What the artist wants painted of a strip."""

    STRIP = "strip"  # all frames that show it
    SCENE = "scene"  # those between the scene's in and out
    CUSTOM = "custom"  # those from one frame to another


def painted(shown: FrameRange, first: int, last: int) -> FrameRange:
    """Those of the frames `first` to `last` that show the strip. Raises Invalid where none does."""
    if last < first:
        raise Invalid(
            field="frames",
            message=f"the frames to paint end at {last}, before they begin at {first}",
            remedy="Choose a last frame after the first",
        )
    start, stop = max(shown.start, first), min(shown.stop, last + 1)
    if start >= stop:
        raise Invalid(
            field="frames",
            message=f"the frames to paint are {first}-{last}, and the strip shows on {shown}",
            remedy="Choose frames of the strip, or the whole strip",
        )
    return FrameRange(start=start, stop=stop)


def words(frames: FrameRange, shown: FrameRange) -> str:
    """What is painted, for the panel: never less than the strip without saying so."""
    if frames == shown:
        return say("All {count} frames, {shown}", count=len(shown), shown=shown)
    return say(
        "{count} of {all} frames, {frames} of {shown}", count=len(frames), all=len(shown), frames=frames, shown=shown
    )
