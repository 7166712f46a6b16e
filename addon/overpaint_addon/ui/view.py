"""What the panel shows, as values: read once per redraw, so that drawing decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.errors import Invalid

from ..host import versions
from . import session


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelView:
    """`strip` says what will be painted, `missing` why it cannot be; `progress` is in [0, 1] where there is one."""

    strip: str
    missing: str
    stage: str
    progress: float | None
    words: str
    waiting: int


def panel_view(context: bpy.types.Context) -> PanelView:
    now = session.current()
    strip, missing = "", ""
    try:
        chosen = now.timeline.read_selection()
        strip = f"{chosen.strip}: {chosen.length} frames, {chosen.size}, {chosen.depth} bit"
        if not chosen.mask and versions.sequencer_scene(context).overpaint.task != "generate":
            missing = "Choose a mask"
    except Invalid as error:
        missing = f"{error.message}. {error.remedy}"
    doing = now.doing()
    left = "" if doing is None or doing.seconds_left is None else f", about {round(doing.seconds_left)} s left"
    return PanelView(
        strip=strip,
        missing=missing,
        stage="" if doing is None else doing.stage + left,
        progress=doing.done / doing.total if doing is not None and doing.total else None,
        words=now.words,
        waiting=0 if doing is not None else len(now.tickets.all()),
    )
