"""Room: whether the disk takes more, and how a file is written so that a full disk harms nothing."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from overpaint.errors import Exhausted, OverpaintError, Unavailable

# Bytes that pixels leave free (of a small disk, a twentieth), so that jobs can still be written down.
MARGIN = 256 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def full() -> Exhausted:
    return Exhausted(
        field="disk",
        message="the server's disk is full",
        remedy="Free some space, or delete jobs that have ended; then it goes on",
    )


def locked() -> Unavailable:
    return Unavailable(
        field="store",
        message="another process holds the lock of the server's jobs",
        remedy="End what has jobs.sqlite open, a copy or a shell; then it goes on",
    )


def is_full(error: Exception) -> bool:
    """Whether `error` says that the disk is full."""
    return (isinstance(error, OSError) and error.errno in FULL) or (
        isinstance(error, Exhausted) and error.field == "disk"
    )


def passes(error: Exception) -> bool:
    """Whether nothing is wrong but that nothing can be written just now: the disk is full, or the jobs are locked."""
    return is_full(error) or (isinstance(error, Unavailable) and error.field == "store")


def has_room(folder: Path, margins: int = 1) -> bool:
    """Whether the disk of `folder` has more free than so many margins. Work begins at two, so that it comes to something."""
    disk = shutil.disk_usage(folder)
    return disk.free > margins * min(MARGIN, disk.total // 20)


def check_room(folder: Path) -> None:
    """Raises Exhausted where the disk of `folder` is full."""
    if not has_room(folder):
        raise full()


@contextmanager
def whole(path: Path) -> Generator[BinaryIO, None, None]:
    """A file that appears whole or not at all: its bytes are on the disk before it has its name.

    Raises Exhausted where the disk is full.
    """
    path.parent.mkdir(exist_ok=True)
    check_room(path.parent)
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise full() if is_full(error) else error from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def insist(say: Callable[[], object], rest: Callable[[], object]) -> None:
    """Do what must not be lost; while nothing can be written, `rest` and try again, until it says that it is enough."""
    while True:
        try:
            say()
            return
        except OverpaintError as error:
            if not passes(error):
                raise
            if rest():
                return
