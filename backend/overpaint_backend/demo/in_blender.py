"""What an artist would do, as a script that a real Blender runs: `python in_blender.py ORDERS.json`."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]

FIVE = bpy.app.version >= (5, 0, 0)
TWO = bpy.app.version >= (5, 2, 0)  # of five: strokes can be made, handles have new names


def main(orders: dict[str, Any]) -> dict[str, Any]:
    """Install the add-on, edit, render what came of it, save; returns figures for the report."""
    out, seconds = Path(orders["out"]), {}

    def timed(stage: str, act: Any, *args: Any) -> Any:
        began = time.perf_counter()
        result = act(*args)
        seconds[stage] = round(time.perf_counter() - began, 2)
        print(f"demo: {stage}: {seconds[stage]} s", flush=True)
        return result

    timed("install the add-on", install, orders["extension"])
    scene, strip = new_edit(orders)
    bpy.ops.wm.save_as_mainfile(filepath=str(out / "edit.blend"))
    uploads = [sent_bytes()]
    edits = []
    for edit in orders["edits"]:
        fill_in(scene, edit, orders)
        scene.sequence_editor.active_strip = strip
        before = {one.name for one in scene.sequence_editor.strips}
        with Stages() as stages:
            timed(f"paint: {edit['name']}", bpy.ops.overpaint.paint)
        seconds[f"paint: {edit['name']}"] = stages.seconds()
        uploads.append(sent_bytes())
        bpy.ops.overpaint.apply_take()  # a strip of its own: the next take of the same mask would take its place
        (take,) = (one for one in scene.sequence_editor.strips if one.name not in before)
        edits.append({"name": edit["name"], "strip": describe(take), "request": take["overpaint"]})
    takes = [scene.sequence_editor.strips[edit["strip"]["name"]] for edit in edits]
    shown = {"before": [], **{edit["name"]: [take] for edit, take in zip(edits, takes, strict=True)}, "after": takes}
    for name, visible in shown.items():
        for take in takes:
            take.mute = take not in visible
        timed(f"render: {name}", render, scene, out / "frames" / name)
    bpy.ops.wm.save_mainfile()
    return {
        "blender": bpy.app.version_string,
        "edits": edits,
        "sent_bytes": [after - before for before, after in pairwise(uploads)],
        "seconds": seconds,
    }


class Stages:
    """How long each stage of a use-case took: what the add-on says it is doing is noted every 20 ms."""

    EVERY = 0.02

    def __enter__(self) -> Stages:
        self._noted: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._note)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _note(self) -> None:
        while not self._ended.wait(self.EVERY):
            doing = session().doing()
            self._noted.append(doing.stage if doing else "starting")

    def seconds(self) -> dict[str, float]:
        return {stage: round(self._noted.count(stage) * self.EVERY, 2) for stage in dict.fromkeys(self._noted)}


def session() -> Any:
    """The add-on's own session, under the name that Blender gave it."""
    return sys.modules["bl_ext.user_default.overpaint.ui.session"].current()


def install(extension: str) -> None:
    bpy.ops.extensions.package_install_files(filepath=extension, repo="user_default", enable_on_install=True)


def sent_bytes() -> int:
    """All that the add-on has sent to the server so far."""
    return session().backend().sent_bytes


def new_edit(orders: dict[str, Any]) -> tuple[Any, Any]:
    """A scene of the clip's size and rate, with the shot as a trimmed movie strip."""
    scene = bpy.context.scene
    width, height = orders["size"]
    render_settings = scene.render
    render_settings.resolution_x, render_settings.resolution_y, render_settings.resolution_percentage = (
        width,
        height,
        100,
    )
    render_settings.fps, render_settings.fps_base = orders["rate"][0], orders["rate"][1]
    scene.frame_start, scene.frame_end = 1, orders["length"]
    if FIVE:
        bpy.context.workspace.sequencer_scene = scene
    editor = scene.sequence_editor_create()
    strip = editor.strips.new_movie("Walker", orders["clip"], channel=1, frame_start=1 - orders["first"])
    if TWO:
        strip.left_handle, strip.right_handle = 1, 1 + orders["length"]
    else:
        strip.frame_final_start, strip.frame_final_end = 1, 1 + orders["length"]
    return scene, strip


