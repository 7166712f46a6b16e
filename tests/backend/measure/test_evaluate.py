"""The evaluation tells good painters from bad ones, and says so as JSON, CSV and a page."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from overpaint.clip import Size
from overpaint.edit import Edit, Input
from overpaint.errors import Invalid
from overpaint_backend import cli
from overpaint_backend.engine import Carry, Conditioning, Progress, WindowInput, WindowOutput
from overpaint_backend.engines.flow.card import card
from overpaint_backend.measure.evaluate import (
    CONDITIONS,
    METRICS,
    Case,
    Models,
    drawn,
    evaluate,
    instance_cases,
    paint,
    plugged,
    summary,
)
from overpaint_backend.train import folder
from overpaint_backend.train.instances import Instances

CASES = list(instance_cases(48, 3, 3))
Painter = Callable[[WindowInput, Case], np.ndarray]


class Fake:
    """An engine that paints what it is told, and remembers what it saw. It knows the truth of the case it paints."""

    painter = "fake"

    def __init__(self, painter: Painter, **changes: Any) -> None:
        self.card = replace(card, name="fake", **changes)
        self._paints = painter
        self.edits: list[Edit] = []
        self.cuts: list[WindowInput] = []

    def encode(self, edit: Edit) -> str:
        self.edits.append(edit)
        return edit.prompt

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        self.cuts.append(cut)
        frames = self._paints(cut, next(case for case in CASES if case.number == cut.seed))
        return WindowOutput(frames=frames.astype(np.float32))


def true(case: Case) -> np.ndarray:
    return case.truth.frames / 255


def sketched(cut: WindowInput) -> np.ndarray:
    """On which frames a sketch was given, "t 1 1 1"."""
    return cut.given.get(Input.SKETCH, np.zeros(len(cut.frames), bool))[:, None, None, None]


def evaluated(painter: Painter, *conditions: str, **given: Any) -> Mapping[str, Any]:
    return evaluate(Fake(painter), CASES, conditions=conditions, **given)[0]


def test_a_perfect_painter_has_perfect_figures() -> None:
    found = evaluated(lambda cut, case: true(case), "full")["figures"]
    full = {name: figure["mean"] for name, figure in found["full"].items()}
    assert full == {name: figure["mean"] for name, figure in found["truth"].items()}
    assert full["psnr"] > 100 and full["ssim"] == 1 and full["line_f1"] > 0.95
    assert full["colour_found"] == full["pattern_found"] == full["pattern_agreement"] == 1
    assert full["flicker"] == full["seam"] == full["background_difference"] == 0
    assert all(found["full"][name]["n"] == 3 for name in ("psnr", "colour_found"))
    assert found["inpainting"]["psnr"]["mean"] < 30 and found["flat"]["psnr"]["mean"] < 30
    assert found["flat"]["colour_found"]["mean"] == 1 and found["flat"]["line_f1"]["mean"] < 0.1


def test_a_painter_that_does_nothing_fails() -> None:
    figures = evaluated(lambda cut, case: cut.frames, "full")
    found = figures["figures"]
    assert found["full"] == found["source"]
    assert found["full"]["colour_found"]["mean"] == found["full"]["pattern_found"]["mean"] == 0
    assert found["full"]["psnr"]["mean"] < 20
    assert figures["differences"]["psnr_full_minus_flat"]["mean"] == pytest.approx(
        found["full"]["psnr"]["mean"] - found["flat"]["psnr"]["mean"], abs=2e-4
    )


def test_what_is_painted_outside_the_mask_leaks_but_never_arrives() -> None:
    found = evaluated(lambda cut, case: 1 - cut.frames, "full")["figures"]["full"]
    assert found["mask_leak"]["mean"] > 10 and found["background_difference"]["high"] == 0


def test_conditions_give_more_and_more_of_the_sketch() -> None:
    case = CASES[0]
    frames = {name: np.flatnonzero(drawn(name, case)[1]).tolist() for name in CONDITIONS}
    assert frames["none"] == [] and frames["first"] == [0] and frames["d2"] == [0, 8] and frames["d4"] == [0, 4, 8, 12]
    assert len(frames["d8"]) == 8 and len(frames["d16"]) == 16 and len(frames["full"]) == len(frames["wrong"]) == 17
    lines, given = drawn("d2", case)
    assert np.array_equal(lines[8], case.truth.sketch[8]) and not lines[~given].any()
    wrong, _ = drawn("wrong", case)
    other = Instances(size=48, seed=3).clip(1).sketch
    assert wrong.any() and np.array_equal(wrong, np.where(case.truth.mask > 0, other, 0))


def test_the_engine_gets_the_edit() -> None:
    fake = Fake(lambda cut, case: cut.frames)
    evaluate(fake, CASES[1:2], conditions=["full", "none"], options={"ink": "red"})
    case, (edit,), (full, none) = CASES[1], fake.edits, fake.cuts
    assert edit.prompt == case.truth.caption and edit.options == {"ink": "red"}
    assert np.array_equal(full.frames * 255, case.source) and np.array_equal(full.mask, case.truth.mask)
    assert np.allclose(full.guides[Input.SKETCH] * 255, case.truth.sketch) and full.seed == none.seed
    assert Input.SKETCH not in none.guides
    old, new = Instances(size=48, seed=3).clip(1).attributes, case.truth.attributes
    assert old is not None and new is not None and not {new.main, new.second} & {old.main, old.second}


def test_more_sketch_is_better_where_it_is_followed_and_the_order_says_so() -> None:
    def follower(cut: WindowInput, case: Case) -> np.ndarray:
        return np.where(sketched(cut), true(case), 0.5)

    figures = evaluated(follower, *CONDITIONS)
    assert figures["order"]["monotone"] is True and next(iter(figures["order"]["steps"])) == "first_minus_none"
    assert figures["differences"]["f1_full_minus_none"]["low"] > 0.9
    assert 0 < figures["differences"]["f1_first_minus_none"]["mean"] < 0.3
    contrary = evaluated(lambda cut, case: np.where(sketched(cut), 0.5, true(case)), "none", "full")
    assert contrary["order"] == {"steps": contrary["order"]["steps"], "monotone": False}
    assert contrary["differences"]["f1_full_minus_none"]["high"] < -0.9


def test_differences_are_of_the_same_clips() -> None:
    nothing = dict.fromkeys(METRICS)
    rows = [
        {"clip": clip, "condition": condition, **nothing, "line_f1": value}
        for clip, condition, value in [(0, "full", 0.9), (0, "none", 0.5), (1, "full", 0.4), (2, "none", 0.1)]
    ]
    found = summary(rows)
    assert found["differences"] == {"f1_full_minus_none": {"mean": 0.4, "low": 0.4, "high": 0.4, "n": 1}}
    assert found["figures"]["full"]["line_f1"]["n"] == 2 and "psnr" in found["not_measured"]


class Space:
    """A backbone that knows brightness only."""

    def pictures(self, frames: np.ndarray) -> np.ndarray:
        level = frames.mean(axis=(1, 2, 3)) / 255
        return np.stack([level, 1 - level], axis=1).astype(np.float32)

    def text(self, words: str) -> np.ndarray:
        return np.array([len(words), 0], np.float32)


space = Space()


def test_models_can_be_plugged() -> None:
    plain = evaluated(lambda cut, case: true(case), "full")
    assert plain["not_measured"] == ["frame_consistency", "text_consistency"]
    still = Models(
        backbone=plugged(f"{__name__}:space", "backbone"), flow=lambda a, b: np.zeros((48, 48, 2), np.float32)
    )
    figures = evaluated(lambda cut, case: true(case), "full", models=still)
    assert figures["not_measured"] == [] and figures["figures"]["full"]["frame_consistency"]["mean"] > 0.99
    assert figures["figures"]["full"]["warp_error"]["mean"] > 1.5 * plain["figures"]["full"]["warp_error"]["mean"]
    for name in ("nothing", "json:nothing", "no.such:thing"):
        with pytest.raises(Invalid, match="cannot be used"):
            plugged(name, "flow")


def test_a_window_is_as_long_as_the_engine_wants() -> None:
    fake = Fake(lambda cut, case: cut.frames, frame_step=4)
    assert len(paint(fake, "", CASES[0], "full")) == 17 and len(fake.cuts[0].frames) == 20
    assert np.array_equal(fake.cuts[0].frames[19], fake.cuts[0].frames[16])
    for changes, why in (
        ({"max_frames": 16}, "17 frames"),
        ({"native_size": Size(width=64, height=64)}, "48x48"),
        ({"size_multiple": 32}, "multiples of 32"),
    ):
        with pytest.raises(Invalid, match=why):
            paint(Fake(lambda cut, case: cut.frames, **changes), "", CASES[0], "full")


def test_the_command_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["eval", "--engine", "flow", "--seed", "7", "--clips", "2", "--option", "ink=white", "--json"]
    assert cli.main([*words, "--out", str(tmp_path / "out")]) == 0
    said, told = capsys.readouterr()
    figures = json.loads(said)
    assert (figures["suite"], figures["seed"], figures["clips"]) == ("instances", 7, 2)
    assert figures["options"] == {"ink": "white"} and told.count("clip ") == 2
    assert set(figures["figures"]) == {*CONDITIONS, "inpainting", "flat", "source", "truth"}
    assert set(figures["figures"]["full"]["psnr"]) == {"mean", "low", "high", "n"}
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == figures
    with (tmp_path / "out" / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 12 and set(METRICS) < set(rows[0])
    mean = np.mean([float(row["psnr"]) for row in rows if row["condition"] == "full"])
    assert figures["figures"]["full"]["psnr"]["mean"] == pytest.approx(mean, abs=1e-3)
    page = (tmp_path / "out" / "index.html").read_text()
    pictures = re.findall(r'src="([^"]+)"', page)
    assert len(pictures) == 6 and all((tmp_path / "out" / name).is_file() for name in pictures)
    assert rows[0]["prompt"] in page and "not measured" in page.lower()
    assert cli.main([*words, "--out", str(tmp_path / "out")]) == 10  # never over what is there


def test_a_data_set_is_painted_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = Instances(size=48, frames=9, seed=2)
    folder.write(tmp_path, clips.clip, 3, {"seed": 2})
    words = ["eval", "--engine", "flow", "--suite", "folder", "--folder", str(tmp_path), "--json"]
    assert cli.main([*words, "--clips", "2"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["clips"] == 2 and figures["folder"] == str(tmp_path) and figures["seed"] is None
    assert figures["figures"]["source"]["psnr"]["mean"] > 100  # what is to be painted is what was there


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--clips", "1"], "no interval"),
        (["--seed", "-1"], "below 0"),
        (["--suite", "folder"], "--folder"),
        (["--option", "ink=mauve"], "ink is one of"),
        (["--backbone", "clip"], "MODULE:OBJECT"),
    ],
)
def test_what_cannot_be_evaluated_is_said(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", "--engine", "flow", *words]) == 10
    assert why in capsys.readouterr().err
