"""Ray's own autoscaler, with nodes that are processes of this machine: they come for the jobs that wait, and go."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

import pytest
from overpaint.client import Client
from overpaint.job import EventKind

from tests.ray.conftest import ROOMS, STORE, names, patched
from tests.ray.test_ray import job, kinds, painted, submit
from tests.serving import serving

IDLE = "import overpaint_backend.workers.ray as one; one.IDLE = 3.0"
HEAD = "fffffffffffffffffffffffffffffffffffffffffffffffffff00000"  # as Ray's fake provider calls it
FAKED = {"use_node_id_as_ip": True, "disable_node_updaters": True, "disable_launch_config_check": True}


def configuration(address: str) -> dict[str, object]:
    one = {"resources": {"CPU": 1, "object_store_memory": STORE}, "node_config": {}, "min_workers": 1, "max_workers": 3}
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    mappings, lists = ("auth", "docker", "file_mounts"), ("cluster_synced_files", "initialization_commands")
    commands = ("setup_commands", "head_setup_commands", "worker_setup_commands", "worker_start_ray_commands")
    return {
        **{name: {} for name in mappings},  # these are not optional
        **{name: [] for name in (*lists, *commands, "head_start_ray_commands")},
        "file_mounts_sync_continuously": False,
        "cluster_name": "of-a-test",
        "provider": {"type": "fake_multinode", "head_node_id": HEAD, "gcs_address": address, **FAKED},
        "available_node_types": {"ray.head.default": head, "one": one},
        "head_node_type": "ray.head.default",
        "max_workers": 3,
        "upscaling_speed": 10,
        "idle_timeout_minutes": 0.1,
    }


@pytest.fixture
def autoscaled(tmp_path: Path) -> Generator[str, None, None]:
    """The address of a cluster that has one node, and may have three.

    Not Ray's AutoscalingCluster: it ends every Ray of the machine, whoever started it.
    """
    import psutil

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    (tmp_path / "cluster.json").write_text(json.dumps(configuration(address)))
    words = ["start", "--head", "--block", "--disable-usage-stats", "--include-dashboard=false", "--num-cpus=0"]
    words += [f"--port={port}", f"--object-store-memory={STORE}"]
    words += [f"--autoscaling-config={tmp_path / 'cluster.json'}", f"--temp-dir={tmp_path.parent / 'ray'}"]
    quick = {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1", "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD}
    with (tmp_path / "head.log").open("w") as log:
        command = [str(Path(sys.executable).with_name("ray")), *words]
        head = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | quick | {"PYTHONPATH": ROOMS})
    try:
        yield address
    finally:
        ours = psutil.Process(head.pid)
        for one in (*ours.children(recursive=True), ours):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        head.wait()


def test_nodes_come_for_the_jobs_that_wait_and_go_when_there_are_none(
    autoscaled: str, tmp_path: Path, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", patched(tmp_path / "idle", IDLE)["PYTHONPATH"])
    with (
        serving(tmp_path / "jobs", "--executor", f"ray:{autoscaled}") as server,
        Client(server.address) as client,
    ):
        until(lambda: len(names(client)) == 1, "the first node")
        specs = [job("toy", delay=1.0, prompt=prompt) for prompt in ("first", "second")]
        for one in specs:
            submit(client, one)
        until(lambda: len(names(client)) == 2, "a node for the second job")
        begun = [next(event for event in client.watch(one.id) if event.kind is EventKind.STARTED) for one in specs]
        ended = [list(client.watch(one.id))[-1] for one in specs]
        assert all(one.kind is EventKind.FINISHED for one in ended)
        assert max(one.at for one in begun) < min(one.at for one in ended)  # so the node that came painted
        until(lambda: len(names(client)) == 1, "nodes are gone that nobody needs", 120)
        last = job(prompt="after that", delay=2.0)  # windows for all the nodes that may be
        submit(client, last)
        until(lambda: len(names(client)) == 3, "nodes for the windows of one job")
        events = list(client.watch(last.id))
        assert kinds(events)[-1] is EventKind.FINISHED and painted(events) == list(range(8))
