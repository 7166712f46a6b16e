"""The main job in Blender, through the operators of the installed extension."""

from __future__ import annotations

import importlib
import json
import time
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
import stage

NAME = "bl_ext.user_default.overpaint"
SQUARE = ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6))


def install(extension: str, server: str, token: str = "") -> Any:
    """The session of the installed add-on, which is enabled and pointed at `server` by the preferences."""
    if NAME not in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_enable(module=NAME)
    profile = bpy.context.preferences.addons[NAME].preferences.profiles[0]
    profile.address, profile.token = server, token
    return importlib.import_module(f"{NAME}.ui.session").current()


def edit(media: str, source: str = "movie8.mkv") -> tuple[Any, Any]:
    """A strip on frames 5 to 12 with a square mask, and the panel filled in for the toy engine."""
    scene, editor = stage.sequencer()
    strip = stage.add(editor.strips, Path(media) / source, start=5)
    mask = bpy.data.masks.new("square")
    spline = mask.layers.new(name="square").splines.new()
    spline.use_cyclic = True
    spline.points.add(len(SQUARE) - 1)
    for point, at in zip(spline.points, SQUARE, strict=True):
        point.handle_type = "VECTOR"
        point.co = point.handle_left = point.handle_right = at
    fields = scene.overpaint
    fields.engine, fields.task, fields.prompt, fields.mask, fields.feather = "toy", "replace", "a red coat", mask, 0.0
    return scene, strip


def refusal() -> str:
    """What the operator refuses with."""
    try:
        bpy.ops.overpaint.paint()
    except RuntimeError as error:
        return str(error).strip().removeprefix("Error: ")
    return ""


def exported(extension: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """Seal the edit in a folder instead of painting it, and try to do so again."""
    now = install(extension, server)
    scene, _ = edit(media)
    ended = bpy.ops.overpaint.export_for_farm(filepath=str(Path(folder) / "job"))
    try:
        bpy.ops.overpaint.export_for_farm(filepath=str(Path(folder) / "job"))
        again = ""
    except RuntimeError as error:
        again = str(error)
    return {
        "ended": sorted(ended),
        "sent": now.backend().sent_bytes,
        "strips": len(scene.sequence_editor.strips),
        "again": "not empty" in again,
    }


def painted(extension: str, media: str, server: str, source: str, folder: str) -> dict[str, Any]:
    """Paint, and look at everything that came of it."""
    install(extension, server)
    scene, strip = edit(media, source)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "edit.blend"))
    assert bpy.ops.overpaint.paint() == {"FINISHED"}
    (take,) = (one for one in scene.sequence_editor.strips if one != strip)
    stage.plain(scene)
    after = stage.rendered(folder, range(5, 13))
    take.mute = True
    before = stage.rendered(folder, range(5, 13))
    changed = (before != after).any(axis=(0, 3))
    request = json.loads(take["overpaint"])
    return {
        "take": [take.name, take.type, take.channel, take.frame_start, len(take.elements), take.blend_type],
        "kept": str(take.directory),
        "request": [
            request["engine"],
            request["edit"]["task"],
            request["edit"]["prompt"],
            len(request["clip"]["frames"]),
        ],
        "strips": len(scene.sequence_editor.strips),
        "changed": [int(number) for number in np.flatnonzero(changed.any(axis=1))[[0, -1]]]
        + [int(number) for number in np.flatnonzero(changed.any(axis=0))[[0, -1]]],
        "source muted": strip.mute,
    }


def second_edit(extension: str, media: str, server: str) -> dict[str, Any]:
    """Paint twice with another prompt: what is sent each time, and where the takes are."""
    session = install(extension, server)
    scene, strip = edit(media)
    sent = []
    for prompt in ("a red coat", "a blue coat"):
        scene.overpaint.prompt = prompt
        scene.sequence_editor.active_strip = strip
        before = session.courier.sent_bytes if session.courier else 0
        bpy.ops.overpaint.paint()
        sent.append(session.courier.sent_bytes - before)
    return {"sent": sent, "channels": sorted(one.channel for one in scene.sequence_editor.strips)}


def refused(extension: str, media: str, server: str, cases: list[dict[str, Any]]) -> dict[str, Any]:
    """What the operator refuses each case with, and what is left of all of them."""
    install(extension, server)
    profile = bpy.context.preferences.addons[NAME].preferences.profiles[0]
    scene, _ = edit(media)
    said = []
    for case in cases:
        profile.address, profile.token = case.pop("server", server), case.pop("token", "")
        fields = {"engine": "toy", "task": "replace", "mask": bpy.data.masks["square"]} | case
        square = fields.pop("square", SQUARE)
        for point, at in zip(bpy.data.masks["square"].layers[0].splines[0].points, square, strict=True):
            point.co = point.handle_left = point.handle_right = at
        for name, value in fields.items():
            setattr(scene.overpaint, name, value)
        said.append(refusal())
    return {
        "said": said,
        "strips": len(scene.sequence_editor.strips),
        "tickets": "overpaint_tickets" in scene,
    }


def free_while_waiting(extension: str, media: str, server: str) -> dict[str, Any]:
    """Begin as the button does, at a server that never answers, and see that every tick comes back."""
    session = install(extension, server)
    edit(media)
    operators = importlib.import_module(f"{NAME}.ui.operators")
    began = bpy.ops.overpaint.paint("INVOKE_DEFAULT") if not bpy.app.background else None
    if began is None:  # the module has no window to press a button in, so begin as invoke does
        paint, draft = operators.paint, bpy.context.scene.overpaint.draft()
        session.start(paint(session.timeline, session.backend(), session.tickets, draft, "0" * 32), "0" * 32)
    for _ in range(20):
        session.pump.tick()
        time.sleep(0.06)
    doing = session.doing()
    bpy.ops.overpaint.cancel()
    session.pump.tick()
    return {"doing": doing.stage, "after cancel": session.doing() is None}


def begin(extension: str, media: str, server: str, blend: str) -> int:
    """Submit, save the file and go away: how many tickets the file holds."""
    session = install(extension, server)
    edit(media)
    submit = importlib.import_module(f"{NAME}.core.submit").submit
    draft = bpy.context.scene.overpaint.draft()
    session.pump.drain(submit(session.timeline, session.backend(), session.tickets, draft, "a" * 32))
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    return len(session.tickets.all())


def go_on(extension: str, server: str, blend: str) -> dict[str, Any]:
    """Open the file in another Blender, and take the job up."""
    session = install(extension, server)
    bpy.ops.wm.open_mainfile(filepath=blend)
    waiting = len(session.tickets.all())
    bpy.ops.overpaint.resume()
    names = [one.name for one in bpy.context.scene.sequence_editor.strips]
    return {"waiting": waiting, "strips": names, "left": len(session.tickets.all())}


def secrets(extension: str, media: str, server: str, folder: str) -> dict[str, bool]:
    """Where the token is after a job: in which of the files that are left."""
    install(extension, server, "open sesame")
    edit(media)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "edit.blend"), compress=False)
    bpy.ops.overpaint.paint()
    bpy.ops.wm.save_mainfile()
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {path.suffix: b"open sesame" in path.read_bytes() for path in files}
