"""Is everything here that a job needs? One finding for each part, with its remedy."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import overpaint
from overpaint.address import host_of
from overpaint.client import Client
from overpaint.errors import Missing, OverpaintError, Unavailable

from overpaint_backend import registry, weights
from overpaint_backend.checks import driver_and_torch, network_mount, outside, required
from overpaint_backend.devices import devices
from overpaint_backend.media import ffmpeg_binary
from overpaint_backend.settings import Settings, read_settings

ROOM = 5 << 30  # bytes; a minute of 1080p in the spool is about a quarter of this
CLOCKS = 5.0  # seconds that two clocks may differ by
PROTOCOL = "overpaint.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One part, whether it is well, in words, and what to do where it is not."""

    part: str
    well: bool
    words: str
    remedy: str = ""


def examine(folder: Path | None, connect: Callable[[], Client] | None) -> tuple[Finding, ...]:
    """All findings; the server is asked only where `connect` is given."""
    settings = read_settings(flags={"folder": folder})
    here = (_python, _versions, _ffmpeg, _device)
    found = [finding for part in here for finding in part()]
    found += [*_engines(settings.weights), *_weights(settings.weights), *_folder(settings.folder), *_ports(settings)]
    return (*found, *(_server(connect) if connect else ()))


def _python() -> Iterator[Finding]:
    yield Finding(part="python", well=True, words=f"{sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}")


def _versions() -> Iterator[Finding]:
    """What the package asks for, the extras' parts only where they are installed."""
    found, wrong = 0, []
    for name, wanted, optional in required("overpaint"):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong += [] if optional else [f"{name} is missing"]
            continue
        found += 1
        wrong += [f"{name} is {version}, wanted {wanted}"] if outside(version, wanted) else []
    words = "; ".join(wrong) or f"overpaint {overpaint.__version__}, {found} packages in their ranges"
    yield Finding(part="versions", well=not wrong, words=words, remedy="Install overpaint again with pip")


def _ffmpeg() -> Iterator[Finding]:
    try:
        ran = subprocess.run([ffmpeg_binary(), "-version"], capture_output=True, text=True, check=True)
        yield Finding(part="ffmpeg", well=True, words=f"{ran.stdout.split(' Copyright')[0]} ({ffmpeg_binary()})")
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        yield Finding(part="ffmpeg", well=False, words=str(error), remedy="Install ffmpeg, or imageio-ffmpeg with pip")


def _device() -> Iterator[Finding]:
    """The graphics card as the driver sees it, against what torch makes of it."""
    driver, torch = driver_and_torch()
    if driver is None:
        yield Finding(part="device", well=True, words="no NVIDIA driver answers: the CPU paints")
        return
    cards = ", ".join(device.title for device in devices())
    words, remedy = f"driver {driver}, {cards}", ""
    if torch is None:
        words += "; torch is not installed: only engines that do without can be used"
    elif not torch.built_for:
        words += f"; torch {torch.version} is a build for the CPU"
        remedy = "Install torch's build for CUDA (see pytorch.org)"
    elif not torch.cards:
        words += f"; torch {torch.version} for CUDA {torch.built_for} sees no card{torch.why}"
        remedy = "Update the driver, or look at CUDA_VISIBLE_DEVICES"
    elif torch.unfit:
        words += f"; torch {torch.version} has no code for {', '.join(torch.unfit)}"
        remedy = "Install a newer torch"
    else:
        words += f"; torch {torch.version} for CUDA {torch.built_for} sees {torch.cards}"
    yield Finding(part="device", well=not remedy, words=words, remedy=remedy)


def _engines(root: Path) -> Iterator[Finding]:
    device = devices()[0].name
    for name in registry.names():
        try:
            card = registry.card(name)
            registry.build(name, device, root)
            yield Finding(part=f"engine {name}", well=True, words=f"{card.title} {card.version}, ready on {device}")
        except (Missing, Unavailable) as error:  # not fetched yet: that is no fault of this machine
            yield Finding(part=f"engine {name}", well=True, words=f"not set up: {error.message}. {error.remedy}")
        except Exception as error:  # an engine may come from anyone; it must not keep the doctor from its round
            yield Finding(part=f"engine {name}", well=False, words=str(error), remedy="Reinstall or remove its package")


def _weights(root: Path) -> Iterator[Finding]:
    """What is half there is a fault; what was never fetched is none."""
    for one in weights.entries(root):
        size = f", {weights.in_words(one.size)}" if one.size else ""
        yield Finding(
            part=f"weights {one.name}",
            well=one.state is not weights.State.INCOMPLETE,
            words=f"{one.state}{size}",
            remedy=f"Say overpaint weights fetch {one.name}, or import them again",
        )


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
    mounted = network_mount(folder)
    if mounted:
        words = f"{folder} is on a network mount ({mounted}), where SQLite's journal does not work"
        yield Finding(part="mount", well=False, words=words, remedy="Give a folder on a disk of this machine")


def _ports(settings: Settings) -> Iterator[Finding]:
    """Free, or whose it is: the gRPC port tells what answers there."""
    for name, address in (("port", settings.listen), ("web port", settings.web)):
        if not address:
            continue
        host, number = host_of(address, "listen"), int(address.rpartition(":")[2])
        if _is_free(host, number):
            yield Finding(part=name, well=True, words=f"{address} is free")
        elif name == "port":
            yield _who_answers(address)
        else:
            yield Finding(part=name, well=True, words=f"{address} is taken; where a server runs, that is its page")


def _is_free(host: str, number: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: what only lingers is free
        try:
            trial.bind((host, number))
        except OSError:
            return False
    return True


def _who_answers(address: str) -> Finding:
    here = f"127.0.0.1:{address.rpartition(':')[2]}"
    try:
        with Client(here) as client:
            words = f"{address} is taken by overpaint {client.server(2.0).version}"
            return Finding(part="port", well=True, words=words)
    except Unavailable:  # it may be ours with TLS as well, so it is told, and not called a fault
        words = f"{address} is taken; who is there speaks no plain gRPC: a server with TLS, or another program"
        return Finding(part="port", well=True, words=words)
    except OverpaintError as error:
        return Finding(part="port", well=True, words=f"{address} is taken by a server of ours, which says: {error}")


def _server(connect: Callable[[], Client]) -> Iterator[Finding]:
    try:
        with connect() as client:
            began = time.time()
            card = client.server()
            middle = (began + time.time()) / 2
            devices = ", ".join(device.name for device in card.devices)
            yield Finding(part="server", well=True, words=f"{client.address}: overpaint {card.version} on {devices}")
    except OverpaintError as error:
        yield Finding(part="server", well=False, words=f"{error.field}: {error.message}", remedy=error.remedy)
        return
    ours_too = card.version == overpaint.__version__
    words = f"{PROTOCOL}, {'the same version' if ours_too else 'another version'} as {overpaint.__version__} here"
    yield Finding(part="protocol", well=True, words=words)
    if not card.now:
        yield Finding(part="clock", well=True, words="the server is older and does not tell its time")
        return
    apart = card.now - middle
    words = f"the server's is {abs(apart):.1f} s {'ahead of' if apart > 0 else 'behind'} ours"
    yield Finding(part="clock", well=abs(apart) <= CLOCKS, words=words, remedy="Set both clocks by NTP")
