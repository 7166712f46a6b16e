"""The languages of the add-on, given to Blender: a JSON file each, from the English words to the translated ones."""

from __future__ import annotations

import json
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]

from ..core import words
from ..core.words import CONTEXT
from .preferences import PACKAGE

# Blender's names of the languages. JSON is both what translators edit and what is read here: nothing is to be compiled.
LOCALES = ("de_DE", "es", "fr_FR", "ja_JP", "zh_HANS")
FOLDER = Path(__file__).parents[1] / "locale"
# Blender looks for words of fields and labels in the first context, for those of buttons in the second, and prefers its
# own: its French "Starting" is "Très partielles". What is said in the third is always ours.
CONTEXTS = ("*", "Operator", CONTEXT)


def attach() -> None:
    """Blender asks its own translations first, and these where it has none."""
    bpy.app.translations.register(PACKAGE, {locale: _read(locale) for locale in LOCALES})
    words.speak(lambda text: bpy.app.translations.pgettext_iface(text, CONTEXT))


def detach() -> None:
    words.speak(str)
    bpy.app.translations.unregister(PACKAGE)


def _read(locale: str) -> dict[tuple[str, str], str]:
    known = json.loads((FOLDER / f"{locale}.json").read_text("utf-8"))
    return {(context, english): translated for context in CONTEXTS for english, translated in known.items()}
