"""The one SQLite file of the store: its connections and its transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from overpaint_backend.jobs.migrations import migrate
from overpaint_backend.jobs.room import full, locked

DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
PATIENCE = 30.0  # seconds that a transaction waits for another's to end


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
            connection = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            self._local.connection = connection
        return self._local.connection

    @contextmanager
    def changing(self, *, durable: bool = False) -> Generator[sqlite3.Connection, None, None]:
        """A transaction: nobody else writes until it ends. `durable`: then it and all before it survive a power cut.

        Raises Exhausted where the disk is full, and Unavailable where another process does not let go of the lock.
        """
        connection = self.reading()
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:  # a full disk may have ended it
                connection.execute("ROLLBACK")
            code = error.sqlite_errorcode & 0xFF if isinstance(error, sqlite3.OperationalError) else None
            if code in DISK:
                raise full() from error
            if code in LOCKED:
                raise locked() from error
            raise

    def try_to_write(self) -> None:
        """Raises sqlite3.Error or OSError where nothing can be written now: the disk is full, or someone holds the lock."""
        with closing(sqlite3.connect(self._path, timeout=2, isolation_level=None)) as connection:
            (step,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {step}")
