"""The config of the published widths, made small: the same stages on a data set, from weights that are given."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from overpaint.errors import Invalid, Missing  # noqa: E402
from overpaint_backend.engines.vires.dit import DiT  # noqa: E402
from overpaint_backend.engines.vires.weights import load_dit, load_vae  # noqa: E402
from overpaint_backend.train import folder  # noqa: E402
from overpaint_backend.train.autoencoder import ssim  # noqa: E402
from overpaint_backend.train.batches import Batches  # noqa: E402
from overpaint_backend.train.beginning import ADDED, begin_dit, begin_vae  # noqa: E402
from overpaint_backend.train.instances import Instances, Sample  # noqa: E402
from overpaint_backend.train.loop import Learner  # noqa: E402
from overpaint_backend.train.run import train  # noqa: E402
from overpaint_backend.train.settings import PUBLISHED  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from tests import small  # noqa: E402

FIRST, SECOND = PUBLISHED.stages
TINY = replace(
    PUBLISHED,
    dit=small.DIT,
    vae=small.VAE,
    size=32,
    vae_steps=2,
    vae_batch=2 * 5,
    vae_frames=5,
    vae_crop=16,
    stages=(replace(FIRST, steps=2, frames=18, batch=2), replace(SECOND, steps=2, frames=5, batch=2)),
    rate=1e-3,
    warm=1,
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write_small_checkpoint(tmp_path_factory.mktemp("small") / "weights", seed=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, path = Instances(size=32, frames=20, seed=2), tmp_path_factory.mktemp("data") / "set"

    def clip(number: int) -> Sample:
        return replace(source.clip(number), caption=("a red coat", "two dogs run")[number % 2])

    folder.write(path, clip, 4, {"instances": 2})
    return path


def changed(before: dict, after: dict) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name].float(), after[name].float())}


def test_each_stage_changes_its_own_parameters_only(tmp_path: Path, data: Path, weights: Path) -> None:
    given = load_file(weights / "VIRES" / "model.safetensors")
    run = train(TINY, tmp_path / "run", steps=2, data=data, weights=weights)
    after_first = {name: value.clone() for name, value in run.learner.dit.state_dict().items()}
    moved = changed(given, after_first)
    assert {name.partition(".")[0] for name in moved if "hint" in name} == {
        "hint_embedder", "input_hint_block", "hint_blocks", "hint_mid_convs",
    }  # fmt: skip
    assert {name for name in moved if "hint" not in name} == {
        f"{kind}_blocks.{number}.attn.proj.{part}"
        for kind in ("spatial", "temporal")
        for number in range(small.DIT.depth)
        for part in ("weight", "bias")
    }
    vae = changed(load_file(weights / "VIRES_VAE" / "model.safetensors"), run.mending.vae.state_dict())
    assert vae and all(name.startswith("sketch_vae.") for name in vae)
    run = train(TINY, tmp_path / "run", resume=True, data=data, weights=weights)
    later = changed(after_first, run.learner.dit.state_dict())
    assert later - moved and all(re.search(r"sketch_attn_1|scale_pww", name) for name in later - moved)
    whole = train(TINY, tmp_path / "whole", data=data, weights=weights)
    assert run.losses == whole.losses and run.vae_losses == whole.vae_losses and len(run.losses) == 4
    # What was trained is loaded like what was published, and the text encoder is no part of it.
    assert load_dit(tmp_path / "run", "cpu", torch.float32).config == small.DIT
    assert load_vae(tmp_path / "run", "cpu", torch.float32).config == small.VAE
    assert not (tmp_path / "run" / "t5-v1_1-xxl").exists()


def test_it_learns(tmp_path: Path, weights: Path) -> None:
    """Both losses fall on clips that are always the same."""
    clip = replace(Instances(size=32, frames=4, seed=2).clip(0), caption="a red coat")
    one = folder.write(tmp_path / "one", lambda number: clip, 1, {"instances": 2})
    stage = replace(SECOND, steps=10, frames=4, batch=1, silent=0.0)
    settings = replace(
        TINY, vae_steps=6, vae_batch=4, vae_frames=4, vae_crop=None, stages=(stage,), half=False, rate=3e-3
    )
    batch = Batches(settings, folder.Drawn(one, settings.size, settings.seed))[0]
    run = train(settings, tmp_path / "run", data=one.path, weights=weights)
    assert run.vae_losses[-1] < 0.98 * run.vae_losses[0]

    def loss(learner: Learner) -> float:
        return float(learner.loss(run.mending.vae, batch, torch.Generator().manual_seed(0)).detach())

    assert loss(run.learner) < 0.95 * loss(Learner(settings, weights))


def test_as_many_parameters_learn_as_in_the_official_code() -> None:
    with torch.device("meta"):
        dit = DiT(PUBLISHED.dit)
    found = [value.numel() for name, value in dit.named_parameters() if re.search(SECOND.learns, f"dit.{name}")]
    assert (len(found), sum(found)) == (425, 453_786_579)


def test_it_begins_with_weights_that_lack_what_vires_adds(tmp_path: Path, weights: Path) -> None:
    (tmp_path / "VIRES").mkdir()
    (tmp_path / "VIRES_VAE").mkdir()
    held = load_file(weights / "VIRES" / "model.safetensors")
    kept = {name: value for name, value in held.items() if not re.search(ADDED, name)}
    kept["x_embedder.proj.weight"] = held["x_embedder.proj.weight"][:, :4].contiguous()
    for name in ("final_layer.linear.weight", "final_layer.linear.bias"):
        kept[name] = held[name].unflatten(0, (4, 10))[:, :8].flatten(0, 1).contiguous()
    save_file(kept, tmp_path / "VIRES" / "model.safetensors")
    dit = DiT(small.DIT)
    begin_dit(dit, tmp_path)
    state = dit.state_dict()
    assert not state["x_embedder.proj.weight"][:, 4].any()
    assert torch.equal(state["x_embedder.proj.weight"][:, :4], held["x_embedder.proj.weight"][:, :4])
    for name in ("final_layer.linear.weight", "final_layer.linear.bias"):
        ours, theirs = (one[name].unflatten(0, (4, 10))[:, :4] for one in (state, held))
        assert torch.equal(ours, theirs)
    coder = load_file(weights / "VIRES_VAE" / "model.safetensors")
    parts = {name: value for name, value in coder.items() if not name.startswith("sketch_vae.")}
    save_file(parts, tmp_path / "VIRES_VAE" / "model.safetensors")
    vae = begin_vae(small.VAE, tmp_path)
    z, sketch = torch.randn(1, 4, 2, 2, 2), torch.rand(1, 3, 5, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(vae.decode(z, 5, sketch), vae.decode(z, 5))
        assert torch.equal(vae.sketch_vae.encode(sketch[:, :, 0]), vae.spatial_vae.encode(sketch[:, :, 0]))
    del kept["t_block.1.bias"]
    save_file(kept, tmp_path / "VIRES" / "model.safetensors")
    with pytest.raises(Invalid, match=r"missing: t_block\.1\.bias"):
        begin_dit(dit, tmp_path)
    with pytest.raises(Invalid, match="of wrong shape"):
        begin_dit(DiT(replace(small.DIT, hidden=36, hint_widths=(18, 36, 72, 72, 72))), weights)


def test_what_is_missing_is_said(tmp_path: Path, data: Path, weights: Path) -> None:
    with pytest.raises(Invalid, match="--data"):
        train(TINY, tmp_path / "run", weights=weights)
    with pytest.raises(Missing, match="holds no weights"):
        train(TINY, tmp_path / "run", data=data, weights=tmp_path)
    with pytest.raises(Invalid, match="holds no clip of 51 frames of 32x32"):
        train(replace(TINY, stages=(replace(FIRST, batch=1),)), tmp_path / "run", data=data, weights=weights)
    assert not (tmp_path / "run").exists() or not any((tmp_path / "run").iterdir())


def test_equal_pictures_are_similar() -> None:
    one = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert float(ssim(one, one)) == pytest.approx(1)
    c1 = 0.01**2
    flat = float(ssim(torch.full((1, 3, 12, 12), -0.2), torch.full((1, 3, 12, 12), 0.2)))
    assert flat == pytest.approx((2 * 0.4 * 0.6 + c1) / (0.4**2 + 0.6**2 + c1), rel=1e-4)
    assert float(ssim(one, -one)) < 0
