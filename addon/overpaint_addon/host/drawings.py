"""The drawings of an annotation's layer, one a key: found, copied and cleared."""

from __future__ import annotations

from typing import Any

from overpaint.errors import Invalid


def on_frame(layer: Any, frame: int) -> Any:
    """The drawing keyed on this frame, or None."""
    return next((one for one in layer.frames if one.frame_number == frame), None)


def before(layer: Any, frame: int) -> Any:
    """The nearest drawing keyed before this frame that shows something, or None."""
    earlier = (one for one in layer.frames if one.frame_number < frame and len(one.strokes))
    return max(earlier, key=lambda one: one.frame_number, default=None)


def copy_here(layer: Any, frame: int) -> None:
    """Copy the nearest earlier drawing to this frame. Raises Invalid where there is none, or one is here already."""
    source, here = before(layer, frame), on_frame(layer, frame)
    if source is None:
        raise Invalid(
            field="frame", message=f"{layer.info} has no drawing before frame {frame}", remedy="Draw one, or go on"
        )
    if here is not None:
        if len(here.strokes):
            raise Invalid(
                field="frame", message=f"{layer.info} has a drawing on frame {frame}", remedy="Clear it before copying"
            )
        layer.frames.remove(here)
        source = before(layer, frame)
    layer.frames.copy(source).frame_number = frame
    _sort(layer, frame)


def clear_here(layer: Any, frame: int, *, leave_empty: bool) -> None:
    """Take the drawing off this frame: the one before shows again, or (`leave_empty`) nothing does from here on."""
    here = on_frame(layer, frame)
    if here is not None:
        layer.frames.remove(here)
    if leave_empty:
        layer.frames.new(frame)


def _sort(layer: Any, frame: int) -> None:
    # Blender puts a copy last, and looks for drawings as if their frames were in order.
    later = sorted(one.frame_number for one in layer.frames if one.frame_number > frame)
    for number in later:
        old = on_frame(layer, number)
        new = layer.frames.copy(old)
        layer.frames.remove(old)
        new.frame_number = number
