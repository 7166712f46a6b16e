"""One supervised worker process for each device of this machine (or one for a cluster, see workers/ray.py)."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path

from overpaint.errors import Cancelled, Conflict, Exhausted, Internal, Missing, OverpaintError, Unavailable
from overpaint.job import EventKind, JobSpec

from overpaint_backend import registry
from overpaint_backend.engine import DeviceFault, Engine, NodeLost
from overpaint_backend.jobs.room import full, has_room, insist, is_full, passes
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.journal import about, write_log
from overpaint_backend.quiet import failure
from overpaint_backend.workers.run import run_job
from overpaint_backend.workers.share import Offer
from overpaint_backend.workers.silence import Silence, reason

LEASE = 20.0  # seconds; a worker that does not renew for so long has stopped
PAUSE = 0.05  # seconds between two looks into the queue
GRACE = 20.0  # seconds that a step may go on for after its job was cancelled, paused or taken away; then the device is freed by force
YOUNG = 10.0  # seconds; a worker that dies earlier has hardly begun
log = logging.getLogger(__name__)


def work(folder: Path, weights: Path, device: str, name: str, log_format: str) -> None:
    """The life of a worker process: claim a job, run it, again, until the server that started it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to answer
    write_log(log_format)
    store, spool = Store(folder / "jobs.sqlite"), Spool(folder / "spool")
    server = multiprocessing.parent_process()
    threading.Thread(target=renew, args=(store, name), daemon=True).start()
    held = _Held(store, name, device)
    threading.Thread(target=held.watch, daemon=True).start()
    loaded = Loaded(partial(registry.build, device=device, weights=weights))
    while server is None or server.is_alive():
        spec = claim(store, spool, name, loaded)
        if spec is None:
            time.sleep(PAUSE)
            continue
        with about(job=spec.id, worker=name):
            held.job = spec.id
            try:
                paint_claimed(spec, loaded, store, spool, name)
            except DeviceFault:
                raise SystemExit(1) from None  # why is in the log already
            held.job = ""


class Loaded:
    """The engine that a worker has at hand. Nobody else keeps it from job to job: a device may have room for one only."""

    def __init__(self, build: Callable[[str], Engine]) -> None:
        """`build` makes an engine by its name."""
        self._build = build
        self.engine: Engine | None = None
        self._used = False

    @property
    def name(self) -> str:
        """Of the engine; empty where there is none."""
        return self.engine.card.name if self.engine else ""

    def have(self, name: str) -> Engine:
        """The engine of this name, built where it is not the one at hand."""
        if self.engine is None or self.name != name:
            self.engine = None
            if self._used:
                gc.collect()  # what painted with the old one refers to itself: its memory would go some time later
            self.engine, self._used = self._build(name), True
        return self.engine


def claim(store: Store, spool: Spool, name: str, loaded: Loaded) -> JobSpec | None:
    """The next job for the worker that has this engine `loaded`; None where none waits, or the disk has no room for what comes of it."""
    if not has_room(spool.folder, 2):
        return None
    try:
        return store.claim(name, LEASE, resident=loaded.name)
    except (Exhausted, Unavailable):
        return None  # the disk was filled just now, or the jobs are locked


def renew(store: Store, name: str) -> None:
    """Say again and again that the worker lives, until the server that started it is gone."""
    server = multiprocessing.parent_process()
    while server is None or server.is_alive():
        # Where nothing can be written no lease is renewed, and none is taken away.
        with suppress(Exhausted, Unavailable):
            store.renew(name, LEASE)
        time.sleep(LEASE / 4)


class _Held:
    """What a worker holds, seen by a thread of its own, which ends a process that does not let go, or gets nowhere.

    An engine looks whether it is to go on between two steps only. A step that hangs would keep the device for ever.
    """

    def __init__(self, store: Store, worker: str, device: str) -> None:
        self.job = ""
        self._store, self._worker, self._device = store, worker, device
        self._wanted = time.monotonic()
        self._silence = Silence(device)

    def watch(self) -> None:
        while True:
            with suppress(Missing, sqlite3.Error):  # it was deleted just now, or cannot be read: at the next look
                self._look(self.job)
            time.sleep(1.0)

    def _look(self, job: str) -> None:
        if not job or self._store.wants(job, self._worker):
            self._wanted = time.monotonic()
        elif time.monotonic() - self._wanted > GRACE:
            log.error("the job %s was taken back %.0f seconds ago, and its step does not end", job, GRACE)
            os._exit(1)
        if job and self._silence.lasts((job, self._store.last_event(job))):
            if writable(self._store):
                self._give_up(job)
            self._silence = Silence(self._device)  # it could not have said anything

    def _give_up(self, job: str) -> None:
        log.error("the job %s: %s, so its worker ends", job, reason())
        with suppress(Exhausted, Unavailable):  # then who started the worker says it, without the reason
            self._store.lose(job, self._worker, reason())
        os._exit(1)


def writable(store: Store) -> bool:
    """Whether events can be written down now: there is room, and nobody holds the lock."""
    try:
        store.database.try_to_write()
        return has_room(store.folder)
    except (sqlite3.Error, OSError):
        return False


