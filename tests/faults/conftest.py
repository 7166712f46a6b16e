"""The table at the end of a run of faults."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.ledger import LEDGER, Ledger


@pytest.fixture
def ledger() -> Ledger:
    return LEDGER


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if LEDGER.rows:
        terminalreporter.section("faults")
        for line in LEDGER.lines():
            terminalreporter.write_line(line)
