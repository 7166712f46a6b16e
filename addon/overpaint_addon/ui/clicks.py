"""Masks from points that are clicked in the preview and tracked on the server, and lines drawn from the footage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from bpy.props import (  # pyright: ignore[reportMissingImports]
    BoolProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
)
from overpaint.clip import Size
from overpaint.errors import Invalid, OverpaintError
from overpaint.order import Click, LinesOrder, MadeGuide, TrackOrder, joined

from ..core.clicks import METHODS, Point, from_view, signs, to_clicks, to_view, united
from ..core.make_guide import make_guide
from ..core.ports import Selection
from ..core.steps import Steps
from ..core.words import say
from ..host import drawings, guides, points, stack, strokes, takes, timeline, versions
from . import session
from .long import Long

LAYER = "Sketch"  # the annotation's layer that lines are drawn on
COLOURS = {True: (0.2, 1.0, 0.3), False: (1.0, 0.25, 0.2)}
FAINT = 0.4  # how much is seen of the points of other frames
RADIUS, OUTLINE = 8.0, 1.5  # pixels, at Blender's usual resolution scale


class OverpaintClicks(bpy.types.PropertyGroup):
    """What the next click, and the next lines, are for."""

    object: IntProperty(  # pyright: ignore
        name="Object", default=1, min=1, description="The number of the thing that new points are on; Track masks all"
    )
    lines_on: EnumProperty(  # pyright: ignore
        name="Lines on",
        items=[
            ("frame", "This Frame", "Draw lines on the current frame only"),
            ("range", "Painted Frames", "Draw lines on the frames that are painted, at steps"),
        ],
    )
    step: IntProperty(  # pyright: ignore
        name="Step", default=10, min=1, description="Draw lines on every so many frames, from the first one on"
    )


class OVERPAINT_OT_click(bpy.types.Operator):
    """Click in the preview on what is to be masked, and with Ctrl or Alt on what is not"""

    bl_idname = "overpaint.click"
    bl_label = "Add Points"
    bl_options = {"REGISTER", "UNDO"}

    x: FloatProperty(  # pyright: ignore
        name="X", description="Pixels of the picture at 100 %, from its left side", options={"SKIP_SAVE"}
    )
    y: FloatProperty(  # pyright: ignore
        name="Y", description="Pixels of the picture at 100 %, from its upper side", options={"SKIP_SAVE"}
    )
    positive: BoolProperty(  # pyright: ignore
        name="Part of It", default=True, description="The point is part of the thing", options={"SKIP_SAVE"}
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """By a script: one point."""
        scene = versions.sequencer_scene(context)
        full = _full(scene)
        try:
            if not (0 <= self.x < full.width and 0 <= self.y < full.height):
                what = f"{self.x:g}, {self.y:g} is not in the picture of {full}"
                raise Invalid(field="point", message=what, remedy="Click inside the picture")
            _add(scene, (self.x / full.width, self.y / full.height), positive=self.positive)
        except OverpaintError as error:
            return _refuse(self, error)
        _redraw(context)
        return {"FINISHED"}

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """By a person: many points, until Esc, Enter or a right click."""
        try:
            timeline.active_strip(versions.sequencer_scene(context))
            if not any(_previews(context)):
                raise Invalid(
                    field="preview",
                    message="no sequencer shows its preview",
                    remedy="Set a sequencer's view to Preview",
                )
        except OverpaintError as error:
            return _refuse(self, error)
        self._added = 0
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set(
            say("Click: part of it · Ctrl Click: not part of it · Ctrl Z: take back · Esc: done")
        )
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        scene, pressed = versions.sequencer_scene(context), event.value == "PRESS"
        if pressed and event.type in {"ESC", "RET", "NUMPAD_ENTER", "RIGHTMOUSE"}:
            self.cancel(context)
            return {"FINISHED" if self._added else "CANCELLED"}
        try:
            if (
                event.type == "Z" and event.ctrl
            ):  # Blender's own undo would take back what was done before the first click
                if pressed and self._added:
                    points.remove_last(timeline.active_strip(scene))
                    self._added -= 1
                    _redraw(context)
                return {"RUNNING_MODAL"}
            region = _preview_under(context, event.mouse_x, event.mouse_y)
            if region is None or event.type != "LEFTMOUSE":
                return {"PASS_THROUGH"}
            if pressed:
                x, y = region.view2d.region_to_view(event.mouse_x - region.x, event.mouse_y - region.y)
                place = from_view(x, y, _full(scene), _stretch(scene))
                if place is not None:
                    _add(scene, place, positive=not (event.ctrl or event.alt))
                    self._added += 1
                    _redraw(context)
        except OverpaintError as error:
            self.report({"WARNING"}, str(error))
        return {"RUNNING_MODAL"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Also called by Blender where it ends the operator itself."""
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)


