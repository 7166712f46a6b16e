from __future__ import annotations

from pathlib import Path

import pytest
from overpaint.clip import Size
from overpaint_backend.measure.memory import bench_memory, frame, peak

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="the peak of a process is read in /proc")


def test_each_length_is_painted_by_processes_of_its_own() -> None:
    said: list[str] = []
    figures = bench_memory([1, 2], Size(width=64, height=36), said.append)
    assert [run["frames"] for run in figures["runs"]] == [24, 48] and len(said) == 2
    for run in figures["runs"]:
        assert run["peak_mib"].keys() == {"server", "worker", "client"} and min(run["peak_mib"].values()) > 10
        assert run["took_s"].keys() == {"hashing", "sending", "painting", "fetching"}
    assert figures["ratio"].keys() == {"server", "worker", "client"} and min(figures["ratio"].values()) >= 1


def test_the_peak_is_what_was_once_needed_and_no_two_frames_are_alike() -> None:
    before = peak("self")
    held = bytearray(b"x") * (64 << 20)
    del held
    assert peak("self") >= before
    import numpy as np

    still = np.zeros((36, 64, 3), np.uint8)
    assert len({frame(number, still).tobytes() for number in range(3000)}) == 3000
