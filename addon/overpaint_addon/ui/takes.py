"""The loop with takes: look at them in place, compare, apply, discard, and take their settings up again."""

from __future__ import annotations

import uuid
from concurrent.futures import Future
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import bpy.utils.previews  # pyright: ignore[reportMissingImports]
from bpy.props import BoolProperty, IntProperty, PointerProperty, StringProperty  # pyright: ignore[reportMissingImports]
from overpaint.errors import OverpaintError

from ..core import variants as core
from ..core.paint import resume
from ..core.restore import settings
from ..core.submit import submit_batch
from ..core.variants import Variant
from ..core.words import say
from ..host import meta, variants, versions, waste
from . import options as engine_options
from . import session
from .long import Long


class OverpaintLoop(bpy.types.PropertyGroup):
    """How one paints: kept with the scene."""

    takes: IntProperty(  # pyright: ignore
        name="Takes",
        default=1,
        min=1,
        max=core.MOST,
        description="How many takes to paint at once, each with the next seed",
    )
    use_keyframes: BoolProperty(  # pyright: ignore
        name="Use Keyframes", default=True, description="Paint through the pictures that were accepted as keyframes"
    )


class _OnTake(bpy.types.Operator):
    """What acts on a take of the active strip: the one of `job`, or the one that was shown last."""

    bl_options = {"REGISTER", "UNDO", "INTERNAL"}  # one step of undo for each press
    job: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # pyright: ignore

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        cls.poll_message_set("The active strip has no takes yet")
        _, source = active_source(context)
        return source is not None and bool(variants.remembered(source))

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, source = active_source(context)
        try:
            variant = variants.find(source, self.job) if self.job else variants.chosen(source)
            self.act(context, scene, source, variant)
        except OverpaintError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def act(self, context: bpy.types.Context, scene: Any, source: Any, variant: Any) -> None:
        raise NotImplementedError


class OVERPAINT_OT_show_take(_OnTake):
    """Show this take above the strip, instead of the other takes of the same edit"""

    bl_idname = "overpaint.show_take"
    bl_label = "Show Take"

    def act(self, context: bpy.types.Context, scene: Any, source: Any, variant: Variant) -> None:
        variants.show(scene, source, variant)


class OVERPAINT_OT_compare_takes(_OnTake):
    """Hide the takes to see the original, or show them again"""

    bl_idname = "overpaint.compare_takes"
    bl_label = "Before / After"

    def act(self, context: bpy.types.Context, scene: Any, source: Any, variant: Variant) -> None:
        variants.compare(scene, source)


class OVERPAINT_OT_apply_take(_OnTake):
    """Make the take a strip of its own, named and coloured; the other takes stay in the list"""

    bl_idname = "overpaint.apply_take"
    bl_label = "Apply"

    def act(self, context: bpy.types.Context, scene: Any, source: Any, variant: Variant) -> None:
        variants.apply(scene, source, variant)


class OVERPAINT_OT_discard_take(_OnTake):
    """Remove the take from the list; its files go when the file is closed, unless something still needs them"""

    bl_idname = "overpaint.discard_take"
    bl_label = "Discard"

    def act(self, context: bpy.types.Context, scene: Any, source: Any, variant: Variant) -> None:
        variants.discard(scene, source, variant)


class OVERPAINT_OT_copy_seed(_OnTake):
    """Paint with the seed of this take from now on"""

    bl_idname = "overpaint.copy_seed"
    bl_label = "Copy Seed"

    def act(self, context: bpy.types.Context, scene: Any, source: Any, variant: Variant) -> None:
        scene.overpaint.seed = variant.take.seed


class OVERPAINT_OT_paint_takes(Long, bpy.types.Operator):
    """Paint several takes at once, each with the next seed; the pixels are captured and sent once"""

    bl_idname = "overpaint.paint_takes"
    bl_label = "Paint Takes"
    bl_options = {"REGISTER"}

    def begin(self, context: bpy.types.Context, *, wait: bool) -> None:
        now, scene = session.current(), versions.sequencer_scene(context)
        draft, selection = scene.overpaint.draft(), now.timeline.read_selection()
        seeds = {uuid.uuid4().hex: seed for seed in core.seeds(draft.seed, scene.overpaint_loop.takes)}
        steps = submit_batch(now.timeline, now.backend(), now.tickets, draft, seeds, selection)
        if wait:
            for ticket in now.pump.drain(steps):
                now.pump.drain(resume(now.timeline, now.backend(), now.tickets, ticket))
        else:
            sent = now.start(steps, next(iter(seeds)), draft.prompt or say("Takes"))
            sent.add_done_callback(_follow_each)
            scene.overpaint.renew_seed()


def _follow_each(sent: Future[Any]) -> None:
    if not sent.cancelled():
        session.current().take_up()


