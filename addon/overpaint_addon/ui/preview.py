"""Preview one frame while one sketches, and make what one likes a keyframe of the edit."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from bpy.props import BoolProperty, IntProperty  # pyright: ignore[reportMissingImports]
from overpaint.errors import OverpaintError

from ..core.preview import Live, preview
from ..core.steps import Steps
from ..core.words import say
from ..host import keyframes, variants, versions
from ..host import preview as strips
from . import session
from .long import Long
from .takes import active_source

JOB = "preview"  # what the session knows it by: there is one at most
EVERY = 0.1  # seconds between two looks at what is drawn


class OVERPAINT_OT_preview_frame(Long, bpy.types.Operator):
    """Paint only the current frame, quickly, and show it above the strip"""

    bl_idname = "overpaint.preview_frame"
    bl_label = "Preview Frame"
    bl_options = {"REGISTER"}

    def begin(self, context: bpy.types.Context, *, wait: bool) -> None:
        now, steps = session.current(), _steps(context, same_pixels=False)
        if wait:
            now.pump.drain(steps)
        else:
            now.start(steps, JOB)


class OVERPAINT_OT_clear_preview(bpy.types.Operator):
    """Take the preview away"""

    bl_idname = "overpaint.clear_preview"
    bl_label = "Clear Preview"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return strips.shown(versions.sequencer_scene(context)) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        strips.clear(versions.sequencer_scene(context))
        return {"FINISHED"}


class OVERPAINT_OT_accept_keyframe(bpy.types.Operator):
    """Keep the previewed picture: what is painted from now on passes through it on this frame"""

    bl_idname = "overpaint.accept_keyframe"
    bl_label = "Accept as Keyframe"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        cls.poll_message_set("Preview a frame first")
        return strips.shown(versions.sequencer_scene(context)) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = versions.sequencer_scene(context)
        strip = strips.shown(scene)
        source = variants.source_of(scene, strip)
        if source == strip:
            self.report({"ERROR"}, "The strip that was previewed has been removed. Preview it again")
            return {"CANCELLED"}
        keyframes.accept(source, strips.frame_of(strip), Path(strip[strips.PICTURE]))
        return {"FINISHED"}


class OVERPAINT_OT_remove_keyframe(bpy.types.Operator):
    """Remove this keyframe"""

    bl_idname = "overpaint.remove_keyframe"
    bl_label = "Remove Keyframe"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    frame: IntProperty(options={"HIDDEN", "SKIP_SAVE"})  # pyright: ignore

    def execute(self, context: bpy.types.Context) -> set[str]:
        _, source = active_source(context)
        if source is None:
            return {"CANCELLED"}
        keyframes.remove(source, self.frame)
        return {"FINISHED"}


class OVERPAINT_OT_jump_keyframe(bpy.types.Operator):
    """Go to this keyframe"""

    bl_idname = "overpaint.jump_keyframe"
    bl_label = "Jump to Keyframe"
    bl_options = {"INTERNAL"}
    frame: IntProperty(options={"HIDDEN", "SKIP_SAVE"})  # pyright: ignore

    def execute(self, context: bpy.types.Context) -> set[str]:
        versions.sequencer_scene(context).frame_set(self.frame)
        return {"FINISHED"}


class OVERPAINT_PT_preview(bpy.types.Panel):
    """One frame at a time: preview it, keep it as a keyframe."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Overpaint"
    bl_label = "Preview and Keyframes"
    bl_order = 2

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        scene, source = active_source(context)
        row = layout.row(align=True)
        row.operator("overpaint.preview_frame", icon="RENDER_STILL")
        row.prop(context.window_manager, "overpaint_live", toggle=True, icon="REC")
        row = layout.row(align=True)
        row.operator("overpaint.accept_keyframe", icon="KEYFRAME_HLT")
        row.operator("overpaint.clear_preview", icon="X")
        kept = keyframes.remembered(source) if source is not None else ()
        if kept:
            layout.prop(scene.overpaint_loop, "use_keyframes")
        for one in kept:
            row = layout.row(align=True)
            row.operator(
                "overpaint.jump_keyframe", text=say("Frame {frame}", frame=one.frame), icon="KEYFRAME"
            ).frame = one.frame
            row.operator("overpaint.remove_keyframe", text="", icon="X").frame = one.frame


def _steps(context: bpy.types.Context, *, same_pixels: bool) -> Steps[None]:
    now = session.current()
    # What is chosen now, in this window: the timer that drives the steps knows no window.
    draft, frame = versions.sequencer_scene(context).overpaint.draft(), now.timeline.read_frame()
    return preview(now.timeline, now.backend(), draft, uuid.uuid4().hex, frame, same_pixels=same_pixels)


_live = Live()


def look() -> float | None:
    """Begin a preview where something has changed: seconds until the next look, None where Live is off."""
    if not bpy.context.window_manager.overpaint_live:
        return None
    now = session.current()
    try:
        selection = now.timeline.read_frame()
        fields = versions.sequencer_scene(bpy.context).overpaint
        state = (selection, fields.draft(), strips.drawn(selection))
        if _live.due(state, time.monotonic(), busy=JOB in now.runs):
            now.start(_steps(bpy.context, same_pixels=True), JOB)
    except OverpaintError as error:
        now.words = str(error)
    return EVERY


def _toggled(manager: Any, _context: bpy.types.Context) -> None:
    global _live
    _live = Live()
    if manager.overpaint_live and not bpy.app.background and not bpy.app.timers.is_registered(look):
        bpy.app.timers.register(look, persistent=True)


@bpy.app.handlers.persistent
def _opened(*_: object) -> None:
    """A preview's files went when the Blender that made it ended."""
    for scene in bpy.data.scenes:
        strips.clear(scene)


def attach() -> None:
    bpy.types.WindowManager.overpaint_live = BoolProperty(
        name="Live",
        update=_toggled,
        options={"SKIP_SAVE"},
        description="Preview the current frame again whenever the drawing or the fields have changed",
    )
    bpy.app.handlers.load_post.append(_opened)


def detach() -> None:
    if bpy.app.timers.is_registered(look):
        bpy.app.timers.unregister(look)
    if _opened in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(_opened)
    del bpy.types.WindowManager.overpaint_live


CLASSES = (
    OVERPAINT_OT_preview_frame,
    OVERPAINT_OT_clear_preview,
    OVERPAINT_OT_accept_keyframe,
    OVERPAINT_OT_remove_keyframe,
    OVERPAINT_OT_jump_keyframe,
    OVERPAINT_PT_preview,
)