def paint_claimed(
    spec: JobSpec, loaded: Loaded, store: Store, spool: Spool, worker: str, offer: Offer = nullcontext
) -> None:
    """Run a job that `worker` has claimed and record how it ended.

    `offer` may bring others who help. Raises DeviceFault where the process can compute no more: the job is then back
    in the queue, as it is when nothing can be written.
    """

    def record(kind: EventKind, **words: str) -> None:
        with suppress(Conflict, Missing):  # it went to another worker that speaks for it now, or was deleted
            insist(lambda: store.record(spec.id, kind, worker=worker, **words), lambda: time.sleep(PAUSE))

    try:
        run_job(spec, loaded.have(spec.engine), store, spool, worker, offer)
    except Cancelled:
        record(EventKind.CANCELLED)
    except Conflict as error:
        log.warning("let go: %s", error.message)  # it was paused, or went to another worker that speaks for it now
    except (OverpaintError, OSError) as error:
        words = _words(error)
        record(EventKind.LOST if passes(error) else EventKind.FAILED, **words)
    except NodeLost as error:
        why = str(error)
        insist(lambda: store.lose(spec.id, worker, why, "node"), lambda: time.sleep(PAUSE))
        raise
    except Exception as error:
        log.error("the engine %s failed: %s", spec.engine, failure(error))
        if broke_the_device(error):
            why = str(error).partition("\n")[0]
            insist(lambda: store.lose(spec.id, worker, why), lambda: time.sleep(PAUSE))
            raise DeviceFault from None  # without its words: whoever ends a process may show them
        words = {
            "field": "engine",
            "message": f"the engine {spec.engine} failed: {type(error).__name__}: {error}",
            "remedy": "The server's log has the details",
            "status": Internal.status,
        }
        record(EventKind.FAILED, **words)
        loaded.engine = None  # who knows what state it is in


def _words(error: OverpaintError | OSError) -> dict[str, str]:
    if is_full(error):
        error = full()  # the job has lost nothing: it waits in the queue until there is room
    if isinstance(error, OverpaintError):
        return {"field": error.field, "message": error.message, "remedy": error.remedy, "status": error.status}
    return {
        "field": "disk",
        "message": f"the server could not read or write ({error.strerror or error})",
        "remedy": "Look at the rights of the server's folder",
        "status": Exhausted.status,
    }


def broke_the_device(error: Exception) -> bool:
    """What torch and CUDA raise when a kernel failed: from then on, every call of the process fails. Torch is not imported here."""
    return isinstance(error, DeviceFault) or type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)


class LocalWorkers:
    """Starts a worker for each device, and another whenever one ends.

    `lives` says for each device what its process does, given the worker's name: `work`, with all but its last argument.
    """

    def __init__(self, store: Store, lives: Mapping[str, Callable[[str], None]]) -> None:
        self._store, self._lives = store, lives
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._supervise, args=(one,), daemon=True) for one in lives]
        self._alive: dict[str, float] = {}  # device -> from when on its worker counts
        self.restarts: Counter[str] = Counter()
        self._processes: dict[str, SpawnProcess] = {}

    def start(self) -> None:
        self._alive = dict.fromkeys(self._lives, 0.0)  # from now on: the first of each is on its way
        for thread in self._threads:
            thread.start()

    def living(self) -> int:
        """How many workers live. One that follows one that died young counts once it is older than that."""
        return sum(time.monotonic() >= since for since in list(self._alive.values()))

    def drain(self, seconds: float, hurried: Callable[[], bool]) -> None:
        """Let each worker finish the window that it paints, and end it then; `seconds` at most, or until `hurried`, which waits a moment."""
        self._stopping.set()  # no worker follows one that ends
        until = time.monotonic() + seconds
        found: dict[str, frozenset[tuple[str, int]]] = {}
        while self._alive and time.monotonic() < until and not hurried():
            for process in list(self._processes.values()):
                has = self._store.painting(process.name)
                # Only other jobs, or other finished windows, than at the first look: what it does now was begun since then.
                if not has & found.setdefault(process.name, has):
                    process.terminate()

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
        doubtful = False
        while not self._stopping.is_set():
            name = f"{device}/{uuid.uuid4().hex[:8]}"
            process = context.Process(target=self._lives[device], args=(name,), name=name, daemon=True)
            process.start()
            began = time.monotonic()
            self._alive[device] = began + (YOUNG if doubtful else 0)
            self._processes[device] = process
            if self._stopping.is_set():
                process.terminate()
            self._await_end(process)
            del self._alive[device]
            doubtful = time.monotonic() - began < YOUNG
            self._note_the_end(device, process)

    def _note_the_end(self, device: str, process: SpawnProcess) -> None:
        if self._stopping.is_set():
            self._take_back(process.name, "the server stopped", blameless=True)
            return
        ending = _ending(process.exitcode)
        lost = self._take_back(process.name, f"its worker ended with {ending}")
        words = f"the worker ended with {ending}; jobs taken back: {', '.join(lost) or 'none'}"
        log.error(words, extra={"worker": process.name})
        self.restarts[device] += 1
        self._stopping.wait(1.0)  # a worker that dies at once must not spin

    def _take_back(self, name: str, why: str, *, blameless: bool = False) -> tuple[str, ...]:
        lost: list[str] = []

        def release() -> None:
            lost.extend(self._store.release(name, why, blameless=blameless))

        insist(release, lambda: self._stopping.wait(1.0))
        return tuple(lost)

    def _await_end(self, process: SpawnProcess) -> None:
        """Until the process has ended; one that lives and yet renews no lease is killed."""
        late = 0
        while process.exitcode is None:
            process.join(LEASE / 4)
            late = late + 1 if self._overdue(process.name) else 0
            if late > 1:  # not at the first look: the machine may have slept, and its worker is about to renew
                log.error("it lives, and does not renew its lease", extra={"worker": process.name})
                process.kill()

    def _overdue(self, worker: str) -> bool:
        """Whether the worker's lease ran out though it could have renewed it."""
        try:
            return self._store.lapsed(worker) and writable(self._store)
        except sqlite3.Error:
            return False


def _ending(code: int | None) -> str:
    """The exit code in words: signals by their names."""
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
