"""A layout that takes only what Blender would take, and remembers what it was given."""

from __future__ import annotations

from typing import Any

import bpy  # pyright: ignore[reportMissingImports]

TAKES = bpy.types.UILayout.bl_rna.functions
ICONS = TAKES["label"].parameters["icon"].enum_items


class Layout:
    """`shown` holds the words of labels, the names of props, and [the words of buttons]; `off` the words of grey ones."""

    def __init__(self, parent: Layout | None = None) -> None:
        self.shown: list[str] = parent.shown if parent else []
        self.off: list[str] = parent.off if parent else []
        self.buttons: dict[str, str] = parent.buttons if parent else {}
        self.props: dict[str, Any] = parent.props if parent else {}
        self.enabled = parent.enabled if parent else True
        self.use_property_split = self.use_property_decorate = False
        self.scale_y = 1.0

    def label(self, **given: Any) -> None:
        self._check("label", given)
        self.shown.append(given.get("text", ""))

    def prop(self, owner: Any, name: str, **given: Any) -> None:
        self._check("prop", given)
        assert name in owner.bl_rna.properties, name
        getattr(owner, name)  # as drawing would read it
        self.props[name] = owner
        self.shown.append(name)

    def operator(self, name: str, **given: Any) -> Any:
        self._check("operator", given)
        room, _, verb = name.partition(".")
        kind = getattr(getattr(bpy.ops, room), verb).get_rna_type()
        self.buttons[name] = given.get("text", kind.name)
        self.shown.append(f"[{self.buttons[name]}]")
        if not self.enabled:
            self.off.append(self.buttons[name])
        return _Properties(kind.properties)

    def row(self, **given: Any) -> Layout:
        self._check("row", given)
        return Layout(self)

    def column(self, **given: Any) -> Layout:
        self._check("column", given)
        return Layout(self)

    @staticmethod
    def _check(function: str, given: dict[str, Any]) -> None:
        known = TAKES[function].parameters
        assert all(name in known for name in given), (function, given)
        assert given.get("icon", "NONE") in ICONS, given["icon"]


class _Properties:
    """What a button hands to its operator: only what that has."""

    _known: Any

    def __init__(self, known: Any) -> None:
        object.__setattr__(self, "_known", known)

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in self._known, name
        object.__setattr__(self, name, value)


class Shell:
    """What Blender hands to a panel's draw as `self`."""

    def __init__(self) -> None:
        self.layout = Layout()


def drawn(panel: Any, context: Any = None) -> Layout:
    """Everything that the panel draws."""
    shell = Shell()
    panel.draw(shell, context or bpy.context)
    return shell.layout
