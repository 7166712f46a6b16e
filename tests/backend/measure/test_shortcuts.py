"""The benchmark of the approximations: what is left out is not counted, and nothing left out is no error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from overpaint_backend import cli

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

import torch  # noqa: E402
from overpaint_backend.engines.vires.config import DiTConfig  # noqa: E402
from overpaint_backend.engines.vires.dit import DiT  # noqa: E402
from overpaint_backend.measure.paint import sample_clip  # noqa: E402
from overpaint_backend.measure.shortcuts import walk  # noqa: E402

from tests.small import write_small_checkpoint  # noqa: E402


def test_the_command_says_what_is_saved_and_what_it_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_small_checkpoint(tmp_path)
    words = ["--weights", str(tmp_path), "--frames", "5", "--size", "64", "--steps", "4", "--device", "cpu", "--json"]
    assert cli.main(["bench", "shortcuts", *words]) == 0
    rows = json.loads(capsys.readouterr().out)["shortcuts"]
    assert rows["solver=euler"]["work"] == 1 and rows["solver=corrected steps/2"]["work"] == 0.5
    # The hint net's tail is 44% of a step: half of it is left out.
    assert rows["hint_every=2"]["work"] == pytest.approx(1 - 0.4388 / 2, abs=2e-3)
    assert rows["hint_every=4"]["work"] < rows["hint_every=2"]["work"]
    assert 0 < rows["hint_every=2"]["error"] < 1
    assert rows["stillness=0.2"]["work"] <= rows["stillness=0.05"]["work"] <= 1
    assert rows["solver=euler"]["error"] < rows["solver=euler steps/2"]["error"]


@torch.inference_mode()
def test_work_is_counted_as_it_is_done() -> None:
    torch.manual_seed(0)
    small = DiTConfig(
        hidden=24, heads=2, depth=2, caption_channels=8, hint_widths=(4, 4, 8, 8, 8), hint_groups=(2, 4, 4)
    )
    dit = DiT(small).eval()
    clip = sample_clip(dit, 5, 32, 6)
    ready = dit.prepare(clip.hint, clip.texts)
    plain, counted = walk(dit, ready, clip, 6)
    assert (counted.hints, counted.blocks) == (6, 6)
    _, counted = walk(dit, ready, clip, 6, hint_every=4)
    assert (counted.hints, counted.blocks) == (2, 6)
    other, counted = walk(dit, ready, clip, 6, stillness=1e9)
    assert (counted.hints, counted.blocks) == (1, 1)
    assert not torch.equal(plain, other)
