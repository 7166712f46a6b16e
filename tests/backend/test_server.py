from __future__ import annotations

import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from overpaint.address import is_here
from overpaint.client import Client
from overpaint.clip import Size
from overpaint.edit import Edit, Guide, GuideKey, Input, Knot, Stroke, Task
from overpaint.errors import Exhausted, Invalid, OverpaintError, Unauthenticated, Unavailable
from overpaint_backend import registry
from overpaint_backend.devices import devices
from overpaint_backend.settings import load_settings

from tests.serving import guard, serving

# The generated stubs have no types.
health: Any = health_pb2_grpc.HealthStub
reflection: Any = reflection_pb2_grpc.ServerReflectionStub


def square(size: int) -> Guide:
    corners = ((0, 0), (size, 0), (size, size), (0, size))
    stroke = Stroke(knots=tuple(Knot(x=x, y=y) for x, y in corners), closed=True)
    return Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(stroke,)),), hold=True)


def test_health_and_reflection_answer_as_the_standard_says(tmp_path: Path) -> None:
    with serving(tmp_path / "jobs") as server, grpc.insecure_channel(server.address) as channel:
        checked = health(channel).Check(health_pb2.HealthCheckRequest(service="overpaint.v1.OverpaintService"))
        assert checked.status == health_pb2.HealthCheckResponse.SERVING
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        answer = next(reflection(channel).ServerReflectionInfo(iter([ask])))
        names = [service.name for service in answer.list_services_response.service]
        assert {"overpaint.v1.OverpaintService", "grpc.health.v1.Health"} <= set(names)


def test_an_estimate_needs_no_pixels(tmp_path: Path) -> None:
    with serving(tmp_path / "jobs") as server, Client(server.address) as client:
        edit = Edit(task=Task.REPAINT, guides=(square(100),))
        cost = client.estimate("toy", Size(width=640, height=360), 8, 40, edit)
        assert (cost.frames, cost.windows, cost.pixel_bytes) == (40, 3, 40 * 640 * 360 * 3)
        assert cost.window_size.width < 200 and cost.seconds is None and cost.device == client.server().devices[0].title
        with pytest.raises(Invalid, match="needs a mask"):
            client.estimate("toy", Size(width=640, height=360), 8, 40, Edit(task=Task.REPAINT))
        with pytest.raises(Exhausted, match="takes 20000"):
            client.estimate("toy", Size(width=64, height=36), 8, 20001, edit)


