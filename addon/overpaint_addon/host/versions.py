"""Every difference between Blender 4.5, 5.0 and 5.2 that the host meets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]

FIVE = bpy.app.version >= (5, 0, 0)


def start_of(strip: Any) -> int:
    """The first frame that shows the strip."""
    return int(strip.left_handle if hasattr(strip, "left_handle") else strip.frame_final_start)


def stop_of(strip: Any) -> int:
    """The frame after the last one that shows the strip."""
    return int(strip.right_handle if hasattr(strip, "right_handle") else strip.frame_final_end)


def content_start_of(strip: Any) -> int:
    """The frame where the strip's first picture would be, were nothing trimmed; it moves with the strip only."""
    return round(strip.content_start if hasattr(strip, "content_start") else strip.frame_start)


def set_handles(strip: Any, start: int, stop: int) -> None:
    """Show the strip on start..stop only, with its pictures where they are."""
    if hasattr(strip, "left_handle"):
        strip.left_handle, strip.right_handle = start, stop
    else:
        strip.frame_final_end, strip.frame_final_start = stop, start


def sequencer_scene(context: Any) -> Any:
    """The scene that the sequencer shows, or None. Since 5.0 the workspace says so, and may name none."""
    # Timers run without a window in the context; the first window then stands for all.
    window = context.window or next(iter(context.window_manager.windows), None)
    if window is None:
        return context.scene
    if not FIVE:
        return window.scene
    return window.workspace.sequencer_scene or window.scene


def can_draw() -> bool:
    """Whether a script can make strokes of annotations; since 5.2."""
    return hasattr(bpy.types, "AnnotationStrokes")


def annotation_blocks() -> Any:
    """The annotation datablocks. Since 5.0, `grease_pencils` is something else: the Grease Pencil objects."""
    return bpy.data.annotations if FIVE else bpy.data.grease_pencils


def annotation_of(owner: Any) -> Any:
    """The annotation datablock of a scene or of a sequencer's space, or None."""
    return owner.annotation if FIVE else owner.grease_pencil


def annotate(owner: Any, note: Any) -> None:
    """Show an annotation datablock in a scene or in a sequencer's space."""
    setattr(owner, "annotation" if FIVE else "grease_pencil", note)


def curves(action: Any) -> Iterator[Any]:
    """The animation curves of an action; `action.fcurves` is gone since 5.0, the layers are there since 4.4."""
    for layer in action.layers:
        for strip in layer.strips:
            for bag in strip.channelbags:
                yield from bag.fcurves


def light_space() -> str:
    """The colour space that Blender computes light in, where pixels are taken as they are. Since 5.0 a file chooses."""
    return bpy.data.colorspace.working_space if FIVE else "Linear Rec.709"


def write_stills(render: Any) -> None:
    """Let `render` write every frame as a picture of its own: since 5.0 movies are another kind of output,
    and since 5.2 a scene may say that nothing is written at all."""
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "IMAGE"
    if hasattr(render, "save_output"):
        render.save_output = True


def new_effect(strips: Any, name: str, kind: str, channel: int, start: int, length: int, **given: Any) -> Any:
    """A new effect strip; `given` is its input1 and input2 where it has any. Until 4.5 it was told its end."""
    span = {"length": length} if FIVE else {"frame_end": start + length}
    return strips.new_effect(name=name, type=kind, channel=channel, frame_start=start, **span, **given)


def show_scene(context: Any, scene: Any) -> None:
    """Make `scene` the one that window and sequencer show, so that rendering evaluates it and no other."""
    context.window.scene = scene
    if FIVE:
        context.window.workspace.sequencer_scene = scene
