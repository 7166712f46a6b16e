"""VIRES from the command line to the take, through planner and compositor, with a small random model on the CPU."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path

import cv2
import numpy as np
import pytest
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Task
from overpaint.job import EventKind, JobSpec
from overpaint_backend.cli import main

from tests.backend.workers.test_crash import workers_of
from tests.fakes import held_mask
from tests.pictures import read_picture
from tests.serving import serving

pytest.importorskip("torch")
from tests.small import write_small_checkpoint

pytestmark = pytest.mark.torch
WIDTH, HEIGHT, LONGEST = 96, 64, 120
COLOUR = (40, 120, 200)  # of the keyframe


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_checkpoint(tmp_path_factory.mktemp("weights"))


def source(length: int) -> list[np.ndarray]:
    """A camera that pans over a texture."""
    noise = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH + LONGEST, 3)).astype(np.uint8)
    world = cv2.GaussianBlur(noise, (5, 5), 0)
    return [np.ascontiguousarray(world[:, frame : frame + WIDTH]) for frame in range(length)]


def masks(length: int) -> list[np.ndarray]:
    """Something that swings to and fro."""
    made = [np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(length)]
    for frame, mask in enumerate(made):
        left = 30 + round(12 * np.sin(frame / 9))
        mask[20:40, left : left + 24] = 255
    return made


def sketches(length: int) -> list[np.ndarray]:
    return [cv2.Canny(mask, 50, 150) for mask in masks(length)]


def write(folder: Path, pictures: list[np.ndarray]) -> Path:
    folder.mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:04}.png"), picture)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for length in (20, 51, 120):
        write(folder / f"clip{length}", source(length))
        write(folder / f"mask{length}", masks(length))
        write(folder / f"sketch{length}", sketches(length))
    cv2.imwrite(str(folder / "key.png"), np.full((HEIGHT, WIDTH, 3), COLOUR, np.uint8))
    return folder


GUIDANCE = {
    "dense": ("--sketch", "{files}/sketch{length}"),
    "sparse": ("--sketch", "0={files}/sketch{length}/0000.png"),
    "keyframe": ("--keyframe", "9={files}/key.png"),
}


def paint(files: Path, weights: Path, out: Path, length: int, *words: str) -> list[np.ndarray]:
    """The command as a person gives it; the take's frames."""
    given = ("--clip", files / f"clip{length}", "--mask", files / f"mask{length}", "--rate", "25", "--out", out)
    small = ("--option", "steps=1", "--device", "cpu")
    command = ("paint", "--engine", "vires", "--weights", weights, "--prompt", "a red coat", *given, *small, *words)
    assert main([str(word) for word in command]) == 0
    return [read_picture(path) for path in sorted((out / "frames").iterdir())]


@pytest.mark.parametrize("length", [20, 51, 120])
@pytest.mark.parametrize("guidance", GUIDANCE)
def test_the_take_obeys_law_1(files: Path, weights: Path, tmp_path: Path, length: int, guidance: str) -> None:
    words = [word.format(files=files, length=length) for word in GUIDANCE[guidance]]
    take = paint(files, weights, tmp_path / "out", length, *words)
    assert len(take) == length
    for frame, (painted, before, mask) in enumerate(zip(take, source(length), masks(length), strict=True)):
        assert np.array_equal(painted[mask == 0], before[mask == 0]), frame
        assert np.abs(painted.astype(int) - before)[mask > 0].mean() > 5, frame
    if guidance == "keyframe":
        inside = take[9][masks(length)[9] > 0]
        assert np.abs(inside.astype(int) - COLOUR).max() <= 1
        assert np.abs(take[0][masks(length)[0] > 0].astype(int) - COLOUR).mean() > 5


def test_equal_seeds_give_equal_bytes_and_another_gives_another(files: Path, weights: Path, tmp_path: Path) -> None:
    takes = {
        name: paint(files, weights, tmp_path / name, 20, "--seed", name[0]) for name in ("7 first", "7 again", "8")
    }
    assert np.array_equal(takes["7 first"], takes["7 again"])
    assert not np.array_equal(takes["7 first"], takes["8"])
    assert (tmp_path / "7 first" / "take.mkv").read_bytes() == (tmp_path / "7 again" / "take.mkv").read_bytes()


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the process to kill through /proc")
def test_law_4_a_worker_killed_between_windows_costs_nothing(weights: Path, tmp_path: Path) -> None:
    frames, mask = source(68), masks(1)[0]
    size = Size(width=WIDTH, height=HEIGHT)
    clip = Clip(size=size, rate=Rate(numerator=25), depth=8, frames=tuple(map(digest, frames)))
    edit = Edit(task=Task.REPLACE, prompt="two dogs", guides=(held_mask(mask),), options={"steps": 1})

    def submit(client: Client) -> str:
        spec = JobSpec(id=uuid.uuid4().hex, engine="vires", clip=clip, edit=edit)
        _, missing = client.open_job(spec)
        pixels = {digest(one): one for one in (*frames, mask)}
        client.upload(spec.id, [pixels[one] for one in missing]) if missing else None
        client.seal_job(spec.id)
        return spec.id

    with serving(tmp_path / "jobs", "--weights", str(weights)) as server, Client(server.address) as client:
        killed = submit(client)
        next(event for event in client.watch(killed) if event.kind is EventKind.WINDOW_DONE)
        (worker,) = workers_of(server)
        os.kill(worker, signal.SIGKILL)
        quiet = submit(client)
        events = list(client.watch(killed))
        kinds = [event.kind for event in events]
        assert kinds.count(EventKind.LOST) == 1 and kinds[-1] is EventKind.FINISHED, events[-1]
        assert [event.window for event in events if event.kind is EventKind.WINDOW_DONE] == [0, 1]
        assert list(client.watch(quiet))[-1].kind is EventKind.FINISHED
        takes = [np.stack(list(client.fetch(job))) for job in (killed, quiet)]
        assert takes[0][40:].any() and np.array_equal(takes[0], takes[1])
