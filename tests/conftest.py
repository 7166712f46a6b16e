"""What holds for all tests: no clock of hypothesis' own, no proxy to this machine; those with torch are read only when they are asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure. `given` looks at the profile when it decorates, so it is loaded before any test is read.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Where a proxy leads out of here, gRPC and urllib would ask it the way to our own servers as well.
_direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
os.environ["no_proxy"] = ",".join(filter(None, (_direct, "127.0.0.1,localhost")))


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
