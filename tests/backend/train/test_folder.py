"""A data set on disk: what is read is what was written, whatever happened to the writer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from overpaint.errors import Conflict, Corrupt, Invalid, Missing
from overpaint_backend.train.folder import Drawn, Folder, write
from overpaint_backend.train.instances import Instances, Sample

SOURCE = Instances(size=32, frames=3, seed=4)
MADE_BY = {"instances": 4}
WRITER = """
import sys, time
from pathlib import Path
from overpaint_backend.train.folder import write
from overpaint_backend.train.instances import Instances
source = Instances(size=32, frames=3, seed=4)
def slow(index):
    time.sleep(0.02)
    return source.clip(index)
write(Path(sys.argv[1]), slow, 100000, {"instances": 4})
"""


def same(one: Sample, other: Sample) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(Sample))


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = write(tmp_path / "set", SOURCE.clip, 4, MADE_BY)
    found = Folder(tmp_path / "set")
    assert len(written) == len(found) == 4 and found.made_by == MADE_BY
    assert all(same(found.clip(index), SOURCE.clip(index)) for index in (2, 0, 3, 1))
    assert [sample.caption for sample in found] == [SOURCE.clip(index).caption for index in range(4)]
    with pytest.raises(IndexError):
        found.clip(4)


def test_a_killed_writer_leaves_a_set_that_can_be_read_and_continued(tmp_path: Path) -> None:
    path = tmp_path / "set"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    try:
        until = time.monotonic() + 120
        while not (path / "manifest.jsonl").exists() or (path / "manifest.jsonl").read_bytes().count(b"\n") < 3:
            assert time.monotonic() < until and writer.poll() is None
            time.sleep(0.01)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    left = len(Folder(path))
    assert left >= 3 and all(same(sample, SOURCE.clip(index)) for index, sample in enumerate(Folder(path)))
    before = {file: file.stat().st_mtime_ns for file in sorted((path / "clips").glob("*.npz"))[:left]}
    asked: list[int] = []

    def clip(index: int) -> Sample:
        asked.append(index)
        return SOURCE.clip(index)

    write(path, clip, left + 3, MADE_BY)
    assert asked == [left, left + 1, left + 2]
    assert all(file.stat().st_mtime_ns == when for file, when in before.items())
    assert all(same(sample, SOURCE.clip(index)) for index, sample in enumerate(Folder(path)))


def test_half_a_line_is_no_clip(tmp_path: Path) -> None:
    path = tmp_path / "set"
    write(path, SOURCE.clip, 2, MADE_BY)
    whole = (path / "manifest.jsonl").read_bytes()
    (path / "manifest.jsonl").write_bytes(whole[:-7])
    assert len(Folder(path)) == 1
    write(path, SOURCE.clip, 2, MADE_BY)
    assert (path / "manifest.jsonl").read_bytes() == whole


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    path = tmp_path / "set"
    with pytest.raises(Missing, match="no data set"):
        Folder(path)
    write(path, SOURCE.clip, 1, MADE_BY)
    with pytest.raises(Conflict, match="made by"):
        write(path, SOURCE.clip, 1, {"instances": 5})
    (path / "clips" / "000000.npz").write_bytes(b"something else")
    with pytest.raises(Corrupt, match="not what was written"):
        Folder(path).clip(0)
    (path / "set.json").write_text(json.dumps({"layout": 99, "made_by": MADE_BY}))
    with pytest.raises(Corrupt, match="layout 99"):
        Folder(path)


def test_clips_are_drawn_without_end_and_the_same_for_the_same_number(tmp_path: Path) -> None:
    found = write(tmp_path / "set", SOURCE.clip, 3, MADE_BY)
    drawn = Drawn(found, 32, seed=0)
    assert same(drawn(1_000_000, 2), drawn(1_000_000, 2))
    clips = [drawn(number, 1) for number in range(40)]
    firsts = {clip.frames.tobytes() for clip in clips}
    assert len(firsts) == 9 and {clip.caption for clip in clips} == set(found.captions)  # 3 clips of 3 frames
    assert all(clip.frames.shape == (1, 32, 32, 3) and len(clip.tracks) == 1 for clip in clips)
    for frames, size in ((4, 32), (3, 64)):
        with pytest.raises(Invalid, match=f"no clip of {frames} frames of {size}x{size} pixels"):
            Drawn(found, size, seed=0)(0, frames)
