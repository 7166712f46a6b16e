"""A real backend in a process of its own, over TCP, for tests."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """`web` is where the page is, where --web was among the flags; `log` the file of standard error."""

    address: str
    process: subprocess.Popen[str]
    web: str = ""
    log: str = ""

    def kill(self) -> None:
        """As a power cut would: no warning, no clean-up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def free() -> str:
    """An address where nobody listens, nor comes to by chance: systems give outgoing connections ports from 32768 on."""
    while True:
        address = ("127.0.0.1", 20_000 + secrets.randbelow(12_000))
        with suppress(OSError), socket.create_server(address):
            return f"{address[0]}:{address[1]}"


def guard(
    folder: Path, token: str = "open sesame", name: str = "anna", scopes: tuple[str, ...] = ("paint",), **allowance: int
) -> None:
    """The server in `folder` lets only those in who show a token of its list; this one is known beforehand."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tokens.json"
    rows = json.loads(file.read_text())["tokens"] if file.exists() else []
    hashed = hashlib.sha256(token.encode()).hexdigest()
    rows.append({"name": name, "sha256": hashed, "scopes": list(scopes), **allowance})
    file.write_text(json.dumps({"tokens": rows}))
    file.chmod(0o600)


@contextmanager
def serving(folder: Path, *flags: str, listen: str = "127.0.0.1:0") -> Generator[Serving, None, None]:
    command = [
        sys.executable,
        "-m",
        "overpaint_backend.cli",
        "serve",
        "--listen",
        listen,
        "--folder",
        str(folder),
        *flags,
    ]
    on_cpu = os.environ | {"CUDA_VISIBLE_DEVICES": ""}  # one worker, on every machine alike
    with (folder.parent / f"{folder.name}.log").open("a") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=on_cpu, start_new_session=True
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert " listens on " in line, f"the server did not start: {line}"
        web = process.stdout.readline().split(" is at ")[1].strip() if "--web" in flags else ""
        yield Serving(address=line.split(" listens on ")[1].split(",")[0], process=process, web=web, log=log.name)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:  # nothing of a test outlives it, the server's workers neither
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
