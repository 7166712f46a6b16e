"""What guides the edit of a strip: the artist's choices, read for the selection; and masks kept with the strip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.clip import FrameRange, Size
from overpaint.edit import Guide

from ..core import areas, span
from ..core.ports import Selection
from ..core.roles import Layer, MaskSource, Role, Rule, mask_source, role_of
from ..core.span import Span
from . import render_guides, strokes, versions

PROPERTY = "overpaint_mask"  # of a strip: a mask that was made elsewhere, as JSON
METHOD = "overpaint_mask_method"  # beside it: the name of how it was made
PLACE = "overpaint_mask_place"  # beside it: its first frame after the content's, and the width and height it is for


def painted(scene: Any, shown: FrameRange) -> FrameRange:
    """Those of the frames that show the strip which are to be painted. Raises Invalid where none is."""
    fields = _fields(scene)
    wanted = Span(fields.span) if fields else Span.STRIP
    if wanted is Span.STRIP:
        return shown
    if wanted is Span.CUSTOM:
        return span.painted(shown, fields.first, fields.last)
    if scene.use_preview_range:
        return span.painted(shown, scene.frame_preview_start, scene.frame_preview_end)
    return span.painted(shown, scene.frame_start, scene.frame_end)


def guided(selection: Selection, scene: Any, strip: Any) -> Selection:
    """The selection with its annotation, the layers in which something is drawn, and where the mask comes from.

    Raises Invalid where the mask that is kept with the strip does not fit the picture, or the strip shows no scene
    whose objects or lines are asked for.
    """
    note, fields, found = annotation(scene), _fields(scene), layers(scene)
    stop = selection.start + selection.length
    drawn = [(layer, role) for layer, role in found if _is_drawn([layer], stop)]
    by_role = {role: [layer for layer, its in drawn if its is role] for role in Role}
    mask = getattr(getattr(scene, "overpaint", None), "mask", None)  # without the panel there is no choice
    box = _box(fields, scene.render) if fields else ()
    there = [
        source
        for source, given in (
            (MaskSource.DATABLOCK, mask is not None),
            (MaskSource.LAYERS, by_role[Role.MASK]),
            (MaskSource.CLOSED, by_role[Role.MASK] + by_role[Role.SKETCH]),
            (MaskSource.BOX, box),
            (MaskSource.STORED, has_mask(strip)),
            (MaskSource.OBJECTS, True),
            (MaskSource.ALPHA, True),
        )
        if given
    ]
    source = mask_source(MaskSource(fields.mask_source) if fields else MaskSource.AUTOMATIC, there)
    if source is MaskSource.STORED:
        areas.check_shape(_made_for(strip), selection.size)
    objects = fields.objects if fields and source is MaskSource.OBJECTS else None
    lines = bool(fields) and fields.scene_lines and scene.overpaint.use_sketch
    render_guides.check(strip, objects, objects=source is MaskSource.OBJECTS, lines=lines)
    return replace(
        selection,
        annotation=note.name if note else "",
        sketch_layers=_names(by_role[Role.SKETCH]),
        mask_layers=_names(by_role[Role.MASK]),
        track_layers=_names(by_role[Role.TRACK]),
        mask_source=source,
        mask=mask.name if mask is not None and source is MaskSource.DATABLOCK else "",
        box=box if source is MaskSource.BOX else (),
        objects=objects.name if objects else "",
        scene_lines=lines,
    )


def rules(scene: Any) -> tuple[Rule, ...]:
    """What the artist said about layers."""
    fields = _fields(scene)
    return tuple(
        Rule(role=Role(one.role), colour=tuple(one.colour))
        if one.by == "colour"
        else Rule(role=Role(one.role), layer=one.layer)
        for one in (fields.rules if fields else ())
    )


def annotation(scene: Any) -> Any:
    """The annotation drawn in the sequencer's preview, or None."""
    drawn = (versions.annotation_of(owner) for owner in (*_sequencer_spaces(), scene))
    return next((note for note in drawn if note is not None), None)


def new_annotation(scene: Any) -> Any:
    """A new annotation, shown in the sequencer's preview; without a window it is the scene's."""
    note = versions.annotation_blocks().new("Overpaint")
    spaces = sorted(_sequencer_spaces(), key=lambda space: space.view_type == "SEQUENCER")
    versions.annotate(spaces[0] if spaces else scene, note)
    return note


