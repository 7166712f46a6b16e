"""The doctor's findings, each with the fault that it is for: real files, sockets and servers; a card's driver is played by a script."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from overpaint.card import ServerCard
from overpaint.client import Client
from overpaint_backend import checks, devices
from overpaint_backend.checks import network_mount, outside, required
from overpaint_backend.doctor import Finding, examine

from tests.serving import serving


@contextmanager
def nowhere() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def round_of(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: str) -> dict[str, Finding]:
    for name, value in settings.items():
        monkeypatch.setenv(f"OVERPAINT_{name.upper()}", value)
    monkeypatch.setattr("overpaint_backend.registry.names", lambda: ())  # engines are not what is asked here
    return {finding.part: finding for finding in examine(folder, None)}


def test_a_free_port_a_stranger_and_our_own_server_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nowhere() as number:
        found = round_of(tmp_path, monkeypatch, listen=f"127.0.0.1:{number}")
        assert "another program" in found["port"].words
    assert "is free" in round_of(tmp_path, monkeypatch, listen=f"127.0.0.1:{number}")["port"].words
    with serving(tmp_path / "jobs", "--web", "127.0.0.1:0") as server:
        web = server.web.removeprefix("http://").strip("/")
        found = round_of(tmp_path, monkeypatch, listen=server.address, web=web)
    assert "taken by overpaint 0.1" in found["port"].words and "taken" in found["web port"].words


def test_a_folder_on_the_network_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    folder = tmp_path / "far away"
    folder.mkdir()
    place = str(folder).replace(" ", "\\040")
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/export {place} nfs4 rw 0 0\n")
    assert network_mount(folder / "jobs", mounts) == "nfs4" and network_mount(tmp_path, mounts) == ""
    mounts.write_text(f"me@server: {place} fuse.sshfs rw 0 0\n/dev/sdb {place} ext4 rw 0 0\n")
    assert network_mount(folder, mounts) == ""  # a disk of our own lies over it
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nme@server: {place} fuse.sshfs rw 0 0\n")
    monkeypatch.setattr(checks.network_mount, "__defaults__", (mounts,))
    found = round_of(folder, monkeypatch)
    assert not found["mount"].well and "fuse.sshfs" in found["mount"].words
    assert "mount" not in round_of(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("torch", "well", "said"),
    [
        ("", False, "torch is not installed"),
        ("version='2.13.0+cpu', cuda=None", False, "is a build for the CPU"),
        ("version='2.13.0', cuda='12.8', cards=0, trouble='driver too old'", False, "sees no card: driver too old"),
        ("version='2.13.0', cuda='12.8', cards=1, kinds=['sm_80', 'sm_90']", True, "for CUDA 12.8 sees 1"),
        ("version='2.13.0', cuda='12.8', cards=1, kinds=['sm_120']", False, "has no code for NVIDIA A (sm_90)"),
    ],
)
def test_driver_and_torch_are_held_against_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch: str, well: bool, said: str
) -> None:
    """Played by a script and a module that say what the real ones say; no card is here."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(
        '#!/bin/sh\ncase "$1" in *driver_version*) echo 570.86.15;; *) echo "0, GPU-a, NVIDIA A, 24576";; esac\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "torch.py").write_text(TORCH.replace("GIVEN", torch) if torch else "raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    devices.devices.cache_clear()
    found = round_of(tmp_path / "jobs", monkeypatch)["device"]
    devices.devices.cache_clear()
    assert said in found.words and "570.86.15" in found.words
    assert found.well is (well or not torch) and bool(found.remedy) is not found.well
    assert "torch" not in sys.modules or not str(sys.modules["torch"].__file__).startswith(str(tmp_path))


TORCH = """
from types import SimpleNamespace
def made(version, cuda, cards=0, kinds=(), trouble=""):
    def init():
        if trouble:
            raise RuntimeError(trouble + "\\nand more")
    return version, SimpleNamespace(cuda=cuda), SimpleNamespace(
        init=init, get_arch_list=lambda: list(kinds), device_count=lambda: cards,
        get_device_capability=lambda number: (9, 0), get_device_name=lambda number: "NVIDIA A")
__version__, version, cuda = made(GIVEN)
"""


def test_versions_are_held_against_what_the_package_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert round_of(tmp_path, monkeypatch)["versions"].well
    wanted = (
        ("numpy", ">=99", False),
        ("nosuchthing", ">=1", False),
        ("torchish", ">=1", True),
        ("rich", ">=1", False),
    )
    monkeypatch.setattr("overpaint_backend.doctor.required", lambda package: iter(wanted))
    found = round_of(tmp_path, monkeypatch)["versions"]
    assert not found.well and "wanted >=99" in found.words and "nosuchthing is missing" in found.words
    assert "torchish" not in found.words and "rich" not in found.words


def test_what_is_required_is_read_from_the_package_itself() -> None:
    found = {name: (wanted, optional) for name, wanted, optional in required("overpaint")}
    assert not found["numpy"][1] and found["torch"][1] and ">=" in found["numpy"][0] and "pytest" not in found


@pytest.mark.parametrize(
    ("version", "wanted", "out"),
    [
        ("1.85.1", ">=1.85.1,<2", False),
        ("1.85", ">=1.85.1,<2", True),
        ("1.100.0", ">=1.85.1,<2", False),
        ("2", ">=1.85.1,<2", True),
        ("2.13.0+cpu", "<2.14,>=2.13", False),
        ("5.0rc1", "", False),
    ],
)
def test_ranges(version: str, wanted: str, out: bool) -> None:
    assert outside(version, wanted) is out


def test_weights_that_are_half_there_are_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = round_of(tmp_path, monkeypatch)
    assert found["weights VIRES"].well and found["weights VIRES"].words == "missing"
    broken = tmp_path / "weights" / "VIRES"
    broken.mkdir(parents=True)
    (broken / "manifest.json").write_text('{"files": {"model.safetensors": {"size": 9, "sha256": "0"}}}')
    (broken / "model.safetensors").write_bytes(b"four")
    found = round_of(tmp_path, monkeypatch)
    assert not found["weights VIRES"].well and "fetch VIRES" in found["weights VIRES"].remedy


def test_clocks_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overpaint_backend.registry.names", lambda: ())
    with serving(tmp_path / "jobs") as server:
        asked, took = Client.server, 0.0
        for ahead, well, said in ((0.0, True, "ours"), (90.0, False, "ahead of ours"), (-3600.0, False, "behind ours")):

            def shifted(client: Client, seconds: float = 30.0, ahead: float = ahead) -> ServerCard:
                nonlocal took
                began = time.time()
                card = asked(client, seconds)
                took = time.time() - began
                assert began <= card.now <= began + took
                return replace(card, now=card.now + ahead)

            monkeypatch.setattr(Client, "server", shifted)
            found = {one.part: one for one in examine(tmp_path, lambda: Client(server.address))}
            assert found["clock"].well is well and said in found["clock"].words
            told = float(found["clock"].words.partition(" s ")[0].rpartition(" ")[2])
            assert told == pytest.approx(abs(ahead), abs=took + 0.1)  # no nearer than the question took
            assert found["server"].well and "overpaint.v1, the same version as" in found["protocol"].words
