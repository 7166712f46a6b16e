"""A scene strip's own objects and lines guide its edit, and what a strip does not cover can be left alone."""

from __future__ import annotations

import pytest

from tests.serving import serving

pytestmark = pytest.mark.blender

# A cube of 16x16 pixels that goes 8 a frame, moved by 4; what lies above row 28 is behind another one.
BOXES = [[20, 28, 36, 40], [28, 28, 44, 40], [36, 28, 52, 40]]


def test_the_mask_is_where_the_objects_show(blender):
    found = blender("scenes.objects")
    boxes = found.pop("boxes")
    solid = [True, True, True]
    assert found == {"kind": ["mask", True, [0, 1, 2]], "values": [0, 255], "solid": solid, "difference": 0}
    for box, expected in zip(boxes, BOXES, strict=True):
        assert box == pytest.approx(expected, abs=1)


def test_the_lines_of_the_scene_are_a_sketch_on_every_frame(blender):
    found = blender("scenes.lines")
    share = found.pop("share")
    edges = found.pop("edges")
    assert found == {"kind": ["sketch", False, [0, 1, 2]], "moves": True, "middle": 0, "without": 0}
    assert min(edges) > 200 and 0.02 < share < 0.2


def test_the_mask_is_where_the_strip_is_not_transparent(blender, media):
    assert blender("scenes.alpha", media=media) == [24, 16, 72, 48]


def test_what_a_strip_does_not_have_is_refused_in_words(blender, media):
    nothing = "shows no 3D scene through a camera"
    assert blender("scenes.refused", media=media) == [
        ["mask", "no collection is chosen for the mask"],
        ["mask", "no object of elsewhere is in the scene set"],
        ["sketch", f"set {nothing}"],
        ["mask", f"file {nothing}"],
        ["sketch", f"file {nothing}"],
        [],
    ]


def test_law_1_only_the_objects_are_painted(blender, tmp_path):
    with serving(tmp_path / "jobs") as server:
        found = blender("scenes.painted", server=server.address, folder=tmp_path)
    assert found["take"].startswith("a red crate")
    assert found["outside"] == 0 and min(found["changed"]) > 0.5
    assert found["previewed"] == found["opaque"][1:2]  # frame 6 is the second one
    for box, expected in zip(found["opaque"], BOXES, strict=True):
        assert box == pytest.approx(expected, abs=1)
