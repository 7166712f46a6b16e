"""Where a take is written, and how it becomes a strip above its source."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.errors import Invalid

from ..core.ports import PlacedStrip, Selection
from ..core.variants import Take, Variant
from . import preview, stack, variants, versions

CHANNELS = 128  # as many as Blender shows; it takes higher numbers in silence


def take_folder(job_id: str) -> Path:
    """The folder for a job's take: beside the .blend, or in Blender's user files where there is no .blend or no right."""
    blend = Path(bpy.data.filepath)
    if bpy.data.filepath and os.access(blend.parent, os.W_OK):
        return blend.parent / "overpaint" / blend.stem / job_id
    # Not the extension's own folder: that one goes when the extension goes, and takes are work.
    return Path(bpy.utils.user_resource("DATAFILES", path="overpaint")) / job_id


def insert_take(selection: Selection, frames: Sequence[Path], take: Take) -> PlacedStrip:
    """Put `frames` above the selected strip as one image strip, and leave everything else as it is.

    The source remembers the take, and shows it instead of another take of the same edit. The take follows a strip that
    was moved or renamed meanwhile. It is neither selected nor active: it may come while the artist works on something else.
    Raises Missing where the strip is gone, Invalid where there is no room.
    """
    scene, source = stack.find(selection)
    variant = Variant(
        take=take,
        folder=str(frames[0].parent),
        beside=beside(frames[0].parent),
        offset=selection.start - _content(selection, source),
        length=len(frames),
        percentage=selection.percentage or scene.render.resolution_percentage,
    )
    preview.clear(scene)  # the whole is there
    strip = variants.show(scene, source, variant, frames)
    variants.remember(source, variant)
    push_undo(take.name)
    return PlacedStrip(
        scene=scene.name,
        name=strip.name,
        channel=strip.channel,
        start=versions.start_of(strip),
        length=versions.stop_of(strip) - versions.start_of(strip),
        blend_type=strip.blend_type,
    )


def new_strip(holder: Any, name: str, frames: Sequence[Path], channel: int, start: int, percentage: int) -> Any:
    """RGBA pictures as an image strip in `holder`, that lies pixel on pixel over what is rendered at `percentage`."""
    take = holder.strips.new_image(name, blender_path(frames[0]), channel, start)
    for frame in frames[1:]:
        take.elements.append(frame.name)
    take.blend_type, take.alpha_mode, take.colorspace_settings.name = "ALPHA_OVER", "STRAIGHT", "sRGB"
    _fit(take, percentage)
    take.select = False
    return take


def _fit(take: Any, percentage: int) -> None:
    """A strip's picture is as large as its file at 100 %; the take has the size of the render, percentage applied."""
    if percentage != 100:
        take.transform.scale_x = take.transform.scale_y = 100 / percentage
        # Here pixel meets pixel, and they stay exact; "Auto" would see enlargement, and blur from 300 % on.
        take.transform.filter = "BILINEAR"


def find_folder(written: str, beside_blend: str) -> Path:
    """Where a folder is now: beside the .blend, which may have been moved, or where it was written."""
    moved = Path(bpy.path.abspath(beside_blend)) if beside_blend else None
    return moved if moved is not None and moved.is_dir() else Path(written)


def _content(selection: Selection, source: Any) -> int:
    """Where the source's content was when the clip was read; a ticket of old does not say, and it is taken as not moved."""
    return versions.content_start_of(source) if selection.content is None else selection.content


def free_channel(scene: Any, source: Any, start: int, stop: int, leaving: Sequence[Any] = ()) -> int:
    """The lowest channel above the strip and its effects that shows and is empty in start..stop. Raises Invalid.

    The strips that are `leaving` take no room.
    """
    holder = stack.owner(scene, source)
    top = max(one.channel for one in (source, *stack.effects(scene, source)))
    taken = {
        other.channel
        for other in holder.strips
        if versions.start_of(other) < stop and versions.stop_of(other) > start and other not in leaving
    }
    for channel in range(top + 1, CHANNELS + 1):
        if channel not in taken and not holder.channels[channel].mute:
            return channel
    raise Invalid(
        field="strip",
        message=f"no channel above the strip {source.name} is free on frames {start} to {stop - 1}",
        remedy="Move the strip to a lower channel, or remove strips above it",
    )


def blender_path(file: Path) -> str:
    """As the user wants paths in a .blend: relative to it where that can be."""
    return (bpy.context.preferences.filepaths.use_relative_paths and beside(file)) or str(file)


def beside(file: Path) -> str:
    """The path from the .blend's folder, or "" where there is none."""
    try:
        return bpy.path.relpath(str(file)) if bpy.data.filepath else ""
    except ValueError:  # on Windows: another drive than the .blend's
        return ""


def push_undo(name: str) -> None:
    """Make what was changed outside of an operator one step that can be undone."""
    if bpy.app.background:  # there is no undo there
        return
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):  # a timer has no window
        bpy.ops.ed.undo_push(message=f"Overpaint: {name}")
