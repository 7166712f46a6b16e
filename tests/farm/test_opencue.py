"""The OpenCue outline, serialised by PyOutline itself in an environment of its own, and its frames really run.

No Cuebot runs here: what is tested ends with the specification that would be sent to one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.farm

ROOT = Path(__file__).parents[2]
OUTLINE = ROOT / "backend/overpaint_backend/farm/opencue/overpaint_outline.py"
PACKAGES = ("opencue-pyoutline==1.37.0", "packaging>=24")  # PyOutline imports packaging and does not ask for it
LENGTH = 60

CONTENT = {
    "spec": "facility? dept? show shot user email? uid? job* depends*",
    "job": "paused? priority? maxretries? maxcores? maxgpus? autoeat? localbook? os? env* layers?",
    "layer": "cmd range chunk cores? threadable? memory? gpus? gpu? gpu_memory? timeout? timeout_llu? tags? limits? env* services? outputs*",
    "depend": "depjob deplayer? depframe? onjob onlayer? onframe?",
}  # the order of a specification's elements, version 1.15


@pytest.fixture(scope="session")
def python() -> Path:
    """A Python with PyOutline. It brings a gRPC of its own, so it never shares our environment."""
    folder = ROOT / ".cache" / "opencue"
    found = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=120)
        ran = subprocess.run(
            [found, "-m", "pip", "install", "--quiet", *PACKAGES], capture_output=True, text=True, timeout=280
        )
        if ran.returncode:
            pytest.skip(f"PyOutline cannot be installed here: {ran.stderr.strip().splitlines()[-1]}")
        (folder / "ready").touch()
    return found


def specification(python: Path, job: Path, *words: str) -> ElementTree.Element:
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env = bare | {"OUTLINE_OUTLINE_SESSION_DIR": str(job.parent / "sessions")}
    ran = subprocess.run([python, OUTLINE, job, "--xml", *words], capture_output=True, text=True, timeout=60, env=env)
    assert ran.returncode == 0, ran.stderr
    return ElementTree.fromstring(ran.stdout)


def planned(job: Path, tasks: list[str], *, chained: bool) -> Path:
    job.mkdir()
    plan = {"chained": chained, "tasks": [{"number": n, "windows": one, "needs": []} for n, one in enumerate(tasks)]}
    (job / "plan.json").write_text(json.dumps(plan))
    return job


def depends(spec: ElementTree.Element) -> list[tuple[str | None, ...]]:
    return [(one.get("type"), one.findtext("deplayer"), one.findtext("onlayer")) for one in spec.iter("depend")]


@pytest.mark.parametrize("chained", [True, False])
def test_only_a_chain_waits_for_the_frame_before(python: Path, tmp_path: Path, chained: bool) -> None:
    spec = specification(python, planned(tmp_path / "job", ["0-3", "4-7", "8-8"], chained=chained))
    behind = [("LAYER_ON_LAYER", "assemble", "paint"), ("LAYER_ON_LAYER", "verify", "assemble")]
    assert depends(spec) == [("PREVIOUS_FRAME", "paint", "paint"), *behind][not chained :]
    layers = {layer.get("name"): layer for layer in spec.iter("layer")}
    assert layers["paint"].findtext("range") == "0-2" and layers["paint"].findtext("chunk") == "1"
    assert str(layers["paint"].findtext("cmd")).endswith("--task #IFRAME# --chunk 4")


def test_what_hosts_need_is_said(python: Path, tmp_path: Path) -> None:
    job = planned(tmp_path / "job", ["0-0"], chained=False)
    words = [
        "--gpus",
        "2",
        "--gpu-memory",
        "24g",
        "--memory",
        "16g",
        "--service",
        "overpaint",
        "--show",
        "film",
        "--shot",
        "sh010",
    ]
    spec = specification(python, job, *words)
    paint, assemble, _ = spec.iter("layer")
    assert [paint.findtext(one) for one in ("gpus", "gpu_memory", "memory")] == ["2", "24g", "16g"]
    assert [assemble.findtext(one) for one in ("gpus", "gpu_memory", "memory")] == [None, None, "16g"]
    assert {one.text for one in spec.iter("service")} == {"overpaint"}
    assert (spec.findtext("show"), spec.findtext("shot")) == ("film", "sh010")
    without = specification(python, job, "--gpus", "0")
    assert not list(without.iter("gpus")) and not list(without.iter("gpu_memory"))


def test_the_specification_has_the_order_that_cuebot_reads(python: Path, tmp_path: Path) -> None:
    spec = specification(python, planned(tmp_path / "Jöb: of the day", ["0-0", "1-1"], chained=True))
    for element in spec.iter():
        if element.tag in CONTENT:
            pattern = "".join(
                f"(?:{word.rstrip('?*')} ){word[-1] if word[-1] in '?*' else ''}"
                for word in CONTENT[element.tag].split()
            )
            children = "".join(f"{child.tag} " for child in element)
            assert re.fullmatch(pattern, children), (element.tag, children)
    names = [one.get("name") or "" for tag in ("job", "layer") for one in spec.iter(tag)]
    assert all(re.fullmatch(r"[\w.:-]+", name, re.ASCII) for name in names) and len(names) == 4


def overpaint(*words: object) -> str:
    command = [sys.executable, "-m", "overpaint_backend.cli", *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("engine", ["toy", "toy-alone"])
def test_the_frames_of_its_layers_paint_what_one_machine_paints(python: Path, tmp_path: Path, engine: str) -> None:
    (tmp_path / "clip").mkdir()
    random = np.random.default_rng(3)
    for number in range(LENGTH):
        cv2.imwrite(str(tmp_path / "clip" / f"{number:03}.png"), random.integers(0, 256, (24, 32, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "mask.png"), np.pad(np.full((12, 16), 255, np.uint8), ((6, 6), (8, 8))))
    asked = ["--clip", tmp_path / "clip", "--rate", "24", "--mask", tmp_path / "mask.png", "--engine", engine]
    job = tmp_path / "Jöb of the day"
    overpaint("pack", *asked, "--out", job)
    (job / "plan.json").write_text(overpaint("plan", job, "--chunk", "2", "--json"))
    command = f"{sys.executable} -m overpaint_backend.cli"
    spec = specification(python, job, "--gpus", "0", "--overpaint", command)
    chained = any(one.get("type") == "PREVIOUS_FRAME" for one in spec.iter("depend"))
    for layer in spec.iter("layer"):
        first, last = map(int, str(layer.findtext("range")).split("-"))
        frames = range(first, last + 1) if chained else reversed(range(first, last + 1))
        for frame in frames:  # a host writes the command into a script, with the frame's number in it
            line = str(layer.findtext("cmd")).replace("#IFRAME#", str(frame))
            subprocess.run(["/bin/sh", "-c", line], check=True, timeout=120, capture_output=True)
    overpaint("paint", *asked, "--out", tmp_path / "alone")
    assert (job / "out" / "take" / "take.mkv").read_bytes() == (tmp_path / "alone" / "take.mkv").read_bytes()