class _OnPoints(bpy.types.Operator):
    """What is done to the active strip's points."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        cls.poll_message_set("The active strip has no points")
        return bool(_points(context))

    def execute(self, context: bpy.types.Context) -> set[str]:
        self.act(timeline.active_strip(versions.sequencer_scene(context)))
        _redraw(context)
        return {"FINISHED"}

    def act(self, strip: Any) -> None:
        raise NotImplementedError


class OVERPAINT_OT_point_remove(_OnPoints):
    """Forget the point that was added last"""

    bl_idname = "overpaint.point_remove"
    bl_label = "Remove Last Point"

    def act(self, strip: Any) -> None:
        points.remove_last(strip)


class OVERPAINT_OT_points_clear(_OnPoints):
    """Forget all points of the active strip; the mask that was tracked stays"""

    bl_idname = "overpaint.points_clear"
    bl_label = "Clear Points"

    def act(self, strip: Any) -> None:
        points.clear(strip)


class _OnServer(Long, bpy.types.Operator):
    """A guide that the server makes for the active strip."""

    bl_options = {"REGISTER"}

    def begin(self, context: bpy.types.Context, *, wait: bool) -> None:
        now, scene = session.current(), versions.sequencer_scene(context)
        strip, steps = timeline.active_strip(scene).name, self.steps(scene, now)
        run = now.start(steps, f"{self.bl_idname} {strip}", name=f"{say(self.bl_label)} · {strip}")
        if wait:
            now.pump.wait(run)
            self.report({"INFO"}, now.words)

    def steps(self, scene: Any, now: session.Session) -> Steps[str]:
        """The use-case, which returns what is said of it. Raises OverpaintError where it cannot begin."""
        raise NotImplementedError


class OVERPAINT_OT_track(_OnServer):
    """Mask what the points are on, on every frame that is painted; the mask is kept with the strip"""

    bl_idname = "overpaint.track"
    bl_label = "Track Mask"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        cls.poll_message_set("Add points to the active strip first")
        return bool(_points(context))

    def steps(self, scene: Any, now: session.Session) -> Steps[str]:
        selection, strip = now.timeline.mark(now.timeline.read_selection()), timeline.active_strip(scene)
        first = selection.start - versions.content_start_of(strip)
        clicks = to_clicks(points.kept(strip), first, selection.length, selection.size)
        return _track(now, selection, first, clicks)


def _track(now: session.Session, selection: Selection, first: int, clicks: tuple[Click, ...]) -> Steps[str]:
    parts: list[MadeGuide] = []
    yield from make_guide(now.timeline, now.backend(), selection, TrackOrder(clicks=clicks), parts.append)
    made = joined(parts)
    scene, strip, start = _again(selection, first)
    guides.keep_mask(strip, united(made), start, selection.size, made.method)
    scene.overpaint_guides.mask_source = "stored"
    takes.push_undo("Track Mask")
    return say(METHODS.get(made.method, made.method))


class OVERPAINT_OT_lines(_OnServer):
    """Draw the footage's lines inside the mask as strokes that can be edited, on the annotation's layer Sketch"""

    bl_idname = "overpaint.lines"
    bl_label = "Lines from Footage"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        cls.poll_message_set(
            "Only Blender 5.2 and later let an add-on draw strokes. Draw them with the annotation tool"
        )
        return versions.can_draw()

    def steps(self, scene: Any, now: session.Session) -> Steps[str]:
        fields, note = scene.overpaint_clicks, guides.annotation(scene)
        alone = fields.lines_on == "frame"
        selection = now.timeline.mark(now.timeline.read_frame() if alone else now.timeline.read_selection())
        layer = _layer(note) if note is not None else None
        if layer is not None and layer.lock:
            raise Invalid(field="layer", message=f"the layer {LAYER} is locked", remedy="Unlock it, or rename it")
        wanted = range(0, selection.length, 1 if alone else fields.step)
        free = [number for number in wanted if layer is None or not _is_drawn(layer, selection.start + number)]
        if not free:
            what = f"the layer {LAYER} has a drawing there already"
            raise Invalid(field="layer", message=what, remedy="Clear it on that frame, or rename the layer")
        first = selection.start - versions.content_start_of(timeline.active_strip(scene))
        return _lines(now, selection, first, free)


def _lines(now: session.Session, selection: Selection, first: int, frames: Sequence[int]) -> Steps[str]:
    drawn = 0

    def draw(part: MadeGuide) -> None:
        nonlocal drawn
        (key,) = part.guide().keys
        scene, _, start = _again(selection, first)
        note = guides.annotation(scene) or guides.new_annotation(scene)
        layer, number = _layer(note) or _new_layer(note), start + key.frame
        if key.strokes and not _is_drawn(layer, number):
            drawings.clear_here(layer, number, leave_empty=False)  # an empty drawing
            strokes.draw(layer, number, key.strokes, selection.size, scene.render)
            drawn += 1

    try:
        yield from make_guide(now.timeline, now.backend(), selection, LinesOrder(), draw, frames)
    finally:  # what is drawn stays, also where the rest was cancelled
        if drawn:  # by a timer, for this may be the end of the file, and then there is nothing to undo
            bpy.app.timers.register(partial(takes.push_undo, "Lines from Footage"))
    return say("Lines on {count} frames", count=drawn) if drawn != 1 else say("Lines on 1 frame")


def _again(selection: Selection, first: int) -> tuple[Any, Any, int]:
    """The scene, the strip, and the frame where the clip begins now: it moves when its strip is moved meanwhile."""
    scene, strip = stack.find(selection)
    return scene, strip, first + versions.content_start_of(strip)


def _layer(note: Any) -> Any:
    return next((layer for layer in note.layers if layer.info == LAYER), None)


def _new_layer(note: Any) -> Any:
    layer = note.layers.new(LAYER, set_active=True)
    layer.color, layer.thickness = (1.0, 0.75, 0.2), 2
    return layer


def _is_drawn(layer: Any, number: int) -> bool:
    here = drawings.on_frame(layer, number)
    return here is not None and len(here.strokes) > 0


class OVERPAINT_PT_clicks(bpy.types.Panel):
    """A mask from points, and lines from the footage."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Overpaint"
    bl_label = "Points and Lines"
    bl_parent_id = "OVERPAINT_PT_edit"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 2

    def draw(self, context: bpy.types.Context) -> None:
        scene, layout = versions.sequencer_scene(context), self.layout
        fields, found = scene.overpaint_clicks, _points(context)
        row = layout.row(align=True)
        row.operator("overpaint.click", icon="ADD")
        row.operator("overpaint.point_remove", text="", icon="LOOP_BACK")
        row.operator("overpaint.points_clear", text="", icon="X")
        layout.prop(fields, "object")
        if found:
            frames = len({point.frame for point in found})
            layout.label(
                text=say("Points: {points}, frames: {frames}", points=len(found), frames=frames),
                icon="DOT",
            )
        layout.operator("overpaint.track", icon="TRACKING")
        strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
        if strip is not None and (method := guides.mask_method(strip)):
            layout.label(text=say(METHODS.get(method, method)), icon="CHECKMARK")
        layout.separator()
        layout.prop(fields, "lines_on")
        if fields.lines_on == "range":
            layout.prop(fields, "step")
        layout.operator("overpaint.lines", icon="OUTLINER_OB_GREASEPENCIL")


