"""Annotations and masks that become guides, in Blender."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
import stage
from overpaint_addon.host import strokes, versions
from overpaint_addon.host.timeline import BlenderTimeline


class Chosen(bpy.types.PropertyGroup):
    """What the panel will let the artist choose."""

    mask: bpy.props.PointerProperty(type=bpy.types.Mask)  # pyright: ignore[reportInvalidTypeForm]


def save_notes(media: str, blend: str) -> None:
    """A .blend with a strip on 5..12 and annotations in the preview and on the scene; only 5.2 can draw headless."""
    scene, editor = stage.sequencer(96, 64)
    stage.add(editor.strips, Path(media) / "png8", start=5)
    note = bpy.data.annotations.new("note")
    lines = note.layers.new("lines", set_active=True)
    lines.thickness = 4
    draw(lines, 1, [(-48, 32), (-48, -32)])
    draw(lines, 3, [(-10, 0), (10, 0), (10.5, -20.25)])
    draw(lines, 7, [(0, 5), (0, -5)], [(1, 1)])
    lines.frames.new(9)
    draw(lines, 12, [(48, -32), (0, 0)])
    draw(lines, 13, [(1, 2), (3, 4)])
    dots = note.layers.new("dots", set_active=False)
    dots.thickness = 2
    draw(dots, 7, [(20, 20), (24, 20)])
    dots.frames.new(10)
    hidden = note.layers.new("hidden", set_active=False)
    draw(hidden, 6, [(0, 0), (9, 9)])
    hidden.annotation_hide = True
    draw(bpy.data.annotations.new("on the scene").layers.new("L", set_active=True), 6, [(0, 0), (9, 9)])
    area = bpy.context.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    area.spaces.active.annotation = note
    scene.annotation = bpy.data.annotations["on the scene"]
    bpy.ops.wm.save_as_mainfile(filepath=blend)


def draw(layer: Any, frame: int, *lines: Sequence[tuple[float, float]]) -> None:
    """A drawing of these strokes, keyed on the frame; points from the middle of the picture, y up."""
    drawing = layer.frames.new(frame)
    for line in lines:
        stroke = drawing.strokes.new()
        stroke.display_mode = "2DSPACE"
        stroke.points.add(len(line))
        for point, (x, y) in zip(stroke.points, line, strict=True):
            point.co = (x, y, 0)


def notes(blend: str, percentage: int) -> dict[str, Any]:
    """What the child reads of the saved annotations: {key's frame: [[width, points]]}."""
    bpy.ops.wm.open_mainfile(filepath=blend)
    bpy.context.scene.render.resolution_percentage = percentage
    selection, guides = _guides()
    (sketch,) = guides
    keys = {key.frame: [[one.width, [[k.x, k.y] for k in one.knots]] for one in key.strokes] for key in sketch.keys}
    handles = {(k.left, k.right) for key in sketch.keys for one in key.strokes for k in one.knots}
    return {
        "annotation": selection.annotation,
        "kind": sketch.kind,
        "hold": sketch.hold,
        "keys": keys,
        "open lines": handles == {(None, None)} and not any(one.closed for key in sketch.keys for one in key.strokes),
    }


def scene_notes(blend: str) -> str:
    """The annotation that is found where no sequencer on screen has one."""
    bpy.ops.wm.open_mainfile(filepath=blend)
    for area in bpy.context.screen.areas:
        if area.type == "SEQUENCE_EDITOR":
            area.type = "VIEW_3D"
    return BlenderTimeline().read_selection().annotation


CIRCLE = [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)]


