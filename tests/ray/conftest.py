"""A Ray cluster of several nodes on this machine, and a server that paints on it."""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

# Ray's processes are forked here, beside open streams. gRPC's own handlers of a fork end about one in thirty of them,
# before it has begun; and a process that is to become another one needs them for nothing.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from overpaint.client import Client

ROOT = Path(__file__).parents[2]
ROOMS = os.pathsep.join(str(ROOT / room) for room in ("shared", "backend"))
STORE = 96 << 20  # bytes of each node's object store


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.ray)
            item.add_marker(pytest.mark.filterwarnings("ignore"))  # Ray's own
            if importlib.util.find_spec("ray") is None:
                item.add_marker(pytest.mark.skip(reason="Ray is not installed: make test-ray"))


class Nodes:
    """The cluster. Its head computes nothing; nodes come and go as a test says."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
        head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False, "_system_config": quick}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address = str(self._cluster.address)
        self._nodes: list[Any] = []

    def add(self, **environment: str) -> None:
        """One more node with one CPU, whose processes have this environment."""
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            self._nodes.append(self._cluster.add_node(num_cpus=1, object_store_memory=STORE))
        finally:
            os.environ.clear()
            os.environ.update(before)

    def kill(self) -> None:
        """The oldest node is gone as with a power cut: no warning, no clean-up."""
        self._cluster.remove_node(self._nodes.pop(0), allow_graceful=False)

    def only(self, count: int) -> None:
        """Exactly so many nodes, none of them with an environment of its own."""
        while self._nodes:
            self.kill()
        for _ in range(count):
            self.add()

    def close(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Generator[Nodes, None, None]:
    """RAY_* are read when Ray is imported and when a node starts."""
    patch = pytest.MonkeyPatch()
    for name, value in {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": ROOMS, "RAY_DEDUP_LOGS": "0"}.items():
        patch.setenv(name, value)
    made = Nodes()
    logging.getLogger("ray").setLevel(logging.ERROR)
    yield made
    made.close()
    patch.undo()


@pytest.fixture
def until() -> Callable[[Callable[[], bool], str], None]:
    def wait(true: Callable[[], bool], words: str, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"it did not come: {words}"
            time.sleep(0.1)

    return wait


def names(client: Client) -> tuple[str, ...]:
    return tuple(device.name for device in client.server().devices)


def patched(folder: Path, code: str) -> Mapping[str, str]:
    """The environment of a node whose Python does `code` before all else."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": os.pathsep.join((str(folder), ROOMS))}