class OVERPAINT_OT_restore_settings(bpy.types.Operator):
    """Fill the fields in again as they were when the take was painted"""

    bl_idname = "overpaint.restore_settings"
    bl_label = "Restore Settings"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    job: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # pyright: ignore

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        cls.poll_message_set("The active strip is no take, and has none")
        return bool(_request(context, ""))

    def execute(self, context: bpy.types.Context) -> set[str]:
        """From the take of `job`; else from the active strip alone, where it is a take; else from the take shown last."""
        try:
            wanted, options = settings(_request(context, self.job))
        except OverpaintError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        fields = versions.sequencer_scene(context).overpaint
        lost = [name for name, value in wanted.items() if not _set(fields, name, value)]
        engine_options.reset(fields, str(wanted["engine"]))
        for name, value in options.items():
            engine_options.change(fields, str(wanted["engine"]), name, value)
        if lost:
            self.report({"WARNING"}, say("This server or version has no room for: {names}", names=", ".join(lost)))
        return {"FINISHED"}


class OVERPAINT_OT_gather(bpy.types.Operator):
    """Put the strip and its takes into one meta strip, so that they are moved and cut together"""

    bl_idname = "overpaint.gather"
    bl_label = "Gather in Meta"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        cls.poll_message_set("The active strip has no takes yet")
        _, source = active_source(context)
        return source is not None and bool(variants.remembered(source))

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, source = active_source(context)
        try:
            meta.gather(scene, source)
        except OverpaintError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class OVERPAINT_PT_takes(bpy.types.Panel):
    """The takes of the active strip."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Overpaint"
    bl_label = "Takes"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        scene, source = active_source(context)
        row = layout.row(align=True)
        row.prop(scene.overpaint_loop, "takes")
        row.operator("overpaint.paint_takes", icon="BRUSH_DATA")
        known = variants.remembered(source) if source is not None else ()
        if not known:
            layout.label(text="The active strip has no takes yet")
            return
        shown = {one[variants.JOB]: one for one in variants.shown(scene, source)}
        grid = layout.grid_flow(columns=0, even_columns=True)
        for variant in known:
            cell = grid.column(align=True)
            cell.template_icon(icon_value=picture_of(variant), scale=4.0)
            button = cell.operator(
                "overpaint.show_take",
                text=str(variant.take.seed),
                icon="CHECKMARK" if variants.applied(scene, variant.job_id) else "NONE",
                depress=variant.job_id in shown,
            )
            button.job = variant.job_id
        chosen = variants.chosen(source)
        layout.label(text=chosen.take.name if chosen else "")
        row = layout.row(align=True)
        row.operator("overpaint.compare_takes", icon="HIDE_OFF")
        row.operator("overpaint.apply_take", icon="CHECKMARK")
        row.operator("overpaint.discard_take", icon="TRASH")
        row = layout.row(align=True)
        row.operator("overpaint.restore_settings", icon="RECOVER_LAST")
        row.operator("overpaint.copy_seed", icon="COPYDOWN")
        layout.operator("overpaint.gather", icon="SEQ_STRIP_META")


def active_source(context: bpy.types.Context) -> tuple[Any, Any]:
    """The scene of the sequencer, and the strip in it whose takes are meant: the active one, or that it is shown for."""
    scene = versions.sequencer_scene(context)
    strip = scene.sequence_editor.active_strip if scene and scene.sequence_editor else None
    return scene, None if strip is None else variants.source_of(scene, strip)


def picture_of(variant: Variant) -> int:
    """The icon that shows the take; read once."""
    if variant.job_id not in _pictures:
        file = variants.folder(variant) / "thumbnail.png"
        if not file.is_file():
            return 0
        _pictures.load(variant.job_id, str(file), "IMAGE")
    return _pictures[variant.job_id].icon_id


def _request(context: bpy.types.Context, job_id: str) -> str:
    scene, source = active_source(context)
    if source is None:
        return ""
    if job_id:
        return variants.find(source, job_id).take.request
    active = scene.sequence_editor.active_strip
    if variants.REQUEST in active:
        return active[variants.REQUEST]
    chosen = variants.chosen(source)
    return chosen.take.request if chosen else ""


def _set(fields: Any, name: str, value: object) -> bool:
    try:
        setattr(fields, name, value)
    except (AttributeError, TypeError, ValueError, OverflowError):
        return False
    return True


_pictures: Any = None


def attach() -> None:
    global _pictures
    _pictures = bpy.utils.previews.new()
    bpy.types.Scene.overpaint_loop = PointerProperty(type=OverpaintLoop)
    waste.begin(variants.used_folders)


def detach() -> None:
    waste.end(variants.used_folders)
    del bpy.types.Scene.overpaint_loop
    bpy.utils.previews.remove(_pictures)


CLASSES = (
    OverpaintLoop,
    OVERPAINT_OT_show_take,
    OVERPAINT_OT_compare_takes,
    OVERPAINT_OT_apply_take,
    OVERPAINT_OT_discard_take,
    OVERPAINT_OT_copy_seed,
    OVERPAINT_OT_paint_takes,
    OVERPAINT_OT_restore_settings,
    OVERPAINT_OT_gather,
    OVERPAINT_PT_takes,
)
