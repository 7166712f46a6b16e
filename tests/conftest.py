"""What holds for all tests: those with torch are read only when they are asked for, and compute on one thread."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Importing torch and diffusers takes seconds, which the pure tests need not pay."""
    wanted = config.option.markexpr.replace("not torch", "")
    skipped = bool(wanted) and "torch" not in wanted and collection_path.suffix == ".py"
    return True if skipped and "pytest.mark.torch" in collection_path.read_text() else None


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Small tensors gain nothing from a second thread, and wait for it whenever the machine is busy."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
