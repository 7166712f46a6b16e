"""What the server does once a second beside answering: it tells the jobs' events to log and metrics, and looks after its health."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from overpaint.job import EventKind, JobEvent

from overpaint_backend.health import Health
from overpaint_backend.jobs.store import Store
from overpaint_backend.metrics import Metrics
from overpaint_backend.quiet import asked

EVERY = 1.0  # seconds
WEIGH_EVERY = 60.0  # seconds between two looks how large the spool is
log = logging.getLogger(__name__)


class Rounds:
    """Tells what happened to the jobs since it was made. `publish` hears of every change of health: the reasons, or ()."""

    def __init__(
        self, store: Store, metrics: Metrics, health: Health, spool: Path, publish: Callable[[tuple[str, ...]], None]
    ) -> None:
        self._store, self._metrics, self._health, self._spool, self._publish = store, metrics, health, spool, publish
        self._told = {job: number for job, _, number in store.heads()}
        self._said: tuple[str, ...] | None = None
        self._weighed = -WEIGH_EVERY
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._walk, name="rounds", daemon=True)
        self.spool_bytes = 0

    def start(self) -> None:
        self.check_health()
        self._thread.start()

    def stop(self) -> None:
        """Tell what is left, and end."""
        self._stopping.set()
        self._thread.join(timeout=10)

    def _walk(self) -> None:
        while True:
            ending = self._stopping.wait(EVERY)
            try:
                self.tell()
                if ending:
                    return
                self.check_health()
                if time.monotonic() - self._weighed >= WEIGH_EVERY:
                    self.spool_bytes, self._weighed = size_of(self._spool), time.monotonic()
            except Exception:  # a store that cannot be read now may be read in the next round
                log.exception("a round was cut short")
                if ending:
                    return

    def check_health(self) -> None:
        reasons = self._health.reasons()
        if reasons == self._said:
            return
        if reasons:
            log.warning("not well: %s", "; ".join(reasons))
        elif self._said is not None:
            log.info("well again")
        self._said = reasons
        self._publish(reasons)

    def tell(self) -> None:
        """Each event that came since the last round, once, in order."""
        heads = self._store.heads()
        for job, engine, number in heads:
            told = self._told.get(job, 0)
            if number > told:
                for event in self._store.events(job, told):
                    self._metrics.count(job, engine, event)
                    _write(job, engine, event)
                    self._told[job] = event.number
        self._told = {job: self._told.get(job, 0) for job, _, _ in heads}  # a deleted one is forgotten


def _write(job: str, engine: str, event: JobEvent) -> None:
    """A line for all but progress, which comes several times a second."""
    if event.kind is EventKind.PROGRESS:
        return
    of = f" {event.window + 1} of {event.windows}" if event.kind is EventKind.WINDOW_DONE else ""
    said = f": {event.message}" if asked() else ""  # an engine's words may quote a prompt; the job's owner has them
    why = f": {event.field}{said}" if event.message else ""
    level = logging.WARNING if event.kind in (EventKind.FAILED, EventKind.LOST) else logging.INFO
    log.log(level, "%s%s (%s)%s", event.kind.replace("_", " "), of, engine, why, extra={"job": job})


def size_of(folder: Path) -> int:
    """Bytes of all files below `folder`; what goes away meanwhile counts nothing."""
    total = 0
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for entry in found:
            with suppress(FileNotFoundError):
                is_folder = entry.is_dir(follow_symlinks=False)
                total += size_of(Path(entry)) if is_folder else entry.stat(follow_symlinks=False).st_size
    return total
