import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from overpaint.errors import Invalid  # noqa: E402
from overpaint_backend.engines.vires.config import DiTConfig, PCAConfig  # noqa: E402
from overpaint_backend.engines.vires.masks import down_sample_mask  # noqa: E402
from overpaint_backend.engines.vires.pca import BlockVAE  # noqa: E402
from overpaint_backend.engines.vires.weights import load_dit, load_text, load_vae  # noqa: E402
from overpaint_backend.train.autoencoder import fit  # noqa: E402
from overpaint_backend.train.batches import Batches, drawn  # noqa: E402
from overpaint_backend.train.loop import Learner  # noqa: E402
from overpaint_backend.train.run import train  # noqa: E402
from overpaint_backend.train.settings import Settings, Stage  # noqa: E402

VAE = PCAConfig(latent_channels=8, width=8)
TINY = Settings(
    dit=DiTConfig(
        latent_channels=8, patch=(2, 2), hidden=32, depth=2, heads=2, caption_channels=16, caption_length=24,
        position_size=32, hint_widths=(8, 8, 8, 16, 16), hint_groups=(2, 2, 2), space_factor=4, direct_sketch=True,
        time_ratio=2.0,
    ),
    vae=VAE,
    stages=(Stage(steps=4, frames=4, batch=2, sketch_attention=False), Stage(steps=6, frames=4, batch=2, crop=16)),
    vae_steps=4,
    vae_batch=4,
    size=32,
    warm=2,
    half=False,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_loss_falls_on_a_batch_that_stays_the_same() -> None:
    settings = replace(TINY, stages=(Stage(steps=1000, frames=4, batch=4, silent=0.0),), rate=3e-3)
    batch = Batches(settings)[0]
    vae, learner = fit(VAE, [batch]), Learner(settings)
    before = float(learner.loss(vae, batch, torch.Generator().manual_seed(0)).detach())
    for step in range(50):
        learner.learn(vae, batch, step)
    after = float(learner.loss(vae, batch, torch.Generator().manual_seed(0)).detach())
    assert after < 0.75 * before


def test_pictures_are_learned_as_clips_of_one_frame() -> None:
    """A known first frame would leave nothing to paint: it counts in clips that have others."""
    settings = replace(TINY, stages=(Stage(steps=1000, frames=1, batch=4, silent=0.0, known=1.0),), rate=3e-3)
    batch = Batches(settings)[0]
    assert batch.frames.shape == (4, 1, 32, 32, 3) and batch.known.all()
    vae, learner = fit(VAE, [batch]), Learner(settings)
    before = float(learner.loss(vae, batch, torch.Generator().manual_seed(0)).detach())
    for step in range(50):
        learner.learn(vae, batch, step)
    after = float(learner.loss(vae, batch, torch.Generator().manual_seed(0)).detach())
    assert 0 < after < 0.75 * before


def test_a_run_of_pictures_is_trained_judged_and_saved(tmp_path: Path) -> None:
    run = train(replace(TINY, stages=(replace(TINY.stages[0], frames=1, steps=2),)), tmp_path)
    assert len(run.losses) == 2 and json.loads((tmp_path / "scores.jsonl").read_text())["frames"] == 1


def test_latents_in_the_mask_are_around_zero_and_as_large_as_noise() -> None:
    batches = [Batches(TINY)[i] for i in range(8)]
    vae = fit(VAE, batches)
    inside = torch.cat(
        [
            vae.encode(batch.video()).movedim(1, -1)[down_sample_mask(batch.painted(), 4, blocks=True)[:, 0] > 0]
            for batch in batches
        ]
    )
    assert inside.mean(0).abs().max() < 1e-3
    assert float(inside.var(0).mean()) == pytest.approx(1, rel=1e-2)


def test_a_batch_depends_on_its_number_only() -> None:
    one, again, other = Batches(TINY)[5], Batches(TINY)[5], Batches(TINY)[6]
    assert torch.equal(one.frames, again.frames) and torch.equal(one.sketch, again.sketch)
    assert not torch.equal(one.frames, other.frames)
    assert one.frames.shape == (2, 4, 16, 16, 3)
    assert not one.sketch[one.mask == 0].any()


def test_sketches_are_sparse_as_in_the_paper() -> None:
    rng, stage = np.random.default_rng(0), Stage(steps=1, frames=17, batch=1, full=0.0, none=0.0)
    counts = {int(drawn(stage, rng).sum()) for _ in range(300)}
    assert {1, 2, 4, 8, 16} <= counts
    assert drawn(replace(stage, full=1.0), rng).all() and not drawn(replace(stage, none=1.0), rng).any()


SCRIPT = """
import sys, time, torch
from pathlib import Path
from tests.backend.train.test_loop import TINY
from overpaint_backend.train.loop import Learner
from overpaint_backend.train.run import train
torch.set_num_threads(1)
learn = Learner.learn
def learn_until_killed(self, vae, batch, step):
    if step == 5:
        (Path(sys.argv[1]) / "far enough").touch()
        time.sleep(600)
    return learn(self, vae, batch, step)
Learner.learn = learn_until_killed
train(TINY, Path(sys.argv[1]), save_every=0, judge_every=None)
"""


def test_a_killed_run_goes_on_with_the_same_losses(tmp_path: Path) -> None:
    whole = train(TINY, tmp_path / "whole", judge_every=None)
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "cut")], cwd=root, stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(root)},
    )  # fmt: skip
    try:
        while not (tmp_path / "cut" / "far enough").exists():
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert json.loads((tmp_path / "cut" / "training.json").read_text())["steps"] == 5
    resumed = train(TINY, tmp_path / "cut", resume=True, judge_every=None)
    assert resumed.losses == whole.losses and resumed.vae_losses == whole.vae_losses


def test_what_was_trained_is_loaded_like_the_published_weights(tmp_path: Path) -> None:
    run = train(TINY, tmp_path, steps=1)
    dit, vae = load_dit(tmp_path, "cpu", torch.float32), load_vae(tmp_path, "cpu", torch.float32)
    assert dit.config == TINY.dit and isinstance(vae, BlockVAE)
    _, words = run.learner.averaged()
    assert words is not None
    prompt = "a small red star with blue dots"
    found = load_text(tmp_path, "cpu").encode(prompt).values
    with torch.inference_mode():
        torch.testing.assert_close(found, words([prompt])[0], atol=1e-2, rtol=1e-2)
    for kind in ("full", "first", "none", "wrong"):
        assert kind in json.loads((tmp_path / "scores.jsonl").read_text().splitlines()[0])
    assert json.loads((tmp_path / "training.json").read_text())["steps"] == 1
    with pytest.raises(Invalid, match="holds a run"):
        train(TINY, tmp_path)
    with pytest.raises(Invalid, match="other settings"):
        train(replace(TINY, seed=1), tmp_path, resume=True)
    with pytest.raises(Invalid, match="holds no run"):
        train(TINY, tmp_path / "new", resume=True)


def test_a_short_run_is_short_in_both_parts_and_loses_nothing_when_it_goes_on(tmp_path: Path) -> None:
    short = train(TINY, tmp_path / "short", steps=2, judge_every=None)
    assert (short.mended, short.step) == (2, 2)
    on = train(TINY, tmp_path / "short", resume=True, judge_every=None)
    whole = train(TINY, tmp_path / "whole", judge_every=None)
    assert (on.vae_losses, on.losses) == (whole.vae_losses, whole.losses)
