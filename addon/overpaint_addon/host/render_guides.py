"""Guides that Blender renders: where a strip shows, or objects of its scene, and the scene's lines; as pixels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
from overpaint.codec import digest
from overpaint.edit import Guide, GuideKey, Input
from overpaint.errors import Invalid

from . import stack

SAMPLES = 16  # of a pixel: an object that covers less of it may be missed
LINE_SAMPLES = 4
THICKNESS = 2.0  # of a line, in pixels of the scene


def shows_scene(strip: Any) -> bool:
    """Whether the strip shows a 3D scene through its camera."""
    return strip is not None and strip.type == "SCENE" and strip.scene is not None and strip.scene_input == "CAMERA"


def check(strip: Any, collection: Any, *, objects: bool, lines: bool) -> None:
    """Raises Invalid where a guide from the scene is asked for that the strip does not have."""
    message = f"{strip.name} shows no 3D scene through a camera"
    if objects and not shows_scene(strip):
        raise Invalid(field="mask", message=message, remedy="Choose a scene strip, or another source than the objects")
    if lines and not shows_scene(strip):
        raise Invalid(
            field="sketch", message=message, remedy="Choose a scene strip, or switch the lines of the scene off"
        )
    if not objects:
        return
    if collection is None:
        raise Invalid(
            field="mask", message="no collection is chosen for the mask", remedy="Choose one, or another source"
        )
    if not set(collection.all_objects) & set(strip.scene.objects):
        raise Invalid(
            field="mask",
            message=f"no object of {collection.name} is in the scene {strip.scene.name}",
            remedy="Choose another collection, or another source",
        )


def show_objects(scene: Any, collection: Any) -> None:
    """Let the scene's picture be there where these objects show, and nowhere else: the others still hide them."""
    _transparent(scene, SAMPLES)
    scene.cycles.max_bounces = 0
    for thing in set(scene.objects) - set(collection.all_objects):
        thing.is_holdout, thing.is_shadow_catcher = True, False
        _hide_drawing(thing)


def show_lines(scene: Any) -> None:
    """Let the scene's picture be its Freestyle lines: the artist's, or those that Freestyle draws unasked."""
    asked = scene.render.use_freestyle
    _transparent(scene, LINE_SAMPLES)
    hole = bpy.data.materials.new("hole")
    hole.use_nodes = True
    nodes = hole.node_tree.nodes
    surface = next(node for node in nodes if node.type == "OUTPUT_MATERIAL").inputs["Surface"]
    hole.node_tree.links.new(nodes.new("ShaderNodeHoldout").outputs[0], surface)
    scene.render.use_freestyle = True
    for layer in scene.view_layers:
        layer.material_override = hole
        layer.use_freestyle = layer.use_freestyle or not asked
        layer.freestyle_settings.as_render_pass = False
        if not layer.freestyle_settings.linesets:
            layer.freestyle_settings.linesets.new("lines").linestyle.thickness = THICKNESS
    for thing in scene.objects:
        _hide_drawing(thing)


def _transparent(scene: Any, samples: int) -> None:
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"  # the one that draws without a window, and knows holes
    render.film_transparent = True
    render.use_compositing = render.use_freestyle = False
    cycles.samples, cycles.use_adaptive_sampling, cycles.use_denoising = samples, False, False
    cycles.filter_width = 0.01  # a pixel shows what lies in it, not beside it


def _hide_drawing(thing: Any) -> None:
    # Grease Pencil is drawn over the picture, and can be no hole in it.
    if thing.type == "GREASEPENCIL":
        thing.hide_render = True


def blacken(scene: Any, strip: Any) -> None:
    """Let the strip be black where it shows, and keep how much it shows there."""
    for one in (strip, *stack.effects(scene, strip)):
        for modifier in one.modifiers:
            modifier.mute = modifier.mute or modifier.type != "MASK"  # that one changes where the strip shows
    for curve in stack.curves(scene, strip):
        curve.mute = curve.mute or curve.data_path.endswith(".color_multiply")
    strip.color_multiply, strip.multiply_alpha = 0.0, False


def guide(folder: Path, kind: Input, pictures: Iterable[np.ndarray]) -> Guide:
    """A mask that is held, or a sketch, of what is not white in the pictures of all frames, "h w 3" uint8.

    Its pixels go to `folder`. A mask has each pixel wholly that shows at all.
    """
    keys: list[GuideKey] = []
    for frame, picture in enumerate(pictures):
        shown = 255 - picture.max(axis=2)
        if kind is Input.MASK:
            shown = np.where(shown > 0, np.uint8(255), np.uint8(0))
        elif not shown.any():
            continue
        name = digest(shown)
        if kind is Input.MASK and keys and keys[-1].pixels == name:
            continue
        np.save(folder / f"{name}.npy", shown)
        keys.append(GuideKey(frame=frame, pixels=name))
    return Guide(kind=kind, keys=tuple(keys), hold=kind is Input.MASK)
