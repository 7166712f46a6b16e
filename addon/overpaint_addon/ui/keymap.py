"""Ctrl Shift P in the sequencer paints; the artist may change it in Blender's preferences."""

from __future__ import annotations

from typing import Any

import bpy  # pyright: ignore[reportMissingImports]

_ours: list[tuple[Any, Any]] = []


def attach() -> None:
    """Nothing where Blender has no keys: in the background."""
    keys = bpy.context.window_manager.keyconfigs.addon
    if keys is None:
        return
    keymap = keys.keymaps.new(name="Sequencer", space_type="SEQUENCE_EDITOR")
    _ours.append((keymap, keymap.keymap_items.new("overpaint.paint", "P", "PRESS", ctrl=True, shift=True)))


def detach() -> None:
    for keymap, item in _ours:
        keymap.keymap_items.remove(item)
    _ours.clear()


def draw(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The entry as the user has it, for the add-on's preferences; `rna_keymap_ui` is Blender's own row for it."""
    import rna_keymap_ui  # pyright: ignore[reportMissingImports]

    users = context.window_manager.keyconfigs.user
    for keymap, item in _ours:
        mine = users.keymaps.get(keymap.name) if users else None
        found = mine.keymap_items.find_from_operator(item.idname) if mine else None
        if found is not None:
            layout.context_pointer_set("keymap", mine)
            rna_keymap_ui.draw_kmi([], users, mine, found, layout, 0)
