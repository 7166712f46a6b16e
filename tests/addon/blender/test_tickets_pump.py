"""Tickets outlive the session, and the pump drives steps where no timer ticks."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.blender


def test_tickets_survive_saving_and_loading(blender, tmp_path):
    found = blender("remembering.saved_and_loaded", folder=tmp_path)
    assert [name for name, holds in found.items() if not holds] == []
    assert len(found) == 7


def test_tickets_survive_undo(blender):
    found = blender("remembering.undone")
    assert [name for name, holds in found.items() if not holds] == []
    assert len(found) == 4


def test_the_pump_goes_on_where_there_is_work_and_rests_where_there_is_none(blender):
    assert blender("remembering.pumped") == {
        "each in order": [["a0", "a1", "a closed"], ["b0", "b1", "b2", "b closed"]],
        "values": [20, "b"],
        "rests": True,
        "doing": ["waiting", None],
        "cancelled before it began": [None, []],
        "cancelled": [None, "d closed"],
        "closed": [None, "e closed"],
        "drained": ["f", None],
    }


def test_errors_are_held_and_interrupts_go_through(blender):
    assert blender("remembering.failing") == {
        "held": ["words", None],
        "error": ["ValueError", None],
        "interrupt": ["KeyboardInterrupt", None],
        "asleep": [True, "w closed", None],
        "closed": ["ValueError", "NoneType", "ValueError", "KeyboardInterrupt"],
    }
