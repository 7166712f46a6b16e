"""Where a strip stands in its sequencer: the metas around it, its neighbours, the effects over it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.clip import FrameRange
from overpaint.errors import Invalid, Missing

from . import versions


def find_scene(name: str) -> Any:
    """The scene of that name. Raises Missing."""
    scene = bpy.data.scenes.get(name)
    if scene is None:
        raise Missing(
            field="scene", message=f"there is no scene {name} any more", remedy="Undo its renaming or removal"
        )
    return scene


def find(scene: Any, name: str) -> Any:
    """The strip of that name, also inside metas: names are unique in a scene. Raises Missing."""
    editor = scene.sequence_editor
    strip = editor.strips_all.get(name) if editor else None
    if strip is None:
        raise Missing(
            field="strip",
            message=f"the scene {scene.name} has no strip {name} any more",
            remedy="Undo its renaming or removal, or paint it again",
        )
    return strip


def metas(strip: Any) -> list[Any]:
    """The meta strips around it, innermost first."""
    around = []
    while (strip := strip.parent_meta()) is not None:
        around.append(strip)
    return around


def owner(scene: Any, strip: Any) -> Any:
    """Who holds the strip and its neighbours in `.strips` and `.channels`: a meta strip, or the sequencer itself."""
    return strip.parent_meta() or scene.sequence_editor


def effects(scene: Any, strip: Any) -> list[Any]:
    """The effects that show in the strip's place, lowest first: those with nothing but the strip as input.

    A speed control is one; a cross fade is none, because it shows another strip as well.
    """
    over = []
    while True:
        on_top = [
            other
            for other in owner(scene, strip).strips
            if not other.mute and getattr(other, "input_count", 0) == 1 and other.input_1 == strip
        ]
        if not on_top:
            return over
        strip = max(on_top, key=lambda other: other.channel)
        over.append(strip)


def visible(strip: Any) -> FrameRange:
    """The timeline frames on which the strip shows: between its handles, and those of the metas around it.

    Raises Invalid where the metas cut all of it away.
    """
    around = [strip, *metas(strip)]
    start = max(versions.start_of(one) for one in around)
    stop = min(versions.stop_of(one) for one in around)
    if start >= stop:
        raise Invalid(
            field="strip",
            message=f"the meta strip around {strip.name} hides all of it",
            remedy="Widen the handles of the meta strip",
        )
    return FrameRange(start=start, stop=stop)


def curves(scene: Any, strip: Any) -> Iterator[Any]:
    """What animates the strip's properties: curves of the scene's action, and drivers."""
    animation = scene.animation_data
    if animation is None:
        return
    # 4.5 says sequences_all["name"] in files of old, and strips_all["name"] from then on.
    path = f'_all["{bpy.utils.escape_identifier(strip.name)}"].'
    keyed = versions.curves(animation.action) if animation.action else ()
    for curve in (*keyed, *animation.drivers):
        if path in curve.data_path:
            yield curve


def hidden_by(scene: Any, strip: Any) -> str:
    """What mutes the strip, in words, or "" where nothing does."""
    for one in (strip, *metas(strip)):
        if one.mute:
            return f"the strip {one.name} is muted"
        channel = owner(scene, one).channels[one.channel]
        if channel.mute:
            return f"{channel.name}, where the strip {one.name} is, is muted"
    return ""
