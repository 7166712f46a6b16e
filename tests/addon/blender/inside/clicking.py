"""Points by script, tracked and drawn by a real server, through the operators of the installed extension."""

from __future__ import annotations

import importlib
import json
import time
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
import stage
from painting import NAME, install


def room(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


def edit(clip: str) -> tuple[Any, Any]:
    """The clip as a strip on frames 5 to 12, on frame 5."""
    scene, editor = stage.sequencer()
    strip = stage.add(editor.strips, clip, start=5)
    fields = scene.overpaint
    fields.engine, fields.task, fields.prompt, fields.feather = "toy", "replace", "a red coat", 0.0
    scene.frame_set(5)
    return scene, strip


def click(frame: int, x: float, y: float, positive: bool = True) -> None:
    bpy.context.scene.frame_set(frame)
    assert bpy.ops.overpaint.click(x=x, y=y, positive=positive) == {"FINISHED"}


def refusal(operator: Any, **given: Any) -> str:
    """What the operator refuses with, or ""."""
    try:
        operator(**given)
    except RuntimeError as error:
        return str(error).strip().removeprefix("Error: ")
    return ""


def kept(strip: Any) -> list[Any]:
    """The points in pixels of the picture."""
    found = json.loads(strip.get("overpaint_points", "[]"))
    return [[one["object"], one["frame"], round(one["x"] * 96), round(one["y"] * 64), one["positive"]] for one in found]


def kept_here(view: Any) -> list[Any]:
    """The signs that are drawn: their kind, and their middles in pixels of the picture."""
    signs = []
    for (positive, here), corners in room("ui.clicks").shown(bpy.context, view, 4.0).items():
        middle = [round(float(number)) for number in np.mean([corners[0], corners[2]], axis=0)]
        signs.append(["plus" if positive else "minus", "here" if here else "faint", middle])
    return sorted(signs, key=lambda one: (one[0] == "minus", one[1] == "here"))


class View:
    """A preview whose region shows the picture as it is."""

    def view_to_region(self, x: float, y: float, clip: bool = True) -> tuple[float, float]:
        return 48 + x, 32 - y


def kept_points(strip: Any) -> list[Any]:
    return kept(strip)


def kept_with(clip: str) -> dict[str, Any]:
    scene, strip = edit(clip)
    click(5, 24, 30)
    click(5, 80, 50, positive=False)
    scene.overpaint_clicks.object = 2
    click(8, 30, 28)
    found: dict[str, Any] = {"points": kept(strip)}
    refused = [refusal(bpy.ops.overpaint.click, x=96, y=10)]
    scene.frame_set(13)
    found["refused"] = [*refused, refusal(bpy.ops.overpaint.click, x=10, y=10)]
    stage.move(strip, 7)
    scene.frame_set(12)
    found["moved"], found["signs"] = kept(strip), kept_here(View())
    assert bpy.ops.overpaint.point_remove() == {"FINISHED"}
    found["removed"] = kept(strip)
    assert bpy.ops.overpaint.points_clear() == {"FINISHED"}
    return found | {"cleared": kept(strip), "poll": bpy.ops.overpaint.points_clear.poll()}


def tracked(extension: str, clip: str, server: str) -> dict[str, Any]:
    """Track what two points are on, moving the strip meanwhile; then paint with the mask."""
    session = install(extension, server)
    scene, strip = edit(clip)
    click(6, 28, 30)
    click(6, 80, 50, positive=False)
    click(12, 40, 30)
    assert room("ui.clicks").OVERPAINT_OT_track.bl_idname == "overpaint.track"
    steps = room("ui.clicks").OVERPAINT_OT_track.steps(None, scene, session)
    run = session.start(steps, "track", name="Track Mask")
    time.sleep(session.pump.tick() or 0)
    (row,) = session.rows()
    stage.move(strip, 10)
    session.pump.wait(run)
    found: dict[str, Any] = {"words": session.words, "rows": row.name, "source": scene.overpaint_guides.mask_source}
    selection = session.timeline.read_selection()
    frames = range(selection.start, selection.start + selection.length)
    mask = room("host.guides").stored_mask(strip, frames, selection.size)
    bounds = room("core.areas").bounds
    found["bounds"], found["first"] = [bounds(mask.key_at(n).strokes) for n in range(8)], selection.start
    assert bpy.ops.overpaint.track() == {"FINISHED"} and session.words == found["words"]
    assert bpy.ops.overpaint.paint() == {"FINISHED"}
    (take,) = (one for one in scene.sequence_editor.strips if one != strip)
    stage.plain(scene)
    with __import__("tempfile").TemporaryDirectory() as folder:
        after = stage.rendered(folder, frames)
        take.mute = True
        changed = (stage.rendered(folder, frames) != after).any(axis=(0, 3))
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    return found | {"changed": [int(number) for number in (*rows[[0, -1]], *columns[[0, -1]])]}
