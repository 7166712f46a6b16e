"""Annotation strokes and Mask splines as guides and tracks in clip pixels; and these as JSON on their way out of the child."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from overpaint.clip import Size
from overpaint.edit import Blend, Guide, GuideKey, Input, Knot, Stroke, Track, TrackPoint

from ..core import areas, tracks

# How a mask layer joins what lies below it. Merging differs from adding on half covered pixels only.
_BLENDS = {
    "MERGE_ADD": Blend.ADD,
    "MERGE_SUBTRACT": Blend.SUBTRACT,
    "ADD": Blend.ADD,
    "SUBTRACT": Blend.SUBTRACT,
    "LIGHTEN": Blend.LIGHTEN,
    "DARKEN": Blend.DARKEN,
    "MUL": Blend.MULTIPLY,
    "REPLACE": Blend.REPLACE,
    "DIFFERENCE": Blend.DIFFERENCE,
}


def read_sketch(layers: Sequence[Any], frames: range, size: Size, render: Any, *, closed: bool) -> Guide:
    """The drawings keyed on `frames` (of the timeline), each as all `layers` show it; a sketch that is not held.

    A drawing keyed before the first frame that still shows there is a key on frame 0. Closed strokes are lines of the
    sketch only where `closed`.
    """
    keys = []
    for number in _keyed(layers, frames):
        lines = tuple(
            stroke
            for layer in layers
            for stroke in drawn(layer, number, size, render)
            if closed or not areas.is_closed(stroke)
        )
        if lines:  # an empty drawing ends the one before it, and is no sketch
            keys.append(GuideKey(frame=number - frames[0], strokes=lines))
    return Guide(kind=Input.SKETCH, keys=tuple(keys))


def read_areas(mask: Sequence[Any], sketch: Sequence[Any], frames: range, size: Size, render: Any) -> Guide:
    """What the strokes of `mask` layers and the closed ones of `sketch` layers enclose, as a mask that is held.

    A drawing holds until the next one, and an empty drawing ends it, as Blender shows them.
    """
    keys: list[GuideKey] = []
    for number in _keyed((*mask, *sketch), frames):
        outlines = [stroke for layer in mask for stroke in drawn(layer, number, size, render)]
        loose = (stroke for layer in sketch for stroke in drawn(layer, number, size, render))
        outlines += [stroke for stroke in loose if areas.is_closed(stroke)]
        found = tuple(areas.area(stroke) for stroke in outlines)
        if not keys or found != keys[-1].strokes:
            keys.append(GuideKey(frame=number - frames[0], strokes=found))
    if not any(key.strokes for key in keys):
        keys = []
    return Guide(kind=Input.MASK, keys=tuple(keys), hold=True)


def read_tracks(layers: Sequence[Any], frames: range, end: int, size: Size, render: Any) -> tuple[Track, ...]:
    """Every stroke as the path of a point, from the frame it is drawn on to the layer's next drawing, or to `end`.

    `end` is the strip's last frame, whichever of its `frames` are painted: a part moves as the whole does.
    """
    found: list[Track] = []
    for layer in layers:
        numbers = sorted(frame.frame_number for frame in layer.frames)
        for number, following in zip(numbers, (*numbers[1:], end), strict=True):
            if number >= frames.stop or following < frames[0]:
                continue
            for stroke in drawn(layer, number, size, render):
                last = max(following, number)
                found.append(tracks.track(stroke, number - frames[0], last - frames[0], len(frames)))
    return tuple(one for one in found if one.points)


def _keyed(layers: Iterable[Any], frames: range) -> list[int]:
    """The frames of the timeline on which what the layers show begins or changes."""
    numbers = {frame.frame_number for layer in layers for frame in layer.frames}
    return sorted({max(number, frames[0]) for number in numbers if number < frames.stop})


def drawn(layer: Any, number: int, size: Size, render: Any) -> Iterator[Stroke]:
    """What the layer shows on a frame of the timeline: its last drawing up to there."""
    shown = [frame for frame in layer.frames if frame.frame_number <= number]
    if not shown:
        return
    # Points are pixels of the render at 100 %, from the middle of the picture, y up; the preview stretches x by the
    # aspect of the pixels. The layer's thickness is in pixels of the screen: at a zoom of 1 those of the render.
    scale = render.resolution_percentage / 100
    stretch = render.pixel_aspect_x / render.pixel_aspect_y
    for stroke in max(shown, key=lambda frame: frame.frame_number).strokes:
        knots = tuple(
            Knot(
                x=_round(size.width / 2 + point.co[0] / stretch * scale),
                y=_round(size.height / 2 - point.co[1] * scale),
            )
            for point in stroke.points
        )
        if knots:
            yield Stroke(knots=knots, width=_round(layer.thickness * scale))


def draw(layer: Any, number: int, lines: Iterable[Stroke], size: Size, render: Any) -> None:
    """Key a new drawing of `lines`, in clip pixels, on a frame of the timeline: `drawn` backwards. Since 5.2 only."""
    scale = render.resolution_percentage / 100
    stretch = render.pixel_aspect_x / render.pixel_aspect_y
    strokes = layer.frames.new(number).strokes
    for line in lines:
        stroke = strokes.new()
        stroke.display_mode = "2DSPACE"
        stroke.points.add(len(line.knots))
        for point, knot in zip(stroke.points, line.knots, strict=True):
            point.co = ((knot.x - size.width / 2) / scale * stretch, (size.height / 2 - knot.y) / scale, 0)


def read_mask(mask: Any, frames: range, size: Size, scene: Any) -> Guide:
    """The mask on every one of `frames` (of the timeline), a key wherever it changed; held. Moves the scene's frame.

    The feather of its points is left out: Blender's is unintuitive, and the guide has one of its own, the draft's.
    "Fill Holes" is left out too: areas of a layer are united, as 5.2 shows them. So are areas that are not filled,
    which Blender shows as a thin line.
    """
    keys: list[GuideKey] = []
    for number in frames:
        scene.frame_set(number)
        found = tuple(_areas(mask, size))
        if not keys or found != keys[-1].strokes:
            keys.append(GuideKey(frame=number - frames[0], strokes=found))
    if not any(key.strokes for key in keys):
        keys = []
    return Guide(kind=Input.MASK, keys=tuple(keys), hold=True)


def _areas(mask: Any, size: Size) -> Iterator[Stroke]:
    for number, layer in enumerate(mask.layers):
        if layer.hide_render:
            continue
        for spline in layer.splines:
            if not spline.use_fill or not len(spline.points):
                continue
            yield Stroke(
                knots=tuple(_knots(spline, size)),
                closed=True,
                opacity=_round(layer.alpha),
                layer=number,
                blend=_BLENDS[layer.blend],
                invert=layer.invert,
            )


def _knots(spline: Any, size: Size) -> Iterator[Knot]:
    """The points with their handles. Blender fills an open spline too, closed by a straight line."""
    last = len(spline.points) - 1
    for index, point in enumerate(spline.points):
        on = _place(point.co, size)
        left, right = _place(point.handle_left, size), _place(point.handle_right, size)
        if not spline.use_cyclic:
            left, right = (on if index == 0 else left), (on if index == last else right)
        yield Knot(x=on[0], y=on[1], left=left, right=right)


def _place(co: Any, size: Size) -> tuple[float, float]:
    """Mask coordinates, a unit square as wide as the picture's longer side and centred in it, y up, in clip pixels."""
    side = max(size.width, size.height)
    return _round((co[0] - 0.5) * side + size.width / 2), _round(size.height / 2 - (co[1] - 0.5) * side)


