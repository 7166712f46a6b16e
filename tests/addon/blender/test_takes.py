"""The loop with takes: batches, choosing in place, apply, discard, restore, and one meta strip for an edit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import serving

pytestmark = pytest.mark.blender

COAT = "a red coat"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server") / "jobs") as running:
        yield running.address


@pytest.fixture
def look(blender, extension, media, server, tmp_path):
    """A function of `inside/choosing.py`, with all it needs."""
    return lambda name: blender(f"choosing.{name}", extension=extension, media=media, server=server, folder=tmp_path)


def test_law_6_a_batch_sends_pixels_once_and_every_take_is_remembered(blender, extension, media, tmp_path):
    with serving(tmp_path / "jobs") as fresh:
        found = blender("choosing.batch", extension=extension, media=media, server=fresh.address, folder=tmp_path)
    assert found.pop("a job without pixels") < 2000
    assert found == {
        "seeds": [0, 1, 2, 9],
        "above": [[f"{COAT} (9)", 2, True]],
        "thumbnails": [[20, 20]] * 4,
        "pixels sent once": True,
        "active": "source",
        "undoable": True,
        "remembered": [4, 4],
        "halves": [[f"{COAT} (0)", 2, 9, 13], [f"{COAT} (9)", 2, 5, 9], ["half", 1, 9, 13], ["renamed", 1, 5, 9]],
    }


def test_law_8_a_batch_that_a_person_began_is_followed_take_by_take(blender, extension, media, server):
    found = blender("choosing.by_hand", extension=extension, media=media, server=server)
    assert found == {"seeds": [0, 1, 2], "strips": 1, "left": []}


def test_takes_are_chosen_in_place_and_every_choice_is_one_step_of_undo(look):
    found = look("chosen")
    assert found == {
        "painted": [[f"{COAT} (2)", 2, True]],
        "show": [[f"{COAT} (0)", 2, True]],
        "before": [[f"{COAT} (0)", 2, False]],
        "after": [[f"{COAT} (0)", 2, True]],
        "apply": [[f"{COAT} (0)", 2, True]],
        "show another": [[f"{COAT} (0)", 2, True], [f"{COAT} (1)", 3, True]],
        "discard": [[f"{COAT} (0)", 2, True], [f"{COAT} (2)", 3, True]],
        "undone": True,
        "redone": True,
        "remembered": [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2],
        "colour": ["NONE", "COLOR_05", "NONE"],
    }


def test_files_of_discarded_takes_go_when_nothing_needs_them(look):
    assert look("discarded") == {
        "discarded": [True, True, True],
        "not saved": [True, True, True],
        "saved": [True, True, True],
        "left": [True, True, False],
        "above": [[f"{COAT} (0)", 2, True], ["a copy", 9, True]],
    }


def test_files_of_discarded_takes_stay_where_another_version_of_the_blend_may_need_them(look):
    there = [True, True]
    assert look("saved_as") == {"at once": there, "later": there, "in the first": there}


def test_law_10_settings_come_back_from_the_list_and_from_the_strip_alone(look):
    found = look("restored")
    asked = ["toy", "replace", COAT, "", 0, 0.0]
    assert found == {"asked": asked, "from the list": asked, "seed": [0, ""], "from the strip": asked}


def test_a_source_and_its_takes_become_one_meta_strip(look):
    assert look("gathered") == {
        "meta": ["source edit", 3, 5, 13],
        "inside": [[f"{COAT} (1)", 2], ["source", 1]],
        "difference": 0,
        "source": [5, 13, False],
        "goes on": [[f"{COAT} (0)", 2], ["source", 1]],
        "moved": 0,
    }


def test_the_panel_shows_the_takes(look):
    shown = look("panel")
    assert shown[:2] == ["takes", "[Paint Takes]"]
    assert shown[2:5] == ["[0]", "[1]*", f"{COAT} (1)"]
    assert {"[Before / After]", "[Apply]", "[Discard]", "[Restore Settings]", "[Copy Seed]"} < set(shown)
    assert shown[-2:] == ["[20, 20]", "[20, 20]"]  # the thumbnails


def test_a_preview_is_one_frame_above_the_strip_and_gone_when_the_whole_is_there(look):
    found = look("previewed")
    assert found.pop("outside").startswith("frame: source is painted on frames 5 to 12, not on 3. ")
    assert found == {
        "first": [["Preview", 2, 8, 9]],
        "second": [["Preview", 2, 8, 9]],
        "changed": [38, 57, 22, 41],
        "remembered": 0,
        "beside the .blend": False,
        "painted": [[f"{COAT} (2)", 2, True]],
        "above the take": [[f"{COAT} (2)", 2, True], ["Preview", 3, True]],
        "opened": [[f"{COAT} (2)", 2, True]],
    }


def test_live_previews_each_change_once_and_captures_once(blender, extension, media, server):
    assert blender("choosing.live", extension=extension, media=media, server=server) == {
        "begun": 1,
        "nothing changed": 1,
        "mask moved": 2,
        "prompt changed": 3,
        "the strip changed too": [4, 2],
        "off": None,
        "at once": 1,
        "captures": 2,
        "above": [["Preview", 2, True]],
    }


def test_a_button_paints_what_was_chosen_when_it_was_pressed(blender, extension, media, server):
    found = blender("choosing.pressed", extension=extension, media=media, server=server)
    assert found == {"takes": [1, 0], "preview": 8, "waits": [False, False, True], "selected": ["other", "source"]}


def test_law_1_an_accepted_keyframe_is_carried_through_the_strip(look):
    found = look("keyed")
    assert "needs a keyframe or a sketch, and none is given" in found.pop("left out")
    assert found == {
        "kept": [8],
        "undone": [],
        "request": [3],
        "law 1": 0,
        "on the keyframe": 0,
        "other frames change": [True] * 8,
        "jumped": 8,
        "removed": [0, True],
        "left": False,
    }
