"""Health says what is wrong, and is good again when it is mended: real locks, real workers, a real disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from overpaint_backend.health import Health
from overpaint_backend.jobs.store import Store

from tests.backend.workers.test_crash import workers_of
from tests.serving import serving

stub: Any = health_pb2_grpc.HealthStub  # the generated stubs have no types


def test_it_is_well_where_nothing_is_wrong(tmp_path: Path) -> None:
    assert Health(Store(tmp_path / "jobs.sqlite"), tmp_path, lambda: 1).reasons() == ()


def test_a_full_disk_and_no_worker_are_said(tmp_path: Path) -> None:
    health = Health(Store(tmp_path / "jobs.sqlite"), tmp_path, lambda: 0, margin=1 << 60)
    workers, disk = health.reasons()
    assert workers == "no worker lives" and disk.startswith("the disk is full: ") and str(tmp_path) not in disk


def test_a_store_that_cannot_be_written_is_said_and_so_is_its_recovery(tmp_path: Path) -> None:
    health = Health(Store(tmp_path / "jobs.sqlite"), tmp_path, lambda: 1)
    holder = sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert health.reasons() == ("the store of jobs cannot be written (database is locked)",)
    holder.execute("ROLLBACK")
    holder.close()
    assert health.reasons() == ()


def test_a_drain_is_the_first_thing_said(tmp_path: Path) -> None:
    health = Health(Store(tmp_path / "jobs.sqlite"), tmp_path, lambda: 0)
    health.drain()
    (words,) = health.reasons()  # that workers end is then as it should be
    assert "going down" in words


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the processes to kill through /proc")
def test_a_server_whose_workers_die_young_is_not_well(tmp_path: Path) -> None:
    with serving(tmp_path / "jobs", "--web", "127.0.0.1:0") as server, grpc.insecure_channel(server.address) as channel:

        def standing() -> tuple[int, int]:
            try:
                with urllib.request.urlopen(server.web + "health", timeout=30) as answer:
                    over_http = answer.status
            except urllib.error.HTTPError as error:
                with error:
                    over_http = error.code
            return over_http, stub(channel).Check(health_pb2.HealthCheckRequest()).status

        serves = health_pb2.HealthCheckResponse
        assert standing() == (200, serves.SERVING)
        stop = time.monotonic() + 60
        while standing() != (503, serves.NOT_SERVING):
            assert time.monotonic() < stop, "nobody noticed"
            for worker in workers_of(server):  # its successors too: on a busy machine the first may have grown old
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            time.sleep(0.1)
        stop = time.monotonic() + 120
        while standing() != (200, serves.SERVING):  # its successor is old enough to be believed
            assert time.monotonic() < stop, "it did not recover"
            time.sleep(0.5)
