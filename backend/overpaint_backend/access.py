"""Who may ask for what: callers, and the door that knows them by a token or by a client's certificate."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from overpaint.errors import Conflict, Forbidden, Invalid, Missing, Unauthenticated

log = logging.getLogger(__name__)


class Scope(StrEnum):
    """What a caller may do."""

    PAINT = "paint"  # jobs of one's own
    ADMIN = "admin"  # see, stop and remove everybody's jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How much a caller may ask for; 0: as much as the server takes.

    `frames` of one clip, `pixels` of one frame, `bytes` of uncompressed pixels in all jobs that are kept and those that
    guides were ordered of within a day and no job has, `jobs` that have not ended.
    """

    frames: int = 0
    pixels: int = 0
    bytes: int = 0
    jobs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever asks: jobs and pixels belong to a `name`."""

    name: str
    scopes: frozenset[Scope]
    allowance: Allowance = field(default_factory=Allowance)

    def sees(self, owner: str) -> bool:
        """Whether a job of `owner` exists for this caller."""
        return owner == self.name or Scope.ADMIN in self.scopes

    def need(self, scope: Scope) -> None:
        """Raises Forbidden where the caller may not."""
        if scope not in self.scopes:
            words = f"{self.name or 'this caller'} may not do this: it takes the scope {scope}"
            raise Forbidden(field="token", message=words, remedy="Ask the server's owner for a token with that scope")


ANYONE = Caller(name="", scopes=frozenset(Scope))
"""Whoever reaches a server that asks for no token, and the command line at work on its own."""


NEVER = (0, 0, 0, 0)


class Door:
    """Knows callers by their tokens, of which `file` holds the SHA-256, or by a certificate that TLS has checked.

    The file is read again when it has changed, so a token that is taken away is worth nothing from then on. Where the file
    is there, nobody passes without being listed, even where it lists nobody, or cannot be read any more.
    A name in a certificate that the file does not list may paint.
    """

    def __init__(self, file: Path, *, guarded: bool) -> None:
        """`guarded`: nobody passes without a token, even where the file has none. Raises Invalid where it cannot be read."""
        self._file, self._guarded = file, guarded
        self._lock = threading.Lock()
        self._read_at = NEVER
        self._rows: Mapping[str, dict[str, Any]] = {}
        if file.exists():
            _read(file)

    @property
    def open(self) -> bool:
        """Whether anyone passes. Once there was a token, never again: to take the last one away opens no door."""
        if not self._guarded:
            self._fresh()
        return not self._guarded

    def admit(self, token: str, certified: str | None = None) -> Caller:
        """The caller who shows `token`, or the certificate of that name, which then alone counts. Raises Unauthenticated."""
        rows = self._fresh()
        if certified == "":
            words = "the certificate has no name"
            raise Unauthenticated(field="token", message=words, remedy="Ask the server's owner for one with a name")
        if certified is not None:
            return _caller(rows.get(certified, {"name": certified, "scopes": [Scope.PAINT]}))
        found = next((row for row in rows.values() if row["sha256"] == _hashed(token)), None) if token else None
        if found is None:
            words = "the token is missing or wrong"
            raise Unauthenticated(field="token", message=words, remedy="Ask the server's owner for its token")
        return _caller(found)

    def _fresh(self) -> Mapping[str, dict[str, Any]]:
        with self._lock:
            try:
                now = self._file.stat()
            except FileNotFoundError:
                self._read_at, self._rows = NEVER, {}
                return self._rows
            self._guarded = True
            # The change time as well: who may read the file changes nothing in it.
            if self._read_at != (seen := (now.st_mtime_ns, now.st_ctime_ns, now.st_size, now.st_ino)):
                try:
                    self._rows = _read(self._file)
                except Invalid as error:  # whoever calls need not know where it is, and cannot mend it
                    log.error("nobody is let in any more: %s", error)
                    self._rows = {}
                self._read_at = seen
            return self._rows


def check_private(file: Path, field: str, *, group: bool = False) -> None:
    """Raises Invalid where others than the file's owner (and, where allowed, its group) may read it, or OSError."""
    if os.name == "posix" and file.stat().st_mode & (0o007 if group else 0o077):
        raise Invalid(field=field, message=f"{file} may be read by others", remedy=f"Say chmod 600 {file}")


def check_name(name: str) -> None:
    """Raises Invalid where nobody can be called so."""
    if not name or not name.isprintable() or len(name) > 64:
        raise Invalid(field="name", message=f"{name!r} is no name", remedy="Give 1 to 64 letters")


def add_token(file: Path, name: str, scopes: frozenset[Scope], allowance: Allowance) -> str:
    """A new token for `name`, whose hash goes into `file`; it cannot be shown again. Raises Conflict for a known name."""
    rows = dict(_read(file)) if file.exists() else {}
    check_name(name)
    if name in rows:
        raise Conflict(field="name", message=f"{name} has a token", remedy="Remove it first, or take another name")
    token = secrets.token_urlsafe(24)
    rows[name] = {"name": name, "sha256": _hashed(token), "scopes": sorted(scopes), **asdict(allowance)}
    _write(file, rows)
    return token


def remove_token(file: Path, name: str) -> None:
    """The token of `name` is worth nothing any more; its jobs stay. Raises Missing."""
    rows = dict(_read(file)) if file.exists() else {}
    if rows.pop(name, None) is None:
        raise Missing(field="name", message=f"{name} has no token", remedy="List the tokens to see their names")
    _write(file, rows)


def callers(file: Path) -> tuple[Caller, ...]:
    """Everyone who has a token, by name."""
    rows = _read(file) if file.exists() else {}
    return tuple(_caller(rows[name]) for name in sorted(rows))


def _hashed(token: str) -> str:
    # A token has 192 random bits, so there is nothing that a slow hash would keep from being guessed.
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def _caller(row: Mapping[str, Any]) -> Caller:
    allowance = Allowance(**{name: int(row.get(name, 0)) for name in asdict(Allowance())})
    return Caller(name=row["name"], scopes=frozenset(map(Scope, row["scopes"])), allowance=allowance)


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        check_private(file, "tokens")
        rows = {row["name"]: row for row in json.loads(file.read_text("utf-8"))["tokens"]}
        for row in rows.values():
            _caller(row)
            row["sha256"]
    except OSError as error:
        why = f"{file} cannot be read ({error.strerror})"
        raise Invalid(field="tokens", message=why, remedy="Check the path") from None
    except (ValueError, KeyError, TypeError):
        raise Invalid(
            field="tokens", message=f"{file} is not a list of tokens", remedy="Make it with overpaint token add"
        ) from None
    return rows


def _write(file: Path, rows: Mapping[str, dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump({"tokens": list(rows.values())}, out, indent=2)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
