"""The verbs of a node, in this process: the take is what `paint` makes, and what is finished is not made again."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import overpaint
import pytest
from overpaint_backend import cli

from tests.farm import node
from tests.pictures import read_picture

LENGTH = 40
Run = Callable[..., tuple[int, list[dict[str, object]]]]


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node.clip(tmp_path_factory.mktemp("footage") / "clip", LENGTH)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: object) -> tuple[int, list[dict[str, object]]]:
        code = cli.main([str(word) for word in words])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]

    return run


@pytest.fixture
def pack(footage: Path, tmp_path: Path, run: Run) -> Callable[..., Path]:
    def pack(engine: str = "toy", *words: object, name: str = "job") -> Path:
        assert run("pack", *node.request(footage, engine, *words), "--out", tmp_path / name)[0] == 0
        return tmp_path / name

    return pack


@pytest.mark.parametrize("engine", ["toy", "toy-alone"])
def test_a_whole_run_gives_the_take_of_paint(
    footage: Path, tmp_path: Path, run: Run, pack: Callable[..., Path], engine: str
) -> None:
    assert run("paint", *node.request(footage, engine), "--out", tmp_path / "near")[0] == 0
    job = pack(engine)
    code, lines = run("run", job, "--progress", "json")
    assert code == 0 and lines[-1]["event"] == "done" and lines[-1]["frames"] == LENGTH
    assert node.files(job / "out" / "take") == node.files(tmp_path / "near")
    assert [line["share"] for line in lines if "share" in line] == sorted(
        line["share"]
        for line in lines
        if "share" in line  # type: ignore[type-var]
    )
    stamps = {path: path.stat().st_ino for path in (job / "out").rglob("*") if path.is_file()}
    code, lines = run("run", job, "--progress", "json")
    assert code == 0 and lines[-1]["painted"] == 0
    assert stamps == {path: path.stat().st_ino for path in (job / "out").rglob("*") if path.is_file()}


def test_a_chain_is_planned_as_one_and_what_fans_out_is_not(run: Run, pack: Callable[..., Path]) -> None:
    chain = run("plan", pack("toy"), "--json")[1][0]
    fan = run("plan", pack("toy-alone", name="fan"), "--chunk", 2, "--json")[1][0]
    assert chain["chained"] is True and fan["chained"] is False
    assert chain["windows"] == [
        {"number": 0, "frames": "0-15"},
        {"number": 1, "frames": "12-27"},
        {"number": 2, "frames": "24-39"},
    ]
    assert chain["tasks"] == [
        {"number": 0, "windows": "0-0", "needs": []},
        {"number": 1, "windows": "1-1", "needs": [0]},
        {"number": 2, "windows": "2-2", "needs": [1]},
    ]
    assert fan["tasks"] == [
        {"number": 0, "windows": "0-1", "needs": []},
        {"number": 1, "windows": "2-2", "needs": []},
    ]


def test_tasks_in_any_order_make_the_same_take_where_they_fan_out(
    footage: Path, tmp_path: Path, run: Run, pack: Callable[..., Path]
) -> None:
    job = pack("toy-alone")
    assert run("run", job, "--windows", "2")[0] == 0
    assert run("assemble", job)[0] == 11  # two are not painted yet
    assert run("run", job, "--task", 0, "--chunk", 2)[0] == 0
    assert run("assemble", job)[0] == 0 and run("verify", job)[0] == 0
    assert run("paint", *node.request(footage, "toy-alone"), "--out", tmp_path / "near")[0] == 0
    assert node.files(job / "out" / "take") == node.files(tmp_path / "near")


def test_a_link_of_a_chain_waits_for_the_one_before(run: Run, pack: Callable[..., Path]) -> None:
    job = pack("toy")
    assert run("run", job, "--task", 1)[0] == 75
    for task in range(3):
        assert run("run", job, "--task", task)[0] == 0
    assert run("run", job, "--task", 3)[0] == 10 and run("run", job, "--windows", "1-9")[0] == 10
    code, lines = run("run", job, "--progress", "json")
    assert code == 0 and lines[-1]["painted"] == 0


def test_what_is_damaged_is_painted_again_and_nothing_else(run: Run, pack: Callable[..., Path]) -> None:
    job = pack("toy")
    assert run("run", job)[0] == 0
    whole = node.files(job / "out")
    note = json.loads((job / "out" / "windows" / "00001.json").read_text())
    path = job / "out" / "windows" / note["key"][:2] / f"{note['key']}.npz"
    path.write_bytes(path.read_bytes()[:-7])
    assert run("verify", job)[0] == 12
    (job / "out" / "windows" / "00002.json").write_text('{"half')
    code, lines = run("run", job, "--progress", "json")
    assert code == 0 and lines[-1]["painted"] == 1  # of the other only the note was lost
    assert {name: body for name, body in node.files(job / "out").items() if not name.endswith(".json")} == {
        name: body for name, body in whole.items() if not name.endswith(".json")
    }


LIES = {
    "a window's note without a painter": ("windows/00001.json", {"key": "0" * 64}),
    "a window's note that names another file": ("windows/00001.json", {"key": "/etc/passwd", "by": "x", "bytes": 1}),
    "a window's note that is a list": ("windows/00001.json", None),
    "a plan's note in words": ("plan.json", {"shrunk": "twice"}),
    "a mask's note without boxes": ("mask.json", {"version": overpaint.__version__}),
    "a take's note without files": ("take.json", {"files": {}}),
}


@pytest.mark.parametrize("name", LIES)
def test_a_note_that_lies_is_none(run: Run, pack: Callable[..., Path], name: str) -> None:
    job = pack("toy")
    assert run("run", job)[0] == 0
    whole = node.files(job / "out" / "take")
    where, lie = LIES[name]
    note = json.loads((job / "out" / "take.json").read_text())
    kept = note if where == "take.json" else {"job": note["job"]}
    (job / "out" / where).write_text(json.dumps([] if lie is None else {**kept, **lie}))
    for verb in ("plan", "estimate"):
        assert run(verb, job)[0] == 0
    assert run("verify", job)[0] in (0, 11, 12) and run("assemble", job)[0] in (0, 11)
    assert run("run", job)[0] == run("verify", job)[0] == 0
    assert node.files(job / "out" / "take") == whole


def test_no_file_but_a_window_is_removed_for_a_note(run: Run, pack: Callable[..., Path], tmp_path: Path) -> None:
    job = pack("toy")
    assert run("run", job)[0] == 0
    (tmp_path / "mine.npz").write_text("mine")
    path = job / "out" / "windows" / "00001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"key": str(tmp_path / "mine")}))
    assert run("run", job)[0] == 0
    assert (tmp_path / "mine.npz").read_text() == "mine"


def test_verify_does_not_pass_over_a_file_that_the_take_lacks(run: Run, pack: Callable[..., Path]) -> None:
    job = pack("toy")
    assert run("run", job)[0] == 0
    path = job / "out" / "take.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"files": {}}))
    (job / "out" / "take" / "request.json").unlink()
    assert run("verify", job)[0] == 12
    assert run("assemble", job)[0] == run("verify", job)[0] == 0
    assert (job / "out" / "take" / "request.json").is_file()


def test_what_a_chain_began_with_is_what_is_there(
    run: Run, pack: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine whose windows are not the same the second time, as no engine should be: then all that follows is new."""
    from overpaint_backend.engines.toy.engine import ToyEngine

    job = pack("toy")
    assert run("run", job)[0] == 0
    paint = ToyEngine.paint

    def other(*words: Any) -> Any:
        out = paint(*words)
        return replace(out, frames=1 - out.frames)

    monkeypatch.setattr(ToyEngine, "paint", other)
    note = json.loads((job / "out" / "windows" / "00000.json").read_text())
    (job / "out" / "windows" / note["key"][:2] / f"{note['key']}.npz").unlink()
    assert run("run", job, "--windows", "0")[0] == 0
    code, lines = run("assemble", job, "--progress", "json")
    assert code == 12 and "the window 1 begins with another window 0" in str(lines[-1]["error"])
    assert run("verify", job)[0] == 12
    code, lines = run("run", job, "--progress", "json")
    assert code == 0 and lines[-1]["painted"] == 2
    code, lines = run("run", job, "--progress", "json")
    assert code == 0 and lines[-1]["painted"] == 0
    (job / "out" / "windows" / "00001.json").unlink()  # a gap that is filled with the same bytes costs nothing
    code, lines = run("run", job, "--progress", "json")
    assert code == 0 and lines[-1]["painted"] == 0


