"""Is everything here that a job needs? One finding for each part, with its remedy."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from overpaint.client import Client
from overpaint.errors import Missing, OverpaintError, Unavailable

from overpaint_backend import registry
from overpaint_backend.desk import devices
from overpaint_backend.media import ffmpeg_binary
from overpaint_backend.settings import load_settings

ROOM = 5 << 30  # bytes; a minute of 1080p in the spool is about a quarter of this


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One part, whether it is well, in words, and what to do where it is not."""

    part: str
    well: bool
    words: str
    remedy: str = ""


def examine(folder: Path | None, connect: Callable[[], Client] | None) -> tuple[Finding, ...]:
    """All findings; the server is asked only where `connect` is given."""
    settings = load_settings(flags={"folder": folder})
    found = [*_python(), *_ffmpeg(), *_engines(settings.weights), *_folder(settings.folder)]
    return (*found, *(_server(connect) if connect else ()))


def _python() -> Iterator[Finding]:
    yield Finding(part="python", well=True, words=f"{sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}")


def _ffmpeg() -> Iterator[Finding]:
    try:
        ran = subprocess.run([ffmpeg_binary(), "-version"], capture_output=True, text=True, check=True)
        yield Finding(part="ffmpeg", well=True, words=f"{ran.stdout.split(' Copyright')[0]} ({ffmpeg_binary()})")
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        yield Finding(part="ffmpeg", well=False, words=str(error), remedy="Install ffmpeg, or imageio-ffmpeg with pip")


def _engines(weights: Path) -> Iterator[Finding]:
    device = devices()[0].name
    for name in registry.names():
        try:
            card = registry.card(name)
            registry.build(name, device, weights)
            yield Finding(part=f"engine {name}", well=True, words=f"{card.title} {card.version}, ready on {device}")
        except (Missing, Unavailable) as error:  # not fetched yet: that is no fault of this machine
            yield Finding(part=f"engine {name}", well=True, words=f"not set up: {error.message}. {error.remedy}")
        except Exception as error:  # an engine may come from anyone; it must not keep the doctor from its round
            yield Finding(part=f"engine {name}", well=False, words=str(error), remedy="Reinstall or remove its package")


def _folder(folder: Path) -> Iterator[Finding]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Finding(
            part="folder", well=False, words=f"{folder}: {error.strerror}", remedy="Give another with --folder"
        )
        return
    free = shutil.disk_usage(folder).free
    words = f"{folder}, {free / (1 << 30):.0f} GiB free"
    yield Finding(part="folder", well=free > ROOM, words=words, remedy=f"Free {ROOM >> 30} GiB, or give another folder")


def _server(connect: Callable[[], Client]) -> Iterator[Finding]:
    try:
        with connect() as client:
            card = client.server()
            devices = ", ".join(device.name for device in card.devices)
            yield Finding(part="server", well=True, words=f"{client.address}: overpaint {card.version} on {devices}")
    except OverpaintError as error:
        yield Finding(part="server", well=False, words=f"{error.field}: {error.message}", remedy=error.remedy)
