"""The panel's fields, kept with the scene."""

from __future__ import annotations

import random
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from bpy.props import (  # pyright: ignore[reportMissingImports]
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from overpaint.edit import Task

from ..core.choose import Quality
from ..core.draft import Draft
from ..core.words import CONTEXT, say
from . import asking, options

AUTOMATIC = "automatic"  # of a task and of an engine
SEEDS = 2**31  # as many as Blender's integer fields hold
TASKS = [
    (AUTOMATIC, "Automatic", "Remove where only a mask is given, repaint where there is more"),
    ("repaint", "Repaint", "Keep the masked thing and change how it looks"),
    ("replace", "Replace", "Put something else in its place"),
    ("add", "Add", "Paint something where there was nothing"),
    ("remove", "Remove", "Take it away and show what is behind"),
    ("generate", "Generate", "Paint the whole frame"),
]
QUALITIES = [
    ("draft", "Draft", "Half the usual steps: to see where it goes"),
    ("standard", "Standard", "The engine's own steps"),
    ("best", "Best", "Twice the usual steps"),
]
# Blender keeps no strings of its own for choices that are made up, and an open menu still points at those of before: so
# whatever was in one stays.
_strings: dict[str, str] = {}


def _engines(fields: Any, _context: bpy.types.Context | None = None) -> list[tuple[str, str, str, int]]:
    """Automatic, the server's engines, and the one that was chosen where this server lacks it."""
    cards = asking.current().cards
    found = [(AUTOMATIC, say("Automatic"), say("The best engine of the server for the task and what is given"))]
    for card in sorted(cards, key=lambda card: -card.rank):  # as Automatic would ask them
        found.append((card.name, card.title, f"{card.description} {_but(card.obstacle)}".strip().removesuffix(".")))
    if fields.engine not in (name for name, _, _ in found):
        found.append((fields.engine, fields.engine, say("An engine that this server has not shown")))
    kept = (tuple(_strings.setdefault(text, text) for text in one) for one in found)
    return [(name, title, words, number) for number, (name, title, words) in enumerate(kept)]


def _but(obstacle: str) -> str:
    return say("Not now: {obstacle}", obstacle=obstacle) if obstacle else ""


def _engine_number(fields: Any) -> int:
    return next(number for name, _, _, number in _engines(fields) if name == fields.engine)


def _choose_engine(fields: Any, number: int) -> None:
    fields.engine = _engines(fields)[number][0]


class OverpaintFields(bpy.types.PropertyGroup):
    """What the artist has filled in."""

    task: EnumProperty(  # pyright: ignore
        name="Task",
        translation_context=CONTEXT,
        items=TASKS,
        default=AUTOMATIC,
        description="What happens where the mask is",
    )
    # A name, so that it can be set before any server was asked, and is kept where a server lacks it.
    engine: StringProperty(name="Engine", default=AUTOMATIC, description="The model that paints")  # pyright: ignore
    engine_choice: EnumProperty(  # pyright: ignore
        name="Engine",
        items=_engines,
        get=_engine_number,
        set=_choose_engine,
        options={"SKIP_SAVE"},
        description="The model that paints",
    )
    prompt: StringProperty(  # pyright: ignore
        name="Prompt", translation_context=CONTEXT, description="What should be there"
    )
    negative_prompt: StringProperty(name="Negative Prompt", description="What should not be there")  # pyright: ignore
    seed: IntProperty(name="Seed", min=0, description="The same seed gives the same take")  # pyright: ignore
    lock_seed: BoolProperty(  # pyright: ignore
        name="Lock Seed", description="Keep the seed; unlocked, every press of the button takes a new one"
    )
    last_seed: IntProperty(default=-1, options={"HIDDEN"})  # pyright: ignore
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
    quality: EnumProperty(  # pyright: ignore
        name="Quality", items=QUALITIES, default="standard", description="How long the engine works on it"
    )
    changed_options: CollectionProperty(type=options.OverpaintOption)  # pyright: ignore

    def draft(self) -> Draft:
        return Draft(
            engine="" if self.engine == AUTOMATIC else self.engine,
            task=None if self.task == AUTOMATIC else Task(self.task),
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            seed=self.seed,
            sketch=self.use_sketch,
            grow=self.grow,
            feather=self.feather,
            quality=Quality(self.quality),
            options=options.changed(self),
        )

    def renew_seed(self) -> None:
        """After a press of the button: remember the seed that was used, and take a new one unless it is locked."""
        self.last_seed = self.seed
        if not self.lock_seed:
            self.seed = random.randrange(SEEDS)


CLASSES = (OverpaintFields,)


def attach() -> None:
    bpy.types.Scene.overpaint = PointerProperty(type=OverpaintFields)


def detach() -> None:
    del bpy.types.Scene.overpaint
