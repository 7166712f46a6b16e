"""What holds for all tests: no clock and no proxy decides; those with torch are read only when they are asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Hypothesis without a clock: a busy machine is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# Servers of tests are on this machine, where a proxy of the environment would not find them.
for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost")))


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
