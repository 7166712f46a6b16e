"""The main panel: choices, options, cost, words before the button is pressed; with a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from overpaint.client import Client

from tests.serving import serving

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server") / "jobs") as running:
        yield running.address


@pytest.fixture
def look(blender, extension, media, server):
    """A function of `inside/filling.py`, with all it needs."""
    return lambda name: blender(f"filling.{name}", extension=extension, media=media, server=server)


def test_what_is_not_chosen_is_guessed_and_the_button_says_so(look):
    assert look("automatic") == {
        "before the server was asked": "Remove from 8 Frames",
        "mask": "Remove from 8 Frames with Flow",
        "mask and prompt": "Repaint 8 Frames with Toy",
        "chosen": "Add to 8 Frames with Toy",
        "nobody can": [True, True],
        "no mask": [True, True],
    }


def test_a_script_needs_no_server_and_an_unknown_engine_is_kept(look):
    assert look("scripted") == {
        "choice": "flow",
        "draft": ["flow", "remove"],
        "chosen in the menu": "toy",
        "lacking": ["nobody", True, True],
        "automatic": ["automatic", ""],
    }


def test_blender_is_never_left_with_a_menu_whose_words_are_gone(look):
    assert look("choices")


def test_options_come_from_the_card_and_only_changes_are_kept(look):
    found = look("options")
    assert found.pop("steps") == [4, 1, 1000, 4, "How many steps a window takes"]
    assert found == {
        "fields": ["strength", "steps", "delay", "invert", "pattern"],
        "nothing changed": {},
        "changed": {"steps": 2, "pattern": "stripes", "invert": True, "strength": 0.1},
        "sent": found["sent"],
        "within bounds": 1000,
        "resets": 4,
        "draft": [2, False],
        "reset": [{}, "checks", False],
        "unknown": ["[Forget Gone, Which Toy Lacks]"],
        "enabled again": 9,
    }
    assert {name: found["sent"][name] for name in ("pattern", "invert", "strength")} == {
        "pattern": "stripes",
        "invert": True,
        "strength": 0.1,
    }
    assert (int(found["sent"]["steps"]), found["sent"]["delay"]) == (2, 0)


def test_the_cost_comes_from_the_server_and_so_does_its_refusal(look, server):
    found = look("cost")
    with Client(server) as client:
        (device,) = client.server().devices
    duration, _, where = found["cost"].pop().partition(" on ")  # a busy server took longer for the job before
    assert duration.startswith("About ") and where == device.title
    assert found == {
        "cost": ["8 frames, 1 window of 96x64", "At most 0.1 MB to send"],
        "asked again for a seed": False,
        "refused": [True, True],
    }


def test_a_server_that_is_away_is_said_before_the_button_is_pressed(blender, extension, media):
    found = blender("filling.away", extension=extension, media=media)
    assert found[0].startswith("No server answers at 127.0.0.1:9") and found[1].startswith("Replace in")


def test_law_8_no_tick_waits_for_an_answer(blender, extension, media, tmp_path):
    with serving(tmp_path / "jobs") as standing:
        given = {"server": standing.address, "process": standing.process.pid}
        found = blender("filling.unanswered", extension=extension, media=media, **given)
    assert found == {"cards": [True, [], None], "cost": [True, None, None], "then": True}


def test_every_selected_strip_is_painted_and_takes_are_not(look):
    assert look("several") == {
        "words": "Replace in 2 Strips with Toy",
        "takes": [5, 30],
        "with takes selected": "Replace in 2 Strips with Toy",
        "one": "Replace in 8 Frames with Toy",
        "second is active": True,
    }


def test_a_press_takes_a_new_seed_unless_it_is_locked(look):
    assert look("seeds") == {
        "script": [5, -1],
        "press": [True, 5, ["Last seed: 5"]],
        "locked": [6, 6],
        "takes": [5, 5, 6],
    }


def test_the_panels_draw_in_every_state_and_nothing_is_cut_off(look):
    assert look("states") == {
        "no strip": [["Paint"], True],
        "no card": ["Not known yet which engine will paint"],
        "longest": [True, True],
        "narrow": ["Replace in 8 Frames", True],
        "advanced": ["grow", "feather", "[Export for Farm]"],
        "without negative and quality": [False, False],
        "a negative prompt that would be refused": [True, True],
    }


def test_the_key_comes_and_goes_with_the_add_on(blender, extension):
    key = ["Shift Ctrl P"]
    assert blender("filling.keys", extension=extension) == {
        "enabled": key,
        "preferences": ["overpaint.paint"],
        "disabled": [],
        "enabled again": key,
    }
