"""What a node prints: whole lines, and one whenever it has been silent for long."""

from __future__ import annotations

import json
import time

import pytest
from overpaint_backend.farm import teller
from overpaint_backend.farm.teller import Style, Teller


def test_openjd_gets_its_lines() -> None:
    lines: list[str] = []
    told = Teller(Style.OPENJD, lines.append)
    told.step("painting", 1, 4, (1, 2))
    told.step("painting", 2, 4, (1, 2))  # too soon after the last
    told.window_done(7, "84-99", 2, 2)
    told.fail("device: two\nlines")
    assert lines == [
        "openjd_status: painting: window 2 of 2, step 1 of 4",
        "openjd_progress: 62.5",
        "openjd_status: window 7 is painted, frames 84-99",
        "openjd_progress: 100.0",
        "openjd_fail: device: two lines",
    ]


def test_json_lines_are_json() -> None:
    lines: list[str] = []
    Teller(Style.JSON, lines.append).step("verifying", 3, 9, None)
    assert json.loads(lines[0]) == {"event": "step", "stage": "verifying", "step": 3, "steps": 9}


@pytest.mark.parametrize("style", Style)
def test_silence_is_broken(style: Style, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teller, "BEAT", 0.0)
    lines: list[str] = []
    with Teller(style, lines.append) as told:
        told.begin("reading weights")
        until = time.monotonic() + 30
        while len(lines) < 2:
            assert time.monotonic() < until
            time.sleep(0.05)
    assert "reading weights" in lines[1] and ("still at it" in lines[1] or style is Style.JSON)
