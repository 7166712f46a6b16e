"""What `overpaint bench ui` has a real Blender do: `python ui_in_blender.py ORDERS.json`."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]


def main(orders: dict[str, Any]) -> dict[str, Any]:
    """Paint as the panel's button does, and note how long each tick took and what was being done."""
    bpy.ops.extensions.package_install_files(filepath=orders["extension"], repo="user_default", enable_on_install=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    if bpy.app.version >= (5, 0, 0):
        bpy.context.workspace.sequencer_scene = scene
    editor = scene.sequence_editor_create()
    strip = editor.strips.new_movie("Clip", orders["clip"], channel=1, frame_start=1)
    editor.active_strip = strip
    scene.frame_end = orders["frames"]
    mask = bpy.data.masks.new("Mask")
    spline = mask.layers.new(name="Box").splines.new()
    spline.use_cyclic = True
    spline.points.add(3)
    for point, corner in zip(spline.points, ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6)), strict=True):
        point.handle_type = "VECTOR"
        point.co = point.handle_left = point.handle_right = corner
    fields = scene.overpaint
    fields.engine, fields.task, fields.mask, fields.use_sketch = "toy", "repaint", mask, False
    pump = sys.modules["bl_ext.user_default.overpaint.ui.session"].current().pump
    ticks, doing, waited = [], [], {}
    tick = pump.tick

    def timed() -> float | None:
        began = time.perf_counter()
        pause = tick()
        took = time.perf_counter() - began
        now = pump.doing()
        stage = now.stage if now else "ended"
        ticks.append(took)
        doing.append(stage)
        waited[stage] = waited.get(stage, 0.0) + took + (pause or 0)
        return pause

    pump.tick = timed
    bpy.ops.overpaint.paint()
    seconds = {stage: round(value, 2) for stage, value in waited.items()}
    return {"blender": bpy.app.version_string, "ticks": ticks, "doing": doing, "seconds": seconds}


if __name__ == "__main__":
    orders = json.loads(Path(sys.argv[-1]).read_text("utf-8"))
    figures = main(orders)
    Path(orders["figures"]).write_text(json.dumps(figures), "utf-8")
    sys.stdout.flush()
    os._exit(0)  # Blender 4.5 hangs at exit while an add-on is registered
