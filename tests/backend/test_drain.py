"""A server that goes down: it says so, lets a running window end where it is told to, and costs no job anything."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from overpaint.client import Client
from overpaint.errors import Unavailable
from overpaint.job import EventKind, JobState
from overpaint_backend.jobs.store import Store

from tests.backend.workers.test_crash import job, submit, until, workers_of
from tests.serving import serving

STEP = 0.7  # seconds; a window of the toy has 4 of them


@contextmanager
def still(pid: int) -> Generator[None, None, None]:
    """The process does nothing for the length of a `with` block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_drain_lets_the_running_window_end_and_takes_nothing_new(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "jobs", "--drain", "60", "--web", "127.0.0.1:0") as server,
        Client(server.address) as client,
    ):
        running, waiting, late = job(STEP), job(0.0), job(0.0)
        submit(client, running)
        submit(client, waiting)
        client.open_job(late)
        until(client.watch(running.id), EventKind.PROGRESS)
        (worker,) = workers_of(server)
        with still(worker):  # so that its window lasts for as long as something is asked here
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(Unavailable, match="going down"):
                list(client.watch(waiting.id))  # nothing happens to it any more
            for refused in (lambda: client.open_job(job(0.0)), lambda: client.seal_job(late.id)):
                with pytest.raises(Unavailable, match="it takes no new jobs"):
                    refused()
            with pytest.raises(urllib.error.HTTPError) as unwell:
                urllib.request.urlopen(server.web + "health", timeout=30)
            with unwell.value:
                assert unwell.value.code == 503 and b"going down" in unwell.value.read()
        seen = []
        with pytest.raises(Unavailable, match="going down"):
            for event in client.watch(running.id):
                seen.append(event.kind)
        done = seen.count(EventKind.WINDOW_DONE)
        assert 1 <= done < 3 and seen[-1] is EventKind.LOST
        assert server.process.wait(timeout=60) == 0
    with serving(tmp_path / "jobs") as server, Client(server.address) as client:
        again = [event for event in client.watch(running.id, len(seen))]
        assert again[-1].kind is EventKind.FINISHED
        assert [event.window for event in again if event.kind is EventKind.WINDOW_DONE] == [
            *range(done, 3)
        ]  # none again
        assert list(client.watch(waiting.id))[-1].kind is EventKind.FINISHED


def test_a_job_in_its_last_window_is_finished_before_the_server_ends(tmp_path: Path) -> None:
    with serving(tmp_path / "jobs", "--drain", "60") as server, Client(server.address) as client:
        spec = job(STEP / 4)
        submit(client, spec)
        done = (event for event in client.watch(spec.id) if event.kind is EventKind.WINDOW_DONE)
        assert [next(done).window for _ in range(2)] == [0, 1]
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=60) == 0
    with serving(tmp_path / "jobs") as server, Client(server.address) as client:
        assert client.jobs()[0].state is JobState.FINISHED
        assert [event.kind for event in client.watch(spec.id)].count(EventKind.STARTED) == 1


def test_a_second_signal_stops_at_once_and_so_does_the_limit(tmp_path: Path) -> None:
    for turn, limit in enumerate(("600", "0.5")):
        with serving(tmp_path / f"{turn}", "--drain", limit) as server, Client(server.address) as client:
            spec = job(5.0, steps=60)  # five minutes a window
            submit(client, spec)
            until(client.watch(spec.id), EventKind.PROGRESS)
            server.process.send_signal(signal.SIGTERM)
            if limit == "600":
                time.sleep(1.0)
                assert server.process.poll() is None  # it waits for the window
                server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=60) == 0


def test_a_stop_of_the_server_is_no_fault_of_a_job(tmp_path: Path) -> None:
    """After three of them it once had failed, as if it had killed its workers."""
    spec = job(0.4)
    with serving(tmp_path / "jobs") as server, Client(server.address) as client:
        submit(client, spec)
        until(client.watch(spec.id), EventKind.PROGRESS)
        server.process.terminate()
        assert server.process.wait(timeout=60) == 0
    lost = Store(tmp_path / "jobs" / "jobs.sqlite").events(spec.id)[-1]
    assert lost.kind is EventKind.LOST and lost.field == "server"  # which is not counted against it
