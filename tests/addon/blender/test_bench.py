"""`overpaint bench ui` times the ticks of the installed add-on in a real Blender."""

from __future__ import annotations

from pathlib import Path

import pytest
from overpaint.errors import Internal
from overpaint_backend.measure.ui import bench_ui

from .running import python_of

pytestmark = pytest.mark.blender


def test_every_tick_of_a_job_is_timed(extension: Path) -> None:
    blender = python_of("5.2")
    if not blender.exists():
        pytest.skip("Blender 5.2 is not there: `make blender` installs it")
    found = bench_ui(blender, extension, frames=3)
    assert found["frames"] == 3 and found["ticks"] > 5
    assert 0 < found["tick_median_ms"] <= found["tick_p99_ms"] <= found["tick_max_ms"]
    assert {"reading the strip", "fetching the take"} <= set(found["seconds"])
    # Three frames are painted between two ticks of a busy Blender.
    assert {"painting", "finished"} & set(found["seconds"])


def test_a_blender_that_fails_says_why(tmp_path: Path) -> None:
    blender = python_of("5.2")
    if not blender.exists():
        pytest.skip("Blender 5.2 is not there: `make blender` installs it")
    with pytest.raises(Internal, match="Blender ended with"):
        bench_ui(blender, tmp_path / "nothing.zip", frames=3)
