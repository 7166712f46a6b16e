"""Several processes that share each step's clips train the same model as one that has them all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from overpaint_backend.train.batches import Batches  # noqa: E402
from overpaint_backend.train.run import train  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from tests.backend.train.test_loop import TINY  # noqa: E402

# Without sketch attention: its bonus is the largest of the clips that a process has.
SHARED = replace(TINY, vae_batch=8, stages=tuple(replace(stage, sketch_attention=False) for stage in TINY.stages))
SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from overpaint.errors import Invalid
from overpaint_backend.train.run import train
from tests.backend.train.test_devices import SHARED
from tests.backend.train.test_loop import TINY
torch.set_num_threads(1)
try:
    train(replace(TINY, vae_batch=4), Path(sys.argv[1]))
except Invalid as error:
    sys.stdout.write(f"{error}\\n")
train(SHARED, Path(sys.argv[1]), steps=5, minutes=60, judge_every=None)
run = train(SHARED, Path(sys.argv[1]), resume=True)
weights = sum(float(value.double().abs().sum()) for value in run.learner.average)
sys.stdout.write(f"{run.first} {weights!r} {run.losses[-1]!r}\\n")
"""


def test_shares_make_the_whole_batch() -> None:
    for step in (1, 7):
        whole, shares = Batches(TINY)[step], [Batches(TINY, share=(rank, 2))[step] for rank in range(2)]
        for name in ("frames", "mask", "sketch", "known", "silent"):
            assert torch.equal(torch.cat([getattr(one, name) for one in shares]), getattr(whole, name))
        assert [one.captions[0] for one in shares] == whole.captions and len({one.corner for one in shares}) == 1
        noises = [one.noise((1, 3), torch.Generator().manual_seed(step)) for one in shares]
        assert torch.equal(torch.cat(noises), whole.noise((2, 3), torch.Generator().manual_seed(step)))


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """Losses and weights agree to rounding, also over a resume; the processes agree to the bit; one of them saves."""
    root = Path(__file__).parents[3]
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    found = subprocess.run(
        [*command, str(script), str(tmp_path / "two")], cwd=root, capture_output=True, text=True, timeout=240,
        env=os.environ | {"PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("a step of 1 clips cannot be shared out evenly to 2 processes") == 2
    said = re.findall(r"^(True|False) (\S+) (\S+)$", found.stdout, re.MULTILINE)
    assert sorted(one[0] for one in said) == ["False", "True"] and said[0][1:] == said[1][1:]
    assert found.stderr.count("transformer: step 10 of 10") == 1
    alone = train(SHARED, tmp_path / "one", judge_every=None)
    state = torch.load(tmp_path / "two" / "state.pt", weights_only=True)
    assert state["losses"][0] == pytest.approx(alone.losses, rel=1e-5)
    assert state["losses"][1] == pytest.approx(alone.vae_losses, rel=1e-5)
    for mine, theirs in zip(alone.learner.average, state["learner"]["average"], strict=True):
        torch.testing.assert_close(theirs, mine.detach(), rtol=1e-3, atol=1e-4)
    assert (
        load_file(tmp_path / "two" / "VIRES" / "model.safetensors").keys()
        == load_file(tmp_path / "one" / "VIRES" / "model.safetensors").keys()
    )
