"""Memory: what server, worker and client take at most for clips of several lengths."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Guide, GuideKey, Input, Knot, Stroke, Task
from overpaint.errors import Internal, Unavailable
from overpaint.job import EventKind, JobSpec

from overpaint_backend.memory import give_back

FPS = 24
HD = Size(width=1920, height=1080)
STILL = 12  # frames for which the mask stays where it is
Figures = dict[str, Any]


def bench_memory(seconds: Sequence[int], size: Size, report: Callable[[str], object]) -> Figures:
    """Each length by a server, a worker and a client of their own, over TCP, with the toy engine.

    The peaks are the kernel's (VmHWM), in MiB; `ratio` is the largest of the lengths' peaks to the smallest, for each process.
    """
    if not Path("/proc/self/status").exists():
        what = "the peak of a process is read in /proc, which this system has not"
        raise Unavailable(field="memory", message=what, remedy="Measure on Linux")
    runs: list[Figures] = []
    for one in seconds:
        runs.append(_run(one, size))
        report(json.dumps(runs[-1]))
    peaks = {who: [run["peak_mib"][who] for run in runs] for who in ("server", "worker", "client")}
    return {
        "size": str(size),
        "fps": FPS,
        "runs": runs,
        "ratio": {who: round(max(found) / min(found), 3) for who, found in peaks.items()},
    }


def _run(seconds: int, size: Size) -> Figures:
    with tempfile.TemporaryDirectory(prefix="overpaint-") as name, _serving(Path(name)) as (server, address):
        worker = _worker_of(server.pid)
        command = [sys.executable, "-m", "overpaint_backend.measure.memory", address, str(seconds * FPS)]
        command += [str(size.width), str(size.height)]
        client = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if client.returncode or _worker_of(server.pid) != worker:
            raise Internal(field="memory", message="a process ended before its time", remedy="Look at its words above")
        figures = json.loads(client.stdout)
        peaks = {"server": peak(server.pid), "worker": peak(worker), "client": figures.pop("peak")}
        disk = sum(file.stat().st_size for file in Path(name).rglob("*") if file.is_file())
    return {"seconds": seconds, "peak_mib": peaks, "disk_mib": disk >> 20, **figures}


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "overpaint_backend.cli", "serve", "--listen", "127.0.0.1:0"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--folder", str(folder / "jobs")], stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        if " listens on " not in line:
            raise Internal(field="server", message="it did not start", remedy=(folder / "log").read_text()[-500:])
        yield server, line.split(" listens on ")[1].split(",")[0]
    finally:
        server.terminate()
        server.communicate(timeout=60)


def _worker_of(server: int) -> int:
    """The server's worker process: its child that was spawned to work."""
    for _ in range(200):
        threads = Path(f"/proc/{server}/task").glob("*/children")
        for pid in (pid for thread in threads for pid in thread.read_text().split()):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
        time.sleep(0.05)
    raise Internal(field="worker", message="the server has no worker", remedy="Look at its log")


def peak(pid: int | str) -> int:
    """The most memory that the process ever had resident, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) >> 10


# The client's process


def frame(number: int, still: np.ndarray) -> np.ndarray:
    """Frame `number` of a clip in which a block wanders over `still`; no two are alike."""
    made = still.copy()
    side = max(still.shape[0] // 9, 1)
    left = number * 7 % (still.shape[1] - side)
    made[:side, left : left + side] = (number % 256, number // 256, 128)
    return made


def job(frames: int, size: Size, digests: tuple[str, ...]) -> JobSpec:
    """The clip, under a small mask that moves twice a second."""
    side = size.height // 9

    def square(number: int) -> Stroke:
        left, top = number * 5 % (size.width - side), size.height // 2
        corners = ((left, top), (left + side, top), (left + side, top + side), (left, top + side))
        return Stroke(knots=tuple(Knot(x=x, y=y) for x, y in corners), closed=True)

    keys = tuple(GuideKey(frame=number, strokes=(square(number),)) for number in range(0, frames, STILL))
    return JobSpec(
        id=uuid.uuid4().hex,
        engine="toy",
        clip=Clip(size=size, rate=Rate(numerator=FPS), depth=8, frames=digests),
        edit=Edit(task=Task.REPAINT, prompt="memory", guides=(Guide(kind=Input.MASK, keys=keys, hold=True),)),
    )


def _client(address: str, frames: int, size: Size) -> Figures:
    """Have a clip painted and fetch the take; how long each part took, in seconds, and this process' peak."""
    still = np.empty((size.height, size.width, 3), np.uint8)
    still[..., 0] = np.linspace(0, 255, size.width).astype(np.uint8)
    still[..., 1] = np.linspace(0, 255, size.height).astype(np.uint8)[:, None]
    still[..., 2] = still[..., 0] ^ still[..., 1]
    began = time.monotonic()
    number = {digest(frame(one, still)): one for one in range(frames)}
    spec = job(frames, size, tuple(number))
    with Client(address, patience=60) as client:
        hashed = time.monotonic()
        client.send(spec, lambda name: frame(number[name], still))
        sent = time.monotonic()
        last = None
        for event in client.watch(spec.id):
            last = event
        assert last is not None and last.kind is EventKind.FINISHED, last
        painted = time.monotonic()
        fetched = sum(1 for patch in client.fetch(spec.id) if patch[..., 3].any())
        assert fetched == frames, f"{fetched} frames of {frames} were painted"
    parts = {"hashing": hashed - began, "sending": sent - hashed, "painting": painted - sent}
    parts["fetching"] = time.monotonic() - painted
    took = {name: round(seconds, 1) for name, seconds in parts.items()}
    return {"frames": frames, "took_s": took, "events": last.number, "peak": peak("self")}


if __name__ == "__main__":
    where, count, width, height = sys.argv[1:]
    give_back()  # as `overpaint submit` does
    print(json.dumps(_client(where, int(count), Size(width=int(width), height=int(height)))))
