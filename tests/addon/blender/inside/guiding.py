"""What an artist draws for sketch, mask and tracks, chosen and keyed through the installed extension, in Blender."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import recording
import stage
from drawing import draw

NAME = "bl_ext.user_default.overpaint"
LOOP = [(10, 10), (30, 10), (30, 30), (10, 30), (10, 10)]
CORNER = [(-40, -20), (-20, -20), (-20, 0), (-40, 0)]  # three sides of a square: not closed by itself
RED = (0.9, 0.1, 0.2)


def save(media: str, blend: str) -> None:
    """A .blend with a strip on 5..12 and five layers of annotations; only 5.2 can draw headless."""
    _, editor = stage.sequencer()
    stage.add(editor.strips, Path(media) / "png8", start=5)
    note = bpy.data.annotations.new("note")
    lines = note.layers.new("Note", set_active=True)
    draw(lines, 5, [(-10, 0), (10, 0)], LOOP)
    draw(lines, 9, [(0, 5), (0, -5)])
    mask = note.layers.new("Mask of the coat", set_active=False)
    draw(mask, 6, CORNER)
    mask.frames.new(8)
    draw(mask, 10, CORNER[:3])
    motion = note.layers.new("motion", set_active=False)
    draw(motion, 5, [(0, 0), (8, 0), (8, -8)])
    draw(motion, 9, [(-8, 0), (-2, 0)])
    red = note.layers.new("red", set_active=False)
    red.color = RED
    draw(red, 7, [(1, 1), (2, 2)])
    hidden = note.layers.new("mask, hidden", set_active=False)
    draw(hidden, 6, LOOP)
    hidden.annotation_hide = True
    area = bpy.context.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    area.spaces.active.annotation = note
    bpy.ops.wm.save_as_mainfile(filepath=blend)


def opened(extension: str, blend: str) -> Any:
    """The scene of the file, with the extension installed."""
    bpy.ops.preferences.addon_enable(module=NAME)
    bpy.ops.wm.open_mainfile(filepath=blend)
    return bpy.context.scene


def module(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


def read(extension: str, blend: str, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is selected and what the child reads, for each of the cases.

    A case says the fields of the scene and of its guides, the rules for layers, and whether a Mask is chosen.
    """
    opened(extension, blend)
    found = []
    for case in cases:
        bpy.ops.wm.open_mainfile(filepath=blend)
        scene = bpy.context.scene
        for name, value in case.get("render", {}).items():
            setattr(scene.render, name, value)
        for name, value in case.get("scene", {}).items():
            setattr(scene, name, value)
        for name, value in case.get("guides", {}).items():
            setattr(scene.overpaint_guides, name, value)
        for given in case.get("rules", ()):
            rule = scene.overpaint_guides.rules.add()
            for name, value in given.items():
                setattr(rule, name, value)
        if case.get("mask"):
            scene.overpaint.mask = bpy.data.masks.new(case["mask"])
        found.append(captured())
    return found


def captured() -> dict[str, Any]:
    timeline = module("host.timeline").BlenderTimeline()
    try:
        selection = timeline.read_selection()
    except Exception as error:
        return {"refused": str(error)}
    capture = timeline.start_capture(selection)
    stage.finished(capture, selection.length)
    guides, tracks = capture.guides(), capture.tracks()
    capture.close()
    return {
        "frames": [selection.start, selection.length],
        "source": selection.mask_source,
        "chosen": selection.mask,
        "tracks": [[[point.frame, point.x, point.y] for point in one.points] for one in tracks],
    } | {
        guide.kind: {
            str(key.frame): [[one.closed, len(one.knots), [one.knots[0].x, one.knots[0].y]] for one in key.strokes]
            for key in guide.keys
        }
        for guide in guides
    }


def stored(extension: str, blend: str) -> list[dict[str, Any]]:
    """A mask stored for 5..12 at 96x64: as it is, at half size, moved by 3 and trimmed, in another shape, forgotten."""
    from overpaint.clip import Size
    from overpaint.edit import Guide, GuideKey, Input, Knot, Stroke

    scene = opened(extension, blend)
    for layer in module("host.guides").annotation(scene).layers:
        layer.annotation_hide = True  # so that the stored mask is the first there is
    strip = scene.sequence_editor.active_strip
    keys = tuple(
        GuideKey(frame=frame, strokes=(Stroke(knots=tuple(Knot(x=x + frame, y=y) for x, y in LOOP), closed=True),))
        for frame in range(0, 8, 2)
    )
    guide = Guide(kind=Input.MASK, keys=keys, hold=True)
    module("host.guides").keep_mask(strip, guide, 5, Size(width=96, height=64))
    found = [captured()]
    scene.render.resolution_percentage = 50
    found.append(captured())
    scene.render.resolution_percentage = 100
    stage.move(strip, 3)
    stage.set_handles(strip, 11, 15)
    found.append(captured())
    scene.render.resolution_y = 96
    found.append(captured())
    scene.render.resolution_y = 64
    assert bpy.ops.overpaint.guide_forget() == {"FINISHED"}
    found.append(captured())
    return found


