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
        "96, 10 is not in the picture of 96x64. Click inside the picture",
        "source shows on frames 5 to 12, not on 13. Go to a frame of the strip",
    ]
    assert found["moved"] == found["points"]
    assert found["signs"] == [["plus", "faint", [30, 28]], ["plus", "here", [24, 30]], ["minus", "here", [80, 50]]]
    assert found["removed"] == found["points"][:2] and found["cleared"] == [] and not found["poll"]


def test_what_is_clicked_is_tracked_and_painted(blender, extension, square, server):
    found = blender("clicking.tracked", extension=extension, clip=square, server=server)
    assert found["words"].startswith("Tracked by") and found["source"] == "stored"
    assert found["rows"] == "Track Mask"
    for number, (left, top, width, height) in enumerate(found["bounds"]):
        assert (left, top, width, height) == pytest.approx((16 + 2 * number, 20, 20, 20), abs=3)
    # The strip was moved by 10 while it was tracked.
    assert found["first"] == 15
    top, bottom, left, right = found["changed"]
    assert (top, bottom, left, right) == pytest.approx((20, 39, 16, 49), abs=3)


def test_tracking_refuses_in_words(blender, extension, square, server):
    found = blender("clicking.refused", extension=extension, clip=square, server=server)
    assert found["nothing"] is False
    assert found["outside"] == "1 of 2 points are on frames that are not to be painted. Paint more frames, or remove these points"
    assert "where the thing is" in found["negative"] and found["kept"] is False


def test_lines_inside_the_mask_become_strokes(blender, extension, square, server):
    found = blender("clicking.lined", extension=extension, clip=square, server=server)
    if not found["can"]:
        assert found["polls"] is False
        return
    assert found["here"] == {"7": found["here"]["7"]}
    assert found["words"] == "Lines on 1 frame" and found["again"].startswith("the layer Sketch has a drawing there")
    assert sorted(found["range"], key=int) == ["5", "7", "8", "11"]
    assert found["range"]["7"] == found["here"]["7"]  # it is left as it is
    for frame, (left, top, width, height) in found["range"].items():
        at = 16 + 2 * (int(frame) - 5)
        assert left >= at - 4 and left + width <= at + 24 and top >= 16 and top + height <= 44
        assert width > 10 and height > 10
    assert found["sketch"] == [0, 2, 3, 6]
