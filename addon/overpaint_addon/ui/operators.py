"""The buttons: each gathers, calls one use-case, and reports."""

from __future__ import annotations

import uuid
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from bpy.props import EnumProperty, StringProperty  # pyright: ignore[reportMissingImports]
from overpaint.errors import Invalid, OverpaintError
from overpaint.job import JobState

from ..core.jobs import Act
from ..core.paint import paint
from ..core.submit import export
from ..core.words import say
from ..host import versions
from . import session
from .long import Long, refuse


class OVERPAINT_OT_paint(Long, bpy.types.Operator):
    """Paint the masked part of the selected strips; each take is placed above its strip when it is done"""

    bl_idname = "overpaint.paint"
    bl_label = "Paint"
    bl_options = {"REGISTER"}

    def begin(self, context: bpy.types.Context, *, wait: bool) -> set[str]:
        now, fields, runs = session.current(), versions.sequencer_scene(context).overpaint, []
        draft, selections, backend = fields.draft(), now.timeline.read_selections(), now.backend()
        for selection in selections:
            job_id = uuid.uuid4().hex
            steps = paint(now.timeline, backend, now.tickets, draft, job_id, selection)
            runs.append(now.start(steps, job_id, name=draft.prompt or say("Paint")))
        if not wait:
            fields.renew_seed()
            return {"FINISHED"}
        ended = [_wait(self, run) for run in runs]
        return next((one for one in ended if one != {"FINISHED"}), {"FINISHED"})


class OVERPAINT_OT_export_for_farm(Long, bpy.types.Operator):
    """Seal the edit of the active strip in a folder that a render farm paints without Blender"""

    bl_idname = "overpaint.export_for_farm"
    bl_label = "Export for Farm"
    bl_options = {"REGISTER"}

    filepath: StringProperty(  # pyright: ignore
        name="Folder", description="A new folder for the job", subtype="DIR_PATH", options={"SKIP_SAVE"}
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """By a person: the folder is asked for first; then Blender calls execute."""
        self.by_person = True
        try:
            strip = session.current().timeline.read_selection().strip
        except OverpaintError as error:
            return refuse(self, error)
        self.filepath = f"{bpy.path.abspath('//')}{bpy.path.clean_name(strip)}.overpaint"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def begin(self, context: bpy.types.Context, *, wait: bool) -> set[str] | None:
        now, fields = session.current(), versions.sequencer_scene(context).overpaint
        if not self.filepath:
            raise Invalid(field="folder", message="no folder was named", remedy="Name a new folder")
        folder, job_id = Path(bpy.path.abspath(self.filepath)), uuid.uuid4().hex
        selection = now.timeline.read_selection()
        steps = export(now.timeline, now.backend(), fields.draft(), job_id, folder, selection)
        run = now.start(steps, job_id, name=say("Export for Farm"))
        return _wait(self, run) if wait else None


class OVERPAINT_OT_resume(bpy.types.Operator):
    """Go on with the jobs of this file that nobody follows"""

    bl_idname = "overpaint.resume"
    bl_label = "Go On"  # not registered: Repeat Last would call execute, and wait

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return bool(session.current().tickets.all())

    def invoke(self, _context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        session.current().take_up()
        return {"FINISHED"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """By a script: returns when the take of every job that is not paused is placed."""
        now, ended = session.current(), {"FINISHED"}
        now.take_up()
        for ticket in now.tickets.all():
            if ticket.job_id in now.runs and ticket.state is not JobState.PAUSED:
                ended = _wait(self, now.runs[ticket.job_id])
        return ended


WORDS = {
    Act.FRONT: ("To Front", "Make it the next one that is painted"),
    Act.PAUSE: ("Pause", "Let others go first; what is painted of it stays"),
    Act.RESUME: ("Resume", "Put it back to its place in the queue"),
    Act.RETRY: ("Retry", "Go on with it where it stopped; nothing is sent or painted twice"),
    Act.CANCEL: ("Cancel", "Stop painting it; it can be tried again"),
    Act.DISMISS: ("Dismiss", "Take it off the list; no take of it is placed"),
}


class OVERPAINT_OT_job(bpy.types.Operator):
    """Ask something for one job"""

    bl_idname = "overpaint.job"
    bl_label = "Job"
    bl_options = {"REGISTER", "INTERNAL"}

    act: EnumProperty(items=[(act.value, name, words) for act, (name, words) in WORDS.items()])  # pyright: ignore
    job_id: StringProperty()  # pyright: ignore

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return say(WORDS[Act(properties.act)][1])

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Returns at once; the list says what was asked until the server has answered."""
        try:
            session.current().act(Act(self.act), self.job_id)
        except OverpaintError as error:
            return refuse(self, error)
        return {"FINISHED"}


class OVERPAINT_OT_cancel(bpy.types.Operator):
    """Stop what was begun last; nothing is placed"""

    bl_idname = "overpaint.cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return bool(session.current().runs)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        now = session.current()
        try:
            now.act(Act.CANCEL, list(now.runs)[-1])
        except OverpaintError as error:
            return refuse(self, error)
        return {"FINISHED"}


def _wait(operator: bpy.types.Operator, run: Future[Any]) -> set[str]:
    try:
        session.current().pump.wait(run)
    except OverpaintError as error:
        return refuse(operator, error)
    except CancelledError:
        operator.report({"WARNING"}, "The job was cancelled")
        return {"CANCELLED"}
    return {"FINISHED"}


CLASSES = (OVERPAINT_OT_paint, OVERPAINT_OT_export_for_farm, OVERPAINT_OT_resume, OVERPAINT_OT_job, OVERPAINT_OT_cancel)
