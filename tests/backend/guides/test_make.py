from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from overpaint.clip import Size
from overpaint.codec import digest
from overpaint.order import Click, GuideFrame, GuideOrder, GuideProgress, TrackOrder, joined
from overpaint_backend import cli
from overpaint_backend.guides.make import make_guide
from overpaint_backend.media import write_picture


def frames(depth: type = np.uint8) -> list[np.ndarray]:
    found = [np.full((40, 60, 3), 70, depth) for _ in range(4)]
    for number, frame in enumerate(found):
        frame[10:30, 10 + number : 30 + number] = (240, 180, 40)
    return found if depth is np.uint8 else [frame * 257 for frame in found]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "clip"
    folder.mkdir()
    for number, frame in enumerate(frames()):
        write_picture(folder / f"{number:05}.png", frame)
    return folder


def test_frames_of_sixteen_bits_and_with_gaps_are_tracked(tmp_path: Path) -> None:
    deep = {digest(frame): frame for frame in frames(np.uint16)}
    named = tuple(GuideFrame(frame=10 * number, pixels=name) for number, name in enumerate(deep))
    clicks = (Click(object=1, frame=20, x=20, y=20),)
    order = GuideOrder(size=Size(width=60, height=40), depth=16, frames=named, wanted=TrackOrder(clicks=clicks))
    said: list[GuideProgress] = []
    made = joined(make_guide(order, deep.__getitem__, said.append, tmp_path, "cpu"))
    assert [key.frame for key in made.guide(1).keys] == [0, 10, 20, 30] and made.method == "classical"
    assert said[-1].done == said[-1].total == 3


def test_the_command_writes_a_mask_for_every_frame(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mask"
    given = ["--clip", str(clip), "--weights", str(tmp_path), "--out", str(out), "--json"]
    assert cli.main(["track", *given, "--click", "0,20,20", "--click", "3,2,2,-"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"out": str(out), "frames": 4, "guides": 1, "method": "classical"}
    for number, path in enumerate(sorted(out.iterdir())):
        mask = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        assert mask.shape == (40, 60) and mask[20, 20 + number] == 255 and mask[2, 2] == 0
    assert cli.main(["track", *given, "--click", "0,20,20"]) == 10  # the folder is there


def test_the_command_keeps_objects_apart_and_refuses_what_is_no_click(clip: Path, tmp_path: Path) -> None:
    given = ["track", "--clip", str(clip), "--weights", str(tmp_path), "--out", str(tmp_path / "mask")]
    for wrong in ("0,20", "0,20,20,+", "a,1,2", "x:0,1,2"):
        assert cli.main([*given, "--click", wrong]) == 10
    assert cli.main([*given, "--click", "7:0,20,20", "--click", "2:0,50,35"]) == 0
    assert sorted(path.name for path in (tmp_path / "mask").iterdir()) == ["2", "7"]


def test_the_command_draws_lines_inside_a_mask(clip: Path, tmp_path: Path) -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[:, :20] = 255
    write_picture(tmp_path / "mask.png", mask)
    out = tmp_path / "lines"
    assert cli.main(["lines", "--clip", str(clip), "--mask", str(tmp_path / "mask.png"), "--out", str(out)]) == 0
    drawn = [np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) for path in sorted(out.iterdir())]
    assert len(drawn) == 4 and all(one[:, :20].any() and not one[:, 26:].any() for one in drawn)


def test_making_guides_needs_no_torch_where_there_are_no_weights(tmp_path: Path) -> None:
    code = "import sys; from overpaint_backend.workers import guide; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
