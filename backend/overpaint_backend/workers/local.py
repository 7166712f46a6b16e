"""One supervised worker process for each device of this machine."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path

from overpaint.errors import Cancelled, Conflict, Exhausted, OverpaintError
from overpaint.job import EventKind, JobSpec

from overpaint_backend import registry
from overpaint_backend.engine import Engine
from overpaint_backend.jobs.room import full, has_room, insist, is_full
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.workers.run import run_job

LEASE = 20.0  # seconds; a worker that does not renew for so long has stopped
PAUSE = 0.05  # seconds between two looks into the queue
GRACE = 20.0  # seconds that a step may go on for after its job was cancelled, paused or taken away; then the device is freed by force
log = logging.getLogger(__name__)


def work(folder: Path, weights: Path, device: str, name: str) -> None:
    """The life of a worker process: claim a job, run it, again, until the server that started it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to answer
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    store, spool = Store(folder / "jobs.sqlite"), Spool(folder / "spool")
    server = multiprocessing.parent_process()
    held = _Held(store, name)
    threading.Thread(target=held.watch, daemon=True).start()
    engine: Engine | None = None
    build = partial(registry.build, device=device, weights=weights)
    while server is None or server.is_alive():
        spec = _claim(store, name, engine) if has_room(folder, 2) else None
        if spec is None:
            time.sleep(PAUSE)
            continue
        held.job = spec.id
        engine = paint_claimed(spec, engine, build, store, spool, name)
        held.job = ""


def _claim(store: Store, name: str, engine: Engine | None) -> JobSpec | None:
    try:
        return store.claim(name, LEASE, resident=engine.card.name if engine else "")
    except Exhausted:
        return None  # the disk was filled just now


class _Held:
    """What a worker holds, seen by a thread of its own: it renews the lease, and ends a process that does not let go.

    An engine looks whether it is to go on between two steps only. A step that hangs would keep the device for ever.
    """

    def __init__(self, store: Store, worker: str) -> None:
        self.job = ""
        self._store, self._worker = store, worker

    def watch(self) -> None:
        server = multiprocessing.parent_process()
        renewed, unwanted = 0.0, time.monotonic()
        while server is None or server.is_alive():
            now, job = time.monotonic(), self.job
            if now - renewed > LEASE / 4:
                with suppress(Exhausted):  # on a full disk no lease is renewed, and none is taken away
                    self._store.renew(self._worker, LEASE)
                renewed = now
            if not job or self._store.wants(job, self._worker):
                unwanted = now
            elif now - unwanted > GRACE:
                log.error("the job %s was taken back %.0f seconds ago, and its step does not end", job, GRACE)
                os._exit(1)
            time.sleep(1.0)


def paint_claimed(
    spec: JobSpec, engine: Engine | None, build: Callable[[str], Engine], store: Store, spool: Spool, worker: str
) -> Engine | None:
    """Run a job that `worker` has claimed and record how it ended; returns the engine, ready for the next job.

    `engine` is the one of the job before; `build` makes another by its name. Raises DeviceFault where the process
    can compute no more: the job is then back in the queue, as it is when the disk is full.
    """

    def record(kind: EventKind, **words: str) -> None:
        with suppress(Conflict):  # it went to another worker that speaks for it now
            insist(lambda: store.record(spec.id, kind, worker=worker, **words), lambda: time.sleep(PAUSE))

    try:
        if engine is None or engine.card.name != spec.engine:
            engine = None  # let go of the old one's memory before the new one is built
            engine = build(spec.engine)
        run_job(spec, engine, store, spool, worker)
    except Cancelled:
        record(EventKind.CANCELLED)
    except Conflict as error:
        log.warning("job %s: %s", spec.id, error)  # it was paused, or went to another worker that speaks for it now
    except (OverpaintError, OSError) as error:
        words = _words(error)
        record(EventKind.LOST if is_full(error) else EventKind.FAILED, **words)
    except Exception as error:
        log.error("job %s failed\n%s", spec.id, traceback.format_exc())
        if _broke_the_device(error):
            store.lose(spec.id, worker, str(error).partition("\n")[0])
            raise DeviceFault(str(error)) from error
        words = {
            "field": "engine",
            "message": f"the engine {spec.engine} failed: {type(error).__name__}: {error}",
            "remedy": "The server's log has the details",
        }
        record(EventKind.FAILED, **words)
        engine = None
    return engine


def _words(error: OverpaintError | OSError) -> dict[str, str]:
    if is_full(error):
        error = full()  # the job has lost nothing: it waits in the queue until there is room
    if isinstance(error, OverpaintError):
        return {"field": error.field, "message": error.message, "remedy": error.remedy}
    return {
        "field": "disk",
        "message": f"the server could not read or write ({error.strerror or error})",
        "remedy": "Look at the rights of the server's folder",
    }


class DeviceFault(Exception):
    """The device stopped computing for this process; only a new process can go on."""


def _broke_the_device(error: Exception) -> bool:
    """What torch and CUDA raise when a kernel failed: from then on, every call of the process fails. Torch is not imported here."""
    return type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)


class LocalWorkers:
    """Starts a worker for each device, and another whenever one ends."""

    def __init__(self, folder: Path, weights: Path, devices: tuple[str, ...], store: Store) -> None:
        self._folder, self._weights, self._store = folder, weights, store
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._supervise, args=(one,), daemon=True) for one in devices]
        self._processes: dict[str, SpawnProcess] = {}

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all workers; what they were painting goes back to the queue and loses no finished window."""
        self._stopping.set()
        for end in (SpawnProcess.terminate, SpawnProcess.kill):  # a process that has just begun may miss the first
            for process in list(self._processes.values()):
                end(process)
            for thread in self._threads:
                thread.join(timeout=3)

    def _supervise(self, device: str) -> None:
        context = multiprocessing.get_context("spawn")
        while not self._stopping.is_set():
            name = f"{device}/{uuid.uuid4().hex[:8]}"
            process = context.Process(
                target=work, args=(self._folder, self._weights, device, name), name=name, daemon=True
            )
            process.start()
            self._processes[device] = process
            if self._stopping.is_set():
                process.terminate()
            self._await_end(process, name)
            lost = self._take_back(name, f"its worker ended with {_ending(process.exitcode)}")
            if not self._stopping.is_set():
                log.error(
                    "worker %s ended with %s; jobs taken back: %s", name, process.exitcode, ", ".join(lost) or "none"
                )
                self._stopping.wait(1.0)  # a worker that dies at once must not spin

    def _take_back(self, name: str, why: str) -> tuple[str, ...]:
        lost: list[str] = []
        insist(lambda: lost.extend(self._store.release(name, why)), lambda: self._stopping.wait(1.0))
        return tuple(lost)

    def _await_end(self, process: SpawnProcess, name: str) -> None:
        """Until the process has ended; one that lives and yet renews no lease is killed."""
        late = 0
        while process.exitcode is None:
            process.join(LEASE / 4)
            late = late + 1 if self._store.lapsed(name) and has_room(self._folder) else 0
            if late > 1:  # not at the first look: the machine may have slept, and its worker is about to renew
                log.error("worker %s lives, and does not renew its lease", name)
                process.kill()


def _ending(code: int | None) -> str:
    """The exit code in words: signals by their names."""
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
