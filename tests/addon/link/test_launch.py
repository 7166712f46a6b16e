from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from overpaint.client import Client
from overpaint.errors import Invalid, Missing, Unavailable
from overpaint_addon.link import launch
from overpaint_addon.link.launch import LocalBackend, Stage, find_command

from tests.serving import free, guard, serving

COMMAND = (str(Path(sys.executable).with_name("overpaint")),)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERPAINT_FOLDER", str(tmp_path / "jobs"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # one worker, on every machine alike


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalBackend]:
    backend = LocalBackend(tmp_path / "log" / "backend.log")
    yield backend
    backend.stop()
    assert soon(lambda: backend.status.stage in (Stage.STOPPED, Stage.FAILED))


def soon(what: Callable[[], bool], seconds: float = 30) -> bool:
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.05)
    return what()


def nobody_at(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as one:
        return one.connect_ex((host, int(port))) != 0


def test_it_starts_answers_and_stops(local: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERPAINT_CERTIFICATE", "/of/the/other/server.pem")  # the add-on's, not for this server
    address = free()
    ready = local.start(COMMAND, address)
    assert not ready.done() and local.status.stage is Stage.STARTING  # nobody waited
    status = ready.result(60)
    assert (status.stage, status.address, status.ours) == (Stage.RUNNING, address, True)
    assert any(f"listens on {address}" in line for line in local.lines(20))
    with Client(address) as client:
        assert client.server().version
    local.stop()
    assert soon(lambda: local.status.stage is Stage.STOPPED) and nobody_at(address) and local.status.error is None
    assert local.start(COMMAND, address).result(60).stage is Stage.RUNNING  # and again


def test_a_server_that_listens_there_already_is_adopted_and_left_alone(local: LocalBackend, tmp_path: Path) -> None:
    with serving(tmp_path / "other") as other:
        status = local.start(("no such command",), other.address).result(30)
        assert (status.stage, status.ours) == (Stage.RUNNING, False)
        local.stop()
        assert local.status.stage is Stage.STOPPED
        with Client(other.address) as client:
            assert client.server().version


def test_one_that_is_busy_is_adopted_as_soon_as_it_answers(local: LocalBackend, tmp_path: Path) -> None:
    with serving(tmp_path / "other") as other:
        other.process.send_signal(signal.SIGSTOP)
        later = threading.Timer(3, other.process.send_signal, [signal.SIGCONT])
        later.start()
        status = local.start(("no such command",), other.address).result(60)
        later.join()
    assert (status.stage, status.ours) == (Stage.RUNNING, False)


def test_one_with_a_token_is_adopted_too(local: LocalBackend, tmp_path: Path) -> None:
    guard(tmp_path / "other")
    with serving(tmp_path / "other") as other:
        assert local.start(COMMAND, other.address).result(30).ours is False


def test_it_ends_when_the_one_who_started_it_is_killed(tmp_path: Path) -> None:
    address = free()
    script = (
        "import sys, time; from pathlib import Path; from overpaint_addon.link.launch import LocalBackend\n"
        f"backend = LocalBackend(Path({str(tmp_path / 'log')!r}))\n"
        f"print(backend.start({COMMAND!r}, {address!r}).result(60).stage, backend._child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        stage, child = parent.stdout.readline().split()
        assert stage == "Running" and not nobody_at(address)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
    assert soon(lambda: nobody_at(address)) and soon(lambda: not _alive(int(child)))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{process}/stat").read_text().split(") ")[1][0] != "Z"  # one that nobody waits for has ended
    except OSError:  # it ended between the two looks, or this system has no such file
        return not Path("/proc/self/stat").exists()


def test_a_command_that_fails_shows_its_last_lines(local: LocalBackend, tmp_path: Path) -> None:
    address = free()
    with serving(tmp_path / "jobs"):  # another server holds the folder
        status = local.start(COMMAND, address).result(60)
    assert status.stage is Stage.FAILED and isinstance(status.error, Unavailable)
    assert "another server works in" in status.error.message and status.error.remedy
    assert local.start(COMMAND, address).result(60).stage is Stage.RUNNING  # once that is gone


def test_a_port_that_something_else_has_taken_is_said(local: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "KNOCK", 0.5)  # this one never answers
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status = local.start(COMMAND, f"127.0.0.1:{taken.getsockname()[1]}").result(60)
    assert status.error is not None and "is taken" in status.error.message


def test_a_server_that_dies_later_is_seen(local: LocalBackend) -> None:
    assert local.start(COMMAND, free()).result(60).stage is Stage.RUNNING
    assert local._child is not None
    local._child.kill()
    assert soon(lambda: local.status.stage is Stage.FAILED)


def test_stopped_while_it_starts(local: LocalBackend) -> None:
    address = free()
    ready = local.start(COMMAND, address)
    assert soon(lambda: local._child is not None)  # it takes longer than this look to listen
    local.stop()
    assert ready.result(60).stage is Stage.STOPPED and nobody_at(address)


def test_what_is_no_program_is_said(local: LocalBackend, tmp_path: Path) -> None:
    (tmp_path / "overpaint").write_text("not a program")
    status = local.start((str(tmp_path / "overpaint"),), free()).result(30)
    assert (
        status.stage is Stage.FAILED and isinstance(status.error, Missing) and "cannot be started" in str(status.error)
    )


def test_another_machine_is_not_ours_to_start(local: LocalBackend) -> None:
    with pytest.raises(Invalid, match="another machine"):
        local.start(COMMAND, "paint.example.org:8765")


def test_the_command_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = tmp_path / "Ünï cödé env"
    (environment / "bin").mkdir(parents=True)
    command = environment / "bin" / "overpaint"
    command.touch(0o755)
    python = environment / "bin" / "python3.11"
    python.touch(0o755)
    assert find_command(str(environment)) == find_command(str(environment / "bin")) == (str(command),)
    assert find_command(str(command)) == (str(command),)
    assert find_command(str(python)) == (str(python), "-m", "overpaint_backend.cli")
    monkeypatch.setenv("PATH", str(environment / "bin"))
    assert find_command("") == (shutil.which("overpaint"),) == (str(command),)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setattr("overpaint_addon.link.launch._common_places", lambda: [tmp_path / "nothing"])
    for named in ("", str(tmp_path / "nothing"), str(tmp_path)):
        with pytest.raises(Missing, match="Preferences") as raised:
            find_command(named)
        assert raised.value.field == "backend"


def test_it_is_found_in_the_common_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    command = tmp_path / ".local" / "bin" / "overpaint"
    command.parent.mkdir(parents=True)
    command.touch(0o755)
    assert find_command("") == (str(command),)
