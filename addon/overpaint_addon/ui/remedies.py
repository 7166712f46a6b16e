"""What is wrong, and the buttons that mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from overpaint.errors import OverpaintError

from ..core.words import lines, sentences

WIDTH = 44  # characters of a line; a sidebar of Blender's own width shows about so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A button: an operator with what it is given, or with its own words where `text` is ""."""

    operator: str
    text: str = ""
    icon: str = "NONE"
    given: Mapping[str, str] = field(default_factory=dict[str, str])


TEST = Remedy(operator="overpaint.test_connection", icon="VIEWZOOM")
START = Remedy(operator="overpaint.start_backend", icon="PLAY")
LOG = Remedy(operator="overpaint.open_backend_log", icon="TEXT")
PREFERENCES = Remedy(operator="overpaint.open_preferences", text="Open Preferences", icon="PREFERENCES")
SYSTEM = Remedy(
    operator="overpaint.open_preferences",
    text="Open System Preferences",
    icon="INTERNET_OFFLINE",
    given={"section": "SYSTEM"},
)
MASK = Remedy(operator="overpaint.guide_draw", text="Draw a Mask", icon="MOD_MASK", given={"role": "mask"})

REMEDIES: Mapping[str, tuple[Remedy, ...]] = {
    "server": (TEST, START),
    "online_access": (SYSTEM,),
    "token": (PREFERENCES, TEST),
    "certificate": (PREFERENCES, TEST),
    "fingerprint": (PREFERENCES, TEST),
    "client_certificate": (PREFERENCES, TEST),
    "client_key": (PREFERENCES, TEST),
    "backend": (LOG, PREFERENCES),
    "engine": (TEST,),
    "mask": (MASK,),
}
"""By the field that an error names."""


def remedies(error: OverpaintError) -> tuple[Remedy, ...]:
    """The buttons for this error; none where only the person can do something, as its words say."""
    return REMEDIES.get(error.field, ())


def draw_remedy(layout: Any, error: OverpaintError) -> None:
    """What is wrong, what to do, and the buttons that do it."""
    column = layout.column(align=True)
    for number, line in enumerate(lines(sentences(error.message, error.remedy), WIDTH)):
        column.label(text=line, icon="BLANK1" if number else "ERROR")
    draw_buttons(column, error)


def draw_buttons(layout: Any, error: OverpaintError) -> None:
    """Only the buttons, for where the words stand already."""
    for remedy in remedies(error):
        words = {"text": remedy.text} if remedy.text else {}
        button = layout.operator(remedy.operator, icon=remedy.icon, **words)
        for name, value in remedy.given.items():
            setattr(button, name, value)
