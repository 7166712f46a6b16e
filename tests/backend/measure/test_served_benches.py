"""The benchmarks that go through a server, in small: what they count is counted by nobody else here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from overpaint_backend.measure.incremental import bench_incremental
from overpaint_backend.measure.load import bench_load, jain


def test_only_the_windows_that_a_change_reaches_are_painted_again() -> None:
    found = bench_incremental(windows=3)
    assert (found["windows"], found["frames"]) == (3, 16 + 2 * 12)
    for name in ("sketch", "keyframe"):
        one = found[name]
        assert one["windows"] == 3 and one["equal_bytes"]
        # The toy carries a tint that the seed decides, so no change of a sketch goes further than its own windows.
        sees = sum(start <= one["frame"] < start + 16 for start in (0, 12, 24))
        assert one["windows_painted"] == one["windows_reachable"] == sees > 0
        assert one["seconds"] > 0 and one["seconds_fresh"] > 0


def test_clients_at_once_lose_nothing_and_get_nothing_wrong() -> None:
    found = bench_load(clients=3, jobs=7)
    assert (found["done"], found["lost"], found["wrong"], found["trouble"]) == (7, 0, 0, [])
    assert 0 < found["fairness"] <= 1 and found["jobs_per_second"] > 0
    if Path("/proc/self/status").exists():
        assert found["peak_bytes"] > 10 << 20 and found["peak_bytes_one_client"] > 10 << 20


def test_jains_index_tells_who_waits_for_whom() -> None:
    assert jain([2.0, 2.0, 2.0]) == pytest.approx(1)
    assert jain([1.0, 0.0, 0.0, 0.0]) == pytest.approx(1 / 4)


def test_too_few_clients_or_windows_are_said_in_words() -> None:
    for words in (
        ["load", "--clients", "0"],
        ["load", "--clients", "4", "--jobs", "3"],
        ["incremental", "--windows", "1"],
    ):
        command = [sys.executable, "-m", "overpaint_backend.cli", "bench", *words, "--json"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 10 and "too few" in json.loads(ran.stdout)["error"]["message"]
