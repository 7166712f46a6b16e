"""A render node for tests: clips on disk, the command in processes of its own, and engines that misbehave."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT = 48, 32


def clip(folder: Path, length: int, seed: int = 3) -> Path:
    """Noise, which no codec forgives, and `mask.png` beside it."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for number in range(length):
        cv2.imwrite(str(folder / f"{number:05}.png"), random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[8:20, 10:30] = 255
    cv2.imwrite(str(folder.parent / "mask.png"), mask)
    return folder


def request(footage: Path, engine: str = "toy", *words: object) -> list[str]:
    """The arguments of `paint` and `pack`, but --out."""
    edit = ("--prompt", "a coat", "--seed", 7, "--feather", 2, "--rate", "24000/1001")
    given = ("--clip", footage, "--mask", footage.parent / "mask.png", "--engine", engine)
    return [str(word) for word in (*given, *edit, *words)]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """That of a machine without a graphics card whose home is in `folder`, with the engines of these tests."""
    named = folder / "engines" / "odd_engines-0.dist-info"
    named.mkdir(parents=True, exist_ok=True)
    (named / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-engines\nVersion: 0\n")
    points = "odd = tests.farm.engines.odd\nweighted = tests.farm.engines.weighted\n"
    (named / "entry_points.txt").write_text(f"[overpaint.engines]\n{points}")
    paths = [str(ROOT), str(named.parent), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"), "CUDA_VISIBLE_DEVICES": ""}
    return {**os.environ, **home, "PYTHONPATH": os.pathsep.join(paths), **more}


def overpaint(
    *words: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "overpaint_backend.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=1800, env=env, cwd=cwd)


def begin(*words: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """The command, running; what it says is read from its output line by line."""
    command = [sys.executable, "-m", "overpaint_backend.cli", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def until(process: subprocess.Popen[str], words: str) -> str:
    """The first line that has `words` in it."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words in line:
            return line
    raise AssertionError(f"{words!r} was never said: {''.join(seen)} {process.stderr and process.stderr.read()}")


def files(take: Path) -> dict[str, bytes]:
    """The frames and the movie of a take, by name; its request has another job's id."""
    return {
        path.relative_to(take).as_posix(): path.read_bytes()
        for path in sorted(take.rglob("*"))
        if path.is_file() and path.name != "request.json"
    }
