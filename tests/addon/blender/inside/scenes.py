"""Guides out of a scene strip: two cubes before an orthographic camera, whose pixels are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
import painting
import stage
from overpaint.edit import Guide, Input
from overpaint.errors import OverpaintError
from overpaint_addon.host.timeline import BlenderTimeline

NOBODY = "127.0.0.1:9"
CORNERS = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def cube(scene: Any, name: str, x: float, y: float, z: float) -> Any:
    """A cube of two units, in a collection of its own."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(CORNERS, [], SIDES)
    thing = bpy.data.objects.new(name, mesh)
    thing.location = (x, y, z)
    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)
    collection.objects.link(thing)
    return thing


def shot() -> tuple[Any, Any]:
    """A sequencer of 64x64 with a scene strip on frames 5 to 7, placed 4 pixels to the right.

    8 pixels are a unit. A cube goes by a unit each frame, from (-1, 0) on; a nearer one hides what lies above y = 0.5.
    """
    painting.install("", NOBODY)
    scene, editor = stage.sequencer(64, 64)
    inner = bpy.data.scenes.new("set")
    inner.render.engine, inner.cycles.samples, inner.frame_end = "CYCLES", 1, 3
    inner.render.resolution_x = inner.render.resolution_y = 64
    inner.render.image_settings.file_format, inner.render.image_settings.color_depth = "PNG", "8"
    inner.world = bpy.data.worlds.new("sky")
    inner.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    inner.camera.data.type, inner.camera.data.ortho_scale, inner.camera.location.z = "ORTHO", 8, 10
    lamp = bpy.data.objects.new("lamp", bpy.data.lights.new("lamp", "SUN"))
    for thing in (inner.camera, lamp):
        inner.collection.objects.link(thing)
    moving = cube(inner, "moving", -1, 0, 0)
    cube(inner, "near", 0, 1.5, 3).scale.x = 4
    for frame in (1, 3):
        moving.location.x = frame - 2
        moving.keyframe_insert("location", frame=frame)
    for curve in stage.versions.curves(moving.animation_data.action):
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"
    strip = editor.strips.new_scene("set", inner, 1, 5)
    strip.transform.offset_x = 4
    editor.active_strip = strip
    return scene, strip


def guides() -> tuple[tuple[Guide, ...], Any]:
    """The guides of the capture of what is selected, and its pixels of each frame by kind, None where there are none."""
    timeline = BlenderTimeline()
    selection = timeline.read_selection()
    capture = timeline.start_capture(selection)
    try:
        stage.finished(capture, selection.length)
        found = capture.guides()
        pixels = {
            guide.kind: [
                capture.guide_pixels(key.pixels) if (key := guide.key_at(frame)) and key.pixels else None
                for frame in range(selection.length)
            ]
            for guide in found
        }
        return found, pixels
    finally:
        capture.close()


def box(shown: np.ndarray) -> list[int]:
    """Left, top, right and bottom of what is there, outer sides."""
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return [int(number) for number in (left, top, right, bottom)]


def objects() -> dict[str, Any]:
    """The mask of the moving cube, on each frame; and the scene's own picture is what it was."""
    scene, _ = shot()
    _, before = stage.captured()
    scene.overpaint_guides.mask_source, scene.overpaint_guides.objects = "objects", bpy.data.collections["moving"]
    (mask,), pixels = guides()
    _, after = stage.captured()
    return {
        "kind": [mask.kind, mask.hold, [key.frame for key in mask.keys]],
        "values": sorted({int(value) for one in pixels[Input.MASK] for value in np.unique(one)}),
        "boxes": [box(one > 0) for one in pixels[Input.MASK]],
        "solid": [
            bool(one[30:38, at : at + 12].all()) for one, at in zip(pixels[Input.MASK], (22, 30, 38), strict=True)
        ],
        "difference": stage.difference(before, after),
    }