def test_what_a_killed_node_left_behind_is_cleared_away(run: Run, pack: Callable[..., Path]) -> None:
    job = pack("toy")
    assert run("run", job, "--windows", "0")[0] == 0
    for age, name in ((0, "fresh"), (7200, "old")):
        part = job / "out" / "windows" / "ab" / f"{name}.npz.part"
        part.parent.mkdir(exist_ok=True)
        part.write_text("half a window")
        os.utime(part, (time.time() - age, time.time() - age))
    assert run("run", job)[0] == 0
    assert [path.name for path in (job / "out").rglob("*.part")] == [
        "fresh.npz.part"
    ]  # another node may still write it


def test_law_1_verify_proves_untouched_pixels_and_fails_for_one_that_is_not(
    run: Run, pack: Callable[..., Path]
) -> None:
    job = pack("toy")
    assert run("run", job)[0] == 0
    assert run("verify", job, "--progress", "json")[1][-1]["untouched_pixels"] > 0  # type: ignore[operator]
    take = job / "out" / "take"
    picture = read_picture(take / "frames" / "00007.png")
    picture[0, 0, 1] ^= 1
    cv2.imwrite(str(take / "frames" / "00007.png"), picture)
    code, lines = run("verify", job, "--progress", "json")
    assert code == 12 and "00007.png is not what was written" in str(lines[-1]["error"])
    # Even where the note was made to fit: the pixel itself is compared with its source.
    from overpaint_backend.weights import digest

    kept = json.loads((job / "out" / "take.json").read_text())
    movie = [take / "take.mkv", take / "frames" / "00007.png"]
    frames = [cv2.imread(str(path)) for path in sorted((take / "frames").iterdir())]
    _write_movie(movie[0], frames)
    for path in movie:
        kept["files"][path.relative_to(take).as_posix()] = digest(path)
    (job / "out" / "take.json").write_text(json.dumps(kept))
    code, lines = run("verify", job, "--progress", "json")
    assert code == 12 and "frame 6 of the take differs from its source in 1 pixels" in str(lines[-1]["error"])


