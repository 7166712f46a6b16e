"""The guides an artist gives: which layer is what, where the mask is from, which frames are painted, what is keyed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from bpy.props import (  # pyright: ignore[reportMissingImports]
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from overpaint.errors import Invalid

from ..core import areas, span
from ..core.marks import neighbour
from ..core.roles import MaskSource, Role
from ..core.words import CONTEXT, say, sentences
from ..host import drawings, guides, render_guides, stack, strokes, timeline, versions
from . import diamonds
from .panels import draw_words

ROLES = [
    ("sketch", "Sketch", "Lines that the picture follows, on the frames they are drawn on", "GREASEPENCIL", 0),
    ("mask", "Mask", "Areas that may change, closed and filled; each holds until the next drawing", "MOD_MASK", 1),
    ("track", "Motion Track", "Paths that points take, from the frame they are drawn on", "TRACKING", 2),
    ("unused", "Unused", "Notes, and nothing to the painter", "HIDE_ON", 3),
]
PENS = {"sketch": (0.9, 0.2, 0.15), "mask": (0.25, 0.55, 1.0), "track": (0.3, 0.85, 0.35)}
SOURCES = [
    ("automatic", "Automatic", "The chosen mask; without one strokes of mask layers; without those the stored mask"),
    ("datablock", "Mask", "The mask that is chosen here, drawn in the mask editor"),
    ("layers", "Mask Layers", "Every stroke of the layers that are for the mask, closed and filled"),
    ("closed", "Closed Strokes", "As mask layers, and every stroke of the sketch whose ends meet: it is then no line"),
    ("box", "Box", "A box, the same on every frame"),
    ("stored", "Stored", "The mask that was made for this strip and is kept with it"),
    ("objects", "Objects", "Where the objects of a collection show in the 3D scene of a scene strip"),
    ("alpha", "Alpha", "Where the strip itself shows: all of it that is not wholly transparent"),
]
SPANS = [
    ("strip", "Strip", "Every frame that shows the strip"),
    ("scene", "Scene", "The frames between the scene's start and end, or those of its preview range"),
    ("custom", "From and To", "The frames from one to another"),
]


def _layer_names(_fields: Any, context: bpy.types.Context, typed: str) -> Iterator[str]:
    note = guides.annotation(versions.sequencer_scene(context))
    return (layer.info for layer in (note.layers if note else ()) if typed.lower() in layer.info.lower())


def _is_in_scene(_fields: Any, collection: Any) -> bool:
    strip = _active_strip(versions.sequencer_scene(bpy.context))
    return render_guides.shows_scene(strip) and collection in strip.scene.collection.children_recursive


class OverpaintLayerRule(bpy.types.PropertyGroup):
    """What a layer of the annotation is for, whatever its name says."""

    by: EnumProperty(  # pyright: ignore
        name="Layers by",
        items=[("layer", "Name", "The layer of this name"), ("colour", "Color", "Every layer of this color")],
    )
    layer: StringProperty(name="Layer", search=_layer_names, description="A layer of the annotation")  # pyright: ignore
    colour: FloatVectorProperty(  # pyright: ignore
        name="Color", subtype="COLOR", size=3, min=0.0, max=1.0, description="The color of the layers"
    )
    role: EnumProperty(name="For", items=ROLES, description="What the strokes of these layers mean")  # pyright: ignore


class OverpaintGuides(bpy.types.PropertyGroup):
    """What the artist has said about guides and frames."""

    rules: CollectionProperty(type=OverpaintLayerRule)  # pyright: ignore
    mask_source: EnumProperty(  # pyright: ignore
        name="Mask from", items=SOURCES, description="Where the mask comes from: what may change"
    )
    box: FloatVectorProperty(  # pyright: ignore
        name="Box",
        size=4,
        description="Left, top, width and height in pixels of the picture at 100 %, from its top left corner",
    )
    objects: PointerProperty(  # pyright: ignore
        name="Collection",
        type=bpy.types.Collection,
        poll=_is_in_scene,
        description="The objects that may change, where they show; what is in front of them still hides them",
    )
    scene_lines: BoolProperty(  # pyright: ignore
        name="Lines of the Scene",
        description="Use the Freestyle lines of the strip's 3D scene as sketch, on every frame that has no drawing",
    )
    span: EnumProperty(  # pyright: ignore
        name="Frames", translation_context=CONTEXT, items=SPANS, description="The frames to paint"
    )
    first: IntProperty(  # pyright: ignore
        name="From", translation_context=CONTEXT, default=1, description="The first frame to paint"
    )
    last: IntProperty(  # pyright: ignore
        name="To", translation_context=CONTEXT, default=250, description="The last frame to paint"
    )


class OVERPAINT_OT_guide_rule_add(bpy.types.Operator):
    """Say what a layer is for; without a rule its name says so: mask..., track... or motion..., else sketch"""

    bl_idname = "overpaint.guide_rule_add"
    bl_label = "Add Layer Rule"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = versions.sequencer_scene(context)
        rule, layer = scene.overpaint_guides.rules.add(), _active_layer(scene)
        if layer is not None:
            rule.layer, rule.colour = layer.info, layer.color
        return {"FINISHED"}


class OVERPAINT_OT_guide_rule_remove(bpy.types.Operator):
    """Forget this rule"""

    bl_idname = "overpaint.guide_rule_remove"
    bl_label = "Remove Layer Rule"
    bl_options = {"REGISTER", "UNDO"}

    index: IntProperty(options={"HIDDEN"})  # pyright: ignore

    def execute(self, context: bpy.types.Context) -> set[str]:
        versions.sequencer_scene(context).overpaint_guides.rules.remove(self.index)
        return {"FINISHED"}


class OVERPAINT_OT_guide_draw(bpy.types.Operator):
    """Draw with the pen in the preview from now on; the layer is made if there is none"""

    bl_idname = "overpaint.guide_draw"
    bl_label = "Draw"
    bl_options = {"REGISTER", "UNDO"}

    role: EnumProperty(name="For", items=ROLES[:3])  # pyright: ignore

    def execute(self, context: bpy.types.Context) -> set[str]:
        guides.layer_for(versions.sequencer_scene(context), Role(self.role), PENS[self.role])
        for area in context.screen.areas if context.screen and not bpy.app.background else ():
            if area.type == "SEQUENCE_EDITOR" and area.spaces.active.view_type != "SEQUENCER":
                with context.temp_override(area=area):
                    bpy.ops.wm.tool_set_by_id(name="builtin.annotate")
                area.tag_redraw()
        return {"FINISHED"}


class OVERPAINT_OT_guide_box(bpy.types.Operator):
    """Take the box around the last stroke that the active layer shows on this frame as the mask"""

    bl_idname = "overpaint.guide_box"
    bl_label = "Box from Last Stroke"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = versions.sequencer_scene(context)
        layer, size = _active_layer(scene), timeline.render_size(scene.render)
        shown = list(strokes.drawn(layer, scene.frame_current, size, scene.render)) if layer else []
        box = areas.bounds(shown[-1:])
        if box is None or not (box[2] and box[3]):
            self.report({"ERROR"}, "The active layer shows no stroke here that has a width and a height. Draw one")
            return {"CANCELLED"}
        fields, percentage = scene.overpaint_guides, scene.render.resolution_percentage
        fields.box = [number * 100 / percentage for number in box]
        fields.mask_source = "box"
        return {"FINISHED"}


class OVERPAINT_OT_guide_forget(bpy.types.Operator):
    """Forget the mask that is kept with the active strip"""

    bl_idname = "overpaint.guide_forget"
    bl_label = "Forget Stored Mask"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        cls.poll_message_set("No mask is kept with the active strip")
        strip = _active_strip(versions.sequencer_scene(context))
        return strip is not None and guides.has_mask(strip)

    def execute(self, context: bpy.types.Context) -> set[str]:
        guides.drop_mask(_active_strip(versions.sequencer_scene(context)))
        return {"FINISHED"}


class OVERPAINT_OT_guide_jump(bpy.types.Operator):
    """Go to the nearest frame of the active strip on which a guide is drawn"""

    bl_idname = "overpaint.guide_jump"
    bl_label = "Jump to Guide"
    bl_options = {"REGISTER", "UNDO"}

    direction: EnumProperty(  # pyright: ignore
        name="Direction", items=[("next", "Next", "Go forward"), ("previous", "Previous", "Go back")]
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = versions.sequencer_scene(context)
        frame = neighbour(_keyed(scene), scene.frame_current, forward=self.direction == "next")
        if frame is None:
            self.report(
                {"INFO"},
                "No guide is drawn on the strip after this frame"
                if self.direction == "next"
                else "No guide is drawn on the strip before this frame",
            )
            return {"CANCELLED"}
        scene.frame_set(frame)
        return {"FINISHED"}


class OVERPAINT_OT_guide_copy(bpy.types.Operator):
    """Copy the active layer's nearest earlier drawing to this frame"""

    bl_idname = "overpaint.guide_copy"
    bl_label = "Copy Drawing Here"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _poll_layer(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = versions.sequencer_scene(context)
        try:
            drawings.copy_here(_active_layer(scene), scene.frame_current)
        except Invalid as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class OVERPAINT_OT_guide_clear(bpy.types.Operator):
    """Take the active layer's drawing off this frame"""

    bl_idname = "overpaint.guide_clear"
    bl_label = "Clear Drawing"
    bl_options = {"REGISTER", "UNDO"}

    leave_empty: BoolProperty(  # pyright: ignore
        name="Leave Empty",
        description="Show nothing from this frame to the next drawing, instead of the drawing before",
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _poll_layer(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = versions.sequencer_scene(context)
        layer = _active_layer(scene)
        if not self.leave_empty and drawings.on_frame(layer, scene.frame_current) is None:
            self.report({"INFO"}, "The active layer has no drawing of its own on this frame")
            return {"CANCELLED"}
        drawings.clear_here(layer, scene.frame_current, leave_empty=self.leave_empty)
        return {"FINISHED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidesView:
    """What the panel shows. `layers` are those that show, with their roles; `problem` is what keeps the strip from being read."""

    frames: str
    problem: str
    source: str
    layers: tuple[tuple[Any, Role], ...]
    keyed: str


def guides_view(context: bpy.types.Context) -> GuidesView:
    scene = versions.sequencer_scene(context)
    frames, problem, source = "", "", MaskSource.NONE
    try:
        selection = timeline.BlenderTimeline().read_selection()
        _, strip = stack.find(selection)
        shown = stack.visible(strip)
        frames, source = span.words(guides.painted(scene, shown), shown), selection.mask_source
    except Invalid as error:
        problem = sentences(error.message, error.remedy)
    count = len(_keyed(scene)) if not problem else 0
    return GuidesView(
        frames=frames,
        problem=problem,
        source=next((name for value, name, _ in SOURCES if value == source), ""),
        layers=guides.layers(scene),
        keyed=say("{count} keyed frames", count=count) if count != 1 else say("1 keyed frame"),
    )


class OVERPAINT_PT_guides(bpy.types.Panel):
    """Sketch, mask and tracks, and the frames that are painted."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Overpaint"
    bl_label = "Guides"
    bl_parent_id = "OVERPAINT_PT_edit"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        layout, view, scene = self.layout, guides_view(context), versions.sequencer_scene(context)
        fields = scene.overpaint_guides
        layout.use_property_split = True
        layout.use_property_decorate = False
        _draw_frames(layout, fields, view)
        _draw_mask(layout, fields, view)
        if fields.scene_lines or render_guides.shows_scene(_active_strip(scene)):
            layout.prop(fields, "scene_lines")
        _draw_layers(layout, fields, view)
        _draw_keys(layout, view, _active_layer(scene))


def _draw_frames(layout: Any, fields: Any, view: GuidesView) -> None:
    layout.prop(fields, "span")
    if fields.span == "custom":
        column = layout.column(align=True)
        column.prop(fields, "first")
        column.prop(fields, "last")
    if view.problem:
        draw_words(layout, bpy.context, view.problem, icon="ERROR")
    else:
        layout.label(text=view.frames, icon="PREVIEW_RANGE")


def _draw_mask(layout: Any, fields: Any, view: GuidesView) -> None:
    layout.prop(fields, "mask_source")
    if fields.mask_source == "objects":
        layout.prop(fields, "objects")
    if fields.mask_source == "box":
        layout.prop(fields, "box", text="Box (X, Y, W, H)")
        layout.operator("overpaint.guide_box", icon="PIVOT_BOUNDBOX")
    if fields.mask_source == "automatic" and view.source:
        layout.label(text=view.source, icon="MOD_MASK")
    elif not view.source and not view.problem:
        layout.label(text="No mask there", icon="ERROR")
    if fields.mask_source == "stored" or view.source == "Stored":
        layout.operator("overpaint.guide_forget", icon="X")


def _draw_layers(layout: Any, fields: Any, view: GuidesView) -> None:
    icons = {role: (name, icon) for role, name, _, icon, _ in ROLES}
    row = layout.row(align=True)
    for role, name, _, icon, _ in ROLES[:3]:
        row.operator("overpaint.guide_draw", text=name, icon=icon).role = role
    column = layout.column(align=True)
    for layer, role in view.layers:
        row = column.row()
        name, icon = icons[role]
        row.label(text=layer.info, icon=icon)
        row.label(text=name)
    for index, rule in enumerate(fields.rules):
        row = layout.row(align=True)
        row.use_property_split = False
        row.prop(rule, "by", text="")
        row.prop(rule, rule.by, text="")
        row.prop(rule, "role", text="")
        row.operator("overpaint.guide_rule_remove", text="", icon="X").index = index
    layout.operator("overpaint.guide_rule_add", icon="ADD")


def _draw_keys(layout: Any, view: GuidesView, layer: Any) -> None:
    row = layout.row(align=True)
    row.operator("overpaint.guide_jump", text="", icon="PREV_KEYFRAME").direction = "previous"
    row.operator("overpaint.guide_jump", text="", icon="NEXT_KEYFRAME").direction = "next"
    row.label(text=view.keyed, icon="KEYFRAME")
    row = layout.row(align=True)
    row.operator("overpaint.guide_copy", icon="DUPLICATE")
    row.operator("overpaint.guide_clear", text=say("Clear")).leave_empty = False
    row.operator("overpaint.guide_clear", text=say("End Here")).leave_empty = True
    if layer is not None:
        row = layout.row(align=True)
        row.use_property_split = False
        row.prop(layer, "use_annotation_onion_skinning", text="Onion Skin")
        if layer.use_annotation_onion_skinning:
            row.prop(layer, "annotation_onion_before_range", text=say("Before"))
            row.prop(layer, "annotation_onion_after_range", text=say("After"))


def _active_layer(scene: Any) -> Any:
    note = guides.annotation(scene)
    return note.layers[note.layers.active_index] if note is not None and len(note.layers) else None


def _active_strip(scene: Any) -> Any:
    return scene.sequence_editor.active_strip if scene.sequence_editor else None


def _keyed(scene: Any) -> list[int]:
    """The frames of the active strip on which anything but notes is drawn."""
    strip = _active_strip(scene)
    try:
        by_role = guides.keyed(scene, stack.visible(strip)) if strip else {}
    except Invalid:  # the meta strip around it hides all of it
        return []
    return sorted({frame for role, frames in by_role.items() if role is not Role.UNUSED for frame in frames})


def _poll_layer(operator: Any, context: bpy.types.Context) -> bool:
    layer = _active_layer(versions.sequencer_scene(context))
    if layer is None:
        operator.poll_message_set("Draw an annotation in the preview first")
        return False
    operator.poll_message_set("The active layer is locked")
    return not layer.lock


CLASSES = (
    OverpaintLayerRule,
    OverpaintGuides,
    OVERPAINT_OT_guide_rule_add,
    OVERPAINT_OT_guide_rule_remove,
    OVERPAINT_OT_guide_draw,
    OVERPAINT_OT_guide_box,
    OVERPAINT_OT_guide_forget,
    OVERPAINT_OT_guide_jump,
    OVERPAINT_OT_guide_copy,
    OVERPAINT_OT_guide_clear,
    OVERPAINT_PT_guides,
)


def attach() -> None:
    bpy.types.Scene.overpaint_guides = PointerProperty(type=OverpaintGuides)
    diamonds.attach()


def detach() -> None:
    diamonds.detach()
    del bpy.types.Scene.overpaint_guides
