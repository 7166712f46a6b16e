"""Points by script, tracked and drawn by a real server, through the operators of the installed extension."""

from __future__ import annotations

import importlib
import json
import tempfile
import time
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
import stage
from painting import NAME, install


def room(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


def edit(clip: str) -> tuple[Any, Any]:
    """The clip as a strip on frames 5 to 12, filled in for the toy engine, on frame 5."""
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


def points(strip: Any) -> list[Any]:
    """Those that are kept, in pixels of the picture."""
    found = json.loads(strip.get("overpaint_points", "[]"))
    return [[one["object"], one["frame"], round(one["x"] * 96), round(one["y"] * 64), one["positive"]] for one in found]


class View:
    """A preview whose region shows the picture as it is."""

    def view_to_region(self, x: float, y: float, clip: bool = True) -> tuple[float, float]:
        return 48 + x, 32 - y


def signs() -> list[Any]:
    """What is drawn: plus or minus, bright or faint, and around which pixel of the picture."""
    found = []
    for (positive, here), corners in room("ui.clicks").shown(bpy.context, View(), 4.0).items():
        middle = [round(float(number)) for number in np.mean([corners[0], corners[2]], axis=0)]
        found.append(["plus" if positive else "minus", "here" if here else "faint", middle])
    return sorted(found)


def kept(extension: str, clip: str) -> dict[str, Any]:
    """Points on two frames, moved with their strip, then taken away."""
    install(extension, "127.0.0.1:9")
    scene, strip = edit(clip)
    click(5, 24, 30)
    click(5, 80, 50, positive=False)
    scene.overpaint_clicks.object = 2
    click(8, 30, 28)
    found: dict[str, Any] = {"points": points(strip)}
    refused = [refusal(bpy.ops.overpaint.click, x=96, y=10)]
    scene.frame_set(13)
    found["refused"] = [*refused, refusal(bpy.ops.overpaint.click, x=10, y=10)]
    stage.move(strip, 7)
    scene.frame_set(12)
    found["moved"], found["signs"] = points(strip), signs()
    assert bpy.ops.overpaint.point_remove() == {"FINISHED"}
    found["removed"] = points(strip)
    assert bpy.ops.overpaint.points_clear() == {"FINISHED"}
    return found | {"cleared": points(strip), "poll": bpy.ops.overpaint.points_clear.poll()}


def tracked(extension: str, clip: str, server: str) -> dict[str, Any]:
    """Track what the points are on, as the button does, and move the strip meanwhile; then paint with the mask."""
    session = install(extension, server)
    scene, strip = edit(clip)
    click(6, 28, 30)
    click(6, 80, 50, positive=False)
    click(12, 40, 30)
    steps = room("ui.clicks").OVERPAINT_OT_track.steps(None, scene, session)
    run = session.start(steps, "track", name="Track Mask")
    session.pump.tick()
    (row,) = session.rows()
    stage.move(strip, 10)
    session.pump.wait(run)
    found: dict[str, Any] = {"words": session.words, "row": row.name, "source": scene.overpaint_guides.mask_source}
    selection = session.timeline.read_selection()
    frames = range(selection.start, selection.start + selection.length)
    mask = room("host.guides").stored_mask(strip, frames, selection.size)
    found["bounds"] = [room("core.areas").bounds(mask.key_at(number).strokes) for number in range(len(frames))]
    assert bpy.ops.overpaint.paint() == {"FINISHED"}
    (take,) = (one for one in scene.sequence_editor.strips if one != strip)
    stage.plain(scene)
    with tempfile.TemporaryDirectory() as folder:
        after = stage.rendered(folder, frames)
        take.mute = True
        changed = (stage.rendered(folder, frames) != after).any(axis=(0, 3))
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    return found | {
        "first": selection.start,
        "changed": [int(number) for number in (*rows[[0, -1]], *columns[[0, -1]])],
    }


def refused(extension: str, clip: str, server: str) -> dict[str, Any]:
    """Track without points, with one on a frame that is not painted, and with negative ones only."""
    install(extension, server)
    scene, strip = edit(clip)
    found: dict[str, Any] = {"nothing": bpy.ops.overpaint.track.poll()}
    click(5, 80, 50, positive=False)
    found["negative"] = refusal(bpy.ops.overpaint.track)
    click(6, 28, 30)
    fields = scene.overpaint_guides
    fields.span, fields.first, fields.last = "custom", 6, 12
    found["outside"] = refusal(bpy.ops.overpaint.track)
    return found | {"kept": room("host.guides").has_mask(strip)}


def lined(extension: str, clip: str, server: str) -> dict[str, Any]:
    """Lines on one frame, then on every third from the first on, inside a tracked mask; where strokes can be made."""
    session = install(extension, server)
    scene, _ = edit(clip)
    click(5, 24, 30)
    assert bpy.ops.overpaint.track() == {"FINISHED"}
    found: dict[str, Any] = {"can": room("host.versions").can_draw(), "polls": bpy.ops.overpaint.lines.poll()}
    if not found["can"]:
        return found
    scene.frame_set(8)
    assert bpy.ops.overpaint.lines() == {"FINISHED"}
    found |= {"words": session.words, "here": drawn(scene), "again": refusal(bpy.ops.overpaint.lines)}
    fields = scene.overpaint_clicks
    fields.lines_on, fields.step = "range", 3
    assert bpy.ops.overpaint.lines() == {"FINISHED"}
    found |= {"range": drawn(scene)}
    scene.render.resolution_percentage = 50
    selection = session.timeline.read_selection()
    capture = session.timeline.start_capture(selection)
    stage.finished(capture, selection.length)
    sketch = next(guide for guide in capture.guides() if guide.kind == "sketch")
    capture.close()
    around = room("core.areas").bounds
    found |= {"sketch": {str(key.frame): around(key.strokes) for key in sketch.keys}}
    scene.render.resolution_percentage, fields.step = 100, 1
    steps = room("ui.clicks").OVERPAINT_OT_lines.steps(None, scene, session)
    while len(drawn(scene)) == 3:
        next(steps)
        time.sleep(0.01)
    steps.close()  # as cancel does
    found |= {"cancelled": list(drawn(scene))}
    assert bpy.ops.overpaint.lines() == {"FINISHED"}
    return found | {"rest": session.words, "all": list(drawn(scene))}


def drawn(scene: Any) -> dict[str, Any]:
    """The drawings of the layer Sketch by frame of the timeline: the box around each, in pixels of the picture."""
    (layer,) = (one for one in room("host.guides").annotation(scene).layers if one.info == "Sketch")
    size, bounds = room("host.timeline").render_size(scene.render), room("core.areas").bounds
    strokes = room("host.strokes")
    return {
        str(frame.frame_number): bounds(strokes.drawn(layer, frame.frame_number, size, scene.render))
        for frame in layer.frames
    }
