"""The buttons: each gathers, calls one use-case, and reports."""

from __future__ import annotations

import uuid

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.errors import OverpaintError

from ..core.paint import paint, resume
from ..core.steps import Steps
from ..host import versions
from . import session


class OVERPAINT_OT_paint(bpy.types.Operator):
    """Paint the active strip's masked part; the take is placed above it when it is done"""

    bl_idname = "overpaint.paint"
    bl_label = "Paint"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        cls.poll_message_set("A take is being painted: wait for it, or cancel it")
        return session.current().doing() is None

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """By a person: Blender stays free, the panel shows how far it is."""
        return self._begin(context, wait=False)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """By a script: returns when the take is placed."""
        return self._begin(context, wait=True)

    def _begin(self, context: bpy.types.Context, *, wait: bool) -> set[str]:
        now, job_id = session.current(), uuid.uuid4().hex
        try:
            fields = versions.sequencer_scene(context).overpaint
            steps = paint(now.timeline, now.backend(), now.tickets, fields.draft(), job_id)
        except OverpaintError as error:
            return _refuse(self, error)
        return _run(self, steps, job_id, wait=wait)


class OVERPAINT_OT_resume(bpy.types.Operator):
    """Go on with the jobs of this file that were under way when it was closed"""

    bl_idname = "overpaint.resume"
    bl_label = "Go On"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        now = session.current()
        return now.doing() is None and bool(now.tickets.all())

    def invoke(self, _context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return self._begin(wait=False)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        return self._begin(wait=True)

    def _begin(self, *, wait: bool) -> set[str]:
        now = session.current()
        ended = {"FINISHED"}
        try:
            backend = now.backend()
        except OverpaintError as error:
            return _refuse(self, error)
        for ticket in now.tickets.all():
            ended = _run(self, resume(now.timeline, backend, now.tickets, ticket), ticket.job_id, wait=wait)
        return ended


class OVERPAINT_OT_cancel(bpy.types.Operator):
    """Stop what is being painted; nothing is placed"""

    bl_idname = "overpaint.cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return session.current().doing() is not None

    def execute(self, _context: bpy.types.Context) -> set[str]:
        now = session.current()
        if any(ticket.job_id == now.job_id for ticket in now.tickets.all()):
            now.backend().cancel(now.job_id)  # the server says when it has stopped; following goes on until then
        elif now.running is not None:
            now.running.cancel()  # not submitted yet: there is nothing to tell a server
        return {"FINISHED"}


def _run(operator: bpy.types.Operator, steps: Steps[object], job_id: str, *, wait: bool) -> set[str]:
    now = session.current()
    if not wait:
        now.start(steps, job_id)
        return {"FINISHED"}
    try:
        now.pump.drain(steps)
    except OverpaintError as error:
        return _refuse(operator, error)
    return {"FINISHED"}


def _refuse(operator: bpy.types.Operator, error: OverpaintError) -> set[str]:
    session.current().words = str(error)
    operator.report({"ERROR"}, str(error))
    return {"CANCELLED"}


CLASSES = (OVERPAINT_OT_paint, OVERPAINT_OT_resume, OVERPAINT_OT_cancel)
