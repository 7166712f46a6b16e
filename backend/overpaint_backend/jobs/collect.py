"""Collects what nobody needs any more: old jobs, and files of the spool that no job refers to.

Several processes use the spool at once, and none of them loses anything, because of two rules:

1. *First the row, then the look.* Whoever needs a file first commits the row that refers to it (`pixels` when a job is
   opened or a take's frame is made, `owned` when pixels are sent or ordered, `windows` when a window is painted), and
   only then looks whether the file is there, and writes it where it is not.
2. *A file goes only inside a transaction that has seen no such row.* SQLite lets one process write at a time. So either
   the row was committed before that transaction began, and the file stays; or it comes after it ended, and then the look
   comes after the removal, and finds that the file has to be written.

Two more belts: a file that is younger than a day stays whatever the rows say, since `Spool.put` and `Spool.has_window`
make anew what they find; and a row of `owned` counts for a day, which is longer than a guide is made.

A job's rows are gone for good (a durable transaction) before its files are touched: after a power cut there may be files
without a row, which the next round finds, but no job whose files are gone.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from overpaint.errors import Conflict, Missing
from overpaint.job import JobState, Pruned
from overpaint.v1 import jobs_pb2

from overpaint_backend.jobs.board import ENDED
from overpaint_backend.jobs.holdings import YOUNG, orphans
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store

DAY = 86400.0
STALLED = 3600.0  # seconds after which a file that was begun will never be whole: no frame takes so long to write
EVERY = 600.0  # seconds between two rounds
BATCH = 200  # files that go in one transaction, so that nobody waits long for his turn
log = logging.getLogger(__name__)


class Collector:
    """Forgets jobs that ended, or were opened and never sealed, `keep_days` ago (0: none), and keeps the spool below `quota` bytes (0: no bound).

    Above it first painted windows of ended jobs go, the least recently used first, then ended jobs, the oldest first.
    Nothing of a job that has not ended ever goes. `start` makes a round at once and every ten minutes.
    """

    def __init__(self, store: Store, spool: Spool, *, keep_days: float, quota: int) -> None:
        self._store, self._spool, self._keep_days, self._quota = store, spool, keep_days, quota
        self._stopping, self._one_at_a_time = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._walk, name="collect", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=10)  # a transaction is short; what a round leaves, the next one takes

    def _walk(self) -> None:
        while True:
            try:
                gone = self.prune()
                if gone != Pruned():
                    log.info("collected %s jobs, %s frames, %s windows, %s bytes", *gone.numbers())
            except Exception:  # a disk that is full now may not be in ten minutes
                log.exception("a round of collecting was cut short")
            if self._stopping.wait(EVERY):
                return

    def prune(self, older_than_days: float | None = None, *, dry_run: bool = False) -> Pruned:
        """Make a round; returns what went, or what would go with `dry_run`.

        `older_than_days` stands for `keep_days` this time, and 0 then means every ended job.
        """
        days = older_than_days
        if days is None:
            days = self._keep_days or None
        with self._one_at_a_time:
            now = time.time()
            round_ = _Round(self._store, self._spool, now, dry_run)
            held = round_.sweep()
            for job in () if days is None else round_.ended_before(now - days * DAY):
                held -= round_.forget(job)
            if self._quota:
                round_.shrink(held - self._quota)
            round_.forget_rows()
            return round_.gone()


class _Round:
    """One round, in reading order. With `dry_run` it counts, and nothing goes."""

    def __init__(self, store: Store, spool: Spool, now: float, dry_run: bool) -> None:
        self._store, self._spool, self._now, self._dry_run = store, spool, now, dry_run
        self._old = now - YOUNG
        self._jobs: list[str] = []
        self._frames: set[str] = set()
        self._windows: set[str] = set()
        self._bytes = 0

    def gone(self) -> Pruned:
        return Pruned(jobs=len(self._jobs), frames=len(self._frames), windows=len(self._windows), bytes=self._bytes)

    def sweep(self) -> int:
        """Files that no row refers to go; returns the bytes that are left."""
        if not self._dry_run:
            self._spool.drop_parts(self._now - STALLED)
        held = 0
        for files in self._spool.frames():
            held += sum(found.st_size for found in files.values())
            held -= self._drop_frames([name for name, found in files.items() if found.st_mtime < self._old], old=True)
        for files in self._spool.windows():
            held += sum(found.st_size for found in files.values())
            held -= self._drop_windows([name for name, found in files.items() if found.st_mtime < self._old], old=True)
        return held

    def ended_before(self, when: float) -> tuple[str, ...]:
        """Jobs that ended before `when`, or were opened before it and never sealed; the oldest first.

        One that was opened today is left alone: its pixels may be on their way.
        """
        with self._store.database.changing() as connection:
            ended = _ended(connection)
            unsealed = connection.execute(
                "SELECT id FROM jobs WHERE state = ? AND opened_at < ? ORDER BY opened_at",
                (JobState.OPEN, min(when, self._now - DAY)),
            ).fetchall()
        return tuple(job for job, at in ended if at < when) + tuple(job for (job,) in unsealed)

    def forget(self, job: str) -> int:
        """The job and what only it refers to; returns the bytes. One that was tried again meanwhile stays."""
        if self._dry_run:
            with self._store.database.changing() as connection:
                frames, windows = orphans(connection, job, besides=self._jobs)
        else:
            try:
                frames, windows = self._store.delete(job)
            except (Missing, Conflict):
                return 0
        self._jobs.append(job)
        return self._drop_frames(frames) + self._drop_windows(windows)

    def shrink(self, over: int) -> None:
        """So many bytes are too many: windows of ended jobs go, then ended jobs."""
        for keys in _batched(self._resting_windows() if over > 0 else ()):
            if over <= 0:
                return
            over -= self._drop_resting(keys, over)
        if over > 0:
            with self._store.database.changing() as connection:
                ended = _ended(connection)
            for job, _ in ended:
                if over <= 0:
                    return
                if job not in self._jobs:
                    over -= self.forget(job)

    def _resting_windows(self) -> list[str]:
        """Windows of ended jobs only, the least recently used first."""
        with self._store.database.changing() as connection:
            found = connection.execute(
                f"""SELECT key FROM windows JOIN jobs ON id = job
                    GROUP BY key HAVING sum(state NOT IN {_MARKS}) = 0""",
                ENDED,
            ).fetchall()
        files = {key: self._spool.window_file(key) for (key,) in found if key not in self._windows}
        used = [(file.st_mtime, key) for key, file in files.items() if file is not None]
        return [key for _, key in sorted(used)]

    def _drop_resting(self, keys: Sequence[str], over: int) -> int:
        """These windows, until `over` bytes went, but none of a job that was tried again meanwhile."""
        freed = 0
        with self._store.database.changing() as connection:
            for key in keys:
                live = connection.execute(
                    f"SELECT 1 FROM windows JOIN jobs ON id = job WHERE key = ? AND state NOT IN {_MARKS}",
                    (key, *ENDED),
                ).fetchone()
                if live is None and freed < over:
                    freed += self._drop_window(key)
                    if not self._dry_run:
                        connection.execute("DELETE FROM windows WHERE key = ?", (key,))
        return freed

    def forget_rows(self) -> None:
        """Rows that say that a file is there which is not, for whatever reason, go; and orders of before today."""
        if self._dry_run:
            return
        with self._store.database.changing() as connection:
            windows = [key for (key,) in connection.execute("SELECT DISTINCT key FROM windows")]
            connection.execute("DELETE FROM ordered WHERE at < ?", (self._old,))
            owned = [
                digest
                for (digest,) in connection.execute("SELECT DISTINCT digest FROM owned WHERE at < ?", (self._old,))
            ]
        for keys in _batched(key for key in windows if self._spool.window_file(key) is None):
            with self._store.database.changing() as connection:
                lost = [(key,) for key in keys if self._spool.window_file(key) is None]
                connection.executemany("DELETE FROM windows WHERE key = ?", lost)
        for digests in _batched(digest for digest in owned if self._spool.frame_file(digest) is None):
            with self._store.database.changing() as connection:
                lost = [(digest, self._old) for digest in digests if self._spool.frame_file(digest) is None]
                connection.executemany("DELETE FROM owned WHERE digest = ? AND at < ?", lost)

    def _drop_frames(self, digests: Sequence[str], *, old: bool = False) -> int:
        """Those that no row refers to; where they were found by their age (`old`), only if they still have it."""
        freed = 0
        for some in _batched(digests):
            with self._store.database.changing() as connection:
                for digest in some if self._dry_run and not old else _unreferenced(connection, some, self._old):
                    file = self._spool.frame_file(digest)
                    if file is None or digest in self._frames or (old and file.st_mtime >= self._old):
                        continue
                    freed += file.st_size if self._dry_run else self._spool.drop(digest)
                    self._frames.add(digest)
        self._bytes += freed
        return freed

    def _drop_windows(self, keys: Sequence[str], *, old: bool = False) -> int:
        freed = 0
        for some in _batched(keys):
            with self._store.database.changing() as connection:
                for key in some if self._dry_run and not old else _unused(connection, some):
                    file = self._spool.window_file(key)
                    if file is not None and not (old and file.st_mtime >= self._old):
                        freed += self._drop_window(key)
        return freed

    def _drop_window(self, key: str) -> int:
        file = self._spool.window_file(key)
        if file is None or key in self._windows:
            return 0
        freed = file.st_size if self._dry_run else self._spool.drop_window(key)
        self._windows.add(key)
        self._bytes += freed
        return freed


def drop(store: Store, spool: Spool, digests: Sequence[str], keys: Sequence[str]) -> None:
    """Remove the files that a deleted job left, if nobody refers to them by now."""
    for some in _batched(digests):
        with store.database.changing() as connection:
            for digest in _unreferenced(connection, some, time.time() - YOUNG):
                spool.drop(digest)
    for some in _batched(keys):
        with store.database.changing() as connection:
            for key in _unused(connection, some):
                spool.drop_window(key)


_MARKS = f"({', '.join('?' * len(ENDED))})"


def _ended(connection: sqlite3.Connection) -> list[tuple[str, float]]:
    """Ended jobs and when they ended (Unix time in seconds), the oldest first."""
    found = connection.execute(
        f"""SELECT id, (SELECT body FROM events WHERE job = id ORDER BY number DESC LIMIT 1)
            FROM jobs WHERE state IN {_MARKS}""",
        ENDED,
    ).fetchall()
    at = [(job, jobs_pb2.JobEvent.FromString(body).at) for job, body in found]
    return sorted(at, key=lambda one: one[1])


def _unreferenced(connection: sqlite3.Connection, digests: Sequence[str], proven_since: float) -> list[str]:
    """Those of `digests` that no job uses, and that nobody sent or ordered since then."""
    found = connection.execute(
        """SELECT value FROM json_each(?)
           WHERE NOT EXISTS (SELECT 1 FROM pixels WHERE digest = value)
           AND NOT EXISTS (SELECT 1 FROM owned WHERE digest = value AND max(at, ordered_at) >= ?)""",
        (json.dumps(list(digests)), proven_since),
    ).fetchall()
    return [digest for (digest,) in found]


def _unused(connection: sqlite3.Connection, keys: Sequence[str]) -> list[str]:
    """Those of `keys` that are no job's window."""
    found = connection.execute(
        "SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM windows WHERE key = value)",
        (json.dumps(list(keys)),),
    ).fetchall()
    return [key for (key,) in found]


def _batched(names: Iterable[str]) -> Iterator[list[str]]:
    left = iter(names)
    while some := list(islice(left, BATCH)):
        yield some
