"""The backend, seen from the sidebar: how it stands with it, a test of the connection, and a backend on this machine."""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from bpy.props import EnumProperty  # pyright: ignore[reportMissingImports]
from overpaint.address import host_of, is_here
from overpaint.card import ServerCard
from overpaint.errors import Internal, Invalid, OverpaintError, Unavailable

from ..core.connection import Check, Link, Shown, State, afresh, answered, ask, barred, failed, may_ask
from ..core.diagnose import LastLines
from ..core.steps import Doing, Steps, until
from ..core.words import say
from ..link.launch import LocalBackend, Stage, find_command
from ..link.probe import greet, probing
from . import preferences, session
from .preferences import HERE, PACKAGE, SHOWN, Connection, kept
from .remedies import draw_remedy

log = logging.getLogger(__name__)
LOOK = 0.25  # seconds between two looks while the panel is seen
ICONS = {
    State.IDLE: "BLANK1",
    State.BARRED: "ERROR",
    State.CONNECTING: "SORTTIME",
    State.CONNECTED: "LINKED",
    State.OFFLINE: "UNLINKED",
    State.REFUSED: "CANCEL",
}


@dataclass(slots=True)
class Watch:
    """What is known of the chosen server and of the local backend. `known` is the connection that `link` speaks of."""

    local: LocalBackend
    link: Link = field(default_factory=Link)
    known: Connection | None = None
    answer: Future[ServerCard] | None = None
    card: ServerCard | None = None
    checks: tuple[Check, ...] = ()
    heard: OverpaintError | None = None
    lines: LastLines = field(default_factory=LastLines)

    def look(self) -> None:
        """See whether the server has answered, and ask it where it is time to; never waits."""
        now = time.monotonic()
        try:
            wanted = preferences.connection()
        except OverpaintError as error:
            self.known, self.answer, self.link = None, None, barred(self.link, error)
            return
        if wanted != self.known:
            self.known, self.answer, self.card, self.checks = wanted, None, None, ()
            self.link = afresh(self.link)
        if self.answer is not None and self.answer.done():
            self._hear(self.answer, now)
        if may_ask(self.link, now):
            self.link = ask(self.link)
            self.answer = greet(wanted.server, wanted.shown)

    def _hear(self, answer: Future[ServerCard], now: float) -> None:
        self.answer, question, before = None, self.link.asking, self.link.state
        error = answer.exception()
        if error is None:
            self.card = answer.result()
            self.link = answered(self.link, question, self.card.version, now)
        else:
            known = error if isinstance(error, OverpaintError) else Internal(field="server", message=repr(error))
            self.link = failed(self.link, question, known, now)
        if self.link.state is not before:
            log.info("%s%s", self.link.state, f": {error}" if error else "")

    def ask_again(self) -> None:
        """Something has changed that the person wants to see now."""
        self.link, self.answer = afresh(self.link), None


_watch: Watch | None = None


def current() -> Watch:
    """The watch; there is one whenever the add-on is enabled."""
    assert _watch is not None, "the add-on is not enabled"
    return _watch


def begin() -> None:
    global _watch
    folder = Path(bpy.utils.extension_path_user(PACKAGE, path="")) if PACKAGE.startswith("bl_ext.") else None
    _watch = Watch(local=LocalBackend((folder or Path(bpy.app.tempdir)) / "backend.log"))
    logger = logging.getLogger(PACKAGE)
    logger.setLevel(logging.INFO)
    logger.addHandler(_watch.lines)


def end() -> None:
    global _watch
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if _watch is not None:
        logging.getLogger(PACKAGE).removeHandler(_watch.lines)
        _watch.local.stop()
    _watch = None


# The timer: there is one only while someone sees the panel, or something is under way.


def _awake() -> None:
    """Let the timer run; drawing calls it, so that it begins when the panel is seen."""
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=0.0, persistent=True)


def _tick() -> float | None:
    watch, now = current(), session.current()
    before = (watch.link, watch.local.status)
    if _panel_is_seen() or now.doing() is not None:
        watch.look()
    elif watch.local.status.stage is not Stage.STARTING:
        return None
    if now.error is not None and now.error is not watch.heard:
        log.warning("%s", now.error)
    watch.heard = now.error
    if (watch.link, watch.local.status) != before or watch.local.status.stage is Stage.STARTING:
        _redraw()
    return LOOK


