"""The add-on in other languages than English."""

from __future__ import annotations

import json

import pytest

from .running import ROOT

pytestmark = pytest.mark.blender


def test_all_that_blender_shows_by_itself_is_in_the_template(blender, extension):
    template = json.loads((ROOT / "addon/overpaint_addon/locale/template.json").read_text("utf-8"))
    shown = blender("translating.registered", extension=extension)
    assert len(shown) > 100
    assert [words for words in shown if words not in template] == []


def test_the_panel_speaks_the_language_of_blender(blender, extension, media):
    found = blender("translating.spoken", extension=extension, media=media)
    assert found["en_US"] == ["Repaint 8 Frames", "Paint Takes", "What should be there"]
    assert found["de_DE"] == ["8 Bilder neu malen", "Takes malen", "Was dort sein soll"]
    assert found["ja_JP"] == ["8フレームを描き直す", "テイクをペイント", "そこにあるべきもの"]
    assert found["disabled"] == ["Paint Takes", "Paint Takes"]
    assert found["left"] == []
