"""Who holds what of the spool: the pixels that an owner has proven, and the pixels and windows that a job uses."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence

from overpaint_backend.jobs.board import ENDED
from overpaint_backend.jobs.database import Database

YOUNG = 86400.0  # seconds in which what was sent or ordered may still be under way; no guide is made for so long


class Holdings:
    """The rows that keep files of the spool from being collected (collect.py says by which rules)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unproven(self, owner: str, digests: Sequence[str]) -> frozenset[str]:
        """Those of `digests` that `owner` never sent. Who knows a digest only does not get at the pixels."""
        wanted = json.dumps(list(digests))
        found = self._database.reading().execute(
            """SELECT value FROM json_each(?) WHERE value NOT IN (SELECT digest FROM owned WHERE owner = ?)""",
            (wanted, owner),
        )
        return frozenset(digest for (digest,) in found)

    def prove(self, owner: str, digest: str, *, ordered: bool = False) -> None:
        """`owner` sends these pixels, or has sent them; `ordered`: for a guide. Told before they are kept: from then on nobody collects them."""
        now = time.time()
        with self._database.changing() as connection:
            connection.execute(
                """INSERT INTO owned (owner, digest, at, ordered_at) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET at = ?3, ordered_at = max(ordered_at, ?4)""",
                (owner, digest, now, now if ordered else 0.0),
            )

    def order(self, owner: str, sizes: Mapping[str, int]) -> None:
        """A guide is to be made of pixels with these digests and bytes, which count as the owner's from now on.

        Nobody collects what `owner` has proven of them before it is made.
        """
        now = time.time()
        with self._database.changing() as connection:
            connection.execute(
                "UPDATE owned SET ordered_at = ? WHERE owner = ? AND digest IN (SELECT value FROM json_each(?))",
                (now, owner, json.dumps(list(sizes))),
            )
            connection.executemany(
                "REPLACE INTO ordered VALUES (?, ?, ?, ?)",
                [(owner, digest, size, now) for digest, size in sizes.items()],
            )

    def keep_window(self, job: str, number: int, painter: str, key: str) -> None:
        """The window of the spool with this key is the job's. Of a deleted one nothing is written down: no row of it would ever go."""
        with self._database.changing() as connection:
            connection.execute(
                "REPLACE INTO windows SELECT id, ?, ?, ? FROM jobs WHERE id = ?", (number, painter, key, job)
            )

    def windows(self, job: str, painter: str) -> dict[int, str]:
        """The keys of the job's windows that `painter` has painted."""
        found = self._database.reading().execute(
            "SELECT number, key FROM windows WHERE job = ? AND painter = ?", (job, painter)
        )
        return dict(found.fetchall())

    def use(self, job: str, digest: str) -> None:
        """The job uses these pixels of the spool, so that they stay as long as it does. Of a deleted one nothing is written down."""
        with self._database.changing() as connection:
            connection.execute("INSERT OR IGNORE INTO pixels SELECT id, ? FROM jobs WHERE id = ?", (digest, job))

    def of_job(self, job: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The digests of the pixels, and the keys of the windows, that the job uses."""
        digests = self._database.reading().execute("SELECT digest FROM pixels WHERE job = ?", (job,))
        keys = self._database.reading().execute("SELECT DISTINCT key FROM windows WHERE job = ?", (job,))
        return tuple(digest for (digest,) in digests), tuple(key for (key,) in keys)

    def of_owner(self, owner: str, besides: str, asked: Iterable[str]) -> tuple[int, int]:
        """How many jobs of `owner` have not ended, and the bytes of pixels, before compression, that are kept for him.

        These are those of all his jobs, and those that he ordered guides of today and no job of his has.
        The job `besides` does not count, nor do guides' pixels that are `asked` for again.
        """
        live, size = (
            self._database.reading()
            .execute(
                "SELECT count(*) FILTER (WHERE state NOT IN (?, ?, ?)), sum(bytes)"
                " FROM jobs WHERE owner = ? AND id <> ?",
                (*ENDED, owner, besides),
            )
            .fetchone()
        )
        (more,) = (
            self._database.reading()
            .execute(
                f"""SELECT sum(bytes) FROM ordered AS one WHERE owner = ?1 AND at >= ?2
                    AND digest NOT IN (SELECT value FROM json_each(?3)) AND NOT {_IN_A_JOB}""",
                (owner, time.time() - YOUNG, json.dumps(list(asked))),
            )
            .fetchone()
        )
        return live, (size or 0) + (more or 0)

    def jobless(self, owner: str, digests: Iterable[str]) -> frozenset[str]:
        """Those of `digests` that no job of `owner` has."""
        found = self._database.reading().execute(
            f"SELECT digest FROM (SELECT value AS digest FROM json_each(?2)) AS one WHERE NOT {_IN_A_JOB}",
            (owner, json.dumps(list(digests))),
        )
        return frozenset(digest for (digest,) in found)


_IN_A_JOB = """EXISTS (SELECT 1 FROM pixels AS p JOIN jobs ON jobs.id = p.job
                       WHERE p.digest = one.digest AND jobs.owner = ?1)"""


def orphans(
    connection: sqlite3.Connection, job: str, besides: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The digests and keys that only this job uses, where the jobs `besides` count as gone.

    What another has proven stays, and what a guide was made of today: it may still be under way.
    """
    digests = connection.execute(
        """SELECT digest FROM pixels WHERE job = ?1
           AND NOT EXISTS (SELECT 1 FROM pixels AS p WHERE p.digest = pixels.digest AND p.job <> ?1
                           AND p.job NOT IN (SELECT value FROM json_each(?2)))
           AND NOT EXISTS (SELECT 1 FROM owned JOIN jobs ON jobs.id = ?1
                           WHERE owned.digest = pixels.digest AND (owned.owner <> jobs.owner OR ordered_at >= ?3))""",
        (job, json.dumps(list(besides)), time.time() - YOUNG),
    ).fetchall()
    keys = connection.execute(
        """SELECT DISTINCT key FROM windows WHERE job = ?1
           AND NOT EXISTS (SELECT 1 FROM windows AS w WHERE w.key = windows.key AND w.job <> ?1
                           AND w.job NOT IN (SELECT value FROM json_each(?2)))""",
        (job, json.dumps(list(besides))),
    ).fetchall()
    return tuple(digest for (digest,) in digests), tuple(key for (key,) in keys)
