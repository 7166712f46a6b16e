"""What is drawn in Blender arrives as vectors in clip pixels, the same from every Blender."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from .running import Installed, python_of

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def notes(installed: Installed, media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .blend with annotations, drawn in 5.2: neither 4.5 nor 5.0 can draw without a window."""
    if not python_of("5.2").exists():
        pytest.skip("Blender 5.2 is not there, and no other can draw annotations headless: `make blender` installs it")
    blend = tmp_path_factory.mktemp("notes") / "notes.blend"
    installed.run("5.2", "drawing.save_notes", media=media, blend=blend)
    return blend


def test_annotations_are_sketches_on_their_keys_in_clip_pixels(blender, notes):
    found = blender("drawing.notes", blend=notes, percentage=100)
    assert found == {
        "annotation": "note",
        "kind": "sketch",
        "hold": False,
        "open lines": True,
        "keys": {
            "0": [[4, [[38, 32], [58, 32], [58.5, 52.25]]]],  # drawn before the strip begins, and holding
            "2": [[4, [[48, 27], [48, 37]]], [4, [[49, 31]]], [2, [[68, 12], [72, 12]]]],
            "4": [[2, [[68, 12], [72, 12]]]],  # one layer ends, the other holds
            "7": [[4, [[96, 64], [48, 32]]]],
        },
    }


def test_at_half_size_annotations_are_half_as_large(blender, notes):
    found = blender("drawing.notes", blend=notes, percentage=50)
    assert found["keys"]["0"] == [[2, [[19, 16], [29, 16], [29.25, 26.125]]]]
    assert found["keys"]["7"] == [[2, [[48, 32], [24, 16]]]]


def test_without_strokes_in_the_preview_those_of_the_scene_count(blender, notes):
    assert blender("drawing.scene_notes", blend=notes) == "on the scene"


@pytest.mark.parametrize(("percentage", "likeness"), [(100, 0.985), (50, 0.97)])  # half a pixel off is less
def test_masks_are_areas_in_clip_pixels(blender, media, tmp_path, percentage, likeness):
    found = blender("drawing.masks", media=media, folder=tmp_path, percentage=percentage)
    (guide,) = found.pop("guides")
    assert found == {"without": "", "mask": "coat", "frame": 4, "same again": True}
    assert (guide["kind"], guide["hold"]) == ("mask", True)
    assert [key["frame"] for key in guide["keys"]] == [0, 1, 2, 3, 4]  # the last shape holds on frames 5 to 7
    moving, cut, lit = guide["keys"][2]["strokes"]
    fields = ("layer", "blend", "opacity", "invert", "closed")
    assert [moving[field] for field in fields] == [0, "add", 1.0, False, True]
    assert [cut[field] for field in fields] == [1, "subtract", 0.5, False, True]
    assert [lit[field] for field in fields] == [2, "lighten", 1.0, False, True]
    # On frame 2, half of the way: (0.3 + 0.1, 0.3) in a unit square of 480 pixels, centred in 480 x 320, y up.
    scale = percentage / 100
    assert (moving["knots"][0]["x"], moving["knots"][0]["y"]) == pytest.approx((192 * scale, 256 * scale), abs=0.002)
    assert _likeness(guide, np.load(tmp_path / "mask.npy")) > likeness


def _likeness(guide: dict, blenders: np.ndarray) -> float:
    """Intersection over union of our areas, drawn here, and Blender's own render of the mask, over all frames."""
    both = either = 0
    for number, theirs in enumerate(blenders):
        strokes = next(key for key in reversed(guide["keys"]) if key["frame"] <= number)["strokes"]
        ours = np.zeros(theirs.shape)
        for stroke in strokes:
            area = _fill(stroke["knots"], theirs.shape) * stroke["opacity"]
            # "add" and "lighten" are one where nothing is half covered.
            ours = np.maximum(ours - area, 0) if stroke["blend"] == "subtract" else np.maximum(ours, area)
        both += np.minimum(ours, theirs / 255).sum()
        either += np.maximum(ours, theirs / 255).sum()
    return both / either


def _fill(knots: list[dict], shape: tuple[int, int]) -> np.ndarray:
    t = np.linspace(0, 1, 32)[:, None]
    outline = []
    for one, following in zip(knots, knots[1:] + knots[:1], strict=True):
        a, b, c, d = (
            np.array(at)
            for at in ((one["x"], one["y"]), one["right"], following["left"], (following["x"], following["y"]))
        )
        outline.append((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d)
    large = np.zeros((shape[0] * 8, shape[1] * 8))
    cv2.fillPoly(large, [np.rint(np.concatenate(outline) * 8 - 0.5).astype(np.int32)], 1.0)
    return large.reshape(shape[0], 8, shape[1], 8).mean(axis=(1, 3))


def test_the_same_mask_from_every_blender(installed, media, tmp_path):
    there = [version for version in ("4.5", "5.0", "5.2") if python_of(version).exists()]
    if len(there) < 2:
        pytest.skip("needs two Blenders to compare: `make blender` installs them")
    guides = [
        installed.run(version, "drawing.masks", media=media, folder=tmp_path, percentage=100)["guides"]
        for version in there
    ]
    assert all(guide == guides[0] for guide in guides)


def test_nothing_drawn_is_no_guide(blender, media):
    assert blender("drawing.nothing_drawn", media=media) == 0