def lines() -> dict[str, Any]:
    """The scene's lines: on which frames, and where those of the last one are; and without the sketch, none."""
    scene, _ = shot()
    scene.overpaint_guides.scene_lines = True
    (sketch,), pixels = guides()
    last = pixels[Input.SKETCH][-1]
    scene.overpaint.use_sketch = False
    return {
        "kind": [sketch.kind, sketch.hold, [key.frame for key in sketch.keys]],
        "moves": bool((pixels[Input.SKETCH][0] != last).any()),
        "middle": int(last[34:38, 40:48].max()),  # inside the moving cube
        "edges": [int(last[34:38, column - 2 : column + 2].max()) for column in (36, 52)],
        "share": round(float((last > 127).mean()), 2),
        "without": len(guides()[0]),
    }


def alpha(media: str) -> list[int]:
    """The mask of a strip that is half as large as the picture: where it is."""
    painting.install("", NOBODY)
    scene, editor = stage.sequencer()
    strip = stage.add(editor.strips, Path(media) / "png8", start=1)
    strip.transform.scale_x = strip.transform.scale_y = 0.5
    strip.transform.filter = "NEAREST"
    scene.overpaint_guides.mask_source = "alpha"
    _, pixels = guides()
    return box(pixels[Input.MASK][3] > 0)


def refused(media: str) -> list[list[str]]:
    """What is said where the strip has no such guide."""
    scene, strip = shot()
    fields, said = scene.overpaint_guides, []

    def ask(**given: Any) -> None:
        fields.mask_source, fields.objects, fields.scene_lines = "automatic", None, False
        for name, value in given.items():
            setattr(fields, name, value)
        try:
            BlenderTimeline().read_selection()
            said.append([])
        except OverpaintError as error:
            said.append([error.field, error.message])

    ask(mask_source="objects")
    ask(mask_source="objects", objects=bpy.data.collections.new("elsewhere"))
    strip.scene_input = "SEQUENCER"
    ask(scene_lines=True)
    stage.add(scene.sequence_editor.strips, Path(media) / "png8", start=5, channel=3, name="file")
    ask(mask_source="objects", objects=bpy.data.collections["moving"])
    ask(scene_lines=True)
    ask()
    return said


def there(strip: Any) -> list[np.ndarray]:
    """Where each picture of a take's strip is not transparent, "h w"."""
    found = []
    for element in strip.elements:
        image = bpy.data.images.load(bpy.path.abspath(str(Path(strip.directory) / element.filename)))
        width, height = image.size
        found.append(np.array(image.pixels[:]).reshape(height, width, 4)[::-1, :, 3] > 0)
    return found


def painted(server: str, folder: str) -> dict[str, Any]:
    """Paint the moving cube with the toy engine: where each frame changed."""
    scene, strip = shot()
    painting.install("", server)
    scene.overpaint_guides.mask_source, scene.overpaint_guides.objects = "objects", bpy.data.collections["moving"]
    scene.overpaint_guides.scene_lines = True
    fields = scene.overpaint
    fields.engine, fields.task, fields.prompt, fields.feather = "toy", "replace", "a red crate", 0.0
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "edit.blend"))
    scene.frame_set(6)
    assert bpy.ops.overpaint.preview_frame() == {"FINISHED"}
    (preview,) = (one for one in scene.sequence_editor.strips if one != strip)
    previewed = there(preview)
    bpy.ops.overpaint.clear_preview()
    assert bpy.ops.overpaint.paint() == {"FINISHED"}
    (take,) = (one for one in scene.sequence_editor.strips if one != strip)
    stage.plain(scene)
    after = stage.rendered(folder, range(5, 8))
    take.mute = True
    before = stage.rendered(folder, range(5, 8))
    # Blender rounds some pixels of a scene otherwise under a strip, even where that is transparent.
    changed = np.asarray((np.abs(before.astype(int) - after) > 1).any(axis=3))
    opaque = np.stack(there(take))
    return {
        "take": take.name,
        "previewed": [box(one) for one in previewed],
        "opaque": [box(one) for one in opaque],
        "changed": [round(float(one[shown].mean()), 1) for one, shown in zip(changed, opaque, strict=True)],
        "outside": int((changed & ~opaque).sum()),
    }