def keyed(extension: str, blend: str) -> dict[str, Any]:
    """Jump, copy, clear, and take a box, by the operators; and the diamonds' places."""
    scene = opened(extension, blend)
    guides, diamonds = module("host.guides"), module("ui.diamonds")
    note = guides.annotation(scene)
    layer = note.layers[note.layers.active_index]
    frames = {}
    scene.frame_set(1)
    frames["next"] = [_jump("next") for _ in range(7)]
    frames["previous"] = [_jump("previous") for _ in range(7)]

    def drawings() -> list[list[int]]:
        return [[one.frame_number, len(one.strokes)] for one in layer.frames]

    scene.frame_set(7)
    assert bpy.ops.overpaint.guide_copy() == {"FINISHED"}
    frames["copied"] = drawings()
    frames["points"] = [len(stroke.points) for stroke in layer.frames[1].strokes]
    frames["refused"] = _refusal(bpy.ops.overpaint.guide_copy)
    assert bpy.ops.overpaint.guide_clear() == {"FINISHED"}
    frames["cleared"] = drawings()
    assert bpy.ops.overpaint.guide_clear(leave_empty=True) == {"FINISHED"}
    frames["ended"] = drawings()
    assert bpy.ops.overpaint.guide_copy() == {"FINISHED"}
    frames["over an empty one"] = drawings()
    scene.frame_set(5)
    frames["first"] = _refusal(bpy.ops.overpaint.guide_copy)
    scene.frame_set(6)
    scene.render.resolution_percentage = 50
    assert bpy.ops.overpaint.guide_box() == {"FINISHED"}
    fields = scene.overpaint_guides
    frames["box"] = [*fields.box, fields.mask_source]
    scene.frame_set(9)
    frames["no box"] = _refusal(bpy.ops.overpaint.guide_box)
    scene.frame_set(1)
    frames["nothing here"] = _refusal(bpy.ops.overpaint.guide_box)

    class View:
        def view_to_region(self, x: float, y: float, clip: bool) -> tuple[float, float]:
            return 10 * x, 100 * y

    found = diamonds.marks(bpy.context, View(), 4)
    frames["diamonds"] = {
        role: [[(corners[i][0] + corners[i + 2][0]) / 2, corners[i][1]] for i in range(0, len(corners), 6)]
        for role, corners in found.items()
    }
    return frames


def _jump(direction: str) -> int:
    bpy.ops.overpaint.guide_jump(direction=direction)
    return bpy.context.scene.frame_current


def _refusal(operator: Any) -> str:
    try:
        return str(operator())
    except RuntimeError as error:
        return str(error).strip().removeprefix("Error: ")


def panel(extension: str, blend: str) -> list[list[str]]:
    """What the panel says: as it is at first, with choices made, and with frames that miss the strip."""
    scene = opened(extension, blend)
    Panel = module("ui.guides").OVERPAINT_PT_guides
    fields = scene.overpaint_guides
    found = [recording.drawn(Panel).shown]
    bpy.ops.overpaint.guide_rule_add()
    fields.span, fields.first, fields.last, fields.mask_source = "custom", 6, 9, "box"
    fields.rules[0].role = "mask"
    found.append(recording.drawn(Panel).shown)
    bpy.ops.overpaint.guide_rule_remove(index=0)
    fields.last = 3
    found.append(recording.drawn(Panel).shown)
    return found


def layer_names(extension: str, blend: str) -> list[str]:
    """What the search for a layer's name offers."""
    opened(extension, blend)
    return list(module("ui.guides")._layer_names(None, bpy.context, "MA"))


def enabled_again(extension: str) -> list[bool]:
    """Whether the fields are there: enabled, disabled, enabled again."""
    bpy.ops.preferences.addon_enable(module=NAME)
    found = [hasattr(bpy.types.Scene, "overpaint_guides")]
    bpy.ops.preferences.addon_disable(module=NAME)
    found.append(hasattr(bpy.types.Scene, "overpaint_guides"))
    bpy.ops.preferences.addon_enable(module=NAME)
    found.append(hasattr(bpy.types.Scene, "overpaint_guides"))
    return found


def pens(extension: str) -> list[list[str]]:
    """Which layers there are and which is active, when one says what one wants to draw."""
    bpy.ops.preferences.addon_enable(module=NAME)
    scene, _ = stage.sequencer()
    found = []
    for role in ("mask", "sketch", "mask", "track"):
        bpy.ops.overpaint.guide_draw(role=role)
        note = module("host.guides").annotation(scene)
        found.append([*(layer.info for layer in note.layers), note.layers[note.layers.active_index].info])
    return found