def fill_in(scene: Any, edit: dict[str, Any], orders: dict[str, Any]) -> None:
    """The panel's fields, the mask, and the sketch."""
    fields = scene.overpaint
    for name, value in edit["fields"].items():
        setattr(fields, name, value)
    fields.mask = draw_mask(scene, edit["name"], edit["layers"], orders["size"])
    if edit["sketch"]["lines"]:
        drawn = draw_sketch(edit["sketch"], orders["size"]) if TWO else load_sketch(edit["sketch"]["file"])
        if FIVE:
            scene.annotation = drawn
        else:
            scene.grease_pencil = drawn


def draw_mask(scene: Any, name: str, layers: list[dict[str, Any]], size: list[int]) -> Any:
    """A Mask datablock whose closed splines are animated by shape keys."""
    mask = bpy.data.masks.new(name)
    area = bpy.context.window.screen.areas[0]
    area.type = "IMAGE_EDITOR"
    space = area.spaces.active
    space.mode, space.mask = "MASK", mask
    region = next(region for region in area.regions if region.type == "WINDOW")
    for one in layers:
        layer = mask.layers.new(name=one["name"])
        layer.blend = one["blend"]
        mask.active_layer_index = len(mask.layers) - 1
        spline = layer.splines.new()
        spline.use_cyclic = True
        polygons = {int(frame): points for frame, points in one["polygons"].items()}
        spline.points.add(len(next(iter(polygons.values()))) - 1)
        with bpy.context.temp_override(
            window=bpy.context.window, area=area, region=region, space_data=space, scene=scene
        ):
            bpy.ops.mask.select_all(action="SELECT")
            for frame, points in polygons.items():
                scene.frame_set(1 + frame)
                for knot, (x, y) in zip(spline.points, points, strict=True):
                    place(knot, x, y, size)
                if bpy.ops.mask.shape_key_insert() != {"FINISHED"}:
                    raise RuntimeError(f"the mask took no key on frame {frame}")
    return mask


def place(knot: Any, x: float, y: float, size: list[int]) -> None:
    """A corner of a mask at clip pixel (x, y): masks live in a unit square around the picture, y up."""
    width, height = size
    side = max(width, height)
    at = ((x - width / 2) / side + 0.5, (height / 2 - y) / side + 0.5)
    knot.handle_type = "VECTOR"
    knot.co = knot.handle_left = knot.handle_right = at


def draw_sketch(sketch: dict[str, Any], size: list[int]) -> Any:
    """Annotation strokes as the preview's pen makes them: pixels from the picture's centre, y up."""
    width, height = size
    drawn = bpy.data.annotations.new("Sketch")
    layer = drawn.layers.new("Sketch", set_active=True)
    layer.thickness = sketch["width"]
    for frame, lines in sketch["lines"].items():
        strokes = layer.frames.new(1 + int(frame)).strokes
        for line in lines:
            stroke = strokes.new()
            stroke.display_mode = "2DSPACE"
            stroke.points.add(len(line))
            for point, (x, y) in zip(stroke.points, line, strict=True):
                point.co = (x - width / 2, height / 2 - y, 0)
    if not Path(sketch["file"]).exists():
        bpy.data.libraries.write(sketch["file"], {drawn}, fake_user=True, compress=True)
    return drawn


def load_sketch(file: str) -> Any:
    """The same strokes from a file: only Blender 5.2 can make strokes without a window."""
    kind = "annotations" if FIVE else "grease_pencils"
    with bpy.data.libraries.load(file) as (there, here):
        setattr(here, kind, list(getattr(there, kind)))
    return next(iter(getattr(bpy.data, kind)))


def describe(strip: Any) -> dict[str, Any]:
    start = strip.left_handle if TWO else strip.frame_final_start
    return {
        "name": strip.name,
        "channel": strip.channel,
        "start": start,
        "length": (strip.right_handle if TWO else strip.frame_final_end) - start,
        "blend_type": strip.blend_type,
    }


def render(scene: Any, folder: Path) -> None:
    """The sequencer's own pictures, without a view transform, so that bytes can be compared."""
    folder.mkdir(parents=True)
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    scene.render.dither_intensity = 0
    image = scene.render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "IMAGE"
    image.file_format, image.color_mode, image.color_depth, image.compression = "PNG", "RGB", "8", 15
    scene.render.filepath = f"{folder}{os.sep}#####"
    bpy.ops.render.render(animation=True)


if __name__ == "__main__":
    orders = json.loads(Path(sys.argv[-1]).read_text("utf-8"))
    figures = main(orders)
    Path(orders["figures"]).write_text(json.dumps(figures), "utf-8")
    sys.stdout.flush()
    os._exit(0)  # Blender 4.5 hangs at exit while an add-on is registered
