"""Captures, in Blender."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
import stage
from overpaint.errors import OverpaintError
from overpaint_addon.host import versions
from overpaint_addon.host.timeline import BlenderTimeline


def exact(media: str, source: str, frames: str, light: str = "") -> dict[str, Any] | None:
    if light:
        if not versions.FIVE:
            return None
        bpy.ops.wm.set_working_color_space(working_space=light, convert_colors=False)
        assert bpy.data.colorspace.working_space == light
    _, editor = stage.sequencer()
    stage.add(editor.strips, Path(media) / source, start=-3)
    selection, got = stage.captured()
    return {
        "start": selection.start,
        "depth": selection.depth,
        "size": str(selection.size),
        "difference": stage.difference(got, np.load(Path(media) / frames)),
    }


def timing(media: str, source: str, names: list[str]) -> dict[str, list[int]]:
    """For each way to change a strip's timing: which of the source's frames the captured ones are (-1: none of them)."""
    frames = np.load(Path(media) / "frames8.npy")
    found = {}
    for name in names:
        editor = _fresh()
        TIMINGS[name](editor, stage.add(editor.strips, Path(media) / source, start=10))
        _, got = stage.captured()
        equal = (got[:, None] == frames[None]).all(axis=(2, 3, 4))
        found[name] = [int(row.argmax()) if row.any() else -1 for row in equal]
    return found


def _speed(editor: Any, strip: Any) -> None:
    effect = versions.new_effect(editor.strips, "speed", "SPEED", 3, 10, 8, input1=strip)
    effect.speed_control, effect.speed_factor = "MULTIPLY", 2.0


def _retime(editor: Any, strip: Any) -> None:
    """The first half of the strip in half the time."""
    area = bpy.context.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    for other in editor.strips:
        other.select = other == strip
    with bpy.context.temp_override(area=area, region=area.regions[-1]):
        # Not retiming_keys.add(): on a strip without keys it ends 4.5 and 5.0 with a segmentation fault.
        assert bpy.ops.sequencer.retiming_key_add(timeline_frame=14) == {"FINISHED"}
    strip.retiming_keys[1].timeline_frame = 12


TIMINGS: dict[str, Callable[[Any, Any], None]] = {
    "trimmed": lambda _, strip: stage.set_handles(strip, 12, 16),
    "held": lambda _, strip: stage.set_handles(strip, 8, 20),
    "slipped": lambda _, strip: setattr(strip, "animation_offset_start", 3),
    "reversed": lambda _, strip: setattr(strip, "use_reverse_frames", True),
    "strobed": lambda _, strip: setattr(strip, "strobe", 2),
    "sped up": _speed,
    "retimed": _retime,
}


def _turned(_: Any, strip: Any) -> None:
    place = strip.transform
    place.offset_x, place.offset_y, place.rotation, place.scale_x, place.scale_y = 5, -7, 0.3, 1.25, 0.8
    place.origin = (0.25, 0.75)


def _moving(_: Any, strip: Any) -> None:
    for frame, x, opacity in ((10, -20, 1.0), (17, 20, 0.25)):
        strip.transform.offset_x, strip.blend_alpha = x, opacity
        strip.transform.keyframe_insert("offset_x", frame=frame)
        strip.keyframe_insert("blend_alpha", frame=frame)


def _moving_in_mapped_time(editor: Any, strip: Any) -> None:
    _moving(editor, strip)
    bpy.context.scene.render.frame_map_new = 150


def _cropped(_: Any, strip: Any) -> None:
    strip.crop.min_x, strip.crop.max_x, strip.crop.min_y, strip.crop.max_y = 3, 5, 7, 11


def _graded(_: Any, strip: Any) -> None:
    strip.modifiers.new("grade", "COLOR_BALANCE").color_balance.gain = (1.2, 0.9, 0.7)
    strip.color_saturation = 0.5


LOOKS: dict[str, Callable[[Any, Any], None]] = TIMINGS | {
    "turned": _turned,
    "moving": _moving,
    "moving in mapped time": _moving_in_mapped_time,
    "cropped": _cropped,
    "flipped": lambda _, strip: setattr(strip, "use_flip_x", True),
    "graded": _graded,
    "half there": lambda _, strip: setattr(strip, "blend_alpha", 0.5),
}


def shown(media: str, source: str, folder: str, looks: list[str]) -> dict[str, int]:
    """For each look: how much the captured frames differ from what Blender renders of the strip when it is alone."""
    found = {}
    for name in looks:
        editor = _fresh()
        strip = stage.add(editor.strips, Path(media) / source, start=10, channel=2)
        versions.new_effect(editor.strips, "black", "COLOR", 1, 1, 40).color = (0, 0, 0)
        LOOKS[name](editor, strip)
        stage.plain(bpy.context.scene)
        frames = range(versions.start_of(strip), versions.stop_of(strip))
        alone = stage.rendered(folder, frames, 8 if "8" in source else 16)
        _crowd(editor)
        _disturb(bpy.context.scene)
        strip.blend_type = "MULTIPLY"
        editor.active_strip = strip
        selection, got = stage.captured()
        assert (selection.start, selection.length) == (frames[0], len(frames))
        found[name] = stage.difference(got, alone)
    return found


def _crowd(editor: Any) -> None:
    """Strips around the one that counts: below, above, and one that an animation keeps unmuting."""
    versions.new_effect(editor.strips, "above", "COLOR", 6, 1, 40).color = (1, 0, 1)
    versions.new_effect(editor.strips, "added", "COLOR", 5, 1, 40).blend_type = "ADD"
    again = versions.new_effect(editor.strips, "again", "TEXT", 7, 1, 40)
    again.keyframe_insert("mute", frame=1)
    again.mute = True


def _disturb(scene: Any) -> None:
    """Every setting that would change the picture, or keep it from being written."""
    render, view = scene.render, scene.view_settings
    view.view_transform, view.exposure, view.gamma = "AgX", 1.5, 0.7
    view.look = "AgX - Punchy"
    view.use_curve_mapping = True
    view.curve_mapping.curves[3].points[0].location = (0.3, 0.0)
    scene.sequencer_colorspace_settings.name = "Linear Rec.709"
    scene.frame_start, scene.frame_end, scene.frame_step = 3, 4, 5
    render.use_sequencer, render.use_compositing, render.dither_intensity = False, True, 2.0
    render.use_border, render.use_crop_to_border, render.border_max_x = True, True, 0.5
    render.use_stamp, render.use_multiview, render.use_placeholder, render.use_overwrite = True, True, True, False
    render.image_settings.color_management = "OVERRIDE"
    render.image_settings.view_settings.view_transform = "Raw"
    render.image_settings.file_format = "JPEG"
    if hasattr(render, "save_output"):
        render.save_output = False


def _fresh() -> Any:
    scene, editor = stage.sequencer()
    for name in [strip.name for strip in editor.strips]:
        if name in editor.strips_all:
            editor.strips.remove(editor.strips_all[name])
    scene.animation_data_clear()
    scene.render.image_settings.color_management = "FOLLOW_SCENE"
    render = scene.render
    render.frame_map_new = 100
    render.use_border = render.use_stamp = render.use_multiview = render.use_placeholder = False
    render.use_sequencer = render.use_overwrite = True
    scene.view_settings.use_curve_mapping, scene.view_settings.exposure, scene.view_settings.gamma = False, 0, 1
    scene.sequencer_colorspace_settings.name = "sRGB"
    return editor


def placed(media: str, u: int, v: int) -> list[float]:
    """Where the pixel (u, v) of a black picture with one white block comes out, turned, scaled and shifted."""
    editor = _fresh()
    strip = stage.add(editor.strips, media)
    _turned(editor, strip)
    _, got = stage.captured()
    weight = got[0, ..., 0].astype(float)
    ys, xs = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    return [float((weight * xs).sum() / weight.sum()), float((weight * ys).sum() / weight.sum())]


def scene_strip(folder: str, depth: str) -> dict[str, Any]:
    """A strip of a scene with a lit ball that moves: how much the captured frames differ from what Blender renders."""
    scene, editor = stage.sequencer(48, 32)
    inner = bpy.data.scenes.new("set")
    inner.render.engine, inner.cycles.samples, inner.frame_end = "CYCLES", 4, 3
    inner.render.resolution_x, inner.render.resolution_y = 48, 32
    inner.render.image_settings.file_format, inner.render.image_settings.color_depth = "PNG", depth
    inner.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    inner.camera.location.z = 8
    ball = bpy.data.objects.new("ball", bpy.data.meshes.new("ball"))
    ball.data.from_pydata([(-1, -1, 0), (1, -1, 0), (0, 1, 0)], [], [(0, 1, 2)])
    lamp = bpy.data.objects.new("lamp", bpy.data.lights.new("lamp", "SUN"))
    for thing in (inner.camera, ball, lamp):
        inner.collection.objects.link(thing)
    for frame in (1, 3):
        ball.location.x = frame - 2
        ball.keyframe_insert("location", frame=frame)
    strip = editor.strips.new_scene("set", inner, 1, 5)
    editor.active_strip = strip
    selection, frames = stage.captured()
    stage.plain(scene)
    shown = stage.rendered(folder, range(5, 8), selection.depth)
    return {
        "frames": [selection.start, selection.length, selection.depth],
        "difference": stage.difference(frames, shown),
        "moves": bool((frames[0] != frames[2]).any()),
    }


def in_metas(media: str) -> dict[str, Any]:
    """A strip in a meta in a meta; the outer one is trimmed, turned, dimmed and animated, and has a speed effect."""
    _, editor = stage.sequencer()
    outer = stage.add_meta(editor.strips, 3, 7, channel=2, name='out"er')
    inner = stage.add_meta(outer.strips, 1, 9, name="inner")
    strip = stage.add(inner.strips, Path(media) / "png8", start=1, channel=3)
    stage.add(inner.strips, Path(media) / "png16", start=1, channel=4, name="above")
    versions.new_effect(editor.strips, "speed", "SPEED", 3, 3, 4, input1=outer).speed_factor = 2
    stage.set_handles(inner, 1, 9)
    stage.set_handles(outer, 3, 7)
    outer.transform.rotation, outer.use_flip_x, outer.crop.min_x = 0.5, True, 20
    outer.blend_alpha = 0.3
    for frame in (1, 9):
        outer.transform.scale_x = frame
        outer.transform.keyframe_insert("scale_x", frame=frame)
    editor.active_strip = strip
    selection, got = stage.captured()
    return {
        "start": selection.start,
        "difference": stage.difference(got, np.load(Path(media) / "frames8.npy")[2:6]),
    }


def untouched(media: str, folder: str) -> dict[str, Any]:
    """What of the open file a capture changed: differences of two dumps of everything that RNA knows."""
    scene, editor = stage.sequencer()
    strip = stage.add(editor.strips, Path(media) / "png8")
    _moving(editor, strip)
    _crowd(editor)
    _disturb(scene)
    scene.frame_set(5)
    editor.active_strip = strip
    bpy.data.use_autopack = True
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "saved.blend"))
    before = _dump()
    _, got = stage.captured()
    after = _dump()
    changed = {key: (before.get(key), after.get(key)) for key in before | after if before.get(key) != after.get(key)}
    return {"length": len(got), "known": len(before), "changed": changed}


def _dump() -> dict[str, str]:
    scene = bpy.context.scene
    dump = {
        f"data.{kind}": str(sorted(one.name for one in getattr(bpy.data, kind)))
        for kind in ("scenes", "images", "masks", "texts", "movieclips")
    }
    dump |= {name: str(getattr(bpy.data, name)) for name in ("filepath", "is_dirty", "is_saved", "use_autopack")}
    for name in ("render", "view_settings", "display_settings", "sequencer_colorspace_settings"):
        _dump_into(dump, name, getattr(scene, name))
    _dump_into(dump, "image", scene.render.image_settings)
    for name in ("frame_current", "frame_start", "frame_end", "frame_step"):
        dump[name] = str(getattr(scene, name))
    dump["active"] = scene.sequence_editor.active_strip.name
    for strip in scene.sequence_editor.strips_all:
        _dump_into(dump, strip.name, strip)
        for part in ("transform", "crop", "colorspace_settings"):
            if hasattr(strip, part):
                _dump_into(dump, f"{strip.name}.{part}", getattr(strip, part))
    return dump


def _dump_into(dump: dict[str, str], path: str, owner: Any) -> None:
    for known in owner.bl_rna.properties:
        if known.type not in ("POINTER", "COLLECTION"):
            value = getattr(owner, known.identifier)
            dump[f"{path}.{known.identifier}"] = str(tuple(value) if getattr(known, "is_array", False) else value)


def without_a_file(media: str) -> dict[str, Any]:
    """A capture from a file that was never saved."""
    _, editor = stage.sequencer()
    stage.add(editor.strips, Path(media) / "png8")
    assert bpy.data.filepath == ""
    _, got = stage.captured()
    return {"difference": stage.difference(got, np.load(Path(media) / "frames8.npy")), "filepath": bpy.data.filepath}


def relative(media: str, blend: str) -> int:
    """A capture of pictures that the .blend names relative to itself."""
    _, editor = stage.sequencer()
    strip = stage.add(editor.strips, Path(media) / "png8")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    strip.directory = bpy.path.relpath(strip.directory) + "/"
    assert strip.directory.startswith("//")
    _, got = stage.captured()
    return stage.difference(got, np.load(Path(media) / "frames8.npy"))


def refused(media: str, folder: str) -> dict[str, list[str]]:
    """For everything that cannot be edited: field, message and remedy of the refusal."""
    _, editor = stage.sequencer()
    gone = Path(folder) / "gone.png"
    gone.write_bytes((Path(media) / "png8" / "0000.png").read_bytes())
    broken = Path(folder) / "broken.png"
    broken.write_bytes(gone.read_bytes())
    words = {"nothing": _refusal()}
    versions.new_effect(editor.strips, "title", "TEXT", 9, 1, 5)
    editor.active_strip = editor.strips["title"]
    words["text"] = _refusal()
    strip = stage.add(editor.strips, Path(media) / "png8")
    strip.mute = True
    words["muted"] = _refusal()
    strip.mute, editor.channels[1].mute = False, True
    words["muted channel"] = _refusal()
    editor.channels[1].mute = False
    editor.active_strip = editor.strips.new_image("lost", str(gone), 3, 20)
    gone.unlink()
    words["missing file"] = _refusal()
    editor.active_strip = editor.strips.new_image("broken", str(broken), 4, 20)
    broken.write_bytes(b"no picture")
    words["broken file"] = _refusal()
    meta = stage.add_meta(editor.strips, 50, 54, channel=5)
    stage.add(meta.strips, Path(media) / "png8", start=1)
    stage.set_handles(meta, 50, 54)
    words["out of its meta"] = _refusal()
    editor.active_strip = strip
    assert not _refusal()
    other = str(Path(folder) / "other.blend")
    bpy.ops.wm.save_as_mainfile(filepath=other, copy=True)
    with bpy.data.libraries.load(other, link=True) as (_, wanted):
        wanted.scenes = ["Scene"]
    versions.show_scene(bpy.context, next(scene for scene in bpy.data.scenes if scene.library))
    words["linked"] = _refusal()
    return words


def _refusal() -> list[str]:
    try:
        BlenderTimeline().read_selection()
    except OverpaintError as error:
        return [type(error).__name__, error.field, error.message, error.remedy]
    return []


def depths(files: list[str]) -> list[int]:
    _, editor = stage.sequencer()
    found = []
    for file in files:
        stage.add(editor.strips, file)
        found.append(BlenderTimeline().read_selection().depth)
    return found


def rates(media: str, given: list[tuple[int, float]]) -> list[str]:
    scene, editor = stage.sequencer()
    stage.add(editor.strips, Path(media) / "png8")
    found = []
    for scene.render.fps, scene.render.fps_base in given:
        found.append(str(BlenderTimeline().read_selection().rate))
    return found


def sizes(media: str, given: list[tuple[int, int, int]]) -> list[tuple[str, str]]:
    """For each width, height and percentage: the size that is read, and the size of the frames that come."""
    found = []
    for width, height, percentage in given:
        _, editor = stage.sequencer(width, height, percentage)
        stage.set_handles(stage.add(editor.strips, Path(media) / "png8"), 1, 2)
        selection, got = stage.captured()
        found.append((str(selection.size), f"{got.shape[2]}x{got.shape[1]}"))
        editor.strips.remove(editor.active_strip)
    return found


def never_blocks(media: str) -> dict[str, Any]:
    """Law 8: with the child stopped dead, every question is still answered; then it goes on and ends well."""
    _, editor = stage.sequencer()
    stage.add(editor.strips, Path(media) / "png8")
    timeline = BlenderTimeline()
    capture = timeline.start_capture(timeline.read_selection())
    os.kill(capture.child.pid, signal.SIGSTOP)
    asked = {capture.captured() for _ in range(500)}
    running = capture.child.poll() is None
    os.kill(capture.child.pid, signal.SIGCONT)
    got = stage.finished(capture, 8)
    capture.close()
    cleared()
    return {"while stopped": len(asked), "running": running, "length": len(got), "left": capture.folder.exists()}


def failing(media: str) -> dict[str, list[str]]:
    """What a capture says when the child fails, and when it is killed."""
    _, editor = stage.sequencer()
    stage.add(editor.strips, Path(media) / "png8")
    timeline = BlenderTimeline()
    selection = timeline.read_selection()
    words = {}
    for name in ("failed", "killed"):
        # An annotation that is gone when the child looks for it.
        capture = timeline.start_capture(dataclasses.replace(selection, annotation="gone" if name == "failed" else ""))
        if name == "killed":
            capture.child.kill()
        try:
            stage.finished(capture, 8)
        except OverpaintError as error:
            words[name] = [type(error).__name__, error.field, error.message]
        capture.close()
    return words


def cleared() -> None:
    """What was captured is removed beside Blender's work, so a test waits for it."""
    for thread in threading.enumerate():
        if thread.name == "overpaint-clear":
            thread.join()


