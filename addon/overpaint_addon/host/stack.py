"""Where a strip stands in its sequencer: the metas around it, its neighbours, the effects over it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.clip import FrameRange
from overpaint.errors import Invalid, Missing

from ..core.ports import Selection
from . import versions

MARK = "overpaint_mark"  # of a strip: what its jobs and its takes know it by, through every renaming


def find(selection: Selection) -> tuple[Any, Any]:
    """The scene and the strip of the selection, also inside metas, and whatever they are called by now. Raises Missing.

    It is the strip with the selection's mark. Copies and parts of it have the same: then the one of the selection's
    scene, of its name, on its frames, as far as there is one. Where none has the mark, names alone tell.
    """
    scene, named = _named(selection)
    if named is not None and (not selection.mark or named.get(MARK) == selection.mark):
        return scene, named
    found = min(_marked(selection.mark), key=lambda one: _unlike(selection, *one), default=None)
    if found is not None:
        return found
    if scene is None:
        raise Missing(
            field="scene",
            message=f"there is no scene {selection.scene} any more",
            remedy=f"Undo its removal, or give the scene that the take is for the name {selection.scene}",
        )
    if named is None:
        raise Missing(
            field="strip",
            message=f"the scene {scene.name} has no strip {selection.strip} any more",
            remedy=f"Undo its removal, give the strip that the take is for the name {selection.strip}, or paint it again",
        )
    return scene, named


def present(selection: Selection) -> Selection:
    """The selection under the names that its scene and strip have now; as it is where they are gone."""
    try:
        scene, strip = find(selection)
    except Missing:
        return selection
    return replace(selection, scene=scene.name, strip=strip.name)


def mark(strip: Any) -> str:
    """What the strip is known by; it is given a mark where it has none. Copies and parts take it along."""
    if MARK not in strip:
        strip[MARK] = uuid.uuid4().hex
    return strip[MARK]


def mark_again(selection: Selection) -> None:
    """Give the strip of that name its mark back, where undo has taken it to before it had one."""
    _, named = _named(selection)
    if selection.mark and named is not None and MARK not in named and not any(_marked(selection.mark)):
        named[MARK] = selection.mark


def own_scenes() -> list[Any]:
    """Those of this file, without the ones that are linked from another."""
    return [scene for scene in bpy.data.scenes if scene.library is None]


def _named(selection: Selection) -> tuple[Any, Any]:
    """This file's scene of that name and the strip of that name in it, or None; names are unique in a scene."""
    scene = bpy.data.scenes.get((selection.scene, None))  # a linked one may be called the same
    editor = scene.sequence_editor if scene else None
    return scene, editor.strips_all.get(selection.strip) if editor else None


def _marked(mark: str) -> Iterator[tuple[Any, Any]]:
    for scene in own_scenes() if mark else ():
        for strip in scene.sequence_editor.strips_all if scene.sequence_editor else ():
            if strip.get(MARK) == mark:
                yield scene, strip


def _unlike(selection: Selection, scene: Any, strip: Any) -> tuple[object, ...]:
    """Compares strips: less for one that is more like the selection's."""
    start, stop = versions.start_of(strip), versions.stop_of(strip)
    moved = 0 if selection.content is None else versions.content_start_of(strip) - selection.content
    first = selection.start + moved
    shown = max(0, min(stop, first + selection.length) - max(start, first))
    other_names = scene.name != selection.scene, strip.name != selection.strip
    return *other_names, -shown, moved != 0, strip.channel != selection.channel, start


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
