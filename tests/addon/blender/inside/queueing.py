"""The list of jobs in Blender, through the session of the installed extension."""

from __future__ import annotations

import dataclasses
import importlib
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import recording
import stage
from painting import NAME, edit, install

SLOW = {"toy": {"delay": 0.1, "steps": 40}}
ENDLESS = {"toy": {"delay": 0.1, "steps": 1000}}


def room(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


def begin(session: Any, prompt: str = "a red coat", options: Any = SLOW) -> str:
    """Paint as the button does, which there is no window for: the job's id. Its words are its own, or it would be done at once."""
    job_id = uuid.uuid4().hex
    draft = bpy.context.scene.overpaint.draft()
    draft = dataclasses.replace(draft, prompt=prompt, negative_prompt=job_id, options=options)
    steps = room("core.paint").paint(session.timeline, session.backend(), session.tickets, draft, job_id)
    session.start(steps, job_id, name=prompt)
    return job_id


def until(session: Any, holds: Callable[[], object], seconds: float = 120) -> None:
    """Tick as a window's timer does, until it holds."""
    stop = time.monotonic() + seconds
    while not holds():
        assert session.runs and time.monotonic() < stop, (
            session.words,
            [(row.state, row.words) for row in session.rows()],
        )
        time.sleep(session.pump.tick() or 0.01)


def painting(session: Any, job_id: str) -> bool:
    doing = session.doing(job_id)
    return doing is not None and doing.stage == "painting"


def kept(session: Any, job_id: str) -> int:
    """How many frames of the job's take are on disk."""
    return len(list(session.timeline.take_folder(job_id).glob("[0-9]*.png")))


def names() -> list[str]:
    return sorted(one.name for one in bpy.context.scene.sequence_editor.strips)


def reopened(extension: str, media: str, server: str, blend: str) -> dict[str, Any]:
    """Save and open the file again in the middle of a job, by way of an empty file: nobody presses a button."""
    session = install(extension, server)
    edit(media)
    job_id = begin(session)
    until(session, lambda: painting(session, job_id))
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    bpy.ops.wm.read_homefile(use_empty=True)
    found: dict[str, Any] = {"in another file": [len(session.rows()), len(session.runs)]}
    bpy.ops.wm.open_mainfile(filepath=blend)
    found["again"] = [row.name for row in session.rows()]
    until(session, lambda: not session.runs)
    return found | {"strips": names(), "left": len(session.rows()), "words": session.words}


def follow_again(extension: str, server: str, blend: str) -> dict[str, Any]:
    """Open the file in another Blender: the job goes on, or the row says why not."""
    session = install(extension, server)
    bpy.ops.wm.open_mainfile(filepath=blend)
    (row,) = session.rows()
    until(session, lambda: not session.runs or "server" in session.rows()[0].words)
    rows = session.rows()
    return {"before": row.acts, "rows": [[one.state, one.words] for one in rows], "strips": names()}


def begun(extension: str, media: str, server: str, blend: str) -> str:
    """Save the file in the middle of a job, and go away."""
    session = install(extension, server)
    edit(media)
    job_id = begin(session)
    until(session, lambda: painting(session, job_id))
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    return job_id


def two_at_once(extension: str, media: str, server: str) -> dict[str, Any]:
    """Two jobs on one strip; the second is paused, then moved on; a third is cancelled. Another one holds the worker until then."""
    session = install(extension, server)
    edit(media)
    holding = begin(session, "hold", ENDLESS)
    until(session, lambda: painting(session, holding))
    first, second, third = (begin(session, prompt) for prompt in ("one", "two", "three"))
    until(session, lambda: len(session.tickets.all()) == 4)
    bpy.ops.overpaint.job(act="pause", job_id=second)
    bpy.ops.overpaint.job(act="cancel", job_id=third)
    found: dict[str, Any] = {"asked": {row.name[:3]: row.state for row in session.rows()}}
    until(session, lambda: third not in session.runs and not session.asked)
    bpy.ops.overpaint.job(act="cancel", job_id=holding)
    until(session, lambda: holding not in session.runs)
    bpy.ops.overpaint.job(act="dismiss", job_id=holding)
    until(session, lambda: first not in session.runs)
    found["then"] = {row.name[:3]: row.state for row in session.rows()}
    bpy.ops.overpaint.job(act="resume", job_id=second)
    bpy.ops.overpaint.job(act="retry", job_id=third)
    until(session, lambda: not session.runs)
    return found | {"left": len(session.rows()), "frames": [kept(session, one) for one in (first, second, third)]}


def changed(extension: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """What becomes of the take where the strip was moved, cut or removed while it was painted."""
    session = install(extension, server)
    scene, _ = edit(media)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "edit.blend"))
    found: dict[str, Any] = {}

    def take_of(change: Callable[[Any], object]) -> list[Any]:
        for one in scene.sequence_editor.strips:
            if one.name != "source":
                scene.sequence_editor.strips.remove(one)
        source = scene.sequence_editor.strips["source"]
        scene.sequence_editor.active_strip = source
        job_id = begin(session)
        until(session, lambda: painting(session, job_id))
        change(source)
        until(session, lambda: job_id not in session.runs)
        takes = [one for one in scene.sequence_editor.strips if not one.name.startswith("source")]
        return [[int(one.frame_final_start), len(one.elements)] for one in takes]

    def move(source: Any) -> None:
        source.frame_start += 100

    found["moved"] = take_of(move)
    found["cut"] = take_of(lambda source: source.split(frame=108, split_method="SOFT"))

    def renew() -> None:
        for one in list(scene.sequence_editor.strips):
            scene.sequence_editor.strips.remove(one)
        stage.add(scene.sequence_editor.strips, Path(media) / "movie8.mkv", start=5)

    def retime(source: Any) -> None:
        """The first half in half the time."""
        area = bpy.context.screen.areas[0]
        area.type = "SEQUENCE_EDITOR"
        source.select = True
        with bpy.context.temp_override(area=area, region=area.regions[-1]):
            assert bpy.ops.sequencer.retiming_key_add(timeline_frame=9) == {"FINISHED"}
        source.retiming_keys[1].timeline_frame = 7

    renew()
    found["retimed"] = take_of(retime)
    renew()
    found["removed"] = take_of(lambda source: scene.sequence_editor.strips.remove(source))
    (row,) = session.rows()
    found["row"] = [row.state, row.words, list(row.acts)]
    found["frames"] = kept(session, row.job_id)
    stage.add(scene.sequence_editor.strips, Path(media) / "movie8.mkv", start=5)  # as undo would bring it back
    bpy.ops.overpaint.job(act="retry", job_id=row.job_id)
    until(session, lambda: not session.runs)
    return found | {"after retry": [len(session.rows()), len(scene.sequence_editor.strips)]}


