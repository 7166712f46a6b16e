"""Every word that the add-on shows is in the template and in each language, with the same placeholders."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
from overpaint_addon.core.words import columns, lines, say, sentences, speak

ROOT = Path(__file__).parents[2]
LOCALE = ROOT / "addon/overpaint_addon/locale"
LANGUAGES = sorted(file.stem for file in LOCALE.glob("*.json") if file.stem != "template")


@pytest.fixture(scope="module")
def words() -> Any:
    """addon/words.py, a script."""
    spec = importlib.util.spec_from_file_location("overpaint_words", ROOT / "addon/words.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(name: str) -> dict[str, str]:
    return json.loads((LOCALE / f"{name}.json").read_text("utf-8"))


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w*\}", text))


def test_the_template_is_what_the_code_says(words: Any) -> None:
    found, spliced = words.words()
    assert spliced == [], "words that are put together cannot be translated; use say()"
    assert read("template") == found, "run python addon/words.py"


def test_the_languages_are_those_that_blender_is_given() -> None:
    tree = ast.parse((ROOT / "addon/overpaint_addon/ui/translations.py").read_text("utf-8"))
    given = next(
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LOCALES"
    )
    assert sorted(ast.literal_eval(given)) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_says_it_all_and_no_more(language: str) -> None:
    wanted, known = read("template").keys(), read(language).keys()
    assert sorted(wanted - known) == [], "not translated yet"
    assert sorted(known - wanted) == [], "no longer said: remove them"


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_what_is_filled_in_and_end_alike(language: str) -> None:
    for english, translated in read(language).items():
        assert placeholders(english) == placeholders(translated), english
        assert translated.strip() == translated != "", english
        assert english.endswith("...") == translated.endswith("..."), english
        assert english.endswith("...") or not translated.endswith((".", "。")), english


def test_what_is_found_in_code(words: Any) -> None:
    source = '''
ITEMS = [("a", "Item", "What it does")]
TABLE = {1: "In a table", 2: other}
class OVERPAINT_OT_one(Operator):
    """A tooltip"""
    bl_label = "Label"
    mode: EnumProperty(name="Mode", items=ITEMS, description="Long "
        "words")
    def draw(self, context):
        layout.label(text="Yes" if self else "No")
        layout.label(text="-")
        self.report({"INFO"}, "Reported")
        return say("{count} Frames", count=3), not_shown("silent")
class Ours:
    """No tooltip"""
class State(StrEnum):
    ON = "Switched On"
'''
    found = {text for text, _ in words.said(source, ("TABLE", "State"))}
    assert found == {
        *("Item", "What it does", "In a table", "A tooltip", "Label", "Mode", "Long words", "Yes", "No", "Reported"),
        *("{count} Frames", "Switched On"),
    }


@pytest.mark.parametrize("call", ['layout.label(text=f"{count} Frames")', 'self.report({"INFO"}, f"Placed {name}")'])
def test_words_that_are_put_together_are_found(words: Any, call: str) -> None:
    assert list(words.said(call)) == [(None, 1)]


def test_values_alone_need_no_translation(words: Any) -> None:
    assert list(words.said('layout.label(text=f"{first} - {last}")')) == []


def test_saying_without_blender_is_english() -> None:
    assert say("{count} Frames", count=3) == "3 Frames"
    assert say("100 % {as it is}") == "100 % {as it is}"


def test_saying_in_another_language() -> None:
    speak({"{count} Frames": "{count} Bilder"}.__getitem__)
    try:
        assert say("{count} Frames", count=3) == "3 Bilder"
    finally:
        speak(str)


def test_lines_are_broken_where_the_language_allows_it() -> None:
    assert lines("no strip is active here", 12) == ["no strip is", "active here"]
    assert lines("マスクしたものを残し、見た目を変えます", 12) == ["マスクしたも", "のを残し、見", "た目を変えま", "す"]
    assert lines("用 VIRES 重绘", 20) == ["用 VIRES 重绘"]


def test_wide_characters_take_two_columns() -> None:
    assert columns("Mask") == 4
    assert columns("マスク") == columns("遮罩 X") == 6


def test_a_sentence_begins_with_a_capital_unless_it_is_a_name() -> None:
    assert sentences("the mask is empty", "Draw one") == "The mask is empty. Draw one"
    assert sentences("bikes.mp4 is gone") == "bikes.mp4 is gone"
    assert sentences("", "") == ""
