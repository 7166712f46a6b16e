"""A real server in a process of its own, for benchmarks, with tokens of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from overpaint.errors import Unavailable

from overpaint_backend.access import Allowance, Scope, add_token

MEMORY = "VmHWM:"  # the most memory that a process ever had in use


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that runs: where it listens, whose tokens it takes, and the id of its process."""

    address: str
    tokens: tuple[str, ...]
    pid: int

    def peak_bytes(self) -> int | None:
        """The most memory that the server and its workers had in use, each counted on its own; None where Linux is not.

        What they share (libraries) is counted for each of them, so the sum is an upper bound.
        """
        found = [_peak(pid) for pid in _tree(self.pid)]
        return sum(found) if found and all(found) else None


@contextmanager
def served(clients: int = 1) -> Generator[Served, None, None]:
    """A server on the CPU in a new, temporary folder, and a token for each client. It ends with the block."""
    with tempfile.TemporaryDirectory(prefix="overpaint-") as name:
        folder = Path(name) / "jobs"
        folder.mkdir(mode=0o700)
        paint = frozenset({Scope.PAINT})
        file = folder / "tokens.json"
        tokens = tuple(add_token(file, f"client {number}", paint, Allowance()) for number in range(clients))
        words = [sys.executable, "-m", "overpaint_backend.cli", "serve", "--listen", "127.0.0.1:0"]
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}  # one worker, on every machine alike
        with (Path(name) / "log").open("w") as log:
            process = subprocess.Popen(
                [*words, "--folder", str(folder)], stdout=subprocess.PIPE, stderr=log, text=True, env=environment
            )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if " listens on " not in line:
                why = (Path(name) / "log").read_text()[-500:]
                raise Unavailable(field="server", message=f"the server did not start: {why}", remedy="Mend that first")
            address = line.split(" listens on ")[1].split(",")[0]
            yield Served(address=address, tokens=tokens, pid=process.pid)
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _tree(pid: int) -> Sequence[int]:
    """The process and all that it started, as Linux tells it; empty elsewhere."""
    threads = Path(f"/proc/{pid}/task")
    if not threads.exists():
        return ()
    children = [int(child) for thread in threads.glob("*/children") for child in thread.read_text().split()]
    return (pid, *(one for child in children for one in _tree(child)))


def _peak(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(MEMORY)), 0)
