"""Fixtures: one test run for each Blender that is there, and clips whose every pixel is known."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import png
import pytest

from .running import ROOT, VERSIONS, Installed, python_of, run

WIDTH, HEIGHT, LENGTH = 96, 64, 8


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test to ask for the zips waits until both are built, and a Blender may take its time (see `run`)."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(1200))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    chosen = getattr(item, "callspec", None)  # not every test runs in a Blender
    report.blender = chosen.params.get("version") if chosen else None
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each Blender."""
    for version in VERSIONS:
        passed, failed, broken, skipped = (
            sum(getattr(report, "blender", None) == version for report in terminalreporter.stats.get(word, ()))
            for word in ("passed", "failed", "error", "skipped")
        )
        if passed + failed + broken + skipped:
            terminalreporter.write_line(
                f"Blender {version}: {passed} passed, {failed + broken} failed, {skipped} skipped"
            )


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """One of the Blenders."""
    if not python_of(request.param).exists():
        pytest.skip(f"Blender {request.param} is not there: `make blender` installs it")
    return request.param


@pytest.fixture
def blender(version: str, installed: Installed) -> Callable[..., Any]:
    """run(), in one of the Blenders, with the extension installed."""
    return partial(installed.run, version)


@pytest.fixture
def bare(version: str, tmp_path: Path) -> Callable[..., Any]:
    """run(), in one of the Blenders, with no extension and always the same user's files."""
    return partial(run, version, user=tmp_path / "user")


@pytest.fixture(scope="session")
def installed(extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(extension, tmp_path_factory.mktemp("installed"))


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
    return build(ROOT, tmp_path_factory.mktemp("zip") / "overpaint.zip")


@pytest.fixture(scope="session")
def newer(extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip as version 9.0.0 of all this will be built, but with no other change."""
    folder = tmp_path_factory.mktemp("newer")
    for room in ("addon", "shared"):
        shutil.copytree(ROOT / room, folder / room)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for kept in (".cache", ".blender"):
        (folder / kept).symlink_to(ROOT / kept)
    version = folder / "shared" / "overpaint" / "__init__.py"
    version.write_text(re.sub(r'__version__ = ".+"', '__version__ = "9.0.0"', version.read_text()))
    return build(folder, folder / "overpaint.zip")


def build(root: Path, out: Path) -> Path:
    """What addon/build.py of that repository builds."""
    spec = importlib.util.spec_from_file_location("overpaint_addon_build", root / "addon" / "build.py")
    assert spec and spec.loader
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    return builder.build(builder.this_platform(), out)


def encode(frames: np.ndarray, file: Path, *options: str) -> None:
    size = f"{frames.shape[2]}x{frames.shape[1]}"
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", "24", "-i", "-"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *raw, *options, str(file)]
    subprocess.run(command, input=frames.tobytes(), check=True)
