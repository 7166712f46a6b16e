"""The add-on's words as Blender has registered them, and in another language."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import painting
from filling import button, panel, room


class Translations:
    """Blender's own behaviour, for the bpy module: that is built without any language."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, dict[tuple[str, str], str]]] = {}
        self.locale = "en_US"

    def register(self, module_name: str, translations_dict: dict[str, dict[tuple[str, str], str]]) -> None:
        if module_name in self.known:
            raise ValueError(f"there are translations of {module_name} already")
        self.known[module_name] = translations_dict

    def unregister(self, module_name: str) -> None:
        self.known.pop(module_name, None)

    def pgettext_iface(self, text: str, context: str = "*") -> str:
        tables = [known.get(self.locale, {}) for known in self.known.values()]
        return next((table[context, text] for table in tables if (context, text) in table), text)


def registered(extension: str) -> list[str]:
    """Every name and description in Blender's RNA of the add-on's classes."""
    painting.install(extension, "127.0.0.1:9")
    found: set[str] = set()
    for one in room("ui").CLASSES:
        if issubclass(one, bpy.types.Operator):
            rna = getattr(bpy.ops.overpaint, one.bl_idname.partition(".")[2]).get_rna_type()
            found |= {rna.name, rna.description}
        else:
            rna = one.bl_rna
            found.add(getattr(one, "bl_label", ""))
        named = {name for kind in one.__mro__ for name in vars(kind).get("__annotations__", {})}
        own = [prop for prop in rna.properties if prop.identifier in named - {"name"}]  # "name" is Blender's
        found |= {word for prop in own for word in _words(prop)}
    return sorted(word for word in found if word)


def _words(prop: Any) -> Iterator[str]:
    yield prop.name if prop.name != prop.identifier else ""
    yield prop.description
    for item in prop.enum_items_static if prop.type == "ENUM" else ():
        yield from (item.name, item.description)


def spoken(extension: str, media: str) -> dict[str, Any]:
    """The panel in two languages; and what is left when the add-on is disabled."""
    painting.install(extension, "127.0.0.1:9")
    ours = room("ui.translations")
    here = bpy.app.translations
    if not bpy.app.build_options.international:
        ours.detach()
        here = Translations()
        ours.bpy = SimpleNamespace(app=SimpleNamespace(translations=here))
        ours.attach()
    say = room("core.words").say
    scene, _ = painting.edit(media)
    scene.overpaint.engine, scene.overpaint.task = "automatic", "repaint"
    found: dict[str, Any] = {}
    for locale in ("en_US", "de_DE", "ja_JP"):
        _switch(here, locale)
        found[locale] = [
            button(panel()),
            here.pgettext_iface("Paint Takes", "Operator"),
            here.pgettext_iface("What should be there"),
        ]
    bpy.ops.preferences.addon_disable(module=painting.NAME)
    found["disabled"] = [say("Paint Takes"), here.pgettext_iface("Paint Takes", "Operator")]
    found["left"] = list(getattr(here, "known", ()))
    bpy.ops.preferences.addon_enable(module=painting.NAME)
    return found


def _switch(here: Any, locale: str) -> None:
    if isinstance(here, Translations):
        here.locale = locale
    else:
        bpy.context.preferences.view.language = locale
