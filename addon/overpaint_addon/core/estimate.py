"""Estimate: ask the server what the draft would cost, once the artist has stopped changing it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from overpaint.card import EngineCard, Estimate
from overpaint.edit import Edit, Guide, GuideKey, Input, Keyframe, Track, TrackPoint

from .draft import Draft
from .ports import Backend, Selection
from .steps import Doing, Steps, until
from .words import say

QUIET = 0.5  # seconds without a change before the server is asked
UNKNOWN = "0" * 64  # stands for pixels that are not captured yet: the server then reckons with the whole picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything that the cost of painting depends on: nothing else brings a new question."""

    engine: str
    selections: tuple[Selection, ...]
    edits: tuple[Edit, ...]


def question(draft: Draft, selections: Sequence[Selection], card: EngineCard) -> Question:
    """What to ask about a chosen draft."""
    edits = tuple(_unread(replace(draft, seed=0), one, card) for one in selections)
    return Question(engine=card.name, selections=tuple(selections), edits=edits)


def ask(backend: Backend, wanted: Question) -> Steps[Estimate]:
    """The cost of painting every selection, after a while in which nobody asked anything else.

    Raises what the server refuses with. Sizes and devices are those of the first selection.
    """
    doing = Doing(stage="estimating")
    asked = time.monotonic()
    while time.monotonic() - asked < QUIET:
        yield doing
    costs: list[Estimate] = []
    for one, edit in zip(wanted.selections, wanted.edits, strict=True):
        asking = backend.estimate(wanted.engine, one.size, one.depth, one.length, edit)
        costs.append((yield from until(asking, doing)))
    seconds = [cost.seconds for cost in costs if cost.seconds is not None]
    return Estimate(
        frames=sum(cost.frames for cost in costs),
        windows=sum(cost.windows for cost in costs),
        window_size=costs[0].window_size,
        pixel_bytes=sum(cost.pixel_bytes for cost in costs),
        seconds=sum(seconds) if len(seconds) == len(costs) else None,
        device=costs[0].device,
    )


def words(cost: Estimate) -> tuple[str, ...]:
    """The cost in short lines: what is painted, what travels at most, how long it takes and where."""
    windows = say("1 window") if cost.windows == 1 else say("{count} windows", count=cost.windows)
    return (
        say("{frames} frames, {windows} of {size}", frames=cost.frames, windows=windows, size=cost.window_size),
        say("At most {size} to send", size=_size(cost.pixel_bytes)),
        say("On {device}", device=cost.device)
        if cost.seconds is None
        else say("{duration} on {device}", duration=_duration(cost.seconds), device=cost.device),
    )


def _unread(draft: Draft, selection: Selection, card: EngineCard) -> Edit:
    """The edit of the selection, its guides without their pixels."""
    given, key = draft.given(selection), GuideKey(frame=0, pixels=UNKNOWN)
    guides = tuple(Guide(kind=kind, keys=(key,), hold=True) for kind in sorted(given & {Input.MASK, Input.SKETCH}))
    tracks = (Track(points=(TrackPoint(frame=0, x=0.0, y=0.0),)),) if Input.TRACK in given else ()
    keyframes = tuple(Keyframe(frame=frame, pixels=UNKNOWN) for frame in selection.keyframes)
    return draft.edit(guides, card, tracks, keyframes)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return say("About a second")
    if seconds < 90:
        return say("About {seconds} s", seconds=round(seconds))
    if seconds < 5400:
        return say("About {minutes} min", minutes=round(seconds / 60))
    return say("About {hours} h", hours=f"{seconds / 3600:.1f}")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
