"""The one SQLite file of the store: its connections and its transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from overpaint_backend.jobs.migrations import migrate
from overpaint_backend.jobs.room import full

DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class Database:
    """Several processes may have the file open; each thread gets a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        migrate(self.reading())

    def reading(self) -> sqlite3.Connection:
        """This thread's connection."""
        if not hasattr(self._local, "connection"):
            connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            self._local.connection = connection
        return self._local.connection

    @contextmanager
    def changing(self, *, durable: bool = False) -> Generator[sqlite3.Connection, None, None]:
        """A transaction: nobody else writes until it ends. `durable`: then it and all before it survive a power cut.

        Raises Exhausted where the disk is full.
        """
        connection = self.reading()
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:  # a full disk may have ended it
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in DISK:
                raise full() from error
            raise

    def try_to_write(self) -> None:
        """Raises sqlite3.Error or OSError where nothing can be written now: the disk is full, or someone holds the lock."""
        with closing(sqlite3.connect(self._path, timeout=2, isolation_level=None)) as connection:
            (step,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {step}")
