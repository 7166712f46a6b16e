"""The panel in the sequencer's sidebar: layout only."""

from __future__ import annotations

import bpy  # pyright: ignore[reportMissingImports]

from ..host import versions
from .view import panel_view


class OVERPAINT_PT_edit(bpy.types.Panel):
    """The edit of the active strip."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Overpaint"
    bl_label = "Overpaint"

    def draw(self, context: bpy.types.Context) -> None:
        layout, view = self.layout, panel_view(context)
        layout.use_property_split = True
        layout.use_property_decorate = False  # a request is not animated
        fields = versions.sequencer_scene(context).overpaint
        if view.strip:
            layout.label(text=view.strip, icon="SEQUENCE")
        for name in ("task", "prompt", "negative_prompt", "mask", "use_sketch", "grow", "feather", "seed", "engine"):
            layout.prop(fields, name)
        if view.stage:
            layout.progress(text=view.stage, factor=view.progress or 0.0)
            layout.operator("overpaint.cancel", icon="CANCEL")
            return
        if view.missing:
            layout.label(text=view.missing, icon="ERROR")
        row = layout.row()
        row.enabled = not view.missing
        row.operator("overpaint.paint", text=fields.task.title(), icon="BRUSH_DATA")
        if view.waiting:
            layout.operator("overpaint.resume", text=f"Go On with {view.waiting}", icon="FILE_REFRESH")
        if view.words:
            layout.label(text=view.words, icon="INFO")


CLASSES = (OVERPAINT_PT_edit,)
