from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from overpaint.codec import digest
from overpaint.errors import Corrupt, Missing
from overpaint_backend.jobs.spool import Spool

FRAME = np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8)


@pytest.mark.parametrize(
    "frame", [FRAME, FRAME.astype(np.uint16) * 257, FRAME[..., 0], np.dstack([FRAME, FRAME[..., :1]])]
)
def test_frames_come_back_as_they_were(spool: Spool, frame: np.ndarray) -> None:
    name = spool.put(frame)
    assert name == digest(frame) and spool.missing([name, "0" * 64]) == ("0" * 64,)
    again = spool.get(name)
    assert again.dtype == frame.dtype and np.array_equal(again, frame)
    spool.drop(name)
    with pytest.raises(Missing):
        spool.get(name)


def files(spool_folder: Path) -> list[Path]:
    return [path for path in spool_folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("harm", ["truncate", "flip", "swap", "empty"])
def test_a_damaged_frame_is_never_taken_for_pixels(spool: Spool, tmp_path: Path, harm: str) -> None:
    name = spool.put(FRAME)
    (path,) = files(tmp_path)
    body = path.read_bytes()
    if harm == "swap":
        other = spool.put(FRAME[::-1])
        path.write_bytes(next(one for one in files(tmp_path) if one.name == other).read_bytes())
    else:
        flipped = bytes([*body[:-9], body[-9] ^ 4, *body[-8:]])
        path.write_bytes({"truncate": body[:-5], "flip": flipped, "empty": b""}[harm])
    with pytest.raises(Corrupt, match="damaged"):
        spool.get(name)
    assert spool.missing([name]) == (name,)  # so that it is asked for again


def test_windows_keep_sixteen_bits_and_their_carry_exactly(spool: Spool) -> None:
    frames = np.random.default_rng(2).random((3, 4, 5, 3), np.float32)
    carry = {"tint": np.array([0.1, -0.2], np.float32), "steps": np.arange(4)}
    assert not spool.has_window("a" * 64)
    spool.keep_window("a" * 64, frames, carry)
    again, kept = spool.window("a" * 64)
    assert np.abs(again - frames).max() <= 0.5 / 65535 + 1e-7
    assert kept is not None and all(np.array_equal(kept[name], carry[name]) for name in carry)
    spool.keep_window("b" * 64, again, None)
    assert np.array_equal(spool.window("b" * 64)[0], again)  # rounding twice changes nothing
    spool.drop_window("a" * 64)
    assert not spool.has_window("a" * 64)


def test_a_damaged_window_is_painted_again(spool: Spool, tmp_path: Path) -> None:
    spool.keep_window("a" * 64, np.zeros((1, 2, 2, 3), np.float32), None)
    (path,) = files(tmp_path)
    os.truncate(path, 40)
    with pytest.raises(Corrupt):
        spool.window("a" * 64)
    assert not spool.has_window("a" * 64)
