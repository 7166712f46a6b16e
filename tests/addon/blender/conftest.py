"""Fixtures: one test run for each Blender that is there, and clips whose every pixel is known."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import png
import pytest

from .running import ROOT, VERSIONS, python_of, run

WIDTH, HEIGHT, LENGTH = 96, 64, 8


@pytest.fixture(params=VERSIONS)
def blender(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """run(), in one of the Blenders."""
    if not python_of(request.param).exists():
        pytest.skip(f"Blender {request.param} is not there: `make blender` installs it")
    return partial(run, request.param)


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same 8 frames of noise as png8/, movie8.mkv (FFV1) and frames8.npy, and others as png16/, frames16.npy."""
    folder = tmp_path_factory.mktemp("media")
    random = np.random.default_rng(7)
    frames8 = random.integers(0, 2**8, (LENGTH, HEIGHT, WIDTH, 3)).astype(np.uint8)
    frames16 = random.integers(0, 2**16, (LENGTH, HEIGHT, WIDTH, 3)).astype(np.uint16)
    # All 65536 values once, in the first frames: what a conversion breaks, it breaks somewhere in here.
    frames16.reshape(-1)[: 2**16] = np.arange(2**16)
    for name, frames in (("8", frames8), ("16", frames16)):
        np.save(folder / f"frames{name}.npy", frames)
        (folder / f"png{name}").mkdir()
        for number, frame in enumerate(frames):
            file = folder / f"png{name}" / f"{number:04d}.png"
            png.from_array(frame.reshape(HEIGHT, -1), f"RGB;{name}").save(str(file))
    encode(frames8, folder / "movie8.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0")
    encode(frames8, folder / "ten_bits.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p10le")
    encode(frames8, folder / "eight_bits.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    return folder


@pytest.fixture(scope="session")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip for this machine, built as `make addon` builds it (and validated by Blender's own tool)."""
    spec = importlib.util.spec_from_file_location("overpaint_addon_build", ROOT / "addon" / "build.py")
    assert spec and spec.loader
    build = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = build
    spec.loader.exec_module(build)
    return build.build(build.this_platform(), tmp_path_factory.mktemp("zip") / "overpaint.zip")


def encode(frames: np.ndarray, file: Path, *options: str) -> None:
    size = f"{frames.shape[2]}x{frames.shape[1]}"
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", "24", "-i", "-"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *raw, *options, str(file)]
    subprocess.run(command, input=frames.tobytes(), check=True)
