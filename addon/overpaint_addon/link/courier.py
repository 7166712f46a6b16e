"""Courier: the Backend of the use-cases; every call runs on a background thread and answers with a future."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import Empty, Full, Queue

import numpy as np
from overpaint.card import EngineCard, Estimate
from overpaint.client import Client
from overpaint.clip import Depth, Size
from overpaint.codec import digest
from overpaint.edit import Edit
from overpaint.errors import Cancelled, OverpaintError, Unavailable
from overpaint.guide_call import GuideCall
from overpaint.job import EventKind, JobEvent, JobSpec, JobState
from overpaint.order import GuideOrder, GuideProgress, MadeGuide
from overpaint.sealed import seal

from ..core.variants import thumbnail
from .pictures import read_png, write_png

THREADS = 4  # of each kind
WAITING = 4  # frames of a guide that came and are not drawn yet: the lines of one are a megabyte or two
LOOK = 0.1  # seconds between two looks whether a guide is still wanted


class Courier:
    """Carries calls to the server that `client` talks to, and whose patience has no end: what was cut goes on.

    `away` says that something waits for the server.
    """

    def __init__(self, client: Client) -> None:
        self.away = False
        self._client = client
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="overpaint")
        # What sends and fetches lasts as long as the line, or the server's absence: no cancel may wait behind it.
        self._lasting = ThreadPoolExecutor(THREADS, thread_name_prefix="overpaint-lasting")
        self._watches: dict[str, _Watch] = {}
        self._given_up: set[str] = set()

    def close(self) -> None:
        """Let go of the connection; calls under way end with an error."""
        self._client.close()
        for pool in (self._pool, self._lasting):
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def server(self) -> str:
        """Its address, host:port."""
        return self._client.address

    @property
    def sent_bytes(self) -> int:
        """All that has travelled to the server so far."""
        return self._client.sent_bytes

    def cards(self) -> Future[tuple[EngineCard, ...]]:
        return self._pool.submit(self._client.engines)

    def estimate(self, engine: str, size: Size, depth: Depth, length: int, edit: Edit) -> Future[Estimate]:
        return self._pool.submit(self._client.estimate, engine, size, depth, length, edit)

    def digest(self, read: Callable[[], np.ndarray]) -> Future[str]:
        return self._pool.submit(lambda: digest(read()))

    def send(self, spec: JobSpec, read: Callable[[str], np.ndarray]) -> Future[JobState]:
        return self._lasting.submit(self._send, spec, read)

    def _send(self, spec: JobSpec, read: Callable[[str], np.ndarray]) -> JobState:
        def check() -> None:
            if spec.id in self._given_up:
                raise Cancelled(field="job", message="the job was cancelled")

        def read_on(name: str) -> np.ndarray:
            check()
            return read(name)

        def hear(cut: OverpaintError | None) -> None:
            self._hear(cut)
            check()

        check()
        state = self._client.send(spec, read_on, cut=hear)
        return self._client.cancel(spec.id) if spec.id in self._given_up else state

    def _hear(self, cut: OverpaintError | None) -> None:
        self.away = cut is not None

    def seal(self, folder: Path, spec: JobSpec, read: Callable[[str], np.ndarray]) -> Future[Path]:
        return self._lasting.submit(seal, folder, spec, read)

    def read(self, file: Path) -> np.ndarray:
        return read_png(file)

    def write(self, file: Path, make: Callable[[], np.ndarray]) -> Future[Path]:
        def write() -> Path:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_png(file, make())
            return file

        return self._pool.submit(write)

    def cancel(self, job_id: str) -> Future[JobState]:
        self._given_up.add(job_id)  # should it be on its way, or the server be away
        return self._pool.submit(self._client.cancel, job_id)

    def make_guide(self, order: GuideOrder, read: Callable[[str], np.ndarray]) -> Making:
        return Making(lambda: self._client.make_guide(order, read, self._hear))

    def pause(self, job_id: str) -> Future[JobState]:
        return self._pool.submit(self._client.pause, job_id)

    def resume(self, job_id: str) -> Future[JobState]:
        return self._pool.submit(self._client.resume, job_id)

    def move_up(self, job_id: str) -> Future[JobState]:
        return self._pool.submit(self._client.move_up, job_id)

    def retry(self, job_id: str) -> Future[JobState]:
        return self._pool.submit(self._client.retry, job_id)

    def events(self, job_id: str, after: int) -> tuple[JobEvent, ...]:
        if job_id not in self._watches:
            self._watches[job_id] = _Watch(self._client, job_id, after)
        watch = self._watches[job_id]
        found = tuple(event for event in tuple(watch.events) if event.number > after)
        if not found and watch.ended:
            del self._watches[job_id]  # the next call begins again
        if not found and watch.error is not None:
            raise watch.error
        return found

    def fetch(self, job_id: str, folder: Path, length: int) -> Future[Sequence[Path]]:
        return self._lasting.submit(self._fetch, job_id, folder, length)

    def _fetch(self, job_id: str, folder: Path, length: int) -> Sequence[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{number:05}.png" for number in range(1, length + 1)]
        there = next((index for index, path in enumerate(paths) if not path.exists()), length)
        frames = self._client.fetch(job_id, there, cut=self._hear) if there < length else ()
        for path, frame in zip(paths[there:], frames, strict=True):
            write_png(path, frame)
        if not (folder / "thumbnail.png").exists():
            middle = length // 2
            write_png(folder / "thumbnail.png", thumbnail(map(read_png, (*paths[middle:], *paths[:middle]))))
        return paths


class Making:
    """A guide on its way, followed on a thread of its own."""

    def __init__(self, begin: Callable[[], GuideCall]) -> None:
        """`begin` may have to look at the server's certificate first: that is for the thread to wait for."""
        self.progress = GuideProgress(stage="sending")
        self._begin = begin
        self._call: GuideCall | None = None
        self._cancelled = False
        self._parts = Queue[MadeGuide](WAITING)
        self._future: Future[None] = Future()
        threading.Thread(target=self._run, daemon=True, name="overpaint-guide").start()

    def part(self) -> MadeGuide | None:
        try:
            return self._parts.get_nowait()
        except Empty:
            return None

    def done(self) -> bool:
        return self._future.done() and self._parts.empty()

    def result(self, timeout: float | None = None) -> None:
        self._future.result(timeout)

    def cancel(self) -> None:
        self._cancelled = True
        if self._call is not None:
            self._call.cancel()

    def _run(self) -> None:
        came = False
        try:
            self._call = self._begin()
            if self._cancelled:
                self._call.cancel()
            for answer in self._call.parts():
                if isinstance(answer, GuideProgress):
                    self.progress = answer
                else:
                    came = True
                    self._give(answer)
            if not came:
                raise Unavailable(field="guide", message="the server ended without a guide", remedy="Try again")
            self._future.set_result(None)
        except Exception as error:
            self._future.set_exception(error)

    def _give(self, part: MadeGuide) -> None:
        """Wait until there is room for it. Raises Cancelled."""
        while not self._cancelled:
            try:
                return self._parts.put(part, timeout=LOOK)
            except Full:
                pass
        raise Cancelled(field="guide", message="the guide was cancelled")


class _Watch:
    """Collects a job's events on a thread of its own.

    `error` is what keeps it from the server now; once it has `ended`, nothing more comes.
    """

    def __init__(self, client: Client, job_id: str, after: int) -> None:
        self.events: list[JobEvent] = []
        self.error: OverpaintError | None = None
        self.ended = False
        watching = client.watch(job_id, after, cut=self._hear)
        threading.Thread(target=self._run, args=(watching,), daemon=True, name=f"overpaint-{job_id[:8]}").start()

    def _hear(self, cut: OverpaintError | None) -> None:
        self.error = cut

    def _run(self, watching: Iterator[JobEvent]) -> None:
        try:
            for event in watching:
                if self.events and self.events[-1].kind is event.kind is EventKind.PROGRESS:
                    # Hours of progress, and their pictures, are not for keeping: whoever follows wants the newest.
                    self.events[-1] = replace(event, picture=event.picture or self.events[-1].picture)
                else:
                    self.events.append(event)
        except OverpaintError as error:
            self.error = error
        self.ended = True
