"""What to send when asking for help: versions, the test, states and logs, as a text without anything private."""

from __future__ import annotations

import getpass
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]
import overpaint
from bpy.props import StringProperty  # pyright: ignore[reportMissingImports]
from overpaint.errors import Invalid

from ..core.diagnose import LINES, Findings, Private, redact, report
from . import connection, preferences, session
from .connection import refuse
from .preferences import kept

LOG_TEXT, DIAGNOSIS_TEXT = "Overpaint Backend Log", "Overpaint Diagnostics"


def diagnosis() -> str:
    """All that helps to find out what is wrong, and nothing that is private."""
    watch, now, own = connection.current(), session.current(), kept()
    link, status, profile = watch.link, watch.local.status, preferences.chosen(own)
    connected = [
        ("profile", f"{own.active + 1} of {len(own.profiles)}"),
        ("address", watch.known.server if watch.known else profile.address),
        *((name, "given" if preferences.given(profile, name) else "none") for name in preferences.SHOWN),
        ("online access", str(bpy.app.online_access)),
        ("state", f"{link.state}{f': {link.error}' if link.error else ''}"),
        ("server", str(watch.card or "not known")),
        ("local backend", f"{status.stage} {status.address} {status.error or ''}".strip()),
        ("last error", str(now.error or "none")),
    ]
    jobs = [(ticket.job_id, f"{ticket.state}, event {ticket.event}: {ticket.words}") for ticket in now.tickets.all()]
    logs = [("Add-on", tuple(watch.lines.lines)), ("Local backend", watch.local.lines(LINES))]
    found = Findings(versions=_versions(), connection=connected, checks=watch.checks, jobs=jobs, logs=logs)
    return report(found, _private())


def _versions() -> list[tuple[str, str]]:
    try:
        grpc = version("grpcio")
    except PackageNotFoundError:
        grpc = "not found"
    return [
        ("Overpaint", overpaint.__version__),
        ("Blender", f"{bpy.app.version_string} {bpy.app.build_hash.decode(errors='replace')}"),
        ("Python", platform.python_version()),
        ("gRPC", grpc),
        ("system", platform.platform()),
    ]


def _private() -> Private:
    """Everything that must not leave this machine."""
    tokens = [profile.token for profile in kept().profiles] + [os.environ.get("OVERPAINT_TOKEN", "")]
    prompts: list[str] = []
    for scene in bpy.data.scenes:
        prompts += [scene.overpaint.prompt, scene.overpaint.negative_prompt]
    for ticket in session.current().tickets.all():
        edit = json.loads(ticket.request).get("edit", {}) if ticket.request else {}
        prompts += [str(edit.get(name, "")) for name in ("prompt", "negative_prompt", "negativePrompt")]
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # nobody with this number
        user = ""
    home = Path.home()
    return Private(secrets=tokens, prompts=prompts, users=(user, home.name), homes=(str(home), home.as_posix()))


class OVERPAINT_OT_open_backend_log(bpy.types.Operator):
    """Show all that the local backend has said in a text of this file"""

    bl_idname = "overpaint.open_backend_log"
    bl_label = "Open Log"

    def execute(self, context: bpy.types.Context) -> set[str]:
        # The text is saved with the file, so it must not say more than a diagnosis does.
        lines = connection.current().local.lines(5000)
        _write_text(context, LOG_TEXT, redact("\n".join(lines), _private()) or "The local backend has said nothing yet")
        self.report({"INFO"}, "The log is in the Text Editor")
        return {"FINISHED"}


class OVERPAINT_OT_diagnose(bpy.types.Operator):
    """Copy what helps to find out what is wrong: versions, test, states, logs; without tokens, names and prompts"""

    bl_idname = "overpaint.diagnose"
    bl_label = "Copy Diagnostics"

    filepath: StringProperty(  # pyright: ignore
        subtype="FILE_PATH", options={"SKIP_SAVE"}, description="Write it into this file as well"
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        text = diagnosis()
        _write_text(context, DIAGNOSIS_TEXT, text)
        context.window_manager.clipboard = text
        if self.filepath:
            try:
                Path(bpy.path.abspath(self.filepath)).write_text(text, "utf-8")
            except OSError as error:
                words = f"{self.filepath} cannot be written ({error.strerror})"
                return refuse(self, Invalid(field="filepath", message=words, remedy="Choose another file"))
        self.report({"INFO"}, "The diagnostics are in the clipboard and in the Text Editor")
        return {"FINISHED"}


def _write_text(context: bpy.types.Context, name: str, words: str) -> None:
    """Into the file's text of this name, and into a text editor that is open."""
    text = bpy.data.texts.get(name) or bpy.data.texts.new(name)
    text.clear()
    text.write(words)
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "TEXT_EDITOR":
                area.spaces.active.text = text
                return


CLASSES = (OVERPAINT_OT_open_backend_log, OVERPAINT_OT_diagnose)
