"""What it costs that frames and what is told of jobs survive a power cut: python -m overpaint_backend.measure.disk FOLDER."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from overpaint.codec import digest

from overpaint_backend.jobs.spool import Spool

TURNS = 200


def main(folder: Path) -> None:
    """Print milliseconds for frames of two sizes, synced and not, and for a transaction of each kind, on `folder`'s disk."""
    for height, width, number in ((90, 160, 200), (1080, 1920, 40)):
        rng = np.random.default_rng(1)
        frames = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(number)]
        for synced in (False, True):
            put, settle = _frames(folder, frames, synced=synced)
            how = "synced" if synced else "not synced"
            print(f"{width}x{height}, {how:10}: {put:7.2f} ms a frame, {settle:6.1f} ms to settle {number}")
    for mode in ("NORMAL", "FULL"):
        print(f"a transaction, {mode:6}: {_transaction(folder, mode):7.2f} ms")


def _frames(folder: Path, frames: Sequence[np.ndarray], *, synced: bool) -> tuple[float, float]:
    """Milliseconds to keep one frame, and to settle all of them."""
    names, really = list(map(digest, frames)), os.fsync
    with tempfile.TemporaryDirectory(dir=folder) as name:
        spool = Spool(Path(name))
        os.fsync = really if synced else lambda fd: None
        try:
            began = time.perf_counter()
            for frame, one in zip(frames, names, strict=True):
                spool.put(frame, one)
            kept = time.perf_counter()
            spool.settle(names)
            return (kept - began) / len(frames) * 1e3, (time.perf_counter() - kept) * 1e3
        finally:
            os.fsync = really


def _transaction(folder: Path, mode: str) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        connection = sqlite3.connect(Path(name) / "jobs.sqlite", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {mode}")
        connection.execute("CREATE TABLE numbers (number INTEGER)")
        began = time.perf_counter()
        for number in range(TURNS):
            connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        spent = time.perf_counter() - began
        connection.close()
        return spent / TURNS * 1e3


if __name__ == "__main__":
    main(Path(sys.argv[1]))
