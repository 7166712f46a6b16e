"""Whoever watches holds a thread of the server; those who upload and fetch always find one."""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
from overpaint import client as clients
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Task
from overpaint.job import EventKind, JobSpec
from overpaint_backend import server, service
from overpaint_backend.settings import load_settings


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a server, in this process, with threads for three calls and seats for two watchers."""
    monkeypatch.setattr(server, "THREADS", 3)
    monkeypatch.setattr(service, "WATCHERS", 2)
    monkeypatch.setattr(service, "TURN", 0.2)
    monkeypatch.setattr(clients, "WATCH_AGAIN", 0.05)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return str(tmp_path / "jobs")


def job(shade: int) -> tuple[JobSpec, np.ndarray]:
    frame = np.full((16, 16, 3), shade, np.uint8)
    clip = Clip(size=Size(width=16, height=16), rate=Rate(numerator=24), depth=8, frames=(digest(frame),))
    return JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=Edit(task=Task.GENERATE)), frame


def test_more_watchers_than_threads_keep_nobody_from_uploading_and_miss_nothing(small: str) -> None:
    settings = load_settings(flags={"folder": Path(small), "listen": "127.0.0.1:0"})
    with server.serving(settings) as running, Client(running.address) as client:
        spec, frame = job(1)
        client.open_job(spec)
        seen: list[list[EventKind]] = [[] for _ in range(6)]

        def watch(number: int) -> None:
            with Client(running.address) as mine:
                for event in mine.watch(spec.id):
                    seen[number].append(event.kind)

        threads = [threading.Thread(target=watch, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        stop = time.monotonic() + 60
        while sum(map(bool, seen)) < 6:  # each has had a seat, though nothing ends: they take turns
            assert time.monotonic() < stop, "a watcher never had a seat"
            time.sleep(0.02)
        other, picture = job(2)
        client.open_job(other)
        client.upload(other.id, [picture])
        client.seal_job(other.id)
        client.upload(spec.id, [frame])
        client.seal_job(spec.id)
        for thread in threads:
            thread.join(timeout=60)
        kinds = [event.kind for event in client.watch(spec.id)]
        assert seen == [kinds] * 6 and kinds[-1] is EventKind.FINISHED


def test_a_watcher_who_went_away_holds_no_thread(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "TURN", 600.0)  # nobody has to give up his seat
    monkeypatch.setattr(clients, "BEAT", 0)  # no sign of life meets a closed line, as with clients of old
    settings = load_settings(flags={"folder": Path(small), "listen": "127.0.0.1:0"})
    with server.serving(settings) as running:
        spec, _ = job(1)
        with Client(running.address) as client:
            client.open_job(spec)
        for _ in range(8):  # nothing happens to the job, so no event would tell the server that nobody listens
            with Client(running.address) as client:
                assert next(client.watch(spec.id)).kind is EventKind.OPENED