def _panel_is_seen() -> bool:
    return any(
        region.type == "UI" and region.width > 1 and getattr(region, "active_panel_category", "") == "Overpaint"
        for window in bpy.context.window_manager.windows
        for area in window.screen.areas
        if area.type == "SEQUENCE_EDITOR"
        for region in area.regions
    )


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("SEQUENCE_EDITOR", "PREFERENCES"):
                area.tag_redraw()


# What the buttons do, as steps.


def testing() -> Steps[tuple[Check, ...]]:
    """Test the chosen connection; the checks are kept for the panel."""
    watch = current()
    watch.look()  # so that the checks belong to the connection that it knows
    try:
        wanted, online = preferences.connection(), True
    except Invalid:  # said by the test as well, in its place
        address = os.environ.get("OVERPAINT_SERVER") or preferences.chosen(kept()).address
        wanted, online = Connection(server=address, shown=Shown()), bpy.app.online_access
    watch.checks = ()
    watch.checks = yield from probing(wanted.server, wanted.shown, online=online)
    for check in watch.checks:
        log.info("%s %s: %s", {True: "ok", False: "BAD", None: "-"}[check.well], check.part, check.words)
    watch.ask_again()
    _redraw()
    return watch.checks


def starting() -> Steps[None]:
    """Start the local backend, or adopt the one that is there, and choose it. Raises what keeps it from starting."""
    watch, own = current(), kept()
    command = find_command(bpy.path.abspath(own.backend_command))
    ready = watch.local.start(command, _local_address(own))
    status = yield from until(ready, Doing(stage="starting the backend"))
    log.info("local backend: %s %s", status.stage, status.error or status.address)
    watch.ask_again()
    _redraw()
    if status.error is not None:
        raise status.error


def _local_address(own: Any) -> str:
    """Where the local backend is to listen. Chooses a profile on this machine, and adds one where there is none."""
    if named := os.environ.get("OVERPAINT_SERVER"):
        return named
    for index in (min(own.active, len(own.profiles) - 1), *range(len(own.profiles))):
        profile = own.profiles[index]
        try:
            if is_here(host_of(profile.address)) and not any(
                getattr(profile, name) for name in SHOWN if name != "token"
            ):
                own.active = index
                return profile.address
        except Invalid:
            continue
    preferences.add_profile(own, say("This Machine"), HERE)
    return HERE


