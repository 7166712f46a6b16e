"""Checkpoints in the published layout: every value arrives, old names are known, and what is wrong is named."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import torch  # noqa: E402
from overpaint.errors import Invalid, Missing  # noqa: E402
from overpaint_backend import weights as room  # noqa: E402
from overpaint_backend.engines.vires import weights  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from tests.small import DIT, write_small_checkpoint  # noqa: E402


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_checkpoint(tmp_path_factory.mktemp("small") / "weights", seed=1)


@pytest.fixture
def root(small: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(small, tmp_path / "weights"))


def change(file: Path, **new: torch.Tensor | None) -> None:
    """Put other tensors into a file; None takes one out."""
    tensors = load_file(file) | new
    save_file({name: value.contiguous() for name, value in tensors.items() if value is not None}, file)


def test_equal_seeds_give_equal_bytes(small: Path, tmp_path: Path) -> None:
    again, other = write_small_checkpoint(tmp_path / "a", seed=1), write_small_checkpoint(tmp_path / "b", seed=2)
    files = sorted(path.relative_to(small) for path in small.rglob("*") if path.is_file())
    assert {path.parts[0] for path in files} == {"VIRES", "VIRES_VAE", "t5-v1_1-xxl"}
    assert all((small / path).read_bytes() == (again / path).read_bytes() for path in files)
    assert all(
        (small / path).read_bytes() != (other / path).read_bytes() for path in files if path.suffix == ".safetensors"
    )


def test_every_value_of_the_files_is_in_the_models(small: Path) -> None:
    for model, name in ((weights.load_dit, "VIRES"), (weights.load_vae, "VIRES_VAE")):
        state = model(small, "cpu", torch.float32).state_dict()
        held = load_file(small / name / "model.safetensors")
        assert set(state) == set(held) and all(torch.equal(state[key], held[key]) for key in held)
        assert all(value.any() for value in held.values()), "nothing in the small checkpoint is zero"


def test_values_are_cast_once_and_tables_stay_exact(small: Path) -> None:
    dit = weights.load_dit(small, "cpu", torch.bfloat16)
    exact = load_file(small / "VIRES" / "model.safetensors")
    assert torch.equal(dit.state_dict()["t_block.1.weight"], exact["t_block.1.weight"].bfloat16())
    assert {value.dtype for value in dit.state_dict().values()} == {torch.bfloat16}
    assert dit.sigmas.dtype == torch.float32 and not dit.sigmas.is_meta
    assert not any(value.is_meta or value.requires_grad for value in dit.parameters())
    assert not dit.parity and weights.load_dit(small, "cpu", torch.bfloat16, parity=True).parity


def test_a_decoded_video_stays_about_within_range(small: Path) -> None:
    vae = weights.load_vae(small, "cpu", torch.float32)
    with torch.inference_mode():
        video = vae.decode(torch.randn(1, 4, 7, 4, 6), 22, sketch=torch.rand(1, 3, 22, 32, 48) * 2 - 1)
    assert video.isfinite().all() and 0.02 < video.std() < 0.5 and video.abs().max() < 2


def test_the_attention_names_of_old_diffusers_are_known(root: Path) -> None:
    file = root / "VIRES_VAE" / "model.safetensors"
    held = load_file(file)
    old: dict[str, torch.Tensor | None] = {}
    for name, value in held.items():
        for before, now in weights.OLD_ATTENTION.items():
            if f".attentions.0.{now}." in name:
                was = value[..., None, None] if value.ndim == 2 else value  # it was a 1x1 convolution
                old |= {name: None, name.replace(f".{now}.", f".{before}."): was}
    assert len(old) == 2 * 3 * 8
    change(file, **old)
    state = weights.load_vae(root, "cpu", torch.float32).state_dict()
    assert all(torch.equal(state[name], value) for name, value in held.items())


def test_tables_in_the_file_do_no_harm_and_strangers_are_logged(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    tables = {name: torch.zeros(3) for name in weights.COMPUTED}
    change(root / "VIRES" / "model.safetensors", **tables)
    with caplog.at_level(logging.WARNING):
        weights.load_dit(root, "cpu", torch.float32)
        assert not caplog.records
        change(root / "VIRES" / "model.safetensors", stranger=torch.zeros(3))
        weights.load_dit(root, "cpu", torch.float32)
    assert "stranger" in caplog.text
    assert [one.words for one in weights.check("VIRES", root / "VIRES") if "stranger" in one.words and one.well]


def test_what_is_missing_or_wrong_is_named(root: Path) -> None:
    file = root / "VIRES" / "model.safetensors"
    change(file, **{"x_embedder.proj.bias": None})
    with pytest.raises(Invalid, match=r"DiT; missing: x_embedder\.proj\.bias") as caught:
        weights.load_dit(root, "cpu", torch.float32)
    assert "verify" in caught.value.remedy
    change(file, **{"x_embedder.proj.bias": torch.zeros(72), "t_block.1.bias": torch.zeros(9)})
    with pytest.raises(Invalid, match=r"wrong shape: t_block\.1\.bias is \(9,\), not \(432,\)"):
        weights.load_dit(root, "cpu", torch.float32)
    (root / "VIRES" / "overpaint.json").unlink()
    with pytest.raises(Invalid, match=r"missing: .*and \d+ more"):
        weights.load_dit(root, "cpu", torch.float32)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(Invalid, match=r"model\.safetensors cannot be read"):
        weights.load_dit(root, "cpu", torch.float32)
    file.unlink()
    with pytest.raises(Missing, match=r"no weights of suimu/VIRES"):
        weights.load_dit(root, "cpu", torch.float32)


def test_verify_finds_a_flipped_bit_and_a_missing_tensor(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("VIRES", "VIRES_VAE", "t5-v1_1-xxl"):
        room.adopt(small / name, root)
        assert all(one.well for one in room.verify(name, root))
    file = root / "VIRES" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-7] ^= 1
    file.write_bytes(content)
    assert [one.words.partition(":")[0] for one in room.verify("VIRES", root) if not one.well] == [
        "model.safetensors is damaged"
    ]
    change(root / "VIRES_VAE" / "model.safetensors", scale=None)
    words = [one.words for one in room.verify("VIRES_VAE", root) if not one.well]
    assert len(words) == 2 and words[1] == "missing: scale"
    (root / "VIRES" / "manifest.json").unlink()
    assert "put there by hand" in next(one.words for one in room.verify("VIRES", root))


def test_pickles_of_tensors_are_converted_when_they_come(small: Path, tmp_path: Path) -> None:
    """As ColossalAI and T5 leave them: pytorch_model-0000n-of-0000m.bin, tensors sharing memory, an index beside."""
    source = tmp_path / "VIRES"
    (source / "model").mkdir(parents=True)
    held = load_file(small / "VIRES" / "model.safetensors")
    names = sorted(held)
    whole = torch.zeros(2, 3)
    torch.save({name: held[name] for name in names[::2]}, source / "model" / "pytorch_model-00001-of-00002.bin")
    rest = {name: held[name] for name in names[1::2]} | {"rope.dummy": whole, "rope.cached_freqs": whole[0]}
    torch.save(
        {"state_dict": rest},
        source / "model" / "pytorch_model-00002-of-00002.bin",
        _use_new_zipfile_serialization=False,
    )
    (source / "model" / "pytorch_model.bin.index.json").write_text("{}")
    shutil.copy(small / "VIRES" / "overpaint.json", source)
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    folder = room.adopt(source, tmp_path / "root")
    assert sorted(json.loads((folder / "manifest.json").read_text())["files"]) == [
        "model/pytorch_model-00001-of-00002.safetensors",
        "model/pytorch_model-00002-of-00002.safetensors",
        "overpaint.json",
    ]
    assert before == {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    state = weights.load_dit(tmp_path / "root", "cpu", torch.float32).state_dict()
    assert all(torch.equal(state[name], held[name]) for name in held)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", [torch.save, lambda held, path: path.write_bytes(pickle.dumps(held))])
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path: Path, how: object) -> None:
    source = tmp_path / "VIRES"
    source.mkdir()
    assert callable(how)
    how({"weight": torch.zeros(2), "more": Evil(tmp_path / "ran")}, source / "pytorch_model.bin")
    with pytest.raises(Invalid, match="holds more than tensors"):
        room.adopt(source, tmp_path / "root")
    assert not (tmp_path / "ran").exists() and not list((tmp_path / "root").iterdir())


def test_a_pickle_of_something_else_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "VIRES"
    source.mkdir()
    torch.save({"weight": torch.zeros(2), "step": 3}, source / "pytorch_model.bin")
    with pytest.raises(Invalid, match="not a table of names and tensors"):
        room.adopt(source, tmp_path / "root")


def test_the_spare_autoencoder_fills_what_the_trained_one_lacks(root: Path) -> None:
    file = root / "VIRES_VAE" / "model.safetensors"
    held = load_file(file)
    start = "spatial_vae.module."
    spare = {name.removeprefix(start): value for name, value in held.items() if name.startswith(start)}
    (root / "VIRES_VAE" / "sdxlvae").mkdir()
    save_file(
        {name: value + 1 for name, value in spare.items()},
        root / "VIRES_VAE" / "sdxlvae" / "diffusion_pytorch_model.safetensors",
    )
    gone = f"{start}decoder.conv_in.bias"
    change(file, **{gone: None})
    state = weights.load_vae(root, "cpu", torch.float32).state_dict()
    assert all(torch.equal(state[name], value + (name == gone)) for name, value in held.items())


def test_the_words_widths_are_those_of_the_model(small: Path) -> None:
    assert weights.load_text(small, "cpu").encode("a coat").values.shape[1] == DIT.caption_channels
