"""The sealed folder: whole or not at all, the same wherever it lies, and damage is told from pixels."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

import numpy as np
import pytest
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Task
from overpaint.errors import Corrupt, Invalid, Missing
from overpaint.job import JobSpec
from overpaint.sealed import Sealing, read_sealed, seal, write_whole

from tests.fakes import clip_frames, held_mask

FRAMES = [*clip_frames(3), np.full((24, 32, 3), 9, np.uint8)]
MASK = np.full((24, 32), 255, np.uint8)
PIXELS = {digest(one): one for one in (*FRAMES, MASK)}


def job(depth: int = 8) -> JobSpec:
    frames = tuple(map(digest, FRAMES))
    clip = Clip(size=Size(width=32, height=24), rate=Rate(numerator=24000, denominator=1001), depth=8, frames=frames)
    edit = Edit(task=Task.REPAINT, prompt="ein Mäntelchen", seed=2**40, guides=(held_mask(MASK),))
    return JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=edit)


def test_what_was_sealed_is_read(tmp_path: Path) -> None:
    spec, folder = job(), tmp_path / "Ünï cödé" / "job"
    seal(folder, spec, PIXELS.__getitem__)
    found = read_sealed(folder)
    assert found.spec == spec and found.weights == "" and found.check() == len(PIXELS) + 1
    for name, pixels in PIXELS.items():
        assert np.array_equal(found.frame(name), pixels)
    assert [path.name for path in folder.parent.iterdir()] == ["job"]  # nothing half-made is left


def test_no_path_of_the_machine_is_in_it_and_it_may_be_moved(tmp_path: Path) -> None:
    spec, folder = job(), tmp_path / "here" / "job"
    seal(folder, spec, PIXELS.__getitem__)
    for name in ("job.json", "checksums.txt"):
        assert str(tmp_path) not in (folder / name).read_text() and "\\" not in (folder / name).read_text()
    before = read_sealed(folder)
    shutil.move(folder, tmp_path / "there")
    after = read_sealed(tmp_path / "there")
    assert (after.spec, after.digest, after.check()) == (spec, before.digest, len(PIXELS) + 1)
    assert np.array_equal(after.frame(spec.clip.frames[0]), FRAMES[0])


def test_the_request_is_the_one_that_travels_to_a_server(tmp_path: Path) -> None:
    plain = json.loads((seal(tmp_path / "job", job(), PIXELS.__getitem__) / "job.json").read_text())
    assert (plain["format"], plain["version"], plain["colour"]) == ("overpaint job", 1, "sRGB")
    assert plain["request"]["clip"]["rate"] == {"numerator": 24000, "denominator": 1001}
    assert plain["request"]["edit"]["seed"] == str(2**40) and plain["request"]["edit"]["prompt"] == "ein Mäntelchen"


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(Invalid, match="not empty"):
        seal(tmp_path, job(), PIXELS.__getitem__)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_a_folder_without_a_name_of_its_own_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Invalid, match=r"is no new folder"):
        seal(Path(name), job(), PIXELS.__getitem__)


def test_what_fails_halfway_leaves_nothing(tmp_path: Path) -> None:
    spec = job()
    with pytest.raises(Corrupt, match="other pixels"):
        seal(tmp_path / "job", spec, lambda name: FRAMES[0])
    with Sealing(tmp_path / "job") as sealing, pytest.raises(Missing, match="were not kept"):
        sealing.put(FRAMES[0])
        sealing.finish(spec)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_could_not_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "note.json", b"{}")
    assert list(tmp_path.iterdir()) == []


def test_damage_is_told(tmp_path: Path) -> None:
    spec = job()
    folder = seal(tmp_path / "job", spec, PIXELS.__getitem__)
    name = spec.clip.frames[1]
    path = folder / "pixels" / name[:2] / name
    body = path.read_bytes()
    path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    found = read_sealed(folder)
    with pytest.raises(Corrupt, match=name[:12]):
        found.frame(name)
    with pytest.raises(Corrupt, match="not what it was"):
        found.check()
    assert path.exists()  # what is sealed is never removed
    path.unlink()
    for read in (found.check, lambda: found.frame(name)):
        with pytest.raises(Missing, match="is not in the folder"):
            read()


def test_another_request_or_another_version_is_refused(tmp_path: Path) -> None:
    folder = seal(tmp_path / "job", job(), PIXELS.__getitem__)
    text = (folder / "job.json").read_text()
    (folder / "job.json").write_text(text.replace("Mäntelchen", "Hut"))
    with pytest.raises(Corrupt, match=r"job\.json"):
        read_sealed(folder)
    from hashlib import sha256

    newer = text.replace('"version": 1', '"version": 2').encode()
    (folder / "job.json").write_bytes(newer)
    sums = (folder / "checksums.txt").read_text().replace(sha256(text.encode()).hexdigest(), sha256(newer).hexdigest())
    (folder / "checksums.txt").write_text(sums)
    with pytest.raises(Invalid, match="version 2") as refused:
        read_sealed(folder)
    assert "update" in refused.value.remedy
    with pytest.raises(Missing, match=r"holds no job\.json"):
        read_sealed(tmp_path)
