"""What the artist sees: properties, operators and the panel."""

from __future__ import annotations

import bpy  # pyright: ignore[reportMissingImports]

from . import (
    asking,
    clicks,
    connection,
    diagnosis,
    guides,
    jobs,
    keymap,
    operators,
    options,
    panels,
    preferences,
    preview,
    properties,
    session,
    takes,
    translations,
)

CLASSES = (
    *options.CLASSES,
    *properties.CLASSES,
    *preferences.CLASSES,
    *operators.CLASSES,
    *panels.CLASSES,
    *jobs.CLASSES,
    *takes.CLASSES,
    *preview.CLASSES,
    *guides.CLASSES,
    *clicks.CLASSES,
    *connection.CLASSES,
    *diagnosis.CLASSES,
)


def register() -> None:
    for one in CLASSES:
        bpy.utils.register_class(one)
    translations.attach()
    properties.attach()
    takes.attach()
    preview.attach()
    guides.attach()
    clicks.attach()
    preferences.attach()
    session.begin()
    connection.begin()
    asking.begin()
    keymap.attach()


def unregister() -> None:
    keymap.detach()
    asking.end()
    connection.end()
    session.end()
    jobs.detach()
    clicks.detach()
    guides.detach()
    preview.detach()
    takes.detach()
    properties.detach()
    translations.detach()
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
