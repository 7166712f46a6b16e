"""BlenderTimeline: the sequencer as the use-cases see it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.clip import Rate, Size
from overpaint.errors import Invalid

from ..core.ports import PlacedStrip, Selection
from . import capture, media, stack, takes, versions


class BlenderTimeline:
    """The port Timeline, answered by the open file. Main thread only; every call is short."""

    def read_selection(self) -> Selection:
        """The active strip and its guides. Raises Invalid in words when there is none that can be edited."""
        scene = versions.sequencer_scene(bpy.context)
        strip = active_strip(scene)
        muted = stack.hidden_by(scene, strip)
        if muted:
            raise Invalid(field="strip", message=muted, remedy="Unmute it, or choose another strip")
        shown = stack.visible(strip)
        return Selection(
            scene=scene.name,
            strip=strip.name,
            channel=strip.channel,
            start=shown.start,
            length=len(shown),
            size=render_size(scene.render),
            rate=rate(scene.render),
            depth=media.depth(strip),
            annotation=_annotation(scene),
            mask=_mask(scene),
        )

    def start_capture(self, selection: Selection) -> capture.ChildCapture:
        """Save a copy of the file and start the child that renders the strip from it.

        Raises Missing where the strip is gone, Invalid where one of its files is missing.
        """
        scene = stack.find_scene(selection.scene)
        media.check_files(stack.find(scene, selection.strip))
        return capture.start(selection)

    def take_folder(self, job_id: str) -> Path:
        """The folder where this job's take is to be written: beside the .blend, or in Blender's user files."""
        return takes.take_folder(job_id)

    def insert_take(self, selection: Selection, frames: Sequence[Path], request: str, name: str) -> PlacedStrip:
        """Put `frames` (RGBA PNGs in order, in one folder) above the strip on a free channel as one image strip."""
        return takes.insert_take(selection, frames, request, name)


def active_strip(scene: Any) -> Any:
    """The strip to edit. Raises Invalid where there is none, or it shows neither a movie nor images."""
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    if strip is None:
        raise Invalid(
            field="strip",
            message=f"no strip is active in the sequencer of {scene.name}",
            remedy="Click a movie or image strip",
        )
    if strip.type not in ("MOVIE", "IMAGE"):
        raise Invalid(
            field="strip",
            message=f"{strip.name} is a strip of type {strip.type.lower().replace('_', ' ')}",
            remedy="Click a movie or image strip",
        )
    return strip


def render_size(render: Any) -> Size:
    """The picture that is rendered, rounded as Blender rounds it: down."""
    percentage = render.resolution_percentage
    return Size(
        width=max(1, render.resolution_x * percentage // 100), height=max(1, render.resolution_y * percentage // 100)
    )


def rate(render: Any) -> Rate:
    """Frames per second, exact: the base is the simplest fraction that Blender stores as this very number."""
    stored = struct.pack("f", render.fps_base)
    denominator = 1
    while struct.pack("f", base := Fraction(render.fps_base).limit_denominator(denominator)) != stored:
        denominator *= 10
    return Rate.of(render.fps / base)


def _annotation(scene: Any) -> str:
    """The name of the annotation drawn in the sequencer's preview, or ""."""
    drawn = (versions.annotation_of(owner) for owner in (*_sequencer_spaces(), scene))
    return next((annotation.name for annotation in drawn if annotation is not None), "")


def _sequencer_spaces() -> Iterator[Any]:
    """Strokes belong to the editor they were drawn in: this one first, then all that are on screen."""
    if bpy.context.space_data is not None and bpy.context.space_data.type == "SEQUENCE_EDITOR":
        yield bpy.context.space_data
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "SEQUENCE_EDITOR":
                yield area.spaces.active


def _mask(scene: Any) -> str:
    """The name of the Mask that the artist chose, or ""; before the panel is registered there is no choice."""
    mask = getattr(getattr(scene, "overpaint", None), "mask", None)
    return "" if mask is None else mask.name
