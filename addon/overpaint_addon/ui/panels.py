"""The panel in the sequencer's sidebar: layout only."""

from __future__ import annotations

import bpy  # pyright: ignore[reportMissingImports]

from ..core.words import columns, lines, say, sentences
from ..host import versions
from . import options
from .remedies import draw_buttons
from .view import engine_view, panel_view

CHARACTER = 6.5  # pixels, on average, of Blender's font at a scale of 1
BORDERS = 50  # pixels beside a label: margins, icon, scroll bar


class _Overpaint:
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Overpaint"


class OVERPAINT_PT_edit(_Overpaint, bpy.types.Panel):
    """The edit of the selected strips."""

    bl_label = "Overpaint"
    bl_order = 0

    def draw(self, context: bpy.types.Context) -> None:
        layout, view, fields = self.layout, panel_view(context), versions.sequencer_scene(context).overpaint
        layout.use_property_split = True
        layout.use_property_decorate = False  # a request is not animated
        if view.strip:
            column = layout.column(align=True)
            draw_words(column, context, view.strip, icon="SEQUENCE")
            column.label(text=view.frames, icon="BLANK1")
        column = layout.column(align=True)
        column.prop(fields, "task")
        column.prop(fields, "engine_choice")
        column = layout.column(align=True)
        column.prop(fields, "prompt")
        if view.negative:
            column.prop(fields, "negative_prompt")
        column = layout.column(align=True)
        column.prop(fields, "mask")
        column.prop(fields, "use_sketch")
        if view.quality:
            row = layout.row()
            row.use_property_split = False  # three buttons need the whole width
            row.prop(fields, "quality", expand=True)
        row = layout.row(align=True)
        row.prop(fields, "seed")
        row.prop(fields, "lock_seed", text="", icon="LOCKED" if fields.lock_seed else "UNLOCKED")
        if view.last_seed is not None:
            layout.label(text=say("Last seed: {seed}", seed=view.last_seed), icon="BLANK1")
        if view.trouble:
            draw_words(layout, context, sentences(view.trouble.message, view.trouble.remedy), icon="ERROR")
            draw_buttons(layout.column(align=True), view.trouble)
        text = say("{verb} with {engine}", verb=view.verb, engine=view.engine) if view.engine else view.verb
        fits = columns(text) <= characters(context)
        row = layout.row()
        row.scale_y = 1.4
        row.enabled = view.trouble is None
        row.operator("overpaint.paint", text=text if fits else view.verb, icon="BRUSH_DATA")
        column = layout.column(align=True)
        for line in view.cost if fits else (say("With {engine}", engine=view.engine), *view.cost):
            draw_words(column, context, line)
        if view.words:
            draw_words(layout, context, view.words, icon="INFO")
            if view.error:
                draw_buttons(layout.column(align=True), view.error)


class OVERPAINT_PT_engine(_Overpaint, bpy.types.Panel):
    """The options of the engine that will paint."""

    bl_label = "Engine"
    bl_parent_id = "OVERPAINT_PT_edit"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 3

    def draw(self, context: bpy.types.Context) -> None:
        layout, view, scene = self.layout, engine_view(context), versions.sequencer_scene(context)
        layout.use_property_split = True
        layout.use_property_decorate = False
        if not view.name:
            draw_words(layout, context, say("Not known yet which engine will paint"), icon="INFO")
            return
        group = options.fields_of(scene, view.name)
        column = layout.column(align=True)
        for name in view.options:
            row = column.row(align=True)
            row.prop(group, name)
            if name in view.changed:
                _reset(row, view.name, name, "")
        for name in view.unknown:
            text = say("Forget {option}, Which {engine} Lacks", option=options.label(name), engine=view.title)
            _reset(column, view.name, name, text)
        if view.changed:
            _reset(layout, view.name, "", say("Reset All"))
        draw_words(layout, context, view.description)
        draw_words(layout, context, say("Licence: {licence}", licence=view.licence))


class OVERPAINT_PT_advanced(_Overpaint, bpy.types.Panel):
    """What is seldom changed."""

    bl_label = "Advanced"
    bl_parent_id = "OVERPAINT_PT_edit"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 4

    def draw(self, context: bpy.types.Context) -> None:
        layout, fields = self.layout, versions.sequencer_scene(context).overpaint
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column(align=True)
        column.prop(fields, "grow", text="Mask Grow")
        column.prop(fields, "feather", text="Feather")
        layout.operator("overpaint.export_for_farm", icon="EXPORT")


def characters(context: bpy.types.Context) -> int:
    """How many characters a label of this region has room for."""
    scale = context.preferences.system.ui_scale or 1.0  # 0 where there is no window
    width = context.region.width if context.region else 300 * scale
    return max(20, int((width / scale - BORDERS) / CHARACTER))


def draw_words(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE") -> None:
    """The text in as many labels as the region's width asks for; the icon is before the first."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    for line in lines(text, characters(context)):
        column.label(text=line, icon=icon)
        icon = icon if icon == "NONE" else "BLANK1"


def _reset(layout: bpy.types.UILayout, engine: str, option: str, text: str) -> None:
    button = layout.operator("overpaint.reset_option", text=text, icon="LOOP_BACK")
    button.engine, button.option = engine, option


CLASSES = (OVERPAINT_PT_edit, OVERPAINT_PT_engine, OVERPAINT_PT_advanced)
