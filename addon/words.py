"""Find the add-on's words, write the template for its translators, and say what each language lacks.

python addon/words.py
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ADDON = Path(__file__).parent / "overpaint_addon"
LOCALE = ADDON / "locale"
TEMPLATE = LOCALE / "template.json"
# Where a call's words are: the position, or the name of what it is given. A call is known by its last name.
PLACES: dict[str, tuple[int | str, ...]] = {
    "say": (0,),
    "report": (1,),
    "poll_message_set": (0,),
    "draw_words": (2,),
    "Remedy": ("text",),
    "Doing": ("stage",),
    **{kind: ("text",) for kind in ("label", "operator", "prop", "menu", "progress", "operator_menu_enum")},
    **{f"{kind}Property": ("name", "description", "items") for kind in ("Bool", "Int", "Float", "String", "Enum")},
    **{f"{kind}VectorProperty": ("name", "description") for kind in ("Bool", "Int", "Float")},
    **{f"{kind}Property": ("name", "description") for kind in ("Pointer", "Collection")},
}
# Words that are kept in a table, or as an enumeration, and translated where they are shown.
TABLES: dict[str, tuple[str, ...]] = {
    "core/clicks.py": ("METHODS",),
    "core/connection.py": ("State",),
    "core/steps.py": ("AWAY",),
    "core/jobs.py": ("ASKED", "STATES"),
    "link/launch.py": ("Stage",),
    "link/probe.py": ("PARTS",),
    "ui/operators.py": ("WORDS",),
    "ui/view.py": ("VERBS",),
}
CLASSES = re.compile(r"^OVERPAINT_(OT|PT|MT)_")  # Blender shows their labels, and operators' docstrings as tooltips
# What the backend says while it works.
STAGES = (
    "carrying the look",
    "decoding",
    "drawing",
    "encoding",
    "following the background",
    "following the instance",
    "inventing",
    "loading",
    "painting",
    "planned",
    "started",
    "tracking",
    "uncovering",
    "window done",
)


def main() -> int:
    found, spliced = words()
    for place in spliced:
        print(f"{place}: words that are put together cannot be translated; use say()")
    TEMPLATE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for file in sorted(set(LOCALE.glob("*.json")) - {TEMPLATE}):
        known = json.loads(file.read_text("utf-8"))
        print(f"{file.stem}: {len(found.keys() & known.keys())} of {len(found)} translated")
        for words_, what in ((found.keys() - known.keys(), "missing"), (known.keys() - found.keys(), "not used")):
            for one in sorted(words_):
                print(f"  {what}: {one}")
    return 1 if spliced else 0


def words() -> tuple[dict[str, str], list[str]]:
    """Everything the add-on says, with the files that say it; and the places whose words cannot be translated."""
    places: dict[str, list[str]] = {}
    spliced: list[str] = []
    for file in sorted(path for room in ("core", "link", "ui") for path in (ADDON / room).glob("*.py")):
        name = file.relative_to(ADDON).as_posix()
        for one, line in said(file.read_text("utf-8"), TABLES.get(name, ())):
            if one is None:
                spliced.append(f"{name}:{line}")
            elif name not in places.setdefault(one, []):
                places[one].append(name)
    for stage in STAGES:
        places.setdefault(stage, []).append("the backend")
    return {one: ", ".join(places[one]) for one in sorted(places)}, spliced


def said(source: str, tables: tuple[str, ...] = ()) -> Iterator[tuple[str | None, int]]:
    """The words of a module with their lines; None where letters are put together with values."""
    tree = ast.parse(source)
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for place in PLACES.get(_last_name(node.func), ()):
                yield from _given(node, place, named)
        elif isinstance(node, ast.ClassDef) and CLASSES.search(node.name):
            yield from _of_class(node)
        if isinstance(node, ast.ClassDef) and node.name in tables:
            yield from _strings(*(one.value for one in node.body if isinstance(one, ast.Assign)))
    for table in tables:
        known = named.get(table)
        yield from _strings(*(known.values if isinstance(known, ast.Dict) else [known] if known else []))


def _last_name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _given(call: ast.Call, place: int | str, named: dict[str, ast.expr]) -> Iterator[tuple[str | None, int]]:
    if isinstance(place, int):
        yield from _strings(*call.args[place : place + 1])
        return
    for keyword in call.keywords:
        if keyword.arg != place:
            continue
        value = named.get(keyword.value.id, keyword.value) if isinstance(keyword.value, ast.Name) else keyword.value
        if place == "items":  # (identifier, name, description, ...)
            items = value.elts if isinstance(value, ast.List | ast.Tuple) else []
            yield from _strings(*(word for item in items if isinstance(item, ast.Tuple) for word in item.elts[1:3]))
        else:
            yield from _strings(value)


def _of_class(node: ast.ClassDef) -> Iterator[tuple[str | None, int]]:
    labels = [
        one.value
        for one in node.body
        if isinstance(one, ast.Assign) and _last_name(one.targets[0]) in ("bl_label", "bl_description")
    ]
    yield from _strings(*labels)
    if (words_ := ast.get_docstring(node)) and "_OT_" in node.name:
        yield words_, node.lineno


def _strings(*expressions: ast.expr) -> Iterator[tuple[str | None, int]]:
    """The literals that an expression may come to; those inside calls are looked for there."""
    for one in expressions:
        match one:
            case ast.Constant(value=str(text)) if any(map(str.isalpha, text)):
                yield text, one.lineno
            case ast.IfExp():
                yield from _strings(one.body, one.orelse)
            case ast.BoolOp():
                yield from _strings(*one.values)
            case ast.BinOp():
                yield from _strings(one.left, one.right)
            case ast.Tuple():
                yield from _strings(*one.elts)
            case ast.JoinedStr() if any(text for text, _ in _strings(*one.values)):
                yield None, one.lineno


if __name__ == "__main__":
    sys.exit(main())
