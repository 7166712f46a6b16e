"""The command line as a person meets it: results, and one clear line for each thing that is wrong."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from overpaint import wire
from overpaint.clip import Rate, Size
from overpaint_backend.cli import _parser
from overpaint_backend.cli.exits import CANCELLED
from overpaint_backend.media import movie_writer, probe, read_frames

from tests.faults.proxy import How, Proxy, Way
from tests.pictures import read_picture
from tests.serving import guard, serving

WIDTH, HEIGHT, LENGTH = 48, 32, 20


def overpaint(*words: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "overpaint_backend.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | (env or {}))


def write(path: Path, frames: list[np.ndarray]) -> Path:
    path.mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(path / f"{number:04}.png"), frame)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    random = np.random.default_rng(3)
    write(folder / "clip", [random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(LENGTH)])
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[8:20, 10:30] = 255
    write(folder / "mask", [mask] * LENGTH)
    write(folder / "short", [mask] * (LENGTH - 1))
    write(folder / "empty", [mask * 0] * LENGTH)
    write(folder / "large", [cv2.resize(mask, (WIDTH * 2, HEIGHT * 2))] * LENGTH)
    write(folder / "wide", [np.zeros((HEIGHT, WIDTH * 2), np.uint8)] * LENGTH)
    cv2.imwrite(str(folder / "one.png"), mask)
    cv2.imwrite(str(folder / "key.png"), np.full((HEIGHT, WIDTH, 3), 200, np.uint8))
    cv2.imwrite(str(folder / "small.png"), np.zeros((4, 4, 3), np.uint8))
    size = Size(width=WIDTH, height=HEIGHT)
    with movie_writer(folder / "movie.mkv", size, Rate(numerator=24), 8) as put:
        for _ in range(LENGTH):
            put(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    (folder / "text.mp4").write_text("this is no movie")
    return folder


def paint(
    files: Path,
    out: Path,
    *words: object,
    mask: str = "mask",
    verb: str = "paint",
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    given = ("--mask", files / mask, "--engine", "toy") if mask else ("--engine", "toy")
    return overpaint(verb, "--clip", files / "clip", "--rate", "24", *given, "--out", out, *words, env=env)


def test_a_reader_that_is_gone_hears_no_complaint() -> None:
    read, write = os.pipe()
    os.close(
        read
    )  # before the verb begins: one that reads a line and goes may find that everything was written at once
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "overpaint_backend.cli", "engines"],
            stdout=write,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(write)
    assert (ran.returncode, ran.stderr) == (CANCELLED.code, b"")  # as the page of exit codes says of every verb


def submit(files: Path, out: Path, env: dict[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    given = ("--clip", files / "clip", "--rate", 24, "--mask", files / "mask", "--engine", "toy", "--out", out)
    return overpaint("submit", *given, *words, env=env)


def test_paint_leaves_frames_movie_and_request(files: Path, tmp_path: Path) -> None:
    ran = paint(files, tmp_path / "out", "--prompt", "a coat", "--rate", "30000/1001")
    assert ran.returncode == 0, ran.stderr
    frames = sorted((tmp_path / "out" / "frames").iterdir())
    assert len(frames) == LENGTH
    mask = read_picture(files / "one.png")
    changed = 0
    for path, source in zip(frames, sorted((files / "clip").iterdir()), strict=True):
        difference = np.abs(read_picture(path).astype(int) - read_picture(source)).max(axis=2)
        assert not difference[mask == 0].any()
        changed += int(difference[mask > 0].any())
    assert changed == LENGTH
    movie = probe(tmp_path / "out" / "take.mkv")
    assert str(movie.rate) == "30000/1001" and str(movie.size) == f"{WIDTH}x{HEIGHT}"
    lossless = [frame[..., ::-1] for frame in read_frames(movie)]
    assert len(lossless) == LENGTH and np.array_equal(lossless[5], read_picture(frames[5]))
    assert wire.request_from_json((tmp_path / "out" / "request.json").read_text()).edit.prompt == "a coat"


def test_the_same_request_gives_the_same_bytes(files: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert paint(files, tmp_path / name, "--seed", "7").returncode == 0
    for file in ("frames/00011.png", "take.mkv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_mask_of_another_size_is_scaled_and_it_is_said(files: Path, tmp_path: Path) -> None:
    ran = paint(files, tmp_path / "out", mask="large")
    assert ran.returncode == 0 and f"scaled from {WIDTH * 2}x{HEIGHT * 2} to the clip's {WIDTH}x{HEIGHT}" in ran.stderr


def test_a_picture_of_one_frame_is_not_scaled_in_silence_either(files: Path, tmp_path: Path) -> None:
    ran = paint(files, tmp_path / "out", "--sketch", f"2={files / 'large' / '0000.png'}")
    said = [line for line in ran.stderr.splitlines() if line.startswith("sketch: scaled from")]
    assert ran.returncode == 0 and said == [
        f"sketch: scaled from {WIDTH * 2}x{HEIGHT * 2} to the clip's {WIDTH}x{HEIGHT}, averaging areas"
    ]


def test_one_picture_is_held_and_it_is_said(files: Path, tmp_path: Path) -> None:
    ran = paint(files, tmp_path / "out", mask="one.png")
    assert ran.returncode == 0 and f"held over all {LENGTH} frames" in ran.stderr


def test_keyframes_and_sparse_sketches_are_given_by_frame(files: Path, tmp_path: Path) -> None:
    ran = paint(files, tmp_path / "out", "--keyframe", f"4={files / 'key.png'}", "--sketch", f"2={files / 'one.png'}")
    assert ran.returncode == 0, ran.stderr
    picture = read_picture(tmp_path / "out" / "frames" / "00005.png")
    assert (picture[9:19, 11:29] == 200).all()


def test_json_lines_can_be_read_by_a_program(files: Path, tmp_path: Path) -> None:
    ran = paint(files, tmp_path / "out", "--json", mask="one.png")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert "note" in lines[0] and lines[-1]["frames"] == LENGTH
    assert [line["kind"] for line in lines if "kind" in line][-1] == "finished"


BAD = {
    "an empty mask": ("empty", [], 10, "mask", "is empty on every frame"),
    "a mask of another length": ("short", [], 10, "mask", f"has {LENGTH - 1} frames and the clip has {LENGTH}"),
    "a mask of another shape": ("wide", [], 10, "mask", "the shapes differ"),
    "no mask": ("", [], 10, "mask", "needs a mask"),
    "a missing mask": ("nowhere", [], 11, "mask", "is not there"),
    "a missing clip": ("mask", ["--clip", "nowhere.mp4"], 11, "clip", "is not there"),
    "a clip that is no movie": ("mask", ["--clip", "{files}/text.mp4"], 10, "clip", "no movie that can be read"),
    "an unknown engine": ("mask", ["--engine", "nobody"], 11, "engine", "there is no engine 'nobody'"),
    "a guide that is not honoured": ("mask", ["--engine", "flow", "--task", "remove", "--depth", "{files}/one.png"], 10, "depth", "does not honour"),
    "a task that it cannot do": ("mask", ["--engine", "flow", "--task", "generate"], 10, "task", "cannot generate"),
    "an unknown option": ("mask", ["--option", "colour=red"], 10, "options.colour", "has no option colour"),
    "an option out of range": ("mask", ["--option", "steps=0"], 10, "options.steps", "0 cannot be taken"),
    "an option that is no number": ("mask", ["--option", "steps=many"], 10, "options.steps", "'many' cannot be taken"),
    "a keyframe of another size": ("mask", ["--keyframe", "0={files}/small.png"], 10, "keyframe", "is 4x4"),
    "a keyframe off the clip": ("mask", ["--keyframe", "99={files}/key.png"], 10, "keyframe", "frame 99"),
    "a keyframe without a frame": ("mask", ["--keyframe", "{files}/key.png"], 10, "keyframe", "has no frame"),
    "a rate that is not the movie's": ("mask", ["--clip", "{files}/movie.mkv", "--rate", "30"], 10, "rate", "24 frames a second, not 30"),
    "a seed out of range": ("mask", ["--seed", "-1"], 10, "seed", "out of range"),
    "a negative feather": ("mask", ["--feather", "-2"], 10, "mask", "feather is -2"),
    "an endless prompt": ("mask", ["--prompt", "x" * 4001], 10, "prompt", "4001 characters"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_clear_line_and_leaves_nothing(files: Path, tmp_path: Path, name: str) -> None:
    mask, words, code, field, said = BAD[name]
    ran = paint(files, tmp_path / "out", *(str(word).replace("{files}", str(files)) for word in words), mask=str(mask))
    assert ran.returncode == code
    (line,) = (line for line in ran.stderr.splitlines() if line.startswith("overpaint: "))
    assert line.startswith(f"overpaint: {field}: ") and str(said) in line
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_is_never_written_to(files: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    ran = paint(files, tmp_path)
    assert ran.returncode == 10 and "out: " in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_here_is_no_new_folder(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = paint(files, Path())
    assert said.returncode == 10 and said.stderr.endswith("out: . is no new folder. Name a new folder\n")


@pytest.mark.parametrize(
    ("words", "code"), [(("--rate", "1/0"), 2), (("--rate", "0"), 2), (("--keyframe", "²=key.png"), 10)]
)
def test_a_number_that_is_none_is_no_fault_of_ours(
    files: Path, tmp_path: Path, words: tuple[str, str], code: int
) -> None:
    said = paint(files, tmp_path / "take", *words)
    assert said.returncode == code and "Traceback" not in said.stderr


def test_an_output_that_lacks_the_letters_of_a_path_is_no_reason_to_fail(files: Path, tmp_path: Path) -> None:
    words = ("--clip", files / "clip", "--mask", files / "one.png", "--rate", "24", "--engine", "toy")
    said = overpaint("paint", *words, "--out", tmp_path / "日本", env={"PYTHONIOENCODING": "ascii"})
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "日本" / "take.mkv").is_file() and "\\u65e5\\u672c" in said.stdout


@pytest.mark.parametrize("verb", ["paint", "pack"])
def test_sigterm_while_frames_are_read_leaves_nothing_behind(tmp_path: Path, verb: str) -> None:
    write(tmp_path / "clip", [np.zeros((8, 8, 3), np.uint8)])
    os.mkfifo(tmp_path / "clip" / "0001.png")  # the second picture never comes
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((8, 8), 255, np.uint8))
    (tmp_path / "tmp").mkdir()
    words = ("--clip", tmp_path / "clip", "--mask", tmp_path / "mask.png", "--rate", "24", "--engine", "toy")
    command = [sys.executable, "-m", "overpaint_backend.cli", verb, *map(str, words), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, env=os.environ | {"TMPDIR": str(tmp_path / "tmp")}) as process:
        until = time.monotonic() + 60
        while not any(path.is_file() for part in ("tmp", "out.part") for path in (tmp_path / part).rglob("*/*/*")):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
        process.terminate()
        assert process.wait(timeout=60) == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip", "mask.png", "tmp"]
    assert not list((tmp_path / "tmp").iterdir())


def test_a_path_that_cannot_be_written_is_said_in_one_line(files: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for ran in (
        paint(files, tmp_path / "file" / "out"),
        overpaint("serve", "--listen", "127.0.0.1:0", "--folder", tmp_path / "file" / "jobs"),
    ):
        assert ran.returncode == 50 and "Traceback" not in ran.stderr
        assert ran.stderr.splitlines()[-1].startswith(f"overpaint: {tmp_path / 'file'}")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("guarded")
    guard(folder / "jobs")
    guard(folder / "jobs", "root", "root", ("paint", "admin"))
    with serving(folder / "jobs") as server:
        yield server.address


def test_without_a_word_the_engine_that_suits_paints(files: Path, tmp_path: Path) -> None:
    clip = ("paint", "--clip", files / "clip", "--rate", "24", "--mask", files / "mask")
    ran = overpaint(*clip, "--task", "remove", "--out", tmp_path / "take")
    assert ran.returncode == 0 and "the engine flow paints" in ran.stderr
    ran = overpaint(*clip, "--task", "generate", "--out", tmp_path / "other")
    assert ran.returncode == 10 and "engine" in ran.stderr and not (tmp_path / "other").exists()


def test_submit_through_a_server_gives_what_paint_gives(files: Path, tmp_path: Path, guarded: str) -> None:
    ran = paint(files, tmp_path / "far", "--server", guarded, verb="submit")
    assert ran.returncode == 77 and "token" in ran.stderr and not (tmp_path / "far").exists()
    env = {"OVERPAINT_TOKEN": "open sesame", "OVERPAINT_SERVER": guarded}
    with Proxy(guarded) as proxy:
        proxy.arm(Way.UP, How.DROP, 30_000)  # in the middle of the frames
        sent = submit(files, tmp_path / "far", env, "--server", proxy.address, "--patience", 30)
    assert sent.returncode == 0 and "trying again" in sent.stderr and "going on" in sent.stderr, sent.stderr
    assert paint(files, tmp_path / "near").returncode == 0
    for near in sorted((tmp_path / "near" / "frames").iterdir()):
        assert near.read_bytes() == (tmp_path / "far" / "frames" / near.name).read_bytes()
    assert "windows painted, 0 reused" in sent.stdout
    job = json.loads(overpaint("jobs", "list", "--json", env=env).stdout.splitlines()[0])
    assert job["state"] == "finished" and job["frames"] == LENGTH
    for act in ("pause", "resume", "front", "retry"):
        refused = overpaint("jobs", act, job["id"], env=env)
        assert refused.returncode and "a job that is finished cannot" in refused.stderr
    again = submit(files, tmp_path / "again", env, "--json")
    done = json.loads(again.stdout.splitlines()[-1])
    assert (done["windows_painted"], done["windows_reused"]) == (0, 2)
    assert overpaint("jobs", "delete", job["id"], env=env).returncode == 0
    assert job["id"] not in overpaint("jobs", "list", env=env).stdout


def test_a_job_is_shown_and_exported_from_its_server(files: Path, tmp_path: Path, guarded: str) -> None:
    env = {"OVERPAINT_TOKEN": "open sesame", "OVERPAINT_SERVER": guarded}
    sent = submit(files, tmp_path / "sent", env, "--json", "--prompt", "a red coat", "--option", "strength=0.5")
    job = json.loads(sent.stdout.splitlines()[-1])["job"]
    shown = overpaint("jobs", "show", job, env=env)
    assert shown.returncode == 0, shown.stderr
    for words in ("finished, of anna", f"{LENGTH} frames of {WIDTH}x{HEIGHT}", "a red coat", "strength=0.5"):
        assert words in shown.stdout, words
    assert "2 painted, 0 reused" in shown.stdout and "window 2 of 2 painted" in shown.stdout
    assert f"{LENGTH * 2 + 1} frames and 2 windows in" in shown.stdout  # clip, take, mask
    whole = json.loads(overpaint("jobs", "show", job, "--json", env=env).stdout)
    assert [event["number"] for event in whole["events"]] == list(range(1, whole["job"]["events"] + 1))
    assert whole["holds"]["bytes"] > 0 and whole["request"]["edit"]["prompt"] == "a red coat"
    out = overpaint("jobs", "export", job, "--out", tmp_path / "out", env=env)
    assert out.returncode == 0, out.stderr
    names = sorted(path.relative_to(tmp_path / "sent") for path in (tmp_path / "sent").rglob("*") if path.is_file())
    assert len(names) == LENGTH + 2
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "sent" / name).read_bytes()
    assert overpaint("jobs", "show", "f" * 32, env=env).returncode == 11


def test_to_prune_takes_an_administrator(files: Path, tmp_path: Path, guarded: str) -> None:
    env = {"OVERPAINT_TOKEN": "open sesame", "OVERPAINT_SERVER": guarded}
    sent = submit(files, tmp_path / "sent", env, "--json", "--prompt", "old")
    job = json.loads(sent.stdout.splitlines()[-1])["job"]
    refused = overpaint("jobs", "prune", env=env)
    assert refused.returncode == 77 and "it takes the scope admin" in refused.stderr
    env["OVERPAINT_TOKEN"] = "root"
    nothing = json.loads(overpaint("jobs", "prune", "--json", env=env).stdout)
    assert nothing["jobs"] == 0
    wrong = overpaint("jobs", "prune", "--older-than", "-1", env=env)
    assert wrong.returncode == 10 and "older_than_days" in wrong.stderr
    would = json.loads(overpaint("jobs", "prune", "--older-than", "0", "--dry-run", "--json", env=env).stdout)
    assert would["jobs"] >= 1 and job in overpaint("jobs", "list", env=env).stdout
    went = json.loads(overpaint("jobs", "prune", "--older-than", "0", "--json", env=env).stdout)
    assert went == would | {"dry_run": False} and went["bytes"] > 0
    assert overpaint("jobs", "list", env=env).stdout == ""


def test_a_wrong_token_is_turned_away(guarded: str) -> None:
    ran = overpaint("jobs", "list", "--server", guarded, env={"OVERPAINT_TOKEN": "guess"})
    assert ran.returncode == 77
    assert ran.stderr == "overpaint: token: the token is missing or wrong. Ask the server's owner for its token\n"


def test_a_server_that_is_not_there_is_said_before_anything_is_read(files: Path, tmp_path: Path) -> None:
    ran = paint(files, tmp_path / "out", "--server", "127.0.0.1:9", verb="submit")
    assert ran.returncode == 75 and "no server answers at 127.0.0.1:9" in ran.stderr and not list(tmp_path.iterdir())


def test_a_server_for_other_machines_needs_a_token_and_tls(tmp_path: Path) -> None:
    ran = overpaint("serve", "--listen", "0.0.0.0:0", "--folder", tmp_path / "jobs")
    assert ran.returncode == 10 and "listen: 0.0.0.0:0 can be reached from other machines" in ran.stderr


def test_every_verb_and_every_argument_has_a_line_of_help() -> None:
    def silent(parser: argparse.ArgumentParser) -> Iterator[str]:
        if not parser.description:
            yield parser.prog
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for one in action.choices.values():
                    yield from silent(one)
            elif not action.help:
                yield f"{parser.prog} {action.option_strings or action.dest}"

    assert list(silent(_parser())) == []


def test_what_serves_nobody_asks_for_no_tls_and_token(tmp_path: Path) -> None:
    """The environment may say how the server listens; the first token is made all the same."""
    env = {"OVERPAINT_LISTEN": "0.0.0.0:8765", "OVERPAINT_FOLDER": str(tmp_path / "jobs")}
    assert overpaint("serve", env=env).returncode == 10
    for words in (("engines",), ("doctor",), ("token", "add", "anna"), ("token", "list")):
        ran = overpaint(*words, env=env)
        assert ran.returncode == 0 and "other machines" not in ran.stderr, words
    assert "anna" in ran.stdout


def test_engines_and_doctor_speak(tmp_path: Path) -> None:
    assert "toy" in overpaint("engines").stdout
    cards = [json.loads(line) for line in overpaint("engines", "--json").stdout.splitlines()]
    assert {"flow", "toy", "vires"} <= {card["name"] for card in cards}
    well = overpaint("doctor", "--folder", tmp_path)
    assert "ok  engine toy" in well.stdout and "ok  ffmpeg" in well.stdout
    assert "ok  engine vires: not set up: " in well.stdout  # no weights in this folder, which is no fault
    ill = overpaint("doctor", "--folder", tmp_path, "--server", "127.0.0.1:9")
    assert ill.returncode == 1 and "BAD server" in ill.stdout and "overpaint serve" in ill.stdout


def test_the_real_clip_with_its_mask(tmp_path: Path) -> None:
    assets = Path(__file__).parents[3] / "shared" / "assets"
    if not (assets / "clothes_input.mp4").exists():
        pytest.skip("the real clip is not here")
    ran = overpaint(
        "paint",
        "--clip",
        assets / "clothes_input.mp4",
        "--mask",
        assets / "clothes_mask.avi",
        "--engine",
        "toy",
        "--out",
        tmp_path / "out",
    )
    assert ran.returncode == 0, ran.stderr
    assert "scaled from 1440x1440 to the clip's 512x512" in ran.stderr and "the clip 25" in ran.stderr
    assert len(list((tmp_path / "out" / "frames").iterdir())) == 51
