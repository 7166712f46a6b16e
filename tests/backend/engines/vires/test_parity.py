"""The runner that holds VIRES against the official code: its numbers, and that it sees a wrong one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")
pytest.importorskip("diffusers")

import torch  # noqa: E402
from overpaint_backend.engines.vires.config import DiTConfig  # noqa: E402
from overpaint_backend.engines.vires.dit import DiT, SketchAttention  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from tests.parity import vires, vires_cases  # noqa: E402

FIXTURES = Path(__file__).parents[4].parent / "shared" / "fixtures" / "vires"
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the official code's numbers are not here")


@needs_fixtures
@pytest.mark.parametrize("name", list(vires.FILES))
def test_every_number_of_the_official_code_is_met(name: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    if not (FIXTURES / f"{name}.safetensors").is_file():
        pytest.skip(f"{name} is not here")
    for weights in FIXTURES.glob("*_weights.safetensors"):
        (tmp_path / weights.name).symlink_to(weights)
    (tmp_path / f"{name}.safetensors").symlink_to(FIXTURES / f"{name}.safetensors")
    assert vires.main([str(tmp_path), "--json"]) == 0, capsys.readouterr().out
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] and told["cases"] and told["worst"] <= 1e-4


@needs_fixtures
@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("scheduler", "allones.out"),
        ("scheduler", "timesteps_fp32_30"),
        ("scheduler", "train.loss"),
        ("mask", "rand22.latent_mask"),
        ("hint_path", "after_hint_blocks.4"),
        ("sss", "in.hint"),
    ],
)
def test_a_number_that_is_off_is_seen(name: str, case: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    numbers = load_file(FIXTURES / f"{name}.safetensors")
    flat = numbers[case].flatten()
    flat[0] = 1 - flat[0] if name == "mask" else flat[0] + 0.001
    save_file(numbers, tmp_path / f"{name}.safetensors")
    shutil.copy(FIXTURES / "dit_tiny_weights.safetensors", tmp_path)
    assert vires.main([str(tmp_path)]) == 1
    wrong = [line for line in capsys.readouterr().out.splitlines() if line.endswith("WRONG")]
    assert wrong and (case.startswith("in.") or [line.split()[1] for line in wrong] == [case])


def test_a_folder_without_numbers_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert vires.main([str(tmp_path)]) == vires.main([str(tmp_path / "nowhere"), "--json"]) == 2
    assert "holds none of" in capsys.readouterr().err


def test_numbers_without_their_weights_are_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    save_file({"in.hint": torch.zeros(1, 3, 4, 8, 8)}, tmp_path / "hint_path.safetensors")
    (tmp_path / "sss.safetensors").write_bytes(b"no tensors")
    save_file({"out.x": torch.zeros(1)}, tmp_path / "sketch_attention.safetensors")
    save_file({"out.x": torch.zeros(1)}, tmp_path / "scheduler.safetensors")
    assert vires.main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "dit_tiny_weights.safetensors: is not in" in out
    assert "no case that is known here" in out
    assert "4 wrong" in out


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Files that the official code's numbers may come with, here from our own model and from formulas as they are written."""

    def keep(tensors: dict[str, torch.Tensor], name: str) -> None:
        save_file({key: value.contiguous() for key, value in tensors.items()}, tmp_path / f"{name}.safetensors")

    torch.manual_seed(0)
    dit = DiT(vires_cases.TINY).eval()
    keep(dit.state_dict(), "dit_tiny_weights")
    x, t = torch.randn(2, 5, 1, 3, 5), torch.tensor([612.3, 100.0])
    inputs = {
        "in.x": x,
        "in.hint": torch.rand(2, 3, 1, 24, 40),
        "in.timestep": t,
        "in.y": torch.randn(2, 1, 12, 32),
        "in.fps": torch.tensor([25.0, 24.0]),
    }
    with torch.no_grad():
        ready = dit.prepare(inputs["in.hint"], list(inputs["in.y"][:, 0]), fps=inputs["in.fps"])
        out = dit.step(x, t, ready)
    keep(inputs | {"out": out}, "dit_tiny_odd")
    keep(inputs | {"nomask.out": out}, "dit_tiny_io")
    seen = t.bfloat16().float()
    assert seen.tolist() == [612, 100]
    keep({"bf16.timestep_seen": seen, "bf16.pww_index": seen.long()}, "dit_tiny_bf16")
    layer = SketchAttention(DiTConfig(hidden=72, heads=4))
    x, hint, sigma = torch.randn(6, 24, 72), torch.randn(6, 24, 72), torch.rand(6) * 5
    with torch.no_grad():
        q, k, v = (
            part(given).view(6, 24, 4, 18).transpose(1, 2)
            for part, given in ((layer.q_linear, x), (layer.k_linear, hint), (layer.v_linear, hint))
        )
        logits = q @ k.transpose(-1, -2)
        cases = {"logits_global_max": logits.max()[None]}
        for name, level in (("out", sigma), ("out_sigma_none", 0 * sigma)):
            bonus = (2 * (1 + level).log() * logits.max())[:, None, None, None] * torch.eye(24)
            weights = ((logits + bonus) / 18**0.5).softmax(-1)
            cases[name] = layer.proj((weights @ v).transpose(1, 2).flatten(2))
        lse = (logits / 18**0.5).logsumexp(-1)
        b = (2 * (1 + sigma).log() * logits.max() / 18**0.5)[:, None, None]
        own = logits.diagonal(dim1=-2, dim2=-1) / 18**0.5
        cases["gate_mean"] = torch.sigmoid(own + (b.exp() - 1).log() - lse).mean((1, 2))
    mine = {f"w.{name}": value for name, value in layer.state_dict().items()}
    given = {"in.x": x, "in.hint": hint, "in.sigma": sigma}
    keep(mine | given | cases, "sketch_attention")
    return tmp_path


def test_every_kind_of_file_is_understood(written: Path, capsys: pytest.CaptureFixture) -> None:
    assert vires.main([str(written), "--json"]) == 0, capsys.readouterr().out
    told = json.loads(capsys.readouterr().out)
    files = [case["file"] for case in told["cases"]]
    assert (files.count("sketch_attention"), files.count("dit_tiny_odd"), files.count("dit_tiny_bf16")) == (4, 1, 2)
