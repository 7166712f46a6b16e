"""Points, tracked masks and lines from the footage: real Blender, the installed extension, a real server over TCP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import png
import pytest

from tests.serving import serving

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server") / "jobs") as running:
        yield running.address


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 frames of 96x64: a bright square of 20 pixels on dark noise, from 16, 20 on, 2 pixels to the right a frame."""
    folder = tmp_path_factory.mktemp("square")
    random = np.random.default_rng(3)
    ground = random.integers(0, 40, (64, 96, 3))
    thing = random.integers(200, 250, (20, 20, 3))
    for number in range(8):
        frame = ground.copy()
        frame[20:40, 16 + 2 * number : 36 + 2 * number] = thing
        file = folder / f"{number:04d}.png"
        png.from_array(frame.astype(np.uint8).reshape(64, -1), "RGB;8").save(str(file))
    return folder


def test_points_are_kept_with_the_strip(blender, extension, square):
    found = blender("clicking.kept", extension=extension, clip=square)
    assert found["points"] == [[1, 0, 24, 30, True], [1, 0, 80, 50, False], [2, 3, 30, 28, True]]
    assert found["refused"] == [
        "point: 96, 10 is not in the picture of 96x64. Click inside the picture",
        "frame: source shows on frames 5 to 12, not on 13. Go to a frame of the strip",
    ]
    assert found["moved"] == found["points"]
    assert found["signs"] == [["minus", "here", [80, 50]], ["plus", "faint", [30, 28]], ["plus", "here", [24, 30]]]
    assert found["removed"] == found["points"][:2] and found["cleared"] == [] and not found["poll"]


def test_what_is_clicked_is_tracked_and_painted(blender, extension, square, server):
    found = blender("clicking.tracked", extension=extension, clip=square, server=server)
    assert found["words"].startswith("Tracked by") and (found["row"], found["source"]) == ("Track Mask", "stored")
    assert found["first"] == 15 and len(found["bounds"]) == 8  # it was moved by 10 while it was tracked
    for number, box in enumerate(found["bounds"]):
        assert box == pytest.approx([16 + 2 * number, 20, 20, 20], abs=3)
    assert found["changed"] == pytest.approx([20, 39, 16, 49], abs=3)


def test_tracking_refuses_in_words(blender, extension, square, server):
    found = blender("clicking.refused", extension=extension, clip=square, server=server)
    assert found["nothing"] is False and found["kept"] is False
    assert "no click says where the thing is" in found["negative"]
    words = "1 of 2 points are on frames that are not to be painted. Paint more frames, or remove these points"
    assert found["outside"] == f"points: {words}"


def test_lines_inside_the_mask_become_strokes(blender, extension, square, server):
    found = blender("clicking.lined", extension=extension, clip=square, server=server)
    if not found["can"]:
        assert found["polls"] is False
        return
    assert list(found["here"]) == ["8"] and found["words"] == "Lines on 1 frame"
    assert found["again"].startswith("layer: the layer Sketch has a drawing there")
    assert list(found["range"]) == ["5", "8", "11"]
    assert found["range"]["8"] == found["here"]["8"]  # it is left as it is
    for frame, box in found["range"].items():
        assert box == pytest.approx([16 + 2 * (int(frame) - 5), 20, 20, 20], abs=5)
    half = {str(int(frame) - 5): [number / 2 for number in box] for frame, box in found["range"].items()}
    assert found["sketch"] == {frame: pytest.approx(box, abs=0.01) for frame, box in half.items()}
    # Each frame is drawn as it comes: what was there when it was cancelled stays, and the next time the others come.
    assert found["cancelled"] == ["5", "6", "8", "11"]
    assert found["rest"] == "Lines on 4 frames" and found["all"] == [str(frame) for frame in range(5, 13)]
