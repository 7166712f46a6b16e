"""Every exit code, provoked; and the page that lists them."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from overpaint.errors import Missing
from overpaint_backend import cli, registry
from overpaint_backend.cli.exits import EXITS, exit_code
from overpaint_backend.server import lives
from overpaint_backend.settings import load_settings

from tests.farm import node
from tests.serving import guard, serving

LENGTH = 20
Pack = Callable[..., Path]
ENGINES = {
    "toy": "overpaint_backend.engines.toy",
    "odd": "tests.farm.engines.odd",
    "weighted": "tests.farm.engines.weighted",
}


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node.clip(tmp_path_factory.mktemp("footage") / "clip", LENGTH)


@pytest.fixture(autouse=True)
def _engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "_packages", lambda: ENGINES)
    monkeypatch.setenv("OVERPAINT_FOLDER", str(tmp_path / "home"))


@pytest.fixture
def pack(footage: Path, tmp_path: Path) -> Pack:
    def pack(engine: str = "toy", *words: object) -> Path:
        assert overpaint("pack", *node.request(footage, engine, *words), "--out", tmp_path / "job") == 0
        return tmp_path / "job"

    return pack


def overpaint(*words: object) -> int:
    return cli.main([str(word) for word in words])


def weights(folder: Path, body: bytes) -> Path:
    (folder / "weighted").mkdir(parents=True)
    (folder / "weighted" / "model.safetensors").write_bytes(body)
    return folder


def test_0_all_is_well(pack: Pack) -> None:
    assert overpaint("run", pack()) == 0


def test_1_a_fault_of_ours(pack: Pack, footage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert overpaint("run", pack("odd", "--option", "fault=bug")) == 1
    assert "engine: the engine failed: ZeroDivisionError: a fault of ours" in capsys.readouterr().err
    request = node.request(footage, "odd", "--option", "fault=bug")
    assert overpaint("paint", *request, "--out", tmp_path / "take") == 1


def test_2_wrong_usage() -> None:
    for words in (("run",), ("run", "job", "--windows", "5-3"), ("run", "job", "--windows", "1", "--task", "1")):
        with pytest.raises(SystemExit) as ended:
            overpaint(*words)
        assert ended.value.code == 2


def test_10_not_legal(pack: Pack) -> None:
    job = pack()
    assert overpaint("plan", job, "--chunk", 0) == overpaint("run", job, "--task", 99) == 10


def test_11_not_there(pack: Pack, tmp_path: Path) -> None:
    assert overpaint("run", tmp_path / "nowhere") == 11
    job = pack()
    assert overpaint("assemble", job) == 11
    pixels = next(path for path in (job / "pixels").rglob("*") if path.is_file())
    pixels.unlink()
    assert overpaint("run", job) == 11


def test_11_a_package_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert overpaint("weights", "fetch", "VIRES") == 11
    monkeypatch.setitem(sys.modules, "overpaint_backend.train.run", None)
    assert overpaint("train", "--out", tmp_path / "run") == 11
    monkeypatch.setattr("overpaint_backend.server.find_spec", lambda name: None)
    with pytest.raises(Missing) as refused:
        lives(load_settings(flags={"executor": "ray"}))
    assert exit_code(refused.value) == 11


def test_12_a_wrong_checksum(pack: Pack) -> None:
    job = pack()
    for pixels in (path for path in (job / "pixels").rglob("*") if path.is_file()):
        pixels.write_bytes(pixels.read_bytes()[:-1])
    assert overpaint("run", job) == 12
    (job / "job.json").write_text((job / "job.json").read_text() + " ")
    assert overpaint("plan", job) == 12


def test_20_no_weights(pack: Pack, footage: Path, tmp_path: Path) -> None:
    root = weights(tmp_path / "weights", b"some")
    job = pack("weighted", "--weights", root)
    assert overpaint("run", job, "--weights", tmp_path / "none") == 20
    request = (*node.request(footage, "weighted"), "--weights", tmp_path / "none")
    assert overpaint("paint", *request, "--out", tmp_path / "take") == 20
    assert overpaint("pack", *request, "--out", tmp_path / "other") == 20


def test_21_other_weights(pack: Pack, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = pack("weighted", "--weights", weights(tmp_path / "weights", b"some"))
    others = weights(tmp_path / "others", b"other")
    assert overpaint("run", job, "--weights", others) == 21
    assert "was packed for the weights" in capsys.readouterr().err
    assert overpaint("run", job, "--weights", tmp_path / "weights") == 0


def test_21_windows_of_two_painters_are_not_put_together(pack: Pack) -> None:
    job = pack()
    assert overpaint("run", job, "--task", 0) == overpaint("run", job, "--task", 1) == 0
    note = json.loads((job / "out" / "windows" / "00001.json").read_text())
    (job / "out" / "windows" / "00001.json").write_text(json.dumps(note | {"by": "another card"}))
    assert overpaint("assemble", job) == 21
    (job / "out" / "windows" / "00000.json").write_text(json.dumps(note | {"window": 0, "by": "another card"}))
    assert overpaint("run", job, "--task", 1) == 21  # and no node waits for ever for what it cannot begin with


def test_30_no_such_device(pack: Pack, footage: Path, tmp_path: Path) -> None:
    assert overpaint("run", pack(), "--device", "cuda:77") == 30
    request = node.request(footage)
    assert overpaint("paint", *request, "--device", "cuda:77", "--out", tmp_path / "take") == 30


def test_33_out_of_memory_for_a_task_and_smaller_windows_for_a_whole_job(
    pack: Pack, footage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = pack("odd", "--option", "fault=memory")
    assert overpaint("run", job, "--task", 0) == 33
    assert overpaint("run", job) == 0
    assert "out of memory: again, in windows of 8 frames" in capsys.readouterr().out
    assert overpaint("plan", job, "--json") == 0
    assert [one["frames"] for one in json.loads(capsys.readouterr().out)["windows"]][:2] == ["0-7", "4-11"]
    request = node.request(footage, "odd", "--option", "fault=memory")
    assert overpaint("paint", *request, "--out", tmp_path / "near") == 0
    assert node.files(job / "out" / "take") == node.files(tmp_path / "near")


def test_33_where_no_window_is_small_enough(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Pack
) -> None:
    def starve(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("overpaint_backend.engines.toy.engine._paint_frame", starve)
    assert overpaint("run", pack()) == overpaint("paint", *node.request(footage), "--out", tmp_path / "take") == 33


@pytest.mark.parametrize("verb", ["assemble", "verify"])
def test_33_where_the_memory_does_not_hold_a_take(
    pack: Pack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    def starve(*_: object) -> None:
        raise MemoryError

    job = pack()
    assert overpaint("run", job) == 0
    (job / "out" / "take" / "take.mkv").unlink() if verb == "assemble" else None
    monkeypatch.setattr("overpaint_backend.workers.run.Reader.source", starve)
    assert overpaint(verb, job, "--progress", "openjd") == 33
    said = capsys.readouterr()
    assert "openjd_fail: MemoryError" in said.out and "the memory does not hold it" in said.err


def test_34_the_device_failed(pack: Pack, footage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert overpaint("run", pack("odd", "--option", "fault=device"), "--progress", "openjd") == 34
    assert "openjd_fail: device: the device failed" in capsys.readouterr().out
    request = node.request(footage, "odd", "--option", "fault=device")
    assert overpaint("paint", *request, "--out", tmp_path / "take") == 34
    assert not (tmp_path / "take").exists()


def test_40_cancelled(pack: Pack, tmp_path: Path) -> None:
    process = node.begin("run", pack("toy", "--option", "delay=0.5"), env=node.environment(tmp_path / "node"))
    node.until(process, "painting")
    process.terminate()
    assert process.communicate(timeout=60) and process.returncode == 40


def test_50_a_disk_that_is_full_or_not_ours(
    pack: Pack, footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pack()
    (tmp_path / "file").write_text("no folder")
    assert overpaint("run", job, "--out", tmp_path / "file" / "out") == 50
    assert overpaint("paint", *node.request(footage), "--out", tmp_path / "file" / "take") == 50

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert overpaint("run", job) == 50
    assert overpaint("paint", *node.request(footage), "--out", tmp_path / "take") == 50


@pytest.mark.parametrize("verb", ["run", "assemble", "verify"])
def test_what_is_wrong_before_anything_begins_is_told_as_everything_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    assert overpaint(verb, tmp_path / "nowhere", "--progress", "json") == 11
    assert json.loads(capsys.readouterr().out)["error"]["field"] == "job"
    assert overpaint(verb, tmp_path / "nowhere", "--progress", "openjd") == 11
    assert "openjd_fail: job: " in capsys.readouterr().out


def test_75_what_may_be_there_later(pack: Pack, footage: Path, tmp_path: Path) -> None:
    assert overpaint("run", pack(), "--task", 1) == 75
    request = node.request(footage)
    assert overpaint("submit", *request, "--server", "127.0.0.1:9", "--out", tmp_path / "take") == 75


def test_77_no_token(footage: Path, tmp_path: Path) -> None:
    guard(tmp_path / "jobs")
    with serving(tmp_path / "jobs") as server:
        request = node.request(footage)
        assert overpaint("submit", *request, "--server", server.address, "--out", tmp_path / "take") == 77


def test_what_a_servers_worker_fails_with_keeps_its_code(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in node.environment(tmp_path / "node").items():
        monkeypatch.setenv(name, value)
    with serving(tmp_path / "jobs") as server:
        request = node.request(footage, "odd", "--option", "fault=starved")
        assert overpaint("submit", *request, "--server", server.address, "--out", tmp_path / "take") == 33


def test_the_page_lists_every_code() -> None:
    page = (node.ROOT / "docs" / "farm.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert listed == {one.code for one in EXITS} | {0, 2, 130}
    provoked = {int(name.split("_")[1]) for name in globals() if re.match(r"test_\d", name)}
    assert provoked == listed - {130}
