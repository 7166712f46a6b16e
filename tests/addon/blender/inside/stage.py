"""Set a scene: an empty sequencer, strips in it, and what it renders or captures to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
from overpaint_addon.core.ports import Selection
from overpaint_addon.host import versions
from overpaint_addon.host.capture import ChildCapture
from overpaint_addon.host.tiff import read_tiff
from overpaint_addon.host.timeline import BlenderTimeline


def sequencer(width: int = 96, height: int = 64, percentage: int = 100) -> tuple[Any, Any]:
    """The scene and its sequence editor, empty."""
    scene = bpy.context.scene
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, percentage
    if versions.FIVE:
        bpy.context.workspace.sequencer_scene = scene
    return scene, scene.sequence_editor_create()


def add(strips: Any, media: str | Path, start: int = 1, channel: int = 1, name: str = "source") -> Any:
    """A strip of a movie, or of all pictures in a folder, made active."""
    media = Path(media)
    if media.is_dir():
        files = sorted(media.iterdir())
        strip = strips.new_image(name, str(files[0]), channel, start)
        for file in files[1:]:
            strip.elements.append(file.name)
    else:
        strip = strips.new_movie(name, str(media), channel, start)
    bpy.context.scene.sequence_editor.active_strip = strip
    return strip


def set_handles(strip: Any, start: int, stop: int) -> None:
    """Trim or stretch the strip to start..stop."""
    if hasattr(strip, "left_handle"):
        strip.left_handle, strip.right_handle = start, stop
    else:
        strip.frame_final_end, strip.frame_final_start = stop, start


def move(strip: Any, frames: int) -> None:
    """Move the strip and its content later by so many frames."""
    if hasattr(strip, "content_start"):
        strip.content_start += frames
    else:
        strip.frame_start += frames


def add_meta(strips: Any, start: int, stop: int, channel: int = 1, name: str = "meta") -> Any:
    meta = strips.new_meta(name, channel, start)
    set_handles(meta, start, stop)
    return meta


def plain(scene: Any) -> None:
    """The view under which Blender shows a file's pixels as they are."""
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    scene.render.dither_intensity = 0
    scene.render.use_compositing = False


def rendered(folder: str | Path, frames: Sequence[int], depth: int = 8) -> np.ndarray:
    """What the open scene renders on those frames of the timeline, "t h w 3". Changes the output settings."""
    scene = bpy.context.scene
    output = scene.render.image_settings
    versions.write_stills(scene.render)
    output.file_format, output.color_mode, output.color_depth, output.tiff_codec = "TIFF", "RGB", str(depth), "NONE"
    pictures = []
    for frame in frames:
        scene.frame_set(frame)
        scene.render.filepath = str(Path(folder) / f"rendered_{frame}.tif")
        bpy.ops.render.render(write_still=True, scene=scene.name)
        pictures.append(read_tiff(Path(scene.render.filepath)))
    return np.stack(pictures)


def finished(capture: ChildCapture, length: int) -> np.ndarray:
    """All frames of the capture, "t h w 3", once they are there."""
    until = time.monotonic() + 120
    while capture.captured() < length:
        assert time.monotonic() < until, "the child is not done after two minutes"
        time.sleep(0.01)
    return np.stack([capture.frame(index) for index in range(length)])


def captured() -> tuple[Selection, np.ndarray]:
    """What is selected, and all its frames through the child."""
    timeline = BlenderTimeline()
    selection = timeline.read_selection()
    capture = timeline.start_capture(selection)
    try:
        return selection, finished(capture, selection.length)
    finally:
        capture.close()


def difference(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference; shape and kind must be the same."""
    assert one.shape == other.shape and one.dtype == other.dtype, (one.shape, one.dtype, other.shape, other.dtype)
    return int(np.abs(one.astype(np.int64) - other.astype(np.int64)).max())
