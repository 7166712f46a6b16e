"""What runs in the child Blender: open the saved copy, leave nothing but the strip, read the guides, render."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.clip import Size
from overpaint.edit import Guide, Input

from ..core import areas
from ..core.roles import RENDERED, MaskSource
from . import guides, render_guides, stack, strokes, versions
from .tiff import read_tiff


def main(folder: str) -> None:
    """Carry out `folder`/plan.json and leave the process; its words go to stderr where it fails."""
    orphaned = threading.Event()
    watch = threading.Thread(target=_die_with_parent, args=(folder, orphaned), daemon=True)
    watch.start()
    failed = 0
    try:
        capture(Path(folder), json.loads((Path(folder) / "plan.json").read_text("utf-8")))
    except BaseException:
        traceback.print_exc()
        failed = 1
    if orphaned.is_set():
        watch.join()  # it ends the process, when the files are gone
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(failed)  # the frames are on disk, and Blender 4.5 can hang in its own exit


def _die_with_parent(folder: str, orphaned: threading.Event) -> None:
    os.read(0, 1)  # the parent holds the other end and never writes: this returns when the parent is gone
    orphaned.set()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def capture(folder: Path, plan: dict[str, Any]) -> None:
    """Write guides.json and tracks.json, then one NNNNNN.tif for each frame; a file that has its name is complete.

    The pixels of guides are in NAME.npy, where NAME is their digest.
    """
    rendered = []
    if MaskSource(plan["mask_source"]) in RENDERED:
        rendered.append(render_guide(folder, plan, Input.MASK))
    if plan["scene_lines"]:
        rendered.append(render_guide(folder, plan, Input.SKETCH))
    scene, strip = open_copy(plan)
    write_guides(folder, plan, scene, strip, rendered)
    leave_only(scene, strip)
    lay_under(scene, strip, plan["start"], plan["length"], (0, 0, 0))
    plain_output(scene, plan["depth"])
    if plan["depth"] == 16 and strip.type != "SCENE" and is_untouched(scene, strip):
        keep_encoded(scene, strip)
    render_frames(folder, scene, plan["start"], plan["length"])


def open_copy(plan: dict[str, Any]) -> tuple[Any, Any]:
    """The scene and the strip, as the artist left them."""
    bpy.ops.wm.open_mainfile(filepath=plan["file"], load_ui=False, use_scripts=False)
    scene = bpy.data.scenes[plan["scene"]]
    versions.show_scene(bpy.context, scene)
    return scene, scene.sequence_editor.strips_all[plan["strip"]]


def render_guide(folder: Path, plan: dict[str, Any], kind: Input) -> Guide:
    """A mask or a sketch out of the strip itself, placed, timed and cut as its picture is."""
    scene, strip = open_copy(plan)
    if kind is Input.SKETCH:
        render_guides.show_lines(strip.scene)
    elif MaskSource(plan["mask_source"]) is MaskSource.OBJECTS:
        render_guides.show_objects(strip.scene, bpy.data.collections[plan["objects"]])
    leave_only(scene, strip)
    lay_under(scene, strip, plan["start"], plan["length"], (1, 1, 1))
    render_guides.blacken(scene, strip)
    plain_output(scene, 8)
    pictures = folder / kind
    pictures.mkdir()
    render_frames(pictures, scene, plan["start"], plan["length"])
    found = render_guides.guide(folder, kind, map(read_tiff, sorted(pictures.iterdir())))
    shutil.rmtree(pictures)
    return found


def write_guides(folder: Path, plan: dict[str, Any], scene: Any, strip: Any, rendered: Sequence[Guide] = ()) -> None:
    """Write guides.json and tracks.json: what was rendered, and what the artist drew in clip pixels.

    On frames on which the artist drew, the drawing is the sketch.
    """
    frames = range(plan["start"], plan["start"] + plan["length"])
    size = Size(width=plan["width"], height=plan["height"])
    note = versions.annotation_blocks()[plan["annotation"]] if plan["annotation"] else None
    shown = [] if note is None else [layer for layer in note.layers if not layer.annotation_hide]
    sketch, mask, paths = (
        [layer for layer in shown if layer.info in plan[role]]
        for role in ("sketch_layers", "mask_layers", "track_layers")
    )
    source = MaskSource(plan["mask_source"])
    lines = strokes.read_sketch(sketch, frames, size, scene.render, closed=source is not MaskSource.CLOSED)
    found = [lines, *rendered]
    match source:
        case MaskSource.DATABLOCK:
            found.append(strokes.read_mask(bpy.data.masks[plan["mask"]], frames, size, scene))
        case MaskSource.LAYERS:
            found.append(strokes.read_areas(mask, (), frames, size, scene.render))
        case MaskSource.CLOSED:
            found.append(strokes.read_areas(mask, sketch, frames, size, scene.render))
        case MaskSource.BOX:
            found.append(areas.box_mask(tuple(plan["box"])))
        case MaskSource.STORED:
            found.append(guides.stored_mask(strip, frames, size))
        case MaskSource.AUTOMATIC | MaskSource.NONE | MaskSource.OBJECTS | MaskSource.ALPHA:
            pass
    if plan["scene_lines"]:
        found = [areas.over(lines, one) if one.kind is Input.SKETCH else one for one in found[1:]]
    text = strokes.to_json(guide for guide in found if guide.keys)
    (folder / "guides.json").write_text(text, "utf-8")
    tracks = strokes.read_tracks(paths, frames, stack.visible(strip).stop - 1, size, scene.render)
    (folder / "tracks.json").write_text(strokes.tracks_to_json(tracks), "utf-8")


def leave_only(scene: Any, strip: Any) -> None:
    """Take every strip out of the sequencer but this one, the effects that show in its place and the metas around it.

    They are removed, not muted: an animated `mute` would bring them back. Strips that a modifier takes its mask
    from stay, muted.
    """
    around = stack.metas(strip)
    shown = [strip, *stack.effects(scene, strip)]
    masks = [modifier.input_mask_strip for one in shown for modifier in one.modifiers if modifier.input_mask_strip]
    kept = {one.name for one in (*around, *shown, *masks)}
    for holder in (*around, scene.sequence_editor):
        for channel in holder.channels:
            channel.mute = False
        for name in [one.name for one in holder.strips if one.name not in kept]:
            # Removing an effect's input removed the effect as well.
            if (other := scene.sequence_editor.strips_all.get(name)) is not None:
                holder.strips.remove(other)
    for mask in masks:
        mask.mute = mask not in shown
    for meta in around:
        make_plain(scene, meta)


def lay_under(scene: Any, strip: Any, start: int, length: int, colour: tuple[float, float, float]) -> None:
    """Let the sequencer itself blend the strip with a colour: a render without alpha would do it in linear light."""
    for number, one in enumerate([strip, *stack.effects(scene, strip)]):
        one.channel = 2 + number
        one.blend_type = "ALPHA_OVER"  # over black, multiply and its like would show nothing of the strip
    versions.new_effect(stack.owner(scene, strip).strips, "under", "COLOR", 1, start, length).color = colour


def make_plain(scene: Any, meta: Any) -> None:
    """Let the meta show what is in it and change nothing: the take will lie in it too, and be changed once."""
    for curve in stack.curves(scene, meta):
        curve.mute = True
    meta.blend_type, meta.blend_alpha = "ALPHA_OVER", 1.0
    meta.color_saturation = meta.color_multiply = 1.0
    meta.use_flip_x = meta.use_flip_y = meta.use_reverse_frames = False
    meta.strobe = 1.0
    for side in ("min_x", "max_x", "min_y", "max_y"):
        setattr(meta.crop, side, 0)
    place = meta.transform
    place.offset_x = place.offset_y = place.rotation = 0.0
    place.scale_x = place.scale_y = 1.0
    for modifier in meta.modifiers:
        modifier.mute = True


def plain_output(scene: Any, depth: int) -> None:
    """Render the sequencer and nothing else, as the sRGB that the file holds: view Standard, no look, no dither."""
    render, view, output = scene.render, scene.view_settings, scene.render.image_settings
    render.use_sequencer, render.use_compositing = True, False
    render.use_border = render.use_crop_to_border = render.use_multiview = render.use_stamp = False
    render.use_file_extension = False
    render.dither_intensity = 0.0
    scene.display_settings.display_device = "sRGB"
    scene.sequencer_colorspace_settings.name = "sRGB"
    view.view_transform, view.look, view.exposure, view.gamma = "Standard", "None", 0.0, 1.0
    view.use_curve_mapping = view.use_white_balance = False
    versions.write_stills(render)
    output.file_format, output.color_mode, output.color_depth = "TIFF", "RGB", str(depth)
    output.tiff_codec, output.color_management = "NONE", "FOLLOW_SCENE"


def is_untouched(scene: Any, strip: Any) -> bool:
    """Whether every pixel of the file is shown as one pixel of the picture, nothing mixed and nothing graded."""
    element, place, render = strip.elements[0], strip.transform, scene.render
    shift_x = place.offset_x + (render.resolution_x - element.orig_width) / 2
    shift_y = place.offset_y + (render.resolution_y - element.orig_height) / 2
    shown = [strip, *stack.effects(scene, strip)]
    return (
        strip.colorspace_settings.name == "sRGB"
        and render.resolution_percentage == 100
        and (place.scale_x, place.scale_y, place.rotation) == (1, 1, 0)
        and shift_x.is_integer()
        and shift_y.is_integer()
        and all(one.type == "SPEED" and not one.use_frame_interpolate for one in shown[1:])
        and all((one.color_saturation, one.color_multiply) == (1, 1) and not one.modifiers for one in shown)
        and not any(curve for one in shown for curve in stack.curves(scene, one))
    )


def keep_encoded(scene: Any, strip: Any) -> None:
    """Switch every conversion off: sRGB to light and back costs 16 bit pixels up to 1 of 65535.

    Said to be light already, the same numbers pass as they are. (Said to be no colour at all, they would lose their
    alpha.) Only for a strip that is_untouched: since 5.2 pixels are mixed and graded in light.
    """
    light = versions.light_space()
    if light in strip.colorspace_settings.bl_rna.properties["name"].enum_items:  # a studio's OCIO may lack it
        strip.colorspace_settings.name = scene.sequencer_colorspace_settings.name = light
        scene.view_settings.view_transform = "Raw"


def render_frames(folder: Path, scene: Any, start: int, length: int) -> None:
    # One by one: an animation's range cannot start below 0, strips can; and it costs no more.
    unfinished = folder / "rendering.tif"
    scene.render.filepath = str(unfinished)
    for index in range(length):
        scene.frame_set(start + index)
        bpy.ops.render.render(write_still=True, scene=scene.name)
        unfinished.replace(folder / f"{index:06d}.tif")
