"""A warm process for each node: keeps an engine loaded between the tasks of a job, behind a loopback socket.

Who talks to it must know the token of its connection file (mode 0600), and proves that without sending it
(multiprocessing's HMAC handshake). Messages are JSON, never pickles.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any

from overpaint.errors import BY_STATUS, Cancelled, Conflict, Internal, Invalid, OverpaintError, Unavailable

from overpaint_backend import registry
from overpaint_backend.engine import Engine
from overpaint_backend.farm.teller import Style, Teller
from overpaint_backend.farm.walk import Errand, run

IDLE = 3600.0  # seconds without a task after which it ends: nobody may be left who would stop it
STARTING = 60.0  # seconds that a start may take
ANSWER = 5.0  # seconds in which a daemon greets who calls; whatever listens at its port now may never
MOST_BYTES = 1 << 16  # of a message: it holds paths and words


class Warm:
    """Builds engines, and keeps the last one."""

    def __init__(self, device: str, weights: Path) -> None:
        self._device, self._weights = device, weights
        self._engine: Engine | None = None

    def __call__(self, name: str) -> Engine:
        if self._engine is None or self._engine.card.name != name:
            self._engine = None  # let go of the old one's memory before the new one is built
            self._engine = registry.build(name, device=self._device, weights=self._weights)
        return self._engine

    def forget(self) -> None:
        self._engine = None


class Daemon:
    """Runs one errand at a time; the others wait."""

    def __init__(self, device: str, weights: Path) -> None:
        self.kept = {"device": device, "weights": str(weights)}
        self._build, self._turn = Warm(device, weights), threading.Lock()
        self._used = time.monotonic()
        self._stops: set[threading.Event] = set()

    def serve(self, file: Path) -> None:
        """Until it is stopped, or idle for long. Raises Conflict where another one answers there."""
        if _is_alive(file):
            raise Conflict(field="connection", message=f"a daemon answers at {file}", remedy="Stop it first")
        token = secrets.token_hex(32)
        listener = Listener(("127.0.0.1", 0))
        address = {"port": listener.address[1], "token": token, "pid": os.getpid(), **self.kept}
        _write_secret(file, json.dumps(address))
        signal.signal(signal.SIGTERM, lambda *_: _leave(file))
        threading.Thread(target=self._watch, args=(file,), daemon=True).start()
        while True:
            try:
                line = listener.accept()
            except OSError:
                continue  # whoever called went away again
            threading.Thread(target=self._answer, args=(line, token.encode(), file), daemon=True).start()

    def _watch(self, file: Path) -> None:
        while time.monotonic() - self._used < IDLE or self._turn.locked():
            time.sleep(1.0)
        _leave(file)

    def _answer(self, line: Connection, token: bytes, file: Path) -> None:
        with line, suppress(AuthenticationError, EOFError, OSError):
            deliver_challenge(line, token)
            answer_challenge(line, token)
            asked = json.loads(line.recv_bytes(MOST_BYTES))
            if asked["verb"] == "stop":
                for stop in tuple(self._stops):
                    stop.set()
                line.send_bytes(b"{}")
                _leave(file, self._turn)
            elif asked["verb"] == "run":
                self._run(asked, line, file)
            else:
                line.send_bytes(json.dumps({"kept": self.kept}).encode())

    def _run(self, asked: Mapping[str, Any], line: Connection, file: Path) -> None:
        stop = threading.Event()
        self._stops.add(stop)

        def listen() -> None:
            with suppress(EOFError, OSError):  # a caller that is gone wants no more of it, as one that says so
                line.recv_bytes(MOST_BYTES)
            stop.set()

        threading.Thread(target=listen, daemon=True).start()
        error: OverpaintError | None = None
        with Teller(Style(asked["style"]), lambda words: _send(line, {"line": words})) as teller:
            try:
                self._in_turn(_errand(asked["errand"]), teller, stop)
            except OverpaintError as caught:
                error = caught
        self._stops.discard(stop)
        words = error and {
            "status": error.status,
            "field": error.field,
            "message": error.message,
            "remedy": error.remedy,
        }
        _send(line, {"ended": True, "error": words})
        if isinstance(error, Internal) and error.field == "device":
            _leave(file)  # nothing more can be computed in this process

    def _in_turn(self, errand: Errand, teller: Teller, stop: threading.Event) -> None:
        """Raises what it failed with, Cancelled also where it was still waiting."""
        if self._turn.locked():
            teller.begin("another task is running, and this one waits for it")
        while not self._turn.acquire(timeout=0.1):
            if stop.is_set():
                raise Cancelled(field="job", message="it was cancelled before its turn came", remedy="Run it again")
        try:
            self._used = time.monotonic()
            run(errand, self._build, teller, stop)
        except Internal:
            self._build.forget()
            raise
        finally:
            self._used = time.monotonic()
            self._turn.release()


def run_warm(file: Path, errand: Errand, style: Style, write: Callable[[str], None], stop: threading.Event) -> None:
    """Have the daemon run the errand, and print what it says. Raises what it failed with, Unavailable where it is gone."""
    with _call(file) as line:
        _send(line, {"verb": "run", "style": style, "errand": _plain(errand)})
        while True:
            if stop.is_set():
                _send(line, {"verb": "cancel"})
                stop = threading.Event()  # it is told once
            if not line.poll(0.1):
                continue
            try:
                answer = json.loads(line.recv_bytes())
            except (EOFError, OSError):
                raise Unavailable(
                    field="daemon", message="the daemon ended in the middle of the task", remedy="Run the task again"
                ) from None
            if "line" in answer:
                write(answer["line"])
            if answer.get("error"):
                words = answer["error"]
                raise BY_STATUS[words.pop("status")](**words)
            if answer.get("ended"):
                return


def why_cold(file: Path, device: str, weights: Path) -> str:
    """Why there is no daemon to run a task on this device with these weights, in words; empty where there is."""
    try:
        with _call(file) as line:
            _send(line, {"verb": "look"})
            kept = json.loads(line.recv_bytes())["kept"]
    except OverpaintError as error:
        return error.message
    except (EOFError, OSError):
        return f"the daemon at {file} went away"
    wanted = {"device": device, "weights": str(weights)}
    return "" if kept == wanted else f"the daemon at {file} works with {kept}, and this task wants {wanted}"


def start(file: Path, device: str, weights: Path) -> str:
    """Start a daemon that outlives this process; the words say where. One that runs there already is left alone."""
    if _is_alive(file):
        return f"a daemon runs already at {file}"
    file.unlink(missing_ok=True)
    words = [
        "daemon",
        "start",
        "--foreground",
        "--connection",
        str(file),
        "--device",
        device,
        "--weights",
        str(weights),
    ]
    apart: dict[str, Any] = (
        {"start_new_session": True}
        if os.name == "posix"
        else {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(file.name + ".log").open("ab") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "overpaint_backend.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            **apart,
        )
    until = time.monotonic() + STARTING
    while time.monotonic() < until and process.poll() is None:
        if _is_alive(file):
            return f"a daemon runs at {file}, process {process.pid}"
        time.sleep(0.1)
    process.kill()
    raise Unavailable(
        field="daemon", message="the daemon did not start", remedy=f"Look into {file}.log, or run without one"
    )


def end(file: Path) -> str:
    """Stop the daemon; what it paints stops at its next step."""
    if not _is_alive(file):
        file.unlink(missing_ok=True)
        return f"no daemon answers at {file}"
    with _call(file) as line:
        _send(line, {"verb": "stop"})
        with suppress(EOFError, OSError):
            line.recv_bytes()
    return "the daemon stops"


def _call(file: Path) -> Connection:
    """A line to the daemon of the connection file. Raises Unavailable where none answers, Invalid for a file that is none."""
    try:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            raise Invalid(field="connection", message=f"{file} may be read by others", remedy=f"Say chmod 600 {file}")
        kept = json.loads(file.read_text("utf-8"))
        line, token = Client(("127.0.0.1", int(kept["port"]))), str(kept["token"]).encode()
        try:
            if not line.poll(ANSWER):
                raise EOFError("what listens there is none")
            answer_challenge(line, token)
            deliver_challenge(line, token)
        except BaseException:
            line.close()
            raise
        return line
    except (OSError, EOFError, AuthenticationError, ValueError, KeyError, TypeError) as error:
        why = f"no daemon answers at {file} ({error})"
        raise Unavailable(
            field="daemon", message=why, remedy="Say overpaint daemon start, or run without one"
        ) from None


def _is_alive(file: Path) -> bool:
    try:
        with _call(file) as line:
            _send(line, {"verb": "look"})
            return bool(line.recv_bytes())
    except (Unavailable, EOFError, OSError):
        return False


def _send(line: Connection, plain: Mapping[str, Any]) -> None:
    """To whoever still listens."""
    with suppress(OSError):
        line.send_bytes(json.dumps(plain).encode())


def _write_secret(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    part.replace(file)


def _leave(file: Path, turn: threading.Lock | None = None) -> None:
    """End the process; what runs may take a few seconds for its next step."""
    if turn is not None:
        turn.acquire(timeout=8.0)
    file.unlink(missing_ok=True)
    os._exit(0)


def _plain(errand: Errand) -> dict[str, Any]:
    windows = errand.windows and [errand.windows.start, errand.windows.stop]
    return {
        "job": str(errand.job.absolute()),
        "out": str(errand.out.absolute()) if errand.out else None,
        "weights": str(errand.weights),
        "windows": windows,
        "task": errand.task,
        "chunk": errand.chunk,
    }


def _errand(plain: Mapping[str, Any]) -> Errand:
    return Errand(
        job=Path(plain["job"]),
        out=Path(plain["out"]) if plain["out"] else None,
        weights=Path(plain["weights"]),
        windows=range(*plain["windows"]) if plain["windows"] else None,
        task=plain["task"],
        chunk=plain["chunk"],
    )
