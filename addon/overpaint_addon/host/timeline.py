"""BlenderTimeline: the sequencer as the use-cases see it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.clip import Rate, Size
from overpaint.errors import Invalid

from ..core.ports import PlacedStrip, Selection, Still
from ..core.roles import RENDERED
from ..core.variants import Take
from . import capture, guides, keyframes, media, preview, stack, takes, variants, versions


class BlenderTimeline:
    """The port Timeline, answered by the open file. Main thread only; every call is short."""

    def read_selection(self) -> Selection:
        """The active strip and its guides. Raises Invalid in words when there is none that can be edited."""
        scene = versions.sequencer_scene(bpy.context)
        return _selection(scene, active_strip(scene))

    def read_selections(self) -> tuple[Selection, ...]:
        """The active strip, and every other selected one beside it that is no take and no preview.

        Raises Invalid as `read_selection`.
        """
        scene = versions.sequencer_scene(bpy.context)
        active = active_strip(scene)
        beside = stack.owner(scene, active).strips if active.select else ()
        others = [
            one
            for one in beside
            if one.select and one != active and one.type in media.KINDS
            if variants.REQUEST not in one and preview.PICTURE not in one
        ]
        return tuple(_selection(scene, one) for one in (active, *others))

    def mark(self, selection: Selection) -> Selection:
        """The selection with the mark of its strip, which gets one where it has none. Raises Missing where it is gone.

        Not while drawing: reading leaves the file as it is, and this does not.
        """
        _, strip = stack.find(selection)
        return replace(selection, mark=stack.mark(strip))

    def start_capture(self, selection: Selection) -> capture.ChildCapture:
        """Save a copy of the file and start the child that renders the strip from it.

        Raises Missing where the strip is gone, Invalid where one of its files is missing.
        """
        _, strip = stack.find(selection)
        media.check_files(strip)
        return capture.start(stack.present(selection))

    def read_frame(self) -> Selection:
        """The active strip on the current frame only. Raises Invalid where it does not show there."""
        selection = self.read_selection()
        scene, _ = stack.find(selection)
        frame, stop = scene.frame_current, selection.start + selection.length
        if not selection.start <= frame < stop:
            raise Invalid(
                field="frame",
                message=f"{selection.strip} is painted on frames {selection.start} to {stop - 1}, not on {frame}",
                remedy="Go to a frame of the strip",
            )
        return replace(selection, start=frame, length=1, keyframes=())  # a keyframe would be painted as it is

    def start_frame(self, selection: Selection, *, same_pixels: bool) -> preview.KeptFrame:
        """A capture of one frame; with `same_pixels`, of the pixels that the last one took, if it was this frame."""
        rendered = selection.mask_source in RENDERED or selection.scene_lines
        again = same_pixels and not rendered and preview.KeptFrame.holds(selection)
        return preview.KeptFrame(selection, None if again else self.start_capture(selection))

    def stills(self, selection: Selection) -> tuple[Still, ...]:
        """The pictures of the selection's keyframes, in order."""
        return keyframes.stills(selection)

    def preview_folder(self, job_id: str) -> Path:
        """A folder for a preview, which goes when Blender ends."""
        return preview.folder(job_id)

    def show_preview(self, selection: Selection, patch: Path, picture: Path) -> None:
        """Show `patch` (an RGBA PNG) above the strip on its one frame, in the place of any other preview."""
        preview.show(selection, patch, picture)

    def take_folder(self, job_id: str) -> Path:
        """The folder where this job's take is to be written: beside the .blend, or in Blender's user files."""
        return takes.take_folder(job_id)

    def insert_take(self, selection: Selection, frames: Sequence[Path], take: Take) -> PlacedStrip:
        """Put `frames` (RGBA PNGs in order, in one folder) above the strip on a free channel as one image strip."""
        return takes.insert_take(selection, frames, take)


def _selection(scene: Any, strip: Any) -> Selection:
    """The strip and what guides it. Raises Invalid where nothing of it shows."""
    muted = stack.hidden_by(scene, strip)
    if muted:
        raise Invalid(field="strip", message=muted, remedy="Unmute it, or choose another strip")
    shown = guides.painted(scene, stack.visible(strip))
    selection = Selection(
        scene=scene.name,
        strip=strip.name,
        channel=strip.channel,
        start=shown.start,
        length=len(shown),
        size=render_size(scene.render),
        rate=rate(scene.render),
        depth=media.depth(strip),
        keyframes=keyframes.frames(scene, strip, shown.start, len(shown)),
        content=versions.content_start_of(strip),
        percentage=scene.render.resolution_percentage,
    )
    return guides.guided(selection, scene, strip)


def active_strip(scene: Any) -> Any:
    """The strip to edit. Raises Invalid where there is none, or it shows neither a movie nor images nor a scene, or the
    scene is another file's: what is placed in there would not be saved."""
    if scene.library is not None:
        raise Invalid(
            field="strip",
            message=f"the scene {scene.name} is linked from {scene.library.filepath}",
            remedy="Paint in that file, or make the scene local",
        )
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    if strip is not None and preview.PICTURE in strip:
        strip = variants.source_of(scene, strip)
    if strip is None:
        raise Invalid(
            field="strip",
            message=f"no strip is active in the sequencer of {scene.name}",
            remedy="Click a movie, image or scene strip",
        )
    if strip.type not in media.KINDS:
        raise Invalid(
            field="strip",
            message=f"{strip.name} is a strip of type {strip.type.lower().replace('_', ' ')}",
            remedy="Click a movie, image or scene strip",
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
