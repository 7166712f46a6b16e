"""A store and a spool of a test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "jobs.sqlite")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")