def dismissed(extension: str, media: str, server: str) -> dict[str, Any]:
    """A job that fails keeps its row; trying it again fails again; dismissing it takes it away."""
    session = install(extension, server)
    edit(media)
    for point in bpy.data.masks["square"].layers[0].splines[0].points:
        point.co = point.handle_left = point.handle_right = (9, 9)
    job_id = begin(session)
    rows = []
    for _ in range(2):
        until(session, lambda: not session.runs)
        (row,) = session.rows()
        rows.append([row.state, row.words, list(row.acts)])
        bpy.ops.overpaint.job(act="retry", job_id=job_id)
    until(session, lambda: not session.runs)
    bpy.ops.overpaint.job(act="dismiss", job_id=job_id)
    return {"rows": rows, "left": len(session.rows()), "in the file": "overpaint_tickets" in bpy.context.scene}


def disabled(extension: str, media: str, server: str) -> dict[str, Any]:
    """Disable the add-on in the middle of a job, and of a capture: what is left of it in this Blender."""
    session = install(extension, server)
    edit(media)
    job_id = begin(session)
    until(session, lambda: painting(session, job_id))
    begin(session)
    until(session, lambda: len(session.names) == 2 and session.pump.doing() is not None)
    children = [one.name for one in threading.enumerate() if one.name.startswith("overpaint")]
    module, timer = room("ui.session"), session.pump._timer
    bpy.app.timers.register(timer, persistent=True)  # as in a window
    bpy.app.timers.register(module._take_up_soon)
    bpy.ops.preferences.addon_disable(module=NAME)
    stop = time.monotonic() + 60
    while time.monotonic() < stop and any(one.name.startswith("overpaint") for one in threading.enumerate()):
        time.sleep(0.05)
    events = (getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers))
    heard = [one for event in events if isinstance(event, list) for one in event]
    return {
        "there were threads": bool(children),
        "threads": [one.name for one in threading.enumerate() if one.name.startswith("overpaint")],
        "timers": [bpy.app.timers.is_registered(one) for one in (timer, module._take_up_soon)],
        "handlers": [str(one) for one in heard if getattr(one, "__module__", "").startswith(NAME)],
        "classes": hasattr(bpy.types, "OVERPAINT_PT_jobs"),
    }


def drawn(extension: str, media: str, server: str) -> dict[str, Any]:
    """What the panel shows while a job is painted, by a layout that only takes what exists."""
    session = install(extension, server)
    edit(media)
    job_id = begin(session, options={"toy": {"delay": 0.02, "steps": 8}})
    until(session, lambda: (doing := session.doing(job_id)) is not None and doing.picture is not None)
    panel = room("ui.jobs").OVERPAINT_PT_jobs
    shown = [recording.drawn(panel) for _ in range(2)][1]  # the second finds the first one's preview
    picture = session.doing(job_id).picture
    pictures = room("ui.jobs")._pictures
    preview = pictures._previews[job_id]
    pixels = [round(value * 255) for value in preview.image_pixels_float[:3]]
    corner = list(picture.rgb[(picture.height - 1) * picture.width * 3 :][:3])  # Blender begins at the bottom
    found = {
        "words": [one for one in shown.shown if one != "[]"],
        "icon": shown.icons == [preview.icon_id],  # 0 where there is no window
        "buttons": [one.act for one in shown.given],
        "size": list(preview.image_size) == [picture.width, picture.height],
        "pixels": pixels == corner,
    }
    until(session, lambda: not session.runs)
    return found | {"after": recording.drawn(panel).shown, "previews": len(pictures._previews)}
