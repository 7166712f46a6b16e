"""`overpaint bench scale`: how much more several workers paint than one, with an engine whose windows cost a fixed time.

The engine is `toy-alone`, told to wait: it needs no device, so what is measured is what the executors cost. Each run
has real worker processes (and real nodes of a Ray cluster on this machine), and is timed from the moment that the jobs
are queued until the last take is kept: reading, planning, keeping windows and compositing count. Workers are up before.
- local: a worker process for each of N; several jobs.
- ray: N nodes with one actor each; the same jobs.
- ray_one_job: the same nodes; one job with as many windows as those jobs have together.
Efficiency is the throughput of N over N times that of the first N. Every take is compared with one painted by one
local worker without waiting.
"""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import Edit, Guide, GuideKey, Input, Knot, Stroke, Task
from overpaint.errors import Internal, Missing, Unavailable
from overpaint.job import EventKind, JobSpec, JobState

from overpaint_backend.cluster import read_cluster
from overpaint_backend.engines.toy.alone import card
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.server import lives
from overpaint_backend.settings import load_settings
from overpaint_backend.workers.local import LocalWorkers, work

SIZE = Size(width=96, height=64)
STEPS = 4  # of a window
LOOK = 0.02  # seconds between two looks whether all is done
PATIENCE = 120.0  # seconds that workers may take to be up
OBJECTS = 96 << 20  # bytes of each node's object store


def bench_scale(executor: str, workers: Sequence[int], jobs: int, windows: int, seconds: float) -> dict[str, Any]:
    """Paint `jobs` jobs of `windows` windows, each of which takes `seconds`, with each number of `workers`.

    `executor` is local, ray or both. Raises Missing where Ray is asked for and not installed.
    """
    bench = _Bench(windows=windows, seconds=seconds)
    several, one = [windows] * jobs, [windows * jobs]
    ways: dict[str, Any] = {}
    if executor in ("local", "both"):
        ways["local"] = {count: bench.run(several, partial(_local, count)) for count in workers}
    if executor in ("ray", "both"):
        ways["ray"] = {count: bench.run(several, partial(_ray, count)) for count in workers}
        ways["ray_one_job"] = {count: bench.run(one, partial(_ray, count)) for count in workers}
    figures = {name: _figures(took, jobs * windows) for name, took in ways.items()}
    told = {"engine": card.name, "jobs": jobs, "windows": windows, "seconds_per_window": seconds}
    return {
        **told,
        "cores": os.cpu_count(),
        "frame": f"{SIZE.width}x{SIZE.height}",
        **figures,
        "same_bytes": bench.same,
    }


def _figures(took: Mapping[int, float], windows: int) -> dict[str, Any]:
    first = min(took)
    return {
        str(count): {
            "seconds": round(seconds, 2),
            "windows_per_second": round(windows / seconds, 3),
            "efficiency": round(took[first] * first / (seconds * count), 3),
        }
        for count, seconds in took.items()
    }


