"""The plan of a job: its region and windows, integers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from overpaint.card import EngineCard
from overpaint.clip import Size
from overpaint.errors import Invalid

from overpaint_backend.pipeline.region import Box, Region, plan_region
from overpaint_backend.pipeline.windows import Window, plan_windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be painted: `windows` in time, of `region` in the picture.

    `blank` are the windows (by index) in which the mask touches no pixel, so that there is nothing to paint.
    """

    region: Region
    windows: tuple[Window, ...]
    blank: frozenset[int]


def plan_job(boxes: Sequence[Box | None], picture: Size, card: EngineCard) -> Plan:
    """The plan for a clip whose mask has these boxes, one a frame; a pure function of its arguments.

    Raises Invalid where the mask is nowhere.
    """
    if not any(boxes):
        raise Invalid(
            field="mask", message="the mask is empty on every frame", remedy="Draw a mask around what is to change"
        )
    windows = plan_windows(len(boxes), card)
    blank = frozenset(window.index for window in windows if not any(boxes[frame] for frame in window.span))
    return Plan(region=plan_region(boxes, picture, card), windows=windows, blank=blank)
