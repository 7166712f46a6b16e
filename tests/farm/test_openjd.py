"""The OpenJD template with Open Job Description's own command: checked, run to the end, cancelled, resumed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.farm import node

pytestmark = pytest.mark.farm
TEMPLATE = node.ROOT / "backend" / "overpaint_backend" / "farm" / "openjd" / "overpaint.yaml"
OPENJD = Path(sys.executable).with_name("openjd")
OVERPAINT = Path(sys.executable).with_name("overpaint")


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node.clip(tmp_path_factory.mktemp("footage") / "clip", 40)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return node.environment(tmp_path / "node", ODD_BUILDS=str(tmp_path / "builds"))


def pack(footage: Path, tmp_path: Path, env: dict[str, str], engine: str, *words: object) -> Path:
    ran = node.overpaint("pack", *node.request(footage, engine, *words), "--out", tmp_path / "job", env=env)
    assert ran.returncode == 0, ran.stderr
    return tmp_path / "job"


def words(verb: str, job: Path, *more: str) -> list[str]:
    given = (f"JobFolder={job}", *more)
    return [str(OPENJD), verb, str(TEMPLATE), *(word for one in given for word in ("-p", one))]


def openjd(
    verb: str, job: Path, *more: str, env: dict[str, str], then: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    command = [*words(verb, job, *more), *then]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=250, env=env)


def paint(footage: Path, tmp_path: Path, env: dict[str, str], engine: str, *more: object) -> dict[str, bytes]:
    near = node.overpaint("paint", *node.request(footage, engine, *more), "--out", tmp_path / "near", env=env)
    assert near.returncode == 0, near.stderr
    return node.files(tmp_path / "near")


def test_the_template_is_legal_and_a_range_makes_tasks(tmp_path: Path, env: dict[str, str]) -> None:
    checked = subprocess.run([OPENJD, "check", TEMPLATE], capture_output=True, text=True, env=env)
    assert checked.returncode == 0 and "passes validation" in checked.stdout
    said = openjd("summary", tmp_path, "Tasks=0-4", "Chunk=2", env=env)
    assert said.returncode == 0 and "'Paint' (5 total Tasks)" in said.stdout and "Total steps: 3" in said.stdout


def test_a_chain_is_one_task_and_runs_to_the_end(footage: Path, tmp_path: Path, env: dict[str, str]) -> None:
    job = pack(footage, tmp_path, env, "toy")
    ran = openjd("run", job, f"Overpaint={OVERPAINT}", env=env)
    assert ran.returncode == 0 and "Session ended successfully" in ran.stdout, ran.stdout
    assert ran.stdout.count("--------- Running Task") == 3  # paint, assemble, verify
    progress = [float(one) for one in re.findall(r"openjd_progress: ([\d.]+)", ran.stdout)]
    assert max(progress) == 100.0 and len(set(progress)) > 3
    assert node.files(job / "out" / "take") == paint(footage, tmp_path, env, "toy")


def test_tasks_of_chunks_share_one_daemon(footage: Path, tmp_path: Path, env: dict[str, str]) -> None:
    job = pack(footage, tmp_path, env, "toy-alone")
    (plan,) = node.overpaint("plan", job, "--chunk", 2, "--json", env=env).stdout.splitlines()
    last = len(json.loads(plan)["tasks"]) - 1
    ran = openjd("run", job, f"Overpaint={OVERPAINT}", f"Tasks=0-{last}", "Chunk=2", env=env)
    assert ran.returncode == 0 and "Session ended successfully" in ran.stdout, ran.stdout
    assert "the daemon stops" in ran.stdout and "runs without one" not in ran.stdout
    assert node.files(job / "out" / "take") == paint(footage, tmp_path, env, "toy-alone")


def test_paths_are_mapped_by_the_session(footage: Path, tmp_path: Path, env: dict[str, str]) -> None:
    job = pack(footage, tmp_path, env, "toy")
    rule = {"source_path_format": "POSIX", "source_path": "/studio/show", "destination_path": str(job.parent)}
    rules = json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": [rule]})
    then = ("--path-mapping-rules", rules)
    ran = openjd("run", Path("/studio/show/job"), f"Overpaint={OVERPAINT}", env=env, then=then)
    assert ran.returncode == 0 and (job / "out" / "take" / "take.mkv").is_file(), ran.stdout


def test_cancelled_it_stops_with_its_daemon_and_resumed_it_goes_on(
    footage: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    slow = ("--option", "delay=0.4")
    job = pack(footage, tmp_path, env, "odd", *slow)
    command = words("run", job, f"Overpaint={OVERPAINT}")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    node.until(process, "window 0 is painted")
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=100)
    assert process.returncode != 0 and not (job / "out" / "take").exists()
    assert "openjd_fail: job: it was cancelled" in rest and "the daemon stops" in rest, rest
    notes = sorted(path.name for path in (job / "out" / "windows").glob("*.json"))
    assert notes[0] == "00000.json" and len(notes) < 3
    again = openjd("run", job, f"Overpaint={OVERPAINT}", env=env)
    assert again.returncode == 0, again.stdout
    assert "window 0 is painted" not in again.stdout and "window 2 is painted" in again.stdout
    assert (tmp_path / "builds").read_text().count("built") == 2  # once for each session
    assert node.files(job / "out" / "take") == paint(footage, tmp_path, env, "odd", *slow)


def test_a_task_that_fails_says_why_to_the_farm(footage: Path, tmp_path: Path, env: dict[str, str]) -> None:
    job = pack(footage, tmp_path, env, "odd", "--option", "fault=starved")
    ran = openjd("run", job, f"Overpaint={OVERPAINT}", env=env)
    assert ran.returncode != 0 and "exited with code: 33" in ran.stdout, ran.stdout
    assert "openjd_fail: device: the memory does not hold a window of" in ran.stdout
    assert "the daemon stops" in ran.stdout