def closed(media: str) -> dict[str, Any]:
    """Closing a running capture ends the child and removes its files; closing twice is no error."""
    _, editor = stage.sequencer()
    stage.add(editor.strips, Path(media) / "png8")
    timeline = BlenderTimeline()
    capture = timeline.start_capture(timeline.read_selection())
    running = capture.child.poll() is None
    capture.close()
    capture.close()
    cleared()
    return {"was running": running, "runs": capture.child.poll() is None, "left": capture.folder.exists()}


def abandoned(media: str) -> dict[str, Any]:
    """Begin a capture and leave it: this process ends while the child waits."""
    _, editor = stage.sequencer()
    stage.add(editor.strips, Path(media) / "png8")
    timeline = BlenderTimeline()
    selection = timeline.read_selection()
    capture = timeline.start_capture(selection)
    os.kill(capture.child.pid, signal.SIGSTOP)
    return {"child": capture.child.pid, "folder": str(capture.folder)}


def scripts(media: str, folder: str) -> dict[str, bool]:
    """Whether a script that the .blend wants to run on loading runs in the child; and, to be sure, elsewhere."""
    _, editor = stage.sequencer()
    stage.add(editor.strips, Path(media) / "png8")
    ran = Path(folder) / "ran"
    text = bpy.data.texts.new("startup.py")
    text.write(f"open({str(ran)!r}, 'w').close()")
    text.use_module = True
    stage.captured()
    in_child = ran.exists()
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "scripted.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(Path(folder) / "scripted.blend"), use_scripts=True)
    return {"in the child": in_child, "elsewhere": ran.exists()}
