"""Annotation strokes and Mask splines as guides in clip pixels, and guides as JSON on their way out of the child."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from overpaint.clip import Size
from overpaint.edit import Blend, Guide, GuideKey, Input, Knot, Stroke

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


def read_annotation(annotation: Any, frames: range, size: Size, render: Any) -> Guide:
    """The drawings keyed on `frames` (of the timeline), each as all layers show it; a sketch that is not held.

    A drawing keyed before the first frame that still shows there is a key on frame 0.
    """
    layers = [layer for layer in annotation.layers if not layer.annotation_hide]
    numbers = {frame.frame_number for layer in layers for frame in layer.frames}
    keyed = sorted({max(number, frames[0]) for number in numbers if number < frames.stop})
    keys = []
    for number in keyed:
        drawn = tuple(stroke for layer in layers for stroke in _drawn(layer, number, size, render))
        if drawn:  # an empty drawing ends the one before it, and is no sketch
            keys.append(GuideKey(frame=number - frames[0], strokes=drawn))
    return Guide(kind=Input.SKETCH, keys=tuple(keys))


def _drawn(layer: Any, number: int, size: Size, render: Any) -> Iterator[Stroke]:
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


def read_mask(mask: Any, frames: range, size: Size, scene: Any) -> Guide:
    """The mask on every one of `frames` (of the timeline), a key wherever it changed; held. Moves the scene's frame.

    The feather of its points is left out: Blender's is unintuitive, and the guide has one of its own, the draft's.
    "Fill Holes" is left out too: areas of a layer are united, as 5.2 shows them. So are areas that are not filled,
    which Blender shows as a thin line.
    """
    keys: list[GuideKey] = []
    for number in frames:
        scene.frame_set(number)
        drawn = tuple(_areas(mask, size))
        if not keys or drawn != keys[-1].strokes:
            keys.append(GuideKey(frame=number - frames[0], strokes=drawn))
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