class _Bench:
    """Runs jobs and compares their takes with what one worker paints; `same` says whether all were."""

    def __init__(self, windows: int, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[tuple[int, ...], list[tuple[str, ...]]] = {}
        self.same = True

    def run(self, lengths: Sequence[int], staff: Callable[[Store, Path], Any]) -> float:
        """Seconds that jobs of so many windows take."""
        if tuple(lengths) not in self._known:
            self._known[tuple(lengths)] = self._painted(lengths, partial(_local, 1), 0.0)[1]
        took, takes = self._painted(lengths, staff, self._seconds)
        self.same = self.same and takes == self._known[tuple(lengths)]
        return took

    def _painted(
        self, lengths: Sequence[int], staff: Callable[[Store, Path], Any], seconds: float
    ) -> tuple[float, list[tuple[str, ...]]]:
        with tempfile.TemporaryDirectory(prefix="overpaint-") as name:
            folder = Path(name)
            store, spool = Store(folder / "jobs.sqlite"), Spool(folder / "spool")
            specs = [_spec(spool, length, seconds, str(number)) for number, length in enumerate(lengths)]
            with staff(store, folder):
                for spec in specs:
                    store.open(spec)
                began = time.perf_counter()
                for spec in specs:
                    store.record(spec.id, EventKind.SEALED)
                _wait(store, specs)
                took = time.perf_counter() - began
            return took, [store.take(spec.id) for spec in specs]


def _spec(spool: Spool, windows: int, seconds: float, prompt: str) -> JobSpec:
    """A job of so many windows; another `prompt` gives other pixels, so that no job finds another's windows."""
    made = np.random.default_rng(windows).integers(0, 256, (windows * card.max_frames, SIZE.height, SIZE.width, 3))
    frames = tuple(spool.put(frame) for frame in made.astype(np.uint8))
    clip = Clip(size=SIZE, rate=Rate(numerator=24), depth=8, frames=frames)
    corners = ((20, 10), (70, 10), (70, 50), (20, 50))
    stroke = Stroke(knots=tuple(Knot(x=x, y=y) for x, y in corners), closed=True)
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(stroke,)),), hold=True)
    options = {"steps": STEPS, "delay": seconds / STEPS}
    edit = Edit(task=Task.REPAINT, prompt=prompt, guides=(mask,), options=options)
    return JobSpec(id=uuid.uuid4().hex, engine=card.name, clip=clip, edit=edit)


def _wait(store: Store, specs: Sequence[JobSpec]) -> None:
    for spec in specs:
        while not (state := store.state(spec.id)).ended:
            time.sleep(LOOK)
        if state is not JobState.FINISHED:
            last = store.events(spec.id)[-1]
            raise Internal(field="bench", message=f"a job is {state}: {last.message}", remedy=last.remedy)


@contextmanager
def _local(count: int, store: Store, folder: Path) -> Generator[None, None, None]:
    """So many worker processes of this machine's processor."""
    each = {
        f"cpu {number}": partial(work, folder, folder / "weights", "cpu", log_format="text") for number in range(count)
    }
    with _working(LocalWorkers(store, each)):
        # They are up when so many jobs run at the same time.
        spool = Spool(folder / "spool")
        until = time.monotonic() + PATIENCE
        while True:
            warm = [_spec(spool, 1, 1.0, uuid.uuid4().hex) for _ in range(count)]
            for spec in warm:
                store.open(spec)
                store.record(spec.id, EventKind.SEALED)
            together = 0
            while not all(store.state(spec.id).ended for spec in warm):
                together = max(together, sum(store.state(spec.id) is JobState.RUNNING for spec in warm))
                time.sleep(LOOK)
            if together == count:
                break
            _check_patience(until)
        yield


@contextmanager
def _ray(count: int, store: Store, folder: Path) -> Generator[None, None, None]:
    """A cluster of so many nodes, each in processes of its own, with one actor each."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is reported to anyone
    try:
        from ray.cluster_utils import Cluster
    except ModuleNotFoundError:
        what = "Ray is not installed"
        raise Missing(field="executor", message=what, remedy="Say pip install 'overpaint[ray]'") from None
    small: dict[str, Any] = {"object_store_memory": OBJECTS}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
    try:
        for _ in range(count):
            cluster.add_node(num_cpus=1, **small)
        with _working(
            LocalWorkers(store, lives(load_settings(flags={"folder": folder, "executor": f"ray:{cluster.address}"})))
        ):
            until = time.monotonic() + PATIENCE
            while len(read_cluster(folder).devices) < count:
                time.sleep(LOOK)
                _check_patience(until)
            yield
    finally:
        cluster.shutdown()


def _check_patience(until: float) -> None:
    if time.monotonic() > until:
        raise Unavailable(field="bench", message=f"the workers were not up after {PATIENCE:g} s")


@contextmanager
def _working(workers: LocalWorkers) -> Generator[None, None, None]:
    workers.start()
    try:
        yield
    finally:
        workers.stop()