class OVERPAINT_OT_test_connection(bpy.types.Operator):
    """Test each layer of the connection to the chosen server: address, name, port, encryption, token, version, engines"""

    bl_idname = "overpaint.test_connection"
    bl_label = "Test Connection"

    def invoke(self, _context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        session.current().pump.start(testing())
        return {"FINISHED"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        checks = session.current().pump.drain(testing())
        for check in checks:
            if check.well is False:
                self.report({"ERROR"}, f"{check.part}: {check.words}. {check.remedy}")
                return {"CANCELLED"}
        return {"FINISHED"}


class OVERPAINT_OT_start_backend(bpy.types.Operator):
    """Start a backend on this machine; it ends with Blender. One that is there already is used"""

    bl_idname = "overpaint.start_backend"
    bl_label = "Start Local Backend"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        cls.poll_message_set("It is starting, or it runs")
        return current().local.status.stage in (Stage.STOPPED, Stage.FAILED)

    def invoke(self, _context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        session.current().pump.start(starting()).add_done_callback(_tell)
        _awake()
        return {"FINISHED"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        return _wait(self, starting())


class OVERPAINT_OT_stop_backend(bpy.types.Operator):
    """Stop the backend on this machine; what it paints goes on when it is started again"""

    bl_idname = "overpaint.stop_backend"
    bl_label = "Stop Local Backend"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return current().local.status.stage in (Stage.STARTING, Stage.RUNNING)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        current().local.stop()
        return {"FINISHED"}


class OVERPAINT_OT_open_preferences(bpy.types.Operator):
    """Open Blender's preferences where this is set"""

    bl_idname = "overpaint.open_preferences"
    bl_label = "Open Preferences"
    bl_options = {"INTERNAL"}

    section: EnumProperty(  # pyright: ignore
        items=(("ADDONS", "Add-ons", "The add-on's own"), ("SYSTEM", "System", "Online access")), default="ADDONS"
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.preferences.active_section = self.section
        if not bpy.app.background:
            if self.section == "ADDONS":
                bpy.ops.preferences.addon_show(module=PACKAGE)  # unfolds it in the list
            bpy.ops.screen.userpref_show("INVOKE_DEFAULT")
        return {"FINISHED"}


def _tell(ended: Future[None]) -> None:
    error = None if ended.cancelled() else ended.exception()
    if isinstance(error, OverpaintError):
        now = session.current()
        now.words, now.error = str(error), error


def _wait(operator: bpy.types.Operator, steps: Steps[Any]) -> set[str]:
    try:
        session.current().pump.drain(steps)
    except OverpaintError as error:
        return refuse(operator, error)
    return {"FINISHED"}


def refuse(operator: bpy.types.Operator, error: OverpaintError) -> set[str]:
    now = session.current()
    now.words, now.error = str(error), error
    operator.report({"ERROR"}, str(error))
    return {"CANCELLED"}


class OVERPAINT_MT_profiles(bpy.types.Menu):
    """The servers of the preferences."""

    bl_label = "Server"

    def draw(self, _context: bpy.types.Context) -> None:
        for index, profile in enumerate(kept().profiles):
            self.layout.operator("overpaint.profile_choose", text=profile.name or profile.address).index = index
        self.layout.separator()
        self.layout.operator("overpaint.open_preferences", text="Edit Servers...", icon="PREFERENCES")


class OVERPAINT_PT_backend(bpy.types.Panel):
    """How it stands with the server, in one word, and more when it is opened."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Overpaint"
    bl_parent_id = "OVERPAINT_PT_edit"
    bl_label = "Backend"
    bl_order = 5
    bl_options = {"DEFAULT_CLOSED"}

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        _awake()
        state = current().link.state
        self.layout.label(text=say(state.value), icon=ICONS[state])

    def draw(self, _context: bpy.types.Context) -> None:
        layout, watch = self.layout, current()
        profile = preferences.chosen(kept())
        layout.menu("OVERPAINT_MT_profiles", text=profile.name or profile.address, icon="NETWORK_DRIVE")
        if watch.link.error is not None:
            draw_remedy(layout, watch.link.error)
        elif watch.link.version:
            server = watch.known.server if watch.known else ""
            layout.label(text=say("Overpaint {version} at {server}", version=watch.link.version, server=server))
        draw_test(layout)
        draw_local(layout)
        layout.operator("overpaint.diagnose", icon="COPYDOWN")


def draw_test(layout: Any) -> None:
    """The button, and what the last test has found."""
    layout.operator("overpaint.test_connection", icon="VIEWZOOM")
    column = layout.column(align=True)
    for check in current().checks:
        icon = {True: "CHECKMARK", False: "CANCEL", None: "REMOVE"}[check.well]
        if check.well is False:
            column.label(text=say(check.part).capitalize(), icon=icon)
            draw_remedy(column, Unavailable(field="test", message=check.words, remedy=check.remedy))
        else:
            column.label(text=f"{say(check.part).capitalize()}: {check.words}", icon=icon)


def draw_local(layout: Any) -> None:
    """The backend on this machine: its state, its button, the last it said."""
    status, local = current().local.status, current().local
    row = layout.row(align=True)
    adopted = status.stage is Stage.RUNNING and not status.ours
    state = say("Running, not Started Here") if adopted else say(status.stage.value)
    row.label(text=say("Local backend: {state}", state=state))
    if status.stage in (Stage.STARTING, Stage.RUNNING):
        row.operator("overpaint.stop_backend", text=say("Let Go") if adopted else say("Stop"), icon="SNAP_FACE")
    else:
        row.operator("overpaint.start_backend", text=say("Start"), icon="PLAY")
    if status.stage is Stage.STOPPED or adopted:
        return
    if status.error is not None:
        draw_remedy(layout, status.error)
    column = layout.column(align=True)
    for line in local.lines(4):
        column.label(text=line, icon="BLANK1")
    layout.operator("overpaint.open_backend_log", icon="TEXT")


CLASSES = (
    OVERPAINT_OT_test_connection,
    OVERPAINT_OT_start_backend,
    OVERPAINT_OT_stop_backend,
    OVERPAINT_OT_open_preferences,
    OVERPAINT_MT_profiles,
    OVERPAINT_PT_backend,
)
