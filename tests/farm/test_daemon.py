"""The warm daemon: one load for many tasks, a token, and a cold run in words where it is not."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from tests.farm import node

pytestmark = pytest.mark.farm


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node.clip(tmp_path_factory.mktemp("footage") / "clip", 40)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return node.environment(tmp_path / "node", ODD_BUILDS=str(tmp_path / "builds"))


@pytest.fixture
def file(tmp_path: Path, env: dict[str, str]) -> Iterator[Path]:
    file = tmp_path / "run" / "daemon"
    started = node.overpaint("daemon", "start", "--connection", file, env=env)
    assert started.returncode == 0, started.stderr
    yield file
    node.overpaint("daemon", "stop", "--connection", file, env=env)
    assert not file.exists()


def job(footage: Path, tmp_path: Path, env: dict[str, str], *words: object) -> Path:
    ran = node.overpaint("pack", *node.request(footage, "odd", *words), "--out", tmp_path / "job", env=env)
    assert ran.returncode == 0, ran.stderr
    return tmp_path / "job"


def gone(file: Path) -> None:
    until = time.monotonic() + 30
    while file.exists():
        assert time.monotonic() < until, "the daemon lives on"
        time.sleep(0.1)


def test_tasks_share_one_engine_and_make_the_take_of_paint(
    footage: Path, tmp_path: Path, env: dict[str, str], file: Path
) -> None:
    folder = job(footage, tmp_path, env)
    for task in range(3):
        ran = node.overpaint("daemon", "run", folder, "--task", task, "--connection", file, env=env)
        assert ran.returncode == 0 and f"windows {task}-{task} are painted" in ran.stdout, ran.stdout + ran.stderr
    assert (tmp_path / "builds").read_text().splitlines() == ["built"]
    assert node.overpaint("assemble", folder, env=env).returncode == 0
    near = node.overpaint("paint", *node.request(footage, "odd"), "--out", tmp_path / "near", env=env)
    assert near.returncode == 0 and node.files(folder / "out" / "take") == node.files(tmp_path / "near")


def test_a_second_start_leaves_it_alone(env: dict[str, str], file: Path) -> None:
    before = file.read_text()
    again = node.overpaint("daemon", "start", "--connection", file, env=env)
    assert again.returncode == 0 and "runs already" in again.stdout and file.read_text() == before


def test_nobody_talks_to_it_without_its_token(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    kept = json.loads(file.read_text())
    with pytest.raises((AuthenticationError, EOFError, ConnectionError)):
        Client(("127.0.0.1", kept["port"]), authkey=b"guess")
    with Client(("127.0.0.1", kept["port"]), authkey=kept["token"].encode()) as line:  # it lives on
        line.send_bytes(b'{"verb": "look"}')
        assert json.loads(line.recv_bytes())["kept"]["device"] == "cpu"


def test_without_a_daemon_the_task_runs_cold_and_says_so(footage: Path, tmp_path: Path, env: dict[str, str]) -> None:
    folder = job(footage, tmp_path, env)
    ran = node.overpaint("daemon", "run", folder, "--task", 0, "--connection", tmp_path / "nowhere", env=env)
    assert ran.returncode == 0 and "no daemon answers" in ran.stdout and "runs without one" in ran.stdout
    stale = tmp_path / "stale"
    stale.write_text(json.dumps({"port": 9, "token": "x"}))
    stale.chmod(0o600)
    ran = node.overpaint("daemon", "run", folder, "--task", 1, "--connection", stale, env=env)
    assert ran.returncode == 0 and "no daemon answers" in ran.stdout


def test_a_port_at_which_something_else_listens_does_not_hold_a_task_up(
    footage: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    folder, stale = job(footage, tmp_path, env), tmp_path / "stale"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stale.write_text(json.dumps({"port": silent.getsockname()[1], "token": "x"}))
        stale.chmod(0o600)
        process = node.begin("daemon", "run", folder, "--task", 0, "--connection", stale, "--progress", "json", env=env)
        said, _ = process.communicate(timeout=60)
    lines = [json.loads(line) for line in said.splitlines()]
    assert process.returncode == 0 and "no daemon answers" in lines[0]["words"] and lines[-1]["event"] == "done"


def test_a_task_that_waits_for_another_says_so_and_can_be_cancelled(
    footage: Path, tmp_path: Path, env: dict[str, str], file: Path
) -> None:
    folder = job(footage, tmp_path, env, "--option", "delay=3.0")
    first = node.begin("daemon", "run", folder, "--connection", file, env=env)
    node.until(first, "painting")
    second = node.begin("daemon", "run", folder, "--connection", file, "--out", tmp_path / "other", env=env)
    node.until(second, "another task is running")
    times = [time.monotonic()]
    node.until(second, "still at it: another task is running")
    times.append(time.monotonic())
    assert times[1] - times[0] < 20  # the contract with farms, not a speed
    second.terminate()
    _, said = second.communicate(timeout=60)
    assert second.returncode == 40 and "before its turn came" in said
    first.terminate()
    first.communicate(timeout=60)
    assert first.returncode == 40


def test_a_daemon_of_other_weights_is_not_used(footage: Path, tmp_path: Path, env: dict[str, str], file: Path) -> None:
    words = ("--task", 0, "--connection", file, "--weights", tmp_path / "others")
    ran = node.overpaint("daemon", "run", job(footage, tmp_path, env), *words, env=env)
    assert ran.returncode == 0 and "this task wants" in ran.stdout and "runs without one" in ran.stdout


def test_a_cancelled_task_stops_and_the_daemon_lives(
    footage: Path, tmp_path: Path, env: dict[str, str], file: Path
) -> None:
    folder = job(footage, tmp_path, env, "--option", "delay=0.5")
    process = node.begin("daemon", "run", folder, "--connection", file, env=env)
    node.until(process, "painting")
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 40
    killed = node.begin("daemon", "run", folder, "--connection", file, env=env)
    node.until(killed, "painting")
    killed.kill()  # the daemon hears that nobody listens, and stops as well
    killed.communicate(timeout=60)
    ran = node.overpaint("daemon", "run", folder, "--connection", file, env=env)
    assert ran.returncode == 0 and "all is verified" in ran.stdout, ran.stdout + ran.stderr
    assert (tmp_path / "builds").read_text().splitlines() == ["built"]


def test_a_device_that_failed_ends_the_daemon_and_the_code_is_the_same(
    footage: Path, tmp_path: Path, env: dict[str, str], file: Path
) -> None:
    folder = job(footage, tmp_path, env, "--option", "fault=device")
    ran = node.overpaint("daemon", "run", folder, "--connection", file, "--progress", "openjd", env=env)
    assert ran.returncode == 34 and "openjd_fail: device: the device failed" in ran.stdout
    gone(file)
    ran = node.overpaint("daemon", "run", folder, "--connection", file, env=env)
    assert ran.returncode == 34 and "no daemon answers" in ran.stdout