def _round(number: float) -> float:
    # Thousandths of a pixel: Blender's numbers are single precision, and versions may differ in the last bit.
    return round(float(number), 3)


def to_json(guides: Iterable[Guide]) -> str:
    """The guides as text, for `from_json`."""
    return json.dumps([asdict(guide) for guide in guides])


def from_json(text: str) -> tuple[Guide, ...]:
    """The guides that `to_json` wrote."""
    return tuple(
        Guide(**guide | {"kind": Input(guide["kind"]), "keys": tuple(_key(key) for key in guide["keys"])})
        for guide in json.loads(text)
    )


def tracks_to_json(found: Iterable[Track]) -> str:
    """The tracks as text, for `tracks_from_json`."""
    return json.dumps([asdict(one) for one in found])


def tracks_from_json(text: str) -> tuple[Track, ...]:
    """The tracks that `tracks_to_json` wrote."""
    return tuple(Track(points=tuple(TrackPoint(**point) for point in one["points"])) for one in json.loads(text))


def _key(key: dict[str, Any]) -> GuideKey:
    strokes = tuple(_stroke(stroke) for stroke in key["strokes"])
    return GuideKey(frame=key["frame"], pixels=key["pixels"], strokes=strokes)


def _stroke(stroke: dict[str, Any]) -> Stroke:
    knots = tuple(
        Knot(x=knot["x"], y=knot["y"], left=_pair(knot["left"]), right=_pair(knot["right"])) for knot in stroke["knots"]
    )
    return Stroke(**stroke | {"knots": knots, "blend": Blend(stroke["blend"])})


def _pair(pair: list[float] | None) -> tuple[float, float] | None:
    return None if pair is None else (pair[0], pair[1])