def _points(context: bpy.types.Context) -> tuple[Point, ...]:
    """Those of the active strip."""
    try:
        return points.kept(timeline.active_strip(versions.sequencer_scene(context)))
    except Invalid:
        return ()


def _add(scene: Any, place: tuple[float, float], *, positive: bool) -> None:
    """Keep a point on the current frame. Raises Invalid where the strip does not show there."""
    strip, frame = timeline.active_strip(scene), scene.frame_current
    shown = stack.visible(strip)
    if frame not in range(shown.start, shown.stop):
        what = f"{strip.name} shows on frames {shown.start} to {shown.stop - 1}, not on {frame}"
        raise Invalid(field="frame", message=what, remedy="Go to a frame of the strip")
    number, (x, y) = scene.overpaint_clicks.object, place
    count = frame - versions.content_start_of(strip)
    points.add(strip, Point(object=number, frame=count, x=x, y=y, positive=positive))


def _full(scene: Any) -> Size:
    """The picture at 100 %: what the preview counts in."""
    return Size(width=scene.render.resolution_x, height=scene.render.resolution_y)


def _stretch(scene: Any) -> float:
    return scene.render.pixel_aspect_x / scene.render.pixel_aspect_y


def _refuse(operator: bpy.types.Operator, error: OverpaintError) -> set[str]:
    operator.report({"ERROR"}, str(error))
    return {"CANCELLED"}


