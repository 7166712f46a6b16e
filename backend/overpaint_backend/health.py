"""Whether the server can do its work: workers, disk, store; and whether it is going down."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from overpaint_backend.jobs.store import Store

MARGIN = 1 << 30  # bytes that must be free where jobs and pixels are
TRY_EVERY = 10.0  # seconds between two writes that only try whether the store can be written


class Health:
    """`reasons` says what is wrong, in words without paths; it is empty where the server is well."""

    def __init__(self, store: Store, folder: Path, living: Callable[[], int], margin: int = MARGIN) -> None:
        self._store, self._folder, self._living, self._margin = store, folder, living, margin
        self._lock = threading.Lock()
        self._tried, self._unwritable = -TRY_EVERY, ""
        self._draining = False

    def drain(self) -> None:
        self._draining = True

    @property
    def draining(self) -> bool:
        return self._draining

    def reasons(self) -> tuple[str, ...]:
        going = "the server is going down; it takes no new jobs" if self._draining else ""
        workers = "" if self._draining or self._living() else "no worker lives"
        return tuple(filter(None, (going, workers, self._disk(), self._store_trouble())))

    def _disk(self) -> str:
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            return f"the folder of jobs and pixels cannot be read ({error.strerror})"
        return (
            ""
            if free >= self._margin
            else f"the disk is full: {free >> 20} MiB are free, less than {self._margin >> 20}"
        )

    def _store_trouble(self) -> str:
        with self._lock:  # one tries, however many ask
            if time.monotonic() - self._tried >= TRY_EVERY or self._unwritable:
                self._tried = time.monotonic()
                try:
                    self._store.database.try_to_write()
                    self._unwritable = ""
                except (sqlite3.Error, OSError) as error:
                    self._unwritable = f"the store of jobs cannot be written ({error})"
            return self._unwritable
