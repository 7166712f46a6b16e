"""The Flamenco job type, compiled in node as a manager would, and what it compiles to really run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from overpaint_backend import farm

pytestmark = [
    pytest.mark.farm,
    pytest.mark.skipif(shutil.which("node") is None, reason="node, which compiles the job type, is not installed"),
]

SCRIPT = Path(farm.__path__[0]) / "flamenco" / "overpaint.js"
AUTHOR = Path(__file__).with_name("author.js")
FIELDS = {
    *("key", "type", "subtype", "choices", "propargs", "default", "eval", "evalInfo", "visible", "required"),
    *("editable", "label", "description"),
}  # what a setting may say
LENGTH = 60


def compiled(settings: dict[str, Any]) -> dict[str, Any]:
    ran = subprocess.run(
        ["node", AUTHOR, SCRIPT], input=json.dumps(settings), capture_output=True, text=True, timeout=60
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    return json.loads(ran.stdout)


def plan(*needs: list[int]) -> str:
    return json.dumps({"tasks": [{"number": n, "windows": f"{n}-{n}", "needs": one} for n, one in enumerate(needs)]})


def test_the_settings_are_those_that_a_manager_knows() -> None:
    made = compiled({"job_folder": "/jobs/a", "plan": plan([])})["jobType"]
    assert made["label"] == "Overpaint"
    for setting in made["settings"]:
        assert set(setting) <= FIELDS and setting["type"] in ("string", "int32", "float", "bool")
        assert setting["visible"] in ("visible", "hidden", "submission", "web") if "visible" in setting else True


def test_a_chain_waits_and_a_fan_does_not() -> None:
    chain = compiled({"job_folder": "/jobs/a", "plan": plan([], [0], [1])})["tasks"]
    assert [task["needs"] for task in chain] == [[], [0], [1], [0, 1, 2]]
    fan = compiled({"job_folder": "/jobs/a", "plan": plan([], [], [])})["tasks"]
    assert [task["needs"] for task in fan] == [[], [], [], [0, 1, 2]]


def test_every_command_is_exec_of_the_variable_without_a_shell() -> None:
    tasks = compiled({"job_folder": "/jobs/a b; rm *", "plan": plan([], [0])})["tasks"]
    commands = [command for task in tasks for command in task["commands"]]
    assert {task["type"] for task in tasks} == {"overpaint-gpu"}
    assert {(command["name"], command["parameters"]["exe"]) for command in commands} == {("exec", "{overpaint}")}
    assert [command["parameters"]["args"] for command in commands] == [
        ["run", "/jobs/a b; rm *", "--windows", "0-0"],
        ["run", "/jobs/a b; rm *", "--windows", "1-1"],
        ["assemble", "/jobs/a b; rm *"],
        ["verify", "/jobs/a b; rm *"],
    ]


@pytest.mark.parametrize("text", ["", "{", "{}", '{"tasks": []}'])
def test_a_plan_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RuntimeError, match=r"the plan has no tasks|JSON"):
        compiled({"job_folder": "/jobs/a", "plan": text})


def overpaint(*words: object) -> str:
    command = [sys.executable, "-m", "overpaint_backend.cli", *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def request_words(tmp_path: Path) -> list[object]:
    (tmp_path / "clip").mkdir()
    random = np.random.default_rng(3)
    for number in range(LENGTH):
        cv2.imwrite(str(tmp_path / "clip" / f"{number:03}.png"), random.integers(0, 256, (24, 32, 3), np.uint8))
    mask = np.zeros((24, 32), np.uint8)
    mask[6:18, 8:24] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    return ["--clip", tmp_path / "clip", "--rate", "24", "--mask", tmp_path / "mask.png", "--seed", "5"]


@pytest.mark.parametrize("engine", ["toy", "toy-alone"])
def test_what_it_compiles_to_paints_what_one_machine_paints(
    tmp_path: Path, request_words: list[object], engine: str
) -> None:
    job, alone = tmp_path / "Jöb of the day", tmp_path / "alone"
    overpaint("pack", *request_words, "--engine", engine, "--out", job)
    (job / "plan.json").write_text(overpaint("plan", job, "--json"))
    settings = SimpleNamespace(job_folder=str(job))
    (reads,) = (
        one["eval"] for one in compiled({"job_folder": "x", "plan": plan([])})["jobType"]["settings"] if "eval" in one
    )
    # As the add-on evaluates a setting: these names as locals, and nothing else.
    known = {"Path": Path, "abspath": Path, "settings": settings, "jobname": "a", "bpy": None, "C": None}
    left = dict(enumerate(compiled({"job_folder": str(job), "plan": eval(reads, {}, known)})["tasks"]))
    assert len(left) >= 4
    done: set[int] = set()
    while left:  # of those that may run, the last one first: no order is promised
        number = max(number for number, task in left.items() if done.issuperset(task["needs"]))
        for command in left.pop(number)["commands"]:
            overpaint(*command["parameters"]["args"])
        done.add(number)
    overpaint("paint", *request_words, "--engine", engine, "--out", alone)
    assert (job / "out" / "take" / "take.mkv").read_bytes() == (alone / "take.mkv").read_bytes()
    pictures = [sorted((take / "frames").iterdir()) for take in (job / "out" / "take", alone)]
    assert [one.read_bytes() for one in pictures[0]] == [one.read_bytes() for one in pictures[1]]
