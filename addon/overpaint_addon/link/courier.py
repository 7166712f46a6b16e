"""Courier: the Backend of the use-cases; every call runs on a background thread and answers with a future."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from overpaint.card import EngineCard
from overpaint.client import Client
from overpaint.codec import digest
from overpaint.errors import Missing, OverpaintError, Unavailable
from overpaint.job import JobEvent, JobSpec, JobState

from ..core.ports import Opened
from .pictures import write_png

PATIENCE = 60.0  # seconds that a server may be away before the watching gives up
THREADS = 4  # so that a cancel never waits behind an upload or a fetch


class Courier:
    """Carries calls to the server that `client` talks to."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="overpaint")
        self._watches: dict[str, _Watch] = {}

    def close(self) -> None:
        """Stop watching and let go of the connection; calls under way end with an error."""
        for watch in self._watches.values():
            watch.stop()
        self._client.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def sent_bytes(self) -> int:
        """All that has travelled to the server so far."""
        return self._client.sent_bytes

    def card(self, engine: str) -> Future[EngineCard]:
        return self._pool.submit(self._card, engine)

    def _card(self, engine: str) -> EngineCard:
        cards = {card.name: card for card in self._client.engines()}
        if engine not in cards:
            known = ", ".join(sorted(cards))
            raise Missing(field="engine", message=f"the server has no engine {engine!r}", remedy=f"Choose {known}")
        return cards[engine]

    def digest(self, read: Callable[[], np.ndarray]) -> Future[str]:
        return self._pool.submit(lambda: digest(read()))

    def open_job(self, spec: JobSpec) -> Future[Opened]:
        def open_job() -> Opened:
            state, missing = self._client.open_job(spec)
            return Opened(state=state, missing=missing)

        return self._pool.submit(open_job)

    def upload(self, job_id: str, missing: Sequence[str], read: Callable[[str], np.ndarray]) -> Future[int]:
        return self._pool.submit(lambda: self._client.upload(job_id, map(read, missing), missing) if missing else 0)

    def seal_job(self, job_id: str) -> Future[JobState]:
        return self._pool.submit(self._client.seal_job, job_id)

    def cancel(self, job_id: str) -> Future[JobState]:
        return self._pool.submit(self._client.cancel, job_id)

    def events(self, job_id: str, after: int) -> tuple[JobEvent, ...]:
        if job_id not in self._watches:
            self._watches[job_id] = _Watch(self._client, job_id, after)
        watch = self._watches[job_id]
        found = tuple(event for event in tuple(watch.events) if event.number > after)
        if not found and watch.error is not None:
            del self._watches[job_id]  # the next call begins again
            raise watch.error
        return found

    def fetch(self, job_id: str, folder: Path, length: int) -> Future[Sequence[Path]]:
        return self._pool.submit(self._fetch, job_id, folder, length)

    def _fetch(self, job_id: str, folder: Path, length: int) -> Sequence[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{number:05}.png" for number in range(1, length + 1)]
        there = next((index for index, path in enumerate(paths) if not path.exists()), length)
        for path, frame in zip(paths[there:], self._client.fetch(job_id, there) if there < length else (), strict=True):
            write_png(path, frame)
        return paths


class _Watch:
    """Collects a job's events on a thread of its own, and picks up again after a cut."""

    def __init__(self, client: Client, job_id: str, after: int) -> None:
        self.events: list[JobEvent] = []
        self.error: OverpaintError | None = None
        self._client, self._job_id, self._after = client, job_id, after
        self._stopped = threading.Event()
        threading.Thread(target=self._run, daemon=True, name=f"overpaint-watch-{job_id[:8]}").start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        pause, silent_since = 0.5, time.monotonic()
        while not self._stopped.is_set():
            try:
                for event in self._client.watch(self._job_id, self._after):
                    self.events.append(event)
                    self._after = event.number
                    pause, silent_since = 0.5, time.monotonic()
                return
            except Unavailable as error:
                if time.monotonic() - silent_since > PATIENCE:
                    self.error = error
                    return
                self._stopped.wait(pause)
                pause = min(pause * 2, 8.0)
            except OverpaintError as error:
                self.error = error
                return
