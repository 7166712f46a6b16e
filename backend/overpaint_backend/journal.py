"""The log: one line for each event, as text or JSON, with the job, worker and method that it is about."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

FORMATS = ("text", "json")
WORDS = ("job", "worker", "method")
"""What a line may be about. Prompts, tokens and paths of clients are never among it."""

_about: ContextVar[dict[str, str] | None] = ContextVar("about", default=None)


@contextmanager
def about(**words: str) -> Generator[None, None, None]:
    """All that is logged in this block, by this thread, is about this `job`, `worker` or `method`."""
    before = _about.set((_about.get() or {}) | words)
    try:
        yield
    finally:
        _about.reset(before)


def write_log(form: str, to: TextIO | None = None) -> None:
    """From now on this process writes its log `to` standard error, in one of FORMATS."""
    writer = logging.StreamHandler(sys.stderr if to is None else to)
    writer.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    root.handlers = [writer]
    root.setLevel(logging.INFO)
    logging.getLogger("grpc._common").addFilter(_is_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    """Not what gRPC says of bytes that are no message: their sender hears it, and anyone could fill the log with it."""
    return record.msg != "Exception deserializing message!"


class _Text(logging.Formatter):
    """2026-01-31T12:00:00.000Z INFO server: words [job=... worker=...]; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={_one_line(word)}" for name, word in _facts(record).items())
        line = f"{_time(record)} {record.levelname} {_room(record)}: {_one_line(record.getMessage())}"
        trace = self.formatException(record.exc_info).replace("\n", "\n    ") if record.exc_info else ""
        return line + (f" [{facts}]" if facts else "") + (f"\n    {trace}" if trace else "")


class _Json(logging.Formatter):
    """One JSON object a line: at, level, room, message, then job, worker, method and trace where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"at": _time(record), "level": record.levelname.lower(), "room": _room(record)}
        line |= {"message": record.getMessage()} | _facts(record)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _facts(record: logging.LogRecord) -> dict[str, str]:
    """What the line is about: its own `extra` first, then the block that it was written in."""
    own = {name: str(getattr(record, name)) for name in WORDS if hasattr(record, name)}
    known = (_about.get() or {}) | own
    return {name: known[name] for name in WORDS if name in known}


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _room(record: logging.LogRecord) -> str:
    return record.name.removeprefix("overpaint_backend.")


def _one_line(text: str) -> str:
    """Words that came from elsewhere must not write a line of their own."""
    return (
        text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n") if "\n" in text or "\r" in text else text
    )
