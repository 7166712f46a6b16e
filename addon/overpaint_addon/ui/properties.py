"""The panel's fields, kept with the scene."""

from __future__ import annotations

import bpy  # pyright: ignore[reportMissingImports]
from bpy.props import (  # pyright: ignore[reportMissingImports]
    BoolProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from overpaint.edit import Task

from ..core.draft import Draft

WORDS = {
    Task.REPAINT: "Keep the masked thing and change how it looks",
    Task.REPLACE: "Put something else in its place",
    Task.ADD: "Paint something where there was nothing",
    Task.REMOVE: "Take it away and show what is behind",
    Task.GENERATE: "Paint the whole frame",
}


class OverpaintFields(bpy.types.PropertyGroup):
    """What the artist has filled in."""

    task: EnumProperty(  # pyright: ignore
        name="Task", items=[(task.value, task.value.title(), words) for task, words in WORDS.items()], default="repaint"
    )
    engine: StringProperty(name="Engine", default="flow", description="The model that paints")  # pyright: ignore
    prompt: StringProperty(name="Prompt", description="What should be there")  # pyright: ignore
    negative_prompt: StringProperty(name="Negative Prompt", description="What should not be there")  # pyright: ignore
    seed: IntProperty(name="Seed", min=0, description="The same seed gives the same take")  # pyright: ignore
    mask: PointerProperty(  # pyright: ignore
        name="Mask", type=bpy.types.Mask, description="What may change; the rest keeps every pixel"
    )
    use_sketch: BoolProperty(  # pyright: ignore
        name="Sketch",
        default=True,
        description="Use the annotations drawn in the preview, on the frames they are drawn on",
    )
    grow: FloatProperty(  # pyright: ignore
        name="Grow", default=0.0, soft_min=-50, soft_max=50, description="Widen the mask, or shrink it, in pixels"
    )
    feather: FloatProperty(  # pyright: ignore
        name="Feather", default=2.0, min=0.0, soft_max=50, description="Soften the mask's edge, in pixels"
    )

    def draft(self) -> Draft:
        return Draft(
            engine=self.engine,
            task=Task(self.task),
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            seed=self.seed,
            sketch=self.use_sketch,
            grow=self.grow,
            feather=self.feather,
        )


CLASSES = (OverpaintFields,)


def attach() -> None:
    bpy.types.Scene.overpaint = PointerProperty(type=OverpaintFields)


def detach() -> None:
    del bpy.types.Scene.overpaint
