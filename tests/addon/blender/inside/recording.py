"""A layout that takes only what Blender would take, and remembers what it was given."""

from __future__ import annotations

from typing import Any

import bpy  # pyright: ignore[reportMissingImports]

TAKES = bpy.types.UILayout.bl_rna.functions
ICONS = TAKES["label"].parameters["icon"].enum_items


class Layout:
    """`shown` holds the words of labels and bars, the names of props, and [the words of buttons]; `off` those of grey ones.

    `given` holds what buttons hand to their operators, `icons` the pictures.
    """

    def __init__(self, parent: Layout | None = None) -> None:
        self.shown: list[str] = parent.shown if parent else []
        self.off: list[str] = parent.off if parent else []
        self.buttons: dict[str, str] = parent.buttons if parent else {}
        self.props: dict[str, Any] = parent.props if parent else {}
        self.given: list[Any] = parent.given if parent else []
        self.icons: list[int] = parent.icons if parent else []
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
        self.given.append(_Properties(kind.properties))
        return self.given[-1]

    def menu(self, name: str, **given: Any) -> None:
        self._check("menu", given)
        assert hasattr(bpy.types, name), name
        self.shown.append(given.get("text", ""))

    def progress(self, **given: Any) -> None:
        self._check("progress", given)
        assert 0.0 <= given["factor"] <= 1.0
        self.shown.append(given["text"])

    def template_icon(self, **given: Any) -> None:
        self._check("template_icon", given)
        self.icons.append(given["icon_value"])

    def template_list(self, kind: str, _: str, owner: Any, listed: str, at: Any, index: str, **given: Any) -> None:
        self._check("template_list", given)
        assert hasattr(bpy.types, kind) and hasattr(owner, listed) and hasattr(at, index)

    def separator(self, **given: Any) -> None:
        self._check("separator", given)

    def row(self, **given: Any) -> Layout:
        self._check("row", given)
        return Layout(self)

    def box(self) -> Layout:
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


def drawn(panel: Any, context: Any = None, *, draw: str = "draw") -> Layout:
    """Everything that the panel draws, or its header with another `draw`."""
    shell = Shell()
    getattr(panel, draw)(shell, context or bpy.context)
    return shell.layout
