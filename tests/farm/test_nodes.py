"""Nodes that are killed, told to stop, or replaced by another machine: nothing finished is lost, and the take is the same."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.farm import node

pytestmark = pytest.mark.farm
LENGTH = 52
SLOW = ("--option", "delay=0.1")


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node.clip(tmp_path_factory.mktemp("footage") / "clip", LENGTH)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return node.environment(tmp_path / "node")


def pack(footage: Path, out: Path, env: dict[str, str], engine: str = "toy", *words: object) -> Path:
    ran = node.overpaint("pack", *node.request(footage, engine, *words), "--out", out, env=env)
    assert ran.returncode == 0, ran.stderr
    return out


@pytest.mark.parametrize(("engine", "windows"), [("toy", 4), ("toy-alone", 4)])
def test_law_4_a_run_that_is_killed_at_every_window_goes_on(
    footage: Path, tmp_path: Path, env: dict[str, str], engine: str, windows: int
) -> None:
    near = node.overpaint("paint", *node.request(footage, engine, *SLOW), "--out", tmp_path / "near", env=env)
    assert near.returncode == 0, near.stderr
    job = pack(footage, tmp_path / "job", env, engine, *SLOW)
    seen: list[str] = []
    for word in (*(f"window {number} is painted" for number in range(windows)), "assembling", "comparing"):
        process = node.begin("run", job, env=env)
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(line.strip())
            if word in line:
                process.send_signal(signal.SIGKILL)
                break
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, seen
    last = node.overpaint("run", job, env=env)
    assert last.returncode == 0 and "0 windows painted just now" in last.stdout, last.stdout + last.stderr
    painted = [line for line in seen if "is painted" in line]
    assert len(painted) == len(set(painted)) == windows  # none was painted twice
    assert node.files(job / "out" / "take") == node.files(tmp_path / "near")


def test_a_signal_stops_at_the_next_step_and_what_is_finished_stays(
    footage: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    job = pack(footage, tmp_path / "job", env, "toy", "--option", "delay=0.5")
    process = node.begin("run", job, env=env)
    node.until(process, "window 0 is painted")
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 40 and time.monotonic() - asked < 10  # the contract with farms, not a speed
    assert said == "overpaint: job: it was cancelled. Run it again: it goes on where it stopped\n"
    again = node.overpaint("run", job, env=env)
    assert again.returncode == 0 and "3 windows painted just now" in again.stdout


@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_while_the_engine_loads_ends_the_process(
    footage: Path, tmp_path: Path, env: dict[str, str], signals: int
) -> None:
    job = pack(footage, tmp_path / "job", env, "odd")
    process = node.begin("run", job, "--progress", "openjd", env=env | {"ODD_LOADING": "120"})
    node.until(process, "the engine odd gets ready")
    asked = time.monotonic()
    for _ in range(signals):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    process.communicate(timeout=60)
    took = time.monotonic() - asked
    assert process.returncode == 40 and took < (10 if signals == 1 else 5)


def test_a_signal_before_the_job_is_opened_ends_with_the_same_code(
    footage: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    job = pack(footage, tmp_path / "job", env)
    (tmp_path / "bin").mkdir()
    asked = tmp_path / "bin" / "nvidia-smi"  # a driver that takes its time to say which cards there are
    asked.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nsleep 9\n")
    asked.chmod(0o755)
    process = node.begin("run", job, env=env | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"})
    while not (tmp_path / "asked").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    asked_at = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 40 and time.monotonic() - asked_at < 10


@pytest.mark.skipif(sys.platform != "linux", reason="how full a pipe may be is set as Linux does it")
def test_a_signal_ends_a_node_whose_lines_nobody_reads(footage: Path, tmp_path: Path, env: dict[str, str]) -> None:
    import fcntl

    job = pack(footage, tmp_path / "job", env)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"x" * 4096)
    command = [sys.executable, "-m", "overpaint_backend.cli", "run", str(job)]
    with subprocess.Popen(command, env=env, stdout=writing) as process:
        while not (job / "out" / "windows").exists():
            time.sleep(0.05)
        time.sleep(0.5)  # for the first line, which is never taken
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        assert process.wait(timeout=60) == 40 and time.monotonic() - asked < 10
    os.close(reading)
    os.close(writing)


def test_a_node_whose_reader_is_gone_stops_and_goes_on_later(
    footage: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    job = pack(footage, tmp_path / "job", env, "toy", "--option", "delay=0.1")
    process = node.begin("run", job, env=env)
    node.until(process, "window 0 is painted")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    with process.stderr as said:
        words = said.read()
    assert process.wait(timeout=60) == 40 and words.startswith("overpaint: job: whoever read its lines is gone")
    again = node.overpaint("run", job, env=env)
    assert again.returncode == 0 and "4 windows painted" not in again.stdout


def test_a_line_comes_every_twenty_seconds_while_the_engine_loads(
    footage: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    job = pack(footage, tmp_path / "job", env, "odd")
    process = node.begin("run", job, env=env | {"ODD_LOADING": "42"})
    assert process.stdout is not None
    times, lines = [time.monotonic()], []
    for line in process.stdout:
        times.append(time.monotonic())
        lines.append(line)
    assert process.wait() == 0
    assert max(after - before for before, after in itertools.pairwise(times)) < 20
    assert sum("still at it: the engine odd gets ready" in line for line in lines) >= 2
    process.communicate()


@pytest.mark.timeout(3600)
def test_ten_minutes_of_film_go_on_on_another_machine_from_the_folder_alone(tmp_path: Path) -> None:
    """14400 frames at 24 a second. The other machine knows the folder by another path, and nothing else of the first."""
    footage = node.clip(tmp_path / "footage" / "clip", 14400)
    here, there = node.environment(tmp_path / "here"), node.environment(tmp_path / "there")
    job = pack(footage, tmp_path / "farm" / "job", here)
    near = node.overpaint("paint", *node.request(footage), "--out", tmp_path / "near", env=here)
    assert near.returncode == 0, near.stderr
    half = node.overpaint("run", job, "--windows", "0-599", env=here)
    assert half.returncode == 0, half.stderr
    moved = tmp_path / "Ünï cödé" / "somewhere else"
    shutil.copytree(job, moved)
    for gone in (job.parent, footage, tmp_path / "here"):
        shutil.rmtree(gone)
    rest = node.overpaint("run", moved.name, env=there, cwd=moved.parent)
    assert rest.returncode == 0, rest.stderr
    assert "14400 frames" in rest.stdout and "600 windows painted just now" in rest.stdout
    assert node.files(moved / "out" / "take") == node.files(tmp_path / "near")