def layer_for(scene: Any, role: Role, colour: tuple[float, float, float]) -> Any:
    """The active layer of the annotation from now on: its first one for this role, or a new one of this colour."""
    note = annotation(scene) or new_annotation(scene)
    layer = next((one for one, its in layers(scene) if its is role), None)
    if layer is None:
        layer = note.layers.new(role.value.title(), set_active=True)
        layer.color = colour
    note.layers.active_index = list(note.layers).index(layer)
    return layer


def keyed(scene: Any, frames: Iterable[int]) -> dict[Role, list[int]]:
    """Those of `frames` on which something is drawn, in order, for each role. A Mask's own keys cannot be asked for."""
    within = frozenset(frames)
    found: dict[Role, set[int]] = {role: set() for role in Role}
    for layer, role in layers(scene):
        found[role] |= within.intersection(frame.frame_number for frame in layer.frames if len(frame.strokes))
    return {role: sorted(numbers) for role, numbers in found.items()}


def layers(scene: Any) -> tuple[tuple[Any, Role], ...]:
    """The layers of the annotation that show, each with its role."""
    note, given = annotation(scene), rules(scene)
    shown = [layer for layer in note.layers if not layer.annotation_hide] if note else []
    return tuple((layer, role_of(_layer(layer), given)) for layer in shown)


def keep_mask(strip: Any, guide: Guide, start: int, size: Size, method: str = "") -> None:
    """Keep a mask that was made elsewhere with the strip, in the place of the one before.

    Its frames are those of a clip that began on frame `start` of the timeline, its strokes are in pixels of a picture
    of `size`. It moves with the strip's content, and goes where its copies go. It has strokes only, and is held.
    `method` is the name of how it was made.
    """
    assert guide.hold and not any(key.pixels for key in guide.keys), "a mask is kept as strokes that are held"
    strip[PROPERTY], strip[METHOD] = strokes.to_json([guide]), method
    strip[PLACE] = (start - versions.content_start_of(strip), size.width, size.height)


def has_mask(strip: Any) -> bool:
    """Whether a mask is kept with the strip."""
    return PROPERTY in strip


def drop_mask(strip: Any) -> None:
    """Forget the mask that was kept with the strip; where there is none, nothing happens."""
    if has_mask(strip):
        del strip[PROPERTY], strip[PLACE], strip[METHOD]


def mask_method(strip: Any) -> str:
    """The name of how the mask that is kept with the strip was made, or "" where there is none."""
    return strip.get(METHOD, "")


def stored_mask(strip: Any, frames: range, size: Size) -> Guide:
    """The mask that was kept with the strip, for a clip of these frames of the timeline."""
    (guide,) = strokes.from_json(strip[PROPERTY])
    shift = strip[PLACE][0] + versions.content_start_of(strip) - frames[0]
    return areas.moved(areas.resized(guide, _made_for(strip), size), shift, len(frames))


def _made_for(strip: Any) -> Size:
    _, width, height = strip[PLACE]
    return Size(width=width, height=height)


def _fields(scene: Any) -> Any:
    return getattr(scene, "overpaint_guides", None)  # before the panel is registered there is no choice


def _layer(layer: Any) -> Layer:
    return Layer(name=layer.info, colour=tuple(layer.color))


def _box(fields: Any, render: Any) -> tuple[float, ...]:
    """The box in clip pixels, or () where it is empty; the field holds pixels of the picture at 100 %."""
    left, top, width, height = (number * render.resolution_percentage / 100 for number in fields.box)
    return (left, top, width, height) if width > 0 and height > 0 else ()


def _names(layers: Iterable[Any]) -> tuple[str, ...]:
    return tuple(layer.info for layer in layers)


def _is_drawn(layers: Iterable[Any], stop: int) -> bool:
    """Whether any of the layers shows anything before the frame `stop`."""
    return any(len(frame.strokes) for layer in layers for frame in layer.frames if frame.frame_number < stop)


def _sequencer_spaces() -> Iterator[Any]:
    """Strokes belong to the editor they were drawn in: this one first, then all that are on screen."""
    if bpy.context.space_data is not None and bpy.context.space_data.type == "SEQUENCE_EDITOR":
        yield bpy.context.space_data
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "SEQUENCE_EDITOR":
                yield area.spaces.active
