"""The job store's tables, as a list of steps that is only ever appended to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL,          -- what advance() made of the events, kept for searching
        engine TEXT NOT NULL,
        spec BLOB NOT NULL,           -- overpaint.v1.JobSpec
        opened_at REAL NOT NULL,
        queued_at REAL,
        worker TEXT,                  -- the lease: which worker has it, until when
        lease_until REAL
    ) STRICT;
    CREATE INDEX jobs_by_state ON jobs (state, queued_at);
    CREATE TABLE events (             -- append-only
        job TEXT NOT NULL,
        number INTEGER NOT NULL,
        kind TEXT NOT NULL,
        body BLOB NOT NULL,           -- overpaint.v1.JobEvent
        PRIMARY KEY (job, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE pixels (             -- which job uses which frames of the spool
        job TEXT NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (job, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX pixels_by_digest ON pixels (digest);
    CREATE TABLE takes (
        job TEXT NOT NULL,
        frame INTEGER NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (job, frame)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE pictures (           -- of each job the newest only: they are large, and only the newest is looked at
        job TEXT PRIMARY KEY,
        event INTEGER NOT NULL,       -- whose it is
        body BLOB NOT NULL            -- overpaint.v1.JobEvent with nothing but its picture
    ) STRICT;
    """,
    """
    ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT '';      -- the name of the token that opened it
    ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;    -- of its pixels, before compression
    ALTER TABLE jobs ADD COLUMN started_at REAL;                     -- when a worker last took it
    ALTER TABLE jobs ADD COLUMN passed INTEGER NOT NULL DEFAULT 0;   -- how often another went before it
    CREATE INDEX jobs_by_owner ON jobs (owner, state);
    CREATE TABLE owned (              -- who has proven to have which pixels, by sending them
        owner TEXT NOT NULL,
        digest TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (owner, digest)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO owned SELECT '', digest, max(opened_at) FROM pixels JOIN jobs ON id = job GROUP BY digest;
    CREATE TABLE windows (            -- which painted window of the spool is which of a job
        job TEXT NOT NULL,
        number INTEGER NOT NULL,
        painter TEXT NOT NULL,        -- what painted it: a window of another engine, or of other weights, is not taken
        key TEXT NOT NULL,
        PRIMARY KEY (job, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX windows_by_key ON windows (key);
    """,
    """
    ALTER TABLE owned ADD COLUMN ordered_at REAL NOT NULL DEFAULT 0;  -- when a guide was last made of them
    CREATE INDEX owned_by_digest ON owned (digest);  -- whoever deletes asks for each digest who else has it
    """,
    """
    CREATE TABLE ordered (            -- of which pixels an owner last ordered a guide, for allowances
        owner TEXT NOT NULL,
        digest TEXT NOT NULL,
        bytes INTEGER NOT NULL,       -- before compression
        at REAL NOT NULL,
        PRIMARY KEY (owner, digest)
    ) STRICT, WITHOUT ROWID;
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to the newest step. Raises RuntimeError where they were written by a newer version."""
    (done,) = connection.execute("PRAGMA user_version").fetchone()
    if done > len(STEPS):
        raise RuntimeError(f"the jobs were written by a newer version (step {done}, known are {len(STEPS)})")
    for number, step in enumerate(STEPS[done:], start=done + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have opened the same jobs just now, and have been faster.
            if connection.execute("PRAGMA user_version").fetchone()[0] < number:
                for statement in _statements(step):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _statements(step: str) -> Iterator[str]:
    statement = ""
    for line in step.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
