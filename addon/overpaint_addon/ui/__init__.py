"""What the artist sees: properties, operators and the panel."""

from __future__ import annotations

import bpy  # pyright: ignore[reportMissingImports]

from . import operators, panels, preferences, properties, session

CLASSES = (*properties.CLASSES, *preferences.CLASSES, *operators.CLASSES, *panels.CLASSES)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)
    properties.attach()
    session.begin()


def unregister() -> None:
    session.end()
    properties.detach()
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