def _previews(context: bpy.types.Context) -> Iterator[tuple[Any, Any]]:
    """Each preview that the window shows, with its editor's area."""
    for area in context.window.screen.areas:
        if area.type == "SEQUENCE_EDITOR" and area.spaces.active.view_type != "SEQUENCER":
            yield from ((area, region) for region in area.regions if region.type == "PREVIEW")


def _preview_under(context: bpy.types.Context, x: int, y: int) -> Any:
    """The preview's region under the mouse, or None; its sidebar and headers lie above it."""
    for area, preview in _previews(context):
        above = [one for one in area.regions if one.type not in ("PREVIEW", "WINDOW")]
        if _holds(preview, x, y) and not any(_holds(one, x, y) for one in above):
            return preview
    return None


def _holds(region: Any, x: int, y: int) -> bool:
    # A region that is folded away keeps one pixel.
    return min(region.width, region.height) > 1 and (
        region.x <= x < region.x + region.width and region.y <= y < region.y + region.height
    )


def _redraw(context: bpy.types.Context) -> None:
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "SEQUENCE_EDITOR":
                area.tag_redraw()


_handler: Any = None


def draw() -> None:
    """Called by Blender for every redraw of a sequencer's preview."""
    import gpu  # pyright: ignore[reportMissingImports]
    from gpu_extras.batch import batch_for_shader  # pyright: ignore[reportMissingImports]

    context = bpy.context
    if not context.space_data.show_overlays:
        return
    view, scale = context.region.view2d, context.preferences.system.ui_scale
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    gpu.state.blend_set("ALPHA")
    for margin in (OUTLINE, 0.0):  # black below, to be seen on bright pictures
        for (positive, here), corners in shown(context, view, RADIUS * scale, margin * scale).items():
            colour = (0.0, 0.0, 0.0) if margin else COLOURS[positive]
            shader.uniform_float("color", (*colour, 1.0 if here else FAINT))
            batch_for_shader(shader, "TRIS", {"pos": corners}).draw(shader)
    gpu.state.blend_set("NONE")


def shown(
    context: bpy.types.Context, view: Any, radius: float, margin: float = 0.0
) -> dict[tuple[bool, bool], list[tuple[float, float]]]:
    """The corners of the points' signs in pixels of the region, by (positive, on this frame)."""
    kept, scene = _points(context), versions.sequencer_scene(context)
    if not kept:
        return {}
    full, stretch, strip = _full(scene), _stretch(scene), timeline.active_strip(scene)

    def place(point: Point) -> tuple[float, float]:
        return view.view_to_region(*to_view(point, full, stretch), clip=False)

    return signs(kept, scene.frame_current - versions.content_start_of(strip), place, radius, margin)


CLASSES = (
    OverpaintClicks,
    OVERPAINT_OT_click,
    OVERPAINT_OT_point_remove,
    OVERPAINT_OT_points_clear,
    OVERPAINT_OT_track,
    OVERPAINT_OT_lines,
    OVERPAINT_PT_clicks,
)


def attach() -> None:
    """Draw from now on; where there is no window there is nothing to draw on."""
    global _handler
    bpy.types.Scene.overpaint_clicks = PointerProperty(type=OverpaintClicks)
    if not bpy.app.background:
        _handler = bpy.types.SpaceSequenceEditor.draw_handler_add(draw, (), "PREVIEW", "POST_PIXEL")


def detach() -> None:
    global _handler
    if _handler is not None:
        bpy.types.SpaceSequenceEditor.draw_handler_remove(_handler, "PREVIEW")
    _handler = None
    del bpy.types.Scene.overpaint_clicks