def test_tls_and_token_together_open_the_door(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes its certificate with openssl, which is not here")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    names = ["-subj", "/CN=overpaint", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    guard(tmp_path / "jobs", "secret")
    flags = ("--certificate", certificate, "--key", key)
    with serving(tmp_path / "jobs", *map(str, flags), listen="0.0.0.0:0") as server:
        address = f"127.0.0.1:{server.address.rpartition(':')[2]}"
        with Client(address, token="secret", certificate=certificate) as client:
            assert client.server().version
        with Client(address, token="guess", certificate=certificate) as client, pytest.raises(Unauthenticated):
            client.server()
        with Client(f"localhost:{server.address.rpartition(':')[2]}") as client, pytest.raises(Unavailable):
            client.server()  # no plain connection to a TLS server


def test_the_executor_is_this_machine_or_a_cluster(tmp_path: Path) -> None:
    def ray(executor: str | None) -> str | None:
        return load_settings(flags={"folder": tmp_path, "executor": executor}).ray

    assert (ray(None), ray("local")) == (None, None)
    assert (ray("ray"), ray("ray:10.0.0.1:6379")) == ("auto", "10.0.0.1:6379")
    for wrong in ("rey", "local:1", ""):
        with pytest.raises(Invalid, match="is no executor"):
            ray(wrong)


def test_settings_come_from_file_then_environment_then_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "overpaint.toml"
    file.write_text('listen = "127.0.0.1:1"\nmax_frames = 5\nmax_pixels = 6\n')
    monkeypatch.setenv("OVERPAINT_MAX_FRAMES", "7")
    monkeypatch.setenv("OVERPAINT_LISTEN", "127.0.0.1:2")
    settings = load_settings(file, {"listen": "127.0.0.1:3", "folder": None})
    assert (settings.listen, settings.max_frames, settings.max_pixels) == ("127.0.0.1:3", 7, 6)


def test_a_settings_file_is_utf_8_whatever_the_system_writes(tmp_path: Path) -> None:
    file = tmp_path / "overpaint.toml"
    file.write_bytes('folder = "/srv/Übermalt"'.encode())
    assert load_settings(file).folder.name == "Übermalt"
    file.write_bytes('folder = "/srv/Übermalt"'.encode("latin-1"))
    with pytest.raises(Invalid, match="cannot be read"):
        load_settings(file)


def test_weights_lie_in_the_folder_unless_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(flags={"folder": tmp_path}).weights == tmp_path / "weights"
    monkeypatch.setenv("OVERPAINT_WEIGHTS", str(tmp_path / "elsewhere"))
    assert load_settings(flags={"folder": tmp_path}).weights == tmp_path / "elsewhere"
    assert load_settings(flags={"weights": tmp_path / "flag"}).weights == tmp_path / "flag"


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, [("cuda:0", "NVIDIA A"), ("cuda:1", "NVIDIA B")]),
        ("1", [("cuda:0", "NVIDIA B")]),
        ("GPU-b, GPU-a", [("cuda:0", "NVIDIA B"), ("cuda:1", "NVIDIA A")]),
        ("", []),
    ],
)
def test_graphics_cards_are_found_without_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, names: list[tuple[str, str]]
) -> None:
    tool = tmp_path / "nvidia-smi"  # says what the real one says of two cards, one of which hides its memory
    tool.write_text("#!/bin/sh\necho '0, GPU-a, NVIDIA A, 24576'\necho '1, GPU-b, NVIDIA B, [N/A]'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    devices.cache_clear()
    found = devices()
    devices.cache_clear()
    if names:
        assert [(device.name, device.title) for device in found] == names
        assert all(device.memory_bytes == (24 << 30 if device.title == "NVIDIA A" else 0) for device in found)
    else:
        assert [device.name for device in found] == ["cpu"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"listen": "everywhere"}, "listen: 'everywhere' is not host:port"),
        ({"certificate": "/a.pem"}, "certificate: a certificate and its key go together"),
        ({"listen": "0.0.0.0:1"}, "listen: 0.0.0.0:1 can be reached from other machines"),
        ({"clients": "/ca.pem"}, "clients: certificates of clients are checked by TLS"),
        ({"colour": "red"}, "colour: there is no such setting"),
        ({"keep_days": "-1"}, "keep_days: '-1' is no amount"),
        ({"quota_gb": "nan"}, "quota_gb: 'nan' is no amount"),
        ({"max_frames": "many"}, "max_frames: 'many' is no whole number"),
        ({"max_frames": 1.5}, "max_frames: 1.5 is no whole number"),
        ({"max_frames": True}, "max_frames: True is no whole number"),
        ({"max_frames": [1]}, "max_frames: [1] is no whole number"),
        ({"max_pixels": 0}, "max_pixels: 0 would take no job at all"),
        ({"drain": True}, "drain: True is no amount"),
        ({"listen": 8765}, "listen: 8765 is no text"),
        ({"web": 8766}, "web: 8766 is no text"),
        ({"folder": 5}, "folder: 5 is no text"),
        ({"executor": 5}, "executor: 5 is no text"),
        ({"tokens": True}, "tokens: True is no text"),
    ],
)
def test_wrong_settings_are_named(words: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid) as refused:
        load_settings(flags=words)
    assert str(refused.value).startswith(said) and refused.value.remedy


def test_a_token_never_travels_in_the_open() -> None:
    """A server that is not plainly this machine is spoken to in TLS or not at all."""
    name = socket.gethostname()
    if not is_here(socket.gethostbyname(name)) or is_here(name):
        pytest.skip("this machine has no other name for its loopback")
    with socket.create_server((socket.gethostbyname(name), 0)) as plain:
        plain.settimeout(10)
        with ThreadPoolExecutor(1) as asking, Client(f"{name}:{plain.getsockname()[1]}", token="open sesame") as client:
            answer = asking.submit(client.server)
            heard, _ = plain.accept()
            with heard:
                assert heard.recv(4096)[:1] == b"\x16"  # a TLS handshake, and nothing of ours
            client.close()
            with pytest.raises((OverpaintError, ValueError)):
                answer.result(30)


def test_a_server_stops_even_when_it_has_only_just_begun(tmp_path: Path) -> None:
    for turn in range(4):
        with serving(tmp_path / "jobs") as server:
            server.process.terminate()
            assert server.process.wait(timeout=20) == 0, turn


def test_what_an_engine_lacks_is_said_without_the_servers_paths(tmp_path: Path) -> None:
    said = {card.name: card.obstacle for card in registry.usable(tmp_path / "secret place", gpu=True)}
    assert said["flow"] == "" and said["vires"] and "secret place" not in " ".join(said.values())
