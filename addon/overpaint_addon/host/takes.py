"""Where a take is written, and how it becomes a strip above its source."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.errors import Invalid

from ..core.ports import PlacedStrip, Selection
from . import stack, versions

CHANNELS = 128  # as many as Blender shows; it takes higher numbers in silence
REQUEST = "overpaint"  # the strip's property that holds the whole request


def take_folder(job_id: str) -> Path:
    """The folder for a job's take: beside the .blend, or in Blender's user files where there is no .blend or no right."""
    blend = Path(bpy.data.filepath)
    if bpy.data.filepath and os.access(blend.parent, os.W_OK):
        return blend.parent / "overpaint" / blend.stem / job_id
    # Not the extension's own folder: that one goes when the extension goes, and takes are work.
    return Path(bpy.utils.user_resource("DATAFILES", path="overpaint")) / job_id


def insert_take(selection: Selection, frames: Sequence[Path], request: str, name: str) -> PlacedStrip:
    """Put `frames` above the selected strip as one image strip, and leave everything else as it is.

    The take follows a strip that was moved meanwhile. It is neither selected nor active: it may come while the artist
    works on something else. Raises Missing where the strip is gone, Invalid where there is no room.
    """
    scene = stack.find_scene(selection.scene)
    source = stack.find(scene, selection.strip)
    start = _start_now(selection, source)
    channel = free_channel(scene, source, start, start + len(frames))
    take = stack.owner(scene, source).strips.new_image(name, _blender_path(frames[0]), channel, start)
    for frame in frames[1:]:
        take.elements.append(frame.name)
    take.blend_type, take.alpha_mode, take.colorspace_settings.name = "ALPHA_OVER", "STRAIGHT", "sRGB"
    _fit(take, scene.render.resolution_percentage)
    take[REQUEST] = request
    take.select = False
    _push_undo(name)
    return PlacedStrip(
        scene=scene.name,
        name=take.name,
        channel=take.channel,
        start=versions.start_of(take),
        length=versions.stop_of(take) - versions.start_of(take),
        blend_type=take.blend_type,
    )


def _fit(take: Any, percentage: int) -> None:
    """A strip's picture is as large as its file at 100 %; the take has the size of the render, percentage applied."""
    if percentage != 100:
        take.transform.scale_x = take.transform.scale_y = 100 / percentage
        # Here pixel meets pixel, and they stay exact; "Auto" would see enlargement, and blur from 300 % on.
        take.transform.filter = "BILINEAR"


def _start_now(selection: Selection, source: Any) -> int:
    """Where the clip starts now: a strip of the same length elsewhere was moved, one of another length was trimmed."""
    shown = stack.visible(source)
    return shown.start if len(shown) == selection.length else selection.start


def free_channel(scene: Any, source: Any, start: int, stop: int) -> int:
    """The lowest channel above the strip and its effects that shows and is empty in start..stop. Raises Invalid."""
    holder = stack.owner(scene, source)
    top = max(one.channel for one in (source, *stack.effects(scene, source)))
    taken = {
        other.channel for other in holder.strips if versions.start_of(other) < stop and versions.stop_of(other) > start
    }
    for channel in range(top + 1, CHANNELS + 1):
        if channel not in taken and not holder.channels[channel].mute:
            return channel
    raise Invalid(
        field="strip",
        message=f"no channel above the strip {source.name} is free on frames {start} to {stop - 1}",
        remedy="Move the strip to a lower channel, or remove strips above it",
    )


def _blender_path(file: Path) -> str:
    relative = bpy.data.filepath and bpy.context.preferences.filepaths.use_relative_paths
    try:
        return bpy.path.relpath(str(file)) if relative else str(file)
    except ValueError:  # on Windows: another drive than the .blend's
        return str(file)


def _push_undo(name: str) -> None:
    if bpy.app.background:  # there is no undo there
        return
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):  # a timer has no window
        bpy.ops.ed.undo_push(message=f"Overpaint: {name}")
