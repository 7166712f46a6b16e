"""Sketch, mask and tracks out of one annotation; masks from elsewhere; the frames that are painted; what is keyed."""

from __future__ import annotations

from pathlib import Path

import pytest

from .running import Installed, python_of

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def notes(installed: Installed, media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .blend with a strip on 5..12 and five layers, drawn in 5.2: neither 4.5 nor 5.0 can draw without a window."""
    if not python_of("5.2").exists():
        pytest.skip("Blender 5.2 is not there, and no other can draw annotations headless: `make blender` installs it")
    blend = tmp_path_factory.mktemp("notes") / "notes.blend"
    installed.run("5.2", "guiding.save", media=media, blend=blend)
    return blend


LINE, LOOP, LATER, RED = [False, 2, [38, 32]], [False, 5, [58, 22]], [False, 2, [48, 27]], [False, 2, [49, 31]]
CORNER, TWO_SIDES, AREA = [True, 4, [8, 52]], [True, 3, [8, 52]], [True, 5, [58, 22]]
BY_NAME = {
    "frames": [5, 8],
    "source": "layers",
    "chosen": "",
    "sketch": {"0": [LINE, LOOP], "2": [LINE, LOOP, RED], "4": [LATER, RED]},
    "mask": {"1": [CORNER], "3": [], "5": [TWO_SIDES]},  # held, also backwards; empty from 3 on; all strokes closed
    "tracks": [
        [[0, 48, 32], [1, 52, 32], [2, 56, 32], [3, 56, 36], [4, 56, 40]],  # to the layer's next drawing
        [[4, 40, 32], [5, 42, 32], [6, 44, 32], [7, 46, 32]],  # to the end
    ],
}


def test_layers_are_what_their_names_or_the_artist_say(blender, extension, notes):
    red = {"by": "colour", "colour": [0.9, 0.1, 0.2], "role": "mask"}
    named = [{"layer": "Mask of the coat", "role": "unused"}, {"layer": "motion", "role": "sketch"}]
    by_name, by_rules = blender("guiding.read", extension=extension, blend=notes, cases=[{}, {"rules": [red, *named]}])
    assert by_name == BY_NAME
    assert by_rules["mask"] == {"2": [[True, 2, [49, 31]]]}
    assert by_rules["sketch"] == {
        "0": [LINE, LOOP, [False, 3, [48, 32]]],
        "4": [LATER, [False, 2, [40, 32]]],
    }
    assert by_rules["tracks"] == []


def test_where_the_mask_comes_from(blender, extension, notes):
    half, box = {"resolution_percentage": 50}, [10, 20, 30, 40]
    closed, boxed, nowhere, chosen, overruled = blender(
        "guiding.read",
        extension=extension,
        blend=notes,
        cases=[
            {"guides": {"mask_source": "closed"}},
            {"guides": {"mask_source": "box", "box": box}, "render": half},
            {"guides": {"mask_source": "box"}},
            {"mask": "coat"},
            {"mask": "coat", "guides": {"mask_source": "layers"}},
        ],
    )
    assert closed["mask"] == {"0": [AREA], "1": [CORNER, AREA], "3": [AREA], "4": [], "5": [TWO_SIDES]}
    assert closed["sketch"] == {"0": [LINE], "2": [LINE, RED], "4": [LATER, RED]}
    assert boxed["mask"] == {"0": [[True, 4, [5, 10]]]} and boxed["source"] == "box"
    assert "mask" not in nowhere and nowhere["source"] == "none"
    assert (chosen["chosen"], chosen["source"]) == ("coat", "datablock")
    assert overruled == BY_NAME


def test_the_frames_to_paint_are_chosen_and_never_trimmed_in_silence(blender, extension, notes):
    part, preview, beside = blender(
        "guiding.read",
        extension=extension,
        blend=notes,
        cases=[
            {"guides": {"span": "custom", "first": 7, "last": 10}},
            {
                "guides": {"span": "scene"},
                "scene": {"use_preview_range": True, "frame_preview_start": 11, "frame_preview_end": 40},
            },
            {"guides": {"span": "scene"}, "scene": {"frame_start": 70, "frame_end": 100}},
        ],
    )
    assert part["frames"] == [7, 4]
    assert part["mask"] == {"0": [CORNER], "1": [], "3": [TWO_SIDES]}
    # As fast as in the whole strip.
    assert part["tracks"] == [[[0, 56, 32], [1, 56, 36], [2, 56, 40]], [[2, 40, 32], [3, 42, 32]]]
    assert preview["frames"] == [11, 2]
    assert beside["refused"] == (
        "frames: the frames to paint are 70-100, and the strip shows on 5-12. Choose frames of the strip, or the whole"
        " strip"
    )


def test_a_mask_from_elsewhere_stays_with_the_strips_content(blender, extension, notes):
    as_made, half, moved, misshapen, forgotten = blender("guiding.stored", extension=extension, blend=notes)
    assert as_made["source"] == "stored"
    assert as_made["mask"] == {str(frame): [[True, 5, [10 + frame, 10]]] for frame in (0, 2, 4, 6)}
    assert half["mask"] == {str(frame): [[True, 5, [5 + frame / 2, 5]]] for frame in (0, 2, 4, 6)}
    # On 8..15 now, and shown from 11 to 14: its frames 3 to 6.
    assert moved["frames"] == [11, 4]
    assert moved["mask"] == {"0": [[True, 5, [12, 10]]], "1": [[True, 5, [14, 10]]], "3": [[True, 5, [16, 10]]]}
    assert misshapen["refused"].startswith("mask: the stored mask was made for a picture of 96x64, and the picture is")
    assert forgotten["source"] == "none"


def test_keyed_frames_are_gone_to_copied_cleared_and_marked(blender, extension, notes):
    found = blender("guiding.keyed", extension=extension, blend=notes)
    none = "The active layer shows no stroke here that has a width and a height. Draw one"
    assert found == {
        "next": [5, 6, 7, 9, 10, 10, 10],
        "previous": [9, 7, 6, 5, 5, 5, 5],
        "copied": [[5, 2], [7, 2], [9, 1]],  # in order, as Blender needs them
        "points": [2, 5],
        "refused": "frame: Note has a drawing on frame 7. Clear it before copying",
        "cleared": [[5, 2], [9, 1]],
        "ended": [[5, 2], [7, 0], [9, 1]],
        "over an empty one": [[5, 2], [7, 2], [9, 1]],
        "first": "frame: Note has no drawing before frame 5. Draw one, or go on",
        "box": [58, 2, 20, 20, "box"],  # the loop, in pixels at 100 %
        "no box": none,
        "nothing here": none,
        "diamonds": {
            "sketch": [[50, 158], [70, 158], [90, 158]],
            "mask": [[60, 150], [100, 150]],
            "track": [[50, 142], [90, 142]],
        },
    }


def test_the_panel_says_what_each_layer_is_and_how_much_is_painted(blender, extension, notes):
    at_first, chosen, beside = blender("guiding.panel", extension=extension, blend=notes)
    assert "All 8 frames, 5-12" in at_first and "Mask Layers" in at_first and "5 keyed frames" in at_first
    layers = at_first[at_first.index("Note") :][:8]
    assert layers == ["Note", "Sketch", "red", "Sketch", "motion", "Motion Track", "Mask of the coat", "Mask"]
    assert "4 of 8 frames, 6-9 of 5-12" in chosen and "No mask there" in chosen
    assert chosen[chosen.index("Note") + 1] == "Mask"
    assert any(words.startswith("The frames to paint end at 3") for words in beside)


def test_layers_are_found_by_a_part_of_their_name(blender, extension, notes):
    assert blender("guiding.layer_names", extension=extension, blend=notes) == ["mask, hidden", "Mask of the coat"]


def test_the_fields_come_and_go_with_the_add_on(blender, extension):
    assert blender("guiding.enabled_again", extension=extension) == [True, False, True]


def test_a_layer_is_made_for_what_one_wants_to_draw(blender, extension):
    assert blender("guiding.pens", extension=extension) == [
        ["Mask", "Mask"],
        ["Mask", "Sketch", "Sketch"],
        ["Mask", "Sketch", "Mask"],
        ["Mask", "Track", "Sketch", "Track"],
    ]
