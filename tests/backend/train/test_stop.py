"""A run of `overpaint train` that is signalled, as by Ctrl-C, or killed soon: real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(os.name != "posix", reason="signals a whole group of processes"),
]
torch = pytest.importorskip("torch")

from overpaint_backend.train.run import train  # noqa: E402

from tests.backend.train.test_loop import TINY  # noqa: E402

LONG = replace(TINY, vae_steps=4, stages=(replace(TINY.stages[0], steps=10_000),))
ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys, torch
from overpaint_backend import cli
from overpaint_backend.train import settings
from tests.backend.train.test_stop import LONG
torch.set_num_threads(1)
settings.CONFIGS = {"long": LONG}
sys.exit(cli.main(["train", "--config", "long", "--out", *sys.argv[1:]]))
"""


@contextmanager
def running(*words: str) -> Generator[subprocess.Popen[str], None, None]:
    """The command, at the head of a group of processes of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def await_file(file: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not file.is_file():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_its_processes_ends_a_run_in_one_line_and_it_is_saved(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(str(tmp_path / "cut")) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "decoder: step 4 of 4" in line, line
        time.sleep(0.3)
        os.killpg(process.pid, number)
        said = process.stderr.read().splitlines()
        assert process.wait(60) == 40
    mended, steps, _ = torch.load(tmp_path / "cut" / "state.pt", weights_only=True)["counts"]
    assert f"{steps} steps of the transformer and {mended} of the decoder are saved" in said[-1], said
    assert len(said) == 1 + sum(one.startswith("transformer: step") for one in said), said


def test_a_run_that_is_killed_soon_has_something_to_go_on_with(tmp_path: Path) -> None:
    with running(str(tmp_path / "cut")) as process:
        await_file(tmp_path / "cut" / "state.pt", process)
        os.killpg(process.pid, signal.SIGKILL)
    assert torch.load(tmp_path / "cut" / "state.pt", weights_only=True)["counts"][:2] == (1, 0)
    resumed = train(LONG, tmp_path / "cut", steps=2, resume=True, judge_every=None)
    whole = train(LONG, tmp_path / "whole", steps=2, judge_every=None)
    assert (resumed.losses, resumed.vae_losses) == (whole.losses, whole.vae_losses)
