"""Law 4: kill anything, it resumes, and the take is identical to the uninterrupted one. Real processes, kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Task
from overpaint.errors import Unavailable
from overpaint.job import EventKind, JobEvent, JobSpec

from tests.fakes import clip_frames, held_mask
from tests.serving import Serving, serving

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="finds the processes to kill through /proc")
FRAMES = clip_frames(40)
MASK = np.zeros((24, 32), np.uint8)
MASK[6:15, 10:20] = 255


def job(delay: float, steps: int = 4) -> JobSpec:
    clip = Clip(size=Size(width=32, height=24), rate=Rate(numerator=24), depth=8, frames=tuple(map(digest, FRAMES)))
    edit = Edit(task=Task.REPAINT, prompt="law 4", guides=(held_mask(MASK),), options={"delay": delay, "steps": steps})
    return JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=edit)


def submit(client: Client, spec: JobSpec) -> None:
    pixels = {digest(one): one for one in (*FRAMES, MASK)}
    _, missing = client.open_job(spec)
    client.upload(spec.id, [pixels[one] for one in missing]) if missing else None
    client.seal_job(spec.id)


def take(client: Client, spec: JobSpec) -> np.ndarray:
    return np.stack(list(client.fetch(spec.id)))


def until(events: Iterable[JobEvent], kind: EventKind) -> JobEvent:
    return next(event for event in events if event.kind is kind)


def workers_of(server: Serving) -> list[int]:
    """The server's worker processes: its children that were spawned to work."""
    threads = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    children = [pid.decode() for thread in threads for pid in read(thread).split()]
    return [int(pid) for pid in children if b"spawn_main" in read(Path(f"/proc/{pid}/cmdline"))]


def read(file: Path) -> bytes:
    """What /proc says; nothing of a thread or process that has just ended."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def lives(pid: int) -> bool:
    """Whether the process runs. One whose parent is gone may stay in /proc, ended, where nobody asks how it ended."""
    state = read(Path(f"/proc/{pid}/stat")).rpartition(b") ")[2][:1]
    return state not in (b"", b"Z", b"X")


def test_law_4_a_killed_worker_costs_no_window(tmp_path: Path) -> None:
    with serving(tmp_path / "jobs") as server, Client(server.address) as client:
        quiet, killed = job(0.0), job(0.5)
        submit(client, quiet)
        assert list(client.watch(quiet.id))[-1].kind is EventKind.FINISHED
        submit(client, killed)
        first = until(client.watch(killed.id), EventKind.WINDOW_DONE)
        (worker,) = workers_of(server)
        os.kill(worker, signal.SIGKILL)
        events = list(client.watch(killed.id))
        kinds = [event.kind for event in events]
        assert kinds.count(EventKind.LOST) == 1 and kinds[-1] is EventKind.FINISHED
        done = [event.window for event in events if event.kind is EventKind.WINDOW_DONE]
        assert done == sorted(set(done)) and first.window == 0  # none was painted twice
        assert np.array_equal(take(client, quiet), take(client, killed))


def test_law_4_a_killed_server_takes_its_jobs_up_again(tmp_path: Path) -> None:
    spec, quiet = job(0.5), job(0.0)
    with serving(tmp_path / "jobs") as server, Client(server.address) as client:
        submit(client, quiet)
        list(client.watch(quiet.id))
        submit(client, spec)
        seen = until(client.watch(spec.id), EventKind.WINDOW_DONE)
        orphans = workers_of(server)
        server.kill()
    with serving(tmp_path / "jobs") as server, Client(server.address) as client:
        events = list(client.watch(spec.id, seen.number))
        assert [event.number for event in events] == list(range(seen.number + 1, seen.number + 1 + len(events)))
        assert events[-1].kind is EventKind.FINISHED
        assert seen.window not in [event.window for event in events if event.kind is EventKind.WINDOW_DONE]
        assert np.array_equal(take(client, quiet), take(client, spec))
    stop = time.monotonic() + 60
    while any(map(lives, orphans)):
        assert time.monotonic() < stop, "the killed server's worker lives on"
        time.sleep(0.1)


def test_a_stopped_server_is_said_in_words_and_a_second_one_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path / "jobs") as server:
        words = [sys.executable, "-m", "overpaint_backend.cli", "serve", "--listen", "127.0.0.1:0"]
        again = subprocess.run([*words, "--folder", str(tmp_path / "jobs")], capture_output=True, text=True)
        assert again.returncode != 0 and "another server works in" in again.stderr
        client = Client(server.address)
        assert client.server().devices
    try:
        client.server()
    except Unavailable as error:
        assert server.address in error.message and "overpaint serve" in error.remedy
    else:
        raise AssertionError("a server that is gone answered")
