"""Options of engines: what the artist changed, kept with the scene, and fields for them made from the cards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from bpy.props import (  # pyright: ignore[reportMissingImports]
    BoolProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from overpaint.card import EngineCard, OptionKind, OptionSpec
from overpaint.edit import OptionValue

from ..core.choose import Quality, options_of
from ..host import versions

LARGEST = {OptionKind.INT: 2**31 - 1, OptionKind.FLOAT: 3.4e38}  # of Blender's fields


class OverpaintOption(bpy.types.PropertyGroup):
    """An option that the artist changed; `value` is JSON."""

    engine: StringProperty()  # pyright: ignore
    option: StringProperty()  # pyright: ignore
    value: StringProperty()  # pyright: ignore


class OVERPAINT_OT_reset_option(bpy.types.Operator):
    """Take the engine's own value again"""

    bl_idname = "overpaint.reset_option"
    bl_label = "Reset Option"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    engine: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # pyright: ignore
    option: StringProperty(options={"HIDDEN", "SKIP_SAVE"}, description="Which one, or all of them")  # pyright: ignore

    def execute(self, context: bpy.types.Context) -> set[str]:
        reset(versions.sequencer_scene(context).overpaint, self.engine, self.option)
        return {"FINISHED"}


def changed(fields: Any) -> dict[str, dict[str, OptionValue]]:
    """What the artist changed, by engine and option."""
    found: dict[str, dict[str, OptionValue]] = {}
    for one in fields.changed_options:
        found.setdefault(one.engine, {})[one.option] = json.loads(one.value)
    return found


def change(fields: Any, engine: str, option: str, value: OptionValue) -> None:
    """Keep the value with the scene; whether the engine takes it, its card says."""
    kept = next((one for one in fields.changed_options if (one.engine, one.option) == (engine, option)), None)
    kept = kept or fields.changed_options.add()
    kept.engine, kept.option, kept.value = engine, option, json.dumps(value)


def reset(fields: Any, engine: str, option: str = "") -> None:
    """Forget what the artist changed: one option of the engine, or all."""
    for index in reversed(range(len(fields.changed_options))):
        one = fields.changed_options[index]
        if one.engine == engine and option in ("", one.option):
            fields.changed_options.remove(index)


_groups: dict[str, tuple[str, Any]] = {}  # engine: the scene's property, and its class


def fields_of(scene: Any, engine: str) -> Any:
    """The fields of the engine's options, each named as the option; None where no card of it is known."""
    return getattr(scene, _groups[engine][0]) if engine in _groups else None


def make_fields(cards: Sequence[EngineCard]) -> None:
    """Fields with the bounds, defaults and words of these cards, in the place of those before. Not while drawing."""
    forget_fields()
    for number, card in enumerate(cards):
        name = f"overpaint_engine_{number}"  # engines' names are no Python names
        annotations = {option.name: _field(card, option) for option in card.options}
        group = type(f"OverpaintEngine{number}", (bpy.types.PropertyGroup,), {"__annotations__": annotations})
        bpy.utils.register_class(group)
        setattr(bpy.types.Scene, name, PointerProperty(type=group))
        _groups[card.name] = name, group


def forget_fields() -> None:
    for name, group in _groups.values():
        delattr(bpy.types.Scene, name)
        bpy.utils.unregister_class(group)
    _groups.clear()


def label(option: str) -> str:
    return option.replace("_", " ").title()


def _field(card: EngineCard, option: OptionSpec) -> Any:
    """A field that shows what will be sent, and keeps only what is changed."""

    def get(group: Any) -> Any:
        value = _value(group.id_data.overpaint, card, option)
        return option.choices.index(str(value)) if option.kind is OptionKind.CHOICE else value

    def put(group: Any, value: Any) -> None:
        change(group.id_data.overpaint, card.name, option.name, _from_blender(option, value))

    given = {"name": label(option.name), "description": option.description, "get": get, "set": put, "options": set()}
    match option.kind:
        case OptionKind.BOOL:
            return BoolProperty(default=bool(option.default), **given)
        case OptionKind.CHOICE:
            items = [(word, label(word), "", number) for number, word in enumerate(option.choices)]
            return EnumProperty(items=items, default=option.default, **given)
        case OptionKind.INT | OptionKind.FLOAT:
            most = LARGEST[option.kind]
            kind, as_kind = (IntProperty, int) if option.kind is OptionKind.INT else (FloatProperty, float)
            least, most = as_kind(max(option.minimum, -most)), as_kind(min(option.maximum, most))
            return kind(default=as_kind(option.default), min=least, max=most, **given)


def _value(fields: Any, card: EngineCard, option: OptionSpec) -> OptionValue:
    kept = changed(fields).get(card.name, {}).get(option.name)
    if kept is not None and option.problem(kept) is None:
        return kept
    return options_of(card, Quality(fields.quality))[option.name]


def _from_blender(option: OptionSpec, value: Any) -> OptionValue:
    match option.kind:
        case OptionKind.CHOICE:
            return option.choices[value]
        case OptionKind.BOOL:
            return bool(value)
        case OptionKind.INT:
            return int(min(max(value, option.minimum), option.maximum))
        case OptionKind.FLOAT:
            # Blender's floats are single precision: 0.1 comes as 0.10000000149.
            return min(max(float(f"{value:.7g}"), option.minimum), option.maximum)


CLASSES = (OverpaintOption, OVERPAINT_OT_reset_option)