def masks(media: str, folder: str, percentage: int) -> dict[str, Any]:
    """A mask that moves on frames 1 to 5, as a guide in JSON; and Blender's own render of it beside, as mask.npy."""
    scene, editor = stage.sequencer(480, 320, percentage)
    strip = stage.add(editor.strips, Path(media) / "png8", start=1)
    mask = bpy.data.masks.new("coat")
    moving = _area(mask.layers.new(name="moving"), [(0.3, 0.3), (0.5, 0.35), (0.4, 0.6)])
    _animate(scene, mask, moving, {1: 0.0, 5: 0.2})
    cut = mask.layers.new(name="cut")
    cut.blend, cut.alpha = "SUBTRACT", 0.5
    _area(cut, CIRCLE, around=(0.48, 0.4), radius=0.08)
    lit = mask.layers.new(name="lit")
    lit.blend = "LIGHTEN"
    _area(lit, CIRCLE[:3], around=(0.75, 0.45), radius=0.15, cyclic=False)
    for name, setting in (("unseen", "hide_render"), ("unfilled", None)):
        layer = mask.layers.new(name=name)
        area = _area(layer, [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9)])
        if setting:
            setattr(layer, setting, True)
        else:
            area.use_fill = False
    bpy.utils.register_class(Chosen)
    bpy.types.Scene.overpaint = bpy.props.PointerProperty(type=Chosen)
    without = BlenderTimeline().read_selection().mask
    scene.overpaint.mask = mask
    scene.frame_set(4)
    selection, guides = _guides()
    moved = scene.frame_current
    mask.layers["unfilled"].hide_render = True  # Blender shows its outline, as a line of one pixel
    stage.plain(scene)
    editor.strips.remove(strip)
    editor.strips.new_mask("mask", mask, 3, 1)
    np.save(Path(folder) / "mask.npy", stage.rendered(folder, range(1, 9))[..., 0])
    return {
        "without": without,
        "mask": selection.mask,
        "frame": moved,
        "guides": json.loads(strokes.to_json(guides)),
        "same again": strokes.from_json(strokes.to_json(guides)) == guides,
    }


def _area(
    layer: Any,
    corners: list[tuple[float, float]],
    around: tuple[float, float] | None = None,
    radius: float = 1.0,
    cyclic: bool = True,
) -> Any:
    """A spline through the corners; straight, or with the handles of a circle of that radius `around` its middle."""
    spline = layer.splines.new()
    spline.use_cyclic = cyclic
    spline.points.add(len(corners) - 1)
    bend = 0.5523 * radius if around else 0.0
    middle = around or (0.0, 0.0)
    for point, (x, y) in zip(spline.points, corners, strict=True):
        u, v = middle[0] + x * radius, middle[1] + y * radius
        point.handle_left_type = point.handle_right_type = "FREE"
        point.co = (u, v)
        point.handle_left, point.handle_right = (u + y * bend, v - x * bend), (u - y * bend, v + x * bend)
    return spline


def _animate(scene: Any, mask: Any, spline: Any, moves: dict[int, float]) -> None:
    """Key the spline's shape, shifted right by so much of the unit square: shape keys are made by an operator only."""
    area = bpy.context.screen.areas[0]
    area.type = "IMAGE_EDITOR"
    space = area.spaces.active
    space.mode, space.mask = "MASK", mask
    region = next(region for region in area.regions if region.type == "WINDOW")
    shapes = [[tuple(getattr(point, one)) for one in ("co", "handle_left", "handle_right")] for point in spline.points]
    with bpy.context.temp_override(window=bpy.context.window, area=area, region=region, space_data=space, scene=scene):
        bpy.ops.mask.select_all(action="SELECT")
        for frame, shift in moves.items():
            scene.frame_set(frame)
            for point, shape in zip(spline.points, shapes, strict=True):
                point.co, point.handle_left, point.handle_right = ((u + shift, v) for u, v in shape)
            assert bpy.ops.mask.shape_key_insert() == {"FINISHED"}


def nothing_drawn(media: str) -> int:
    """How many guides an empty mask and an annotation without strokes on the strip's frames give."""
    scene, editor = stage.sequencer()
    stage.add(editor.strips, Path(media) / "png8")
    bpy.utils.register_class(Chosen)
    bpy.types.Scene.overpaint = bpy.props.PointerProperty(type=Chosen)
    scene.overpaint.mask = bpy.data.masks.new("empty")
    note = versions.annotation_blocks().new("empty")
    if versions.FIVE:
        scene.annotation = note
    else:
        scene.grease_pencil = note
    selection, guides = _guides()
    assert (selection.mask, selection.annotation) == ("empty", "empty")
    return len(guides)


def _guides() -> tuple[Any, tuple[Any, ...]]:
    timeline = BlenderTimeline()
    selection = timeline.read_selection()
    capture = timeline.start_capture(selection)
    stage.finished(capture, selection.length)
    guides = capture.guides()
    capture.close()
    return selection, guides
