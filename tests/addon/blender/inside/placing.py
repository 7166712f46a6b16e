"""Takes that become strips, in Blender."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
import stage
from overpaint.errors import OverpaintError
from overpaint_addon.core.ports import Selection
from overpaint_addon.core.variants import Take
from overpaint_addon.host import variants, versions
from overpaint_addon.host.timeline import BlenderTimeline

REQUEST = '{"prompt": "a \\"red\\" coat", "words": "' + "ä" * 40_000 + '"}'
TAKE = Take(job_id="a" * 32, name="take", request=REQUEST, edit="e", seed=2**32 - 1, prompt="a coat")


def _insert(selection: Selection, take: str) -> Any:
    frames = sorted(Path(take).iterdir())[: selection.length]
    return BlenderTimeline().insert_take(selection, frames, TAKE)


def composited(media: str, source: str, take: str, folder: str, size: list[int]) -> dict[str, Any]:
    """Source and take on top of each other, rendered: largest differences inside, outside and halfway.

    The take's alpha is 255 in the left third, half in the middle third, 0 in the right third.
    """
    depth = 16 if "16" in source else 8
    scene, editor = stage.sequencer(*size)
    strip = stage.add(editor.strips, Path(media) / source, start=5)
    stage.plain(scene)
    below = stage.rendered(folder, range(4, 14), depth).astype(np.int64)
    selection = BlenderTimeline().read_selection()
    placed = _insert(selection, take)
    got = stage.rendered(folder, range(4, 14), depth).astype(np.int64)
    top = np.load(Path(take).with_suffix(".npy")).astype(np.int64)
    third = selection.size.width // 3
    inside, halfway, outside = np.s_[..., :third, :], np.s_[..., third : 2 * third, :], np.s_[..., 2 * third :, :]
    shown = got[1:9]
    mixed = (below[1:9] + top) / 2
    return {
        "placed": [placed.name, placed.scene, placed.channel, placed.start, placed.length, placed.blend_type],
        "inside": int(np.abs(shown - top)[inside].max()),
        "outside": int(np.abs(shown - below[1:9])[outside].max()),
        "halfway": float(np.abs(shown - mixed)[halfway].max()) / (2**depth - 1),
        "before and after": int(max(got[0].max(), got[-1].max())),
        "source": [versions.start_of(strip), versions.stop_of(strip), strip.channel, strip.mute],
    }


def kept(media: str, take: str, folder: str) -> dict[str, Any]:
    """What is left as it was, and what survives saving and loading."""
    _, editor = stage.sequencer()
    source = stage.add(editor.strips, Path(media) / "png8")
    source.select = True
    other = editor.strips.new_image("other", str(sorted(Path(take).iterdir())[0]), 9, 1)
    other.select = False
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "edit.blend"))
    placed = _insert(BlenderTimeline().read_selection(), take)
    found = {
        "active": editor.active_strip.name,
        "selected": [strip.name for strip in editor.strips if strip.select],
        "relative": editor.strips[placed.name].directory.startswith("//"),
    }
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    strip = bpy.context.scene.sequence_editor.strips[placed.name]
    found["request"] = strip["overpaint"] == REQUEST
    found["there"] = all((Path(bpy.path.abspath(strip.directory)) / one.filename).is_file() for one in strip.elements)
    return found


def channels(media: str, take: str) -> dict[str, Any]:
    """Which channel a take gets, for a crowd above its source; and what is said where none is left."""
    _, editor = stage.sequencer()
    strip = stage.add(editor.strips, Path(media) / "png8", start=10, channel=2)
    selection = BlenderTimeline().read_selection()
    found = {}

    def insert(name: str) -> None:
        placed = _insert(selection, take)
        found[name] = placed.channel
        editor.strips.remove(editor.strips[placed.name])

    insert("nothing above")
    versions.new_effect(editor.strips, "beside", "COLOR", 3, 1, 9)
    versions.new_effect(editor.strips, "after", "COLOR", 3, 18, 9)
    insert("neighbours in time")
    versions.new_effect(editor.strips, "late", "COLOR", 3, 17, 1).mute = True
    insert("one above, muted, on the last frame")
    editor.channels[4].mute = True
    insert("a muted channel")
    versions.new_effect(editor.strips, "speed", "SPEED", 7, 10, 8, input1=strip)
    insert("an effect that shows the source")
    for channel in range(8, 129):
        versions.new_effect(editor.strips, f"full {channel}", "COLOR", channel, 10, 1)
    count = len(editor.strips_all)
    try:
        _insert(selection, take)
    except OverpaintError as error:
        found["full"] = [type(error).__name__, error.field, error.message]
    found["left"] = len(editor.strips_all) - count
    return found


def in_meta(media: str, take: str, folder: str) -> dict[str, Any]:
    """A take of a strip in a meta goes into the meta, and changes neither its handles nor what is outside."""
    scene, editor = stage.sequencer()
    meta = stage.add_meta(editor.strips, 3, 7, channel=4)
    strip = stage.add(meta.strips, Path(media) / "png8", start=1)
    stage.set_handles(meta, 3, 7)
    versions.new_effect(editor.strips, "out there", "COLOR", 2, 1, 20)
    editor.active_strip = strip
    stage.plain(scene)
    selection = BlenderTimeline().read_selection()
    placed = _insert(selection, take)
    take_strip = editor.strips_all[placed.name]
    got = stage.rendered(folder, range(3, 7))
    top = np.load(Path(take).with_suffix(".npy"))[:4]
    return {
        "placed": [placed.channel, placed.start, placed.length],
        "parent": take_strip.parent_meta().name,
        "meta": [versions.start_of(meta), versions.stop_of(meta)],
        "inside": stage.difference(got[:, :, :32], top[:, :, :32]),
    }


def moved(media: str, take: str) -> dict[str, list[int]]:
    """Where a take starts when its source was moved, or trimmed, or removed while the job ran."""
    _, editor = stage.sequencer()
    strip = stage.add(editor.strips, Path(media) / "png8", start=10)
    selection = BlenderTimeline().read_selection()
    part = replace(selection, start=12, length=3)  # as the panel's Frames ask for
    found = {}
    strip.channel = 5
    if hasattr(strip, "content_start"):
        strip.content_start = 110
    else:
        strip.frame_start = 110
    placed = _insert(selection, take)
    found["moved"] = [placed.start, placed.channel, placed.length]
    placed = _insert(part, take)
    found["a part moved"] = [placed.start, placed.channel, placed.length]
    stage.set_handles(strip, 113, 118)
    placed = _insert(selection, take)
    found["then trimmed"] = [placed.start, placed.channel, placed.length]
    editor.strips.remove(strip)
    try:
        _insert(selection, take)
    except OverpaintError as error:
        found["removed"] = [type(error).__name__, error.field]
    return found


def rescaled(media: str, take: str) -> dict[str, list[float]]:
    """How a take of half the size lies over the picture when the percentage was changed while it was painted, and later."""
    scene, editor = stage.sequencer(percentage=50)
    source = stage.add(editor.strips, Path(media) / "png8")
    selection = BlenderTimeline().read_selection()
    scene.render.resolution_percentage = 100
    place = editor.strips[_insert(selection, take).name].transform
    found = {"placed": [place.scale_x, place.scale_y]}
    scene.render.resolution_percentage = 25
    (variant,) = variants.remembered(source)
    place = variants.show(scene, source, variant, sorted(Path(take).iterdir())).transform
    return found | {"shown later": [place.scale_x, place.scale_y]}


def again(media: str, take: str) -> list[float]:
    """A take is a strip like any other: captured, how far its frames are from the colours times alpha, each third."""
    _, editor = stage.sequencer()
    stage.add(editor.strips, Path(media) / "png16")
    placed = _insert(BlenderTimeline().read_selection(), take)
    editor.active_strip = editor.strips[placed.name]
    _, got = stage.captured()
    far = np.abs(got - np.load(Path(take).with_suffix(".npy")) * np.repeat([1.0, 32768 / 65535, 0.0], 32)[:, None])
    return [float(far[:, :, third : third + 32].max()) for third in (0, 32, 64)]


def folders(folder: str) -> dict[str, str]:
    timeline = BlenderTimeline()
    found = {"unsaved": str(timeline.take_folder("a1b2"))}
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "edit.blend"))
    found["saved"] = str(timeline.take_folder("a1b2"))
    return found