def _write_movie(path: Path, frames: list) -> None:
    from overpaint.clip import Rate, Size
    from overpaint_backend.media import movie_writer

    with movie_writer(path, Size(width=node.WIDTH, height=node.HEIGHT), Rate(numerator=24), 8) as write:
        for frame in frames:
            write(frame[..., ::-1])


def test_a_frame_that_is_missing_or_too_many_is_told(run: Run, pack: Callable[..., Path]) -> None:
    job = pack("toy")
    assert run("run", job)[0] == 0
    frames = job / "out" / "take" / "frames"
    shutil.copyfile(frames / "00001.png", frames / "00041.png")
    assert run("verify", job)[0] == 12
    (frames / "00041.png").unlink()
    (frames / "00003.png").unlink()
    assert run("verify", job)[0] == 11
    assert run("assemble", job)[0] == 0 and run("verify", job)[0] == 0


def test_a_take_of_somebody_else_is_never_replaced(run: Run, pack: Callable[..., Path], tmp_path: Path) -> None:
    job = pack("toy")
    (tmp_path / "mine" / "take").mkdir(parents=True)
    (tmp_path / "mine" / "take" / "precious.txt").write_text("mine")
    assert run("run", job, "--out", tmp_path / "mine")[0] == 10
    assert (tmp_path / "mine" / "take" / "precious.txt").read_text() == "mine"


def test_an_estimate_knows_the_pace_once_a_window_is_painted(run: Run, pack: Callable[..., Path]) -> None:
    job = pack("toy")
    before = run("estimate", job, "--json")[1][0]
    assert (before["frames"], before["windows"], before["seconds"]) == (LENGTH, 3, None)
    assert run("run", job, "--windows", "0")[0] == 0
    after = run("estimate", job, "--json")[1][0]
    assert after["windows"] == 3 and after["seconds"]


def test_paths_of_another_machine_are_mapped(run: Run, pack: Callable[..., Path], tmp_path: Path) -> None:
    pack("toy")
    (tmp_path / "map.json").write_text(json.dumps({"/studio/show": str(tmp_path)}))
    words = ("--path-map", tmp_path / "map.json", "--out", "/studio/show/elsewhere")
    assert run("run", "/studio/show/job", *words)[0] == 0
    assert (tmp_path / "elsewhere" / "take" / "take.mkv").is_file() and not (tmp_path / "job" / "out").exists()


def test_pack_refuses_as_paint_does_and_leaves_nothing(footage: Path, tmp_path: Path, run: Run) -> None:
    for words, code in ((("--option", "steps=0"), 10), (("--mask", tmp_path / "nowhere.png"), 11)):
        assert run("pack", *node.request(footage, "toy", *words), "--out", tmp_path / "job")[0] == code
    assert list(tmp_path.iterdir()) == []
