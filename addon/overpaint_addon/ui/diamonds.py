"""The keyed frames, drawn as diamonds on the active strip in the sequencer's timeline."""

from __future__ import annotations

from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.errors import Invalid

from ..core.marks import diamonds
from ..core.roles import Role
from ..host import guides, stack, versions

COLOURS = {
    Role.SKETCH: (1.0, 0.75, 0.2, 1.0),
    Role.MASK: (0.3, 0.8, 1.0, 1.0),
    Role.TRACK: (0.6, 1.0, 0.4, 1.0),
}
RADIUS = 4.5  # pixels, at Blender's usual resolution scale

_handler: Any = None


def attach() -> None:
    """Draw from now on; where there is no window there is nothing to draw on."""
    global _handler
    if not bpy.app.background:
        _handler = bpy.types.SpaceSequenceEditor.draw_handler_add(draw, (), "WINDOW", "POST_PIXEL")


def detach() -> None:
    global _handler
    if _handler is not None:
        bpy.types.SpaceSequenceEditor.draw_handler_remove(_handler, "WINDOW")
    _handler = None


def draw() -> None:
    """Called by Blender for every redraw of a sequencer's timeline."""
    import gpu  # pyright: ignore[reportMissingImports]
    from gpu_extras.batch import batch_for_shader  # pyright: ignore[reportMissingImports]

    found = marks(bpy.context, bpy.context.region.view2d, RADIUS * bpy.context.preferences.system.ui_scale)
    if not found:
        return
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    gpu.state.blend_set("ALPHA")
    for role, corners in found.items():
        shader.uniform_float("color", COLOURS[role])
        batch_for_shader(shader, "TRIS", {"pos": corners}).draw(shader)
    gpu.state.blend_set("NONE")


def marks(context: bpy.types.Context, view: Any, radius: float) -> dict[Role, list[tuple[float, float]]]:
    """The corners of the diamonds' triangles in pixels of the region, one row for each role; empty ones left out."""
    scene = versions.sequencer_scene(context)
    editor = scene.sequence_editor if scene else None
    if editor is None or editor.active_strip is None:
        return {}
    strip = editor.active_strip
    inside = strip.parent_meta()
    if inside != (editor.meta_stack[-1] if len(editor.meta_stack) else None):
        return {}  # the timeline shows the inside of another strip
    try:
        shown = stack.visible(strip)
    except Invalid:
        return {}
    keyed, found = guides.keyed(scene, shown), {}
    for row, role in enumerate(COLOURS):
        middles = []
        for frame in keyed[role]:
            x, y = view.view_to_region(frame, strip.channel + 0.5, clip=False)
            middles.append((x, y + (1 - row) * 2 * radius))
        if middles:
            found[role] = diamonds(middles, radius)
    return found
