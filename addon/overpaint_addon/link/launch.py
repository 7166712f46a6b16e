"""A backend on this machine: find its command, start it as a child that ends with Blender, read what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from overpaint.address import host_of, is_here
from overpaint.errors import Invalid, Missing, OverpaintError, Unauthenticated, Unavailable

PATIENCE = 120.0  # seconds until it listens: the first start after an installation compiles its Python files
KNOCK = 10.0  # seconds for a server that listens there already to answer: it may be busy
GRACE = 15.0  # seconds to end by itself
WIDTH = 300  # bytes that a line of the log has at most, by and large
# What the person has set for the add-on, or for another server, and what would change this one.
NOT_FOR_IT = ("LISTEN", "TOKEN", "TOKEN_FILE", "CERTIFICATE", "KEY", "SERVER")


class Stage(StrEnum):
    """What the child is doing."""

    STOPPED = "Stopped"
    STARTING = "Starting"
    RUNNING = "Running"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the local backend is. `ours` is False where it was running before, so that it is not ours to stop."""

    stage: Stage = Stage.STOPPED
    address: str = ""
    ours: bool = True
    error: OverpaintError | None = None


def find_command(named: str) -> tuple[str, ...]:
    """How to call `overpaint`: `named` is the command, a Python or an environment's folder; where it is "", on the path
    and in the common places. Raises Missing where there is none."""
    if not named:
        for place in (shutil.which("overpaint"), *map(str, _common_places())):
            if place and Path(place).is_file():
                return (place,)
        words = "no `overpaint` command is on the path or in the usual places"
        raise Missing(field="backend", message=words, remedy="Install the backend, or name its command in Preferences")
    path = Path(named).expanduser()
    inside = [path / folder / name for folder in ("", "bin", "Scripts") for name in ("overpaint", "overpaint.exe")]
    path = next((one for one in inside if one.is_file()), path)
    if not path.is_file():
        remedy = "Choose the `overpaint` command, a Python, or the folder of its environment in Preferences"
        raise Missing(field="backend", message=f"{named} is no command", remedy=remedy)
    return (str(path), "-m", "overpaint_backend.cli") if path.stem.lower().startswith("python") else (str(path),)


def _common_places() -> list[Path]:
    """Where pip --user, pipx, uv and a checkout in the home folder leave the command."""
    home = Path.home()
    folders = [
        home / ".local/bin",
        home / ".local/share/uv/tools/overpaint",
        home / ".local/share/pipx/venvs/overpaint",
    ]
    folders += [home / ".local/pipx/venvs/overpaint", home / "pipx/venvs/overpaint", home / "overpaint/.venv"]
    folders += [home / "AppData/Roaming/uv/tools/overpaint", Path("/opt/homebrew"), Path("/usr/local")]
    return [
        folder / inner / name
        for folder in folders
        for inner, name in (("", "overpaint"), ("bin", "overpaint"), ("Scripts", "overpaint.exe"))
    ]


class LocalBackend:
    """The backend on this machine. No method waits: what takes time happens on a thread, and `status` tells.

    All that the child says goes into the file `log`, which the next start writes anew.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self.status = Status()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()

    def start(self, command: tuple[str, ...], address: str) -> Future[Status]:
        """Start `command` listening at `address`, on this machine, or adopt the server that is there already.

        The result is there as soon as it listens, or has failed; the future itself never fails. Raises Invalid where
        `address` is another machine's. A child that is starting or running stays as it is; an adopted server may have
        gone meanwhile, so it is looked for again.
        """
        ready: Future[Status] = Future()
        if not is_here(host_of(address)):
            words = f"{address} is another machine: what runs there is started there"
            raise Invalid(field="server", message=words, remedy="Choose a server on this machine")
        if self.status.stage is Stage.STARTING or (self.status.stage is Stage.RUNNING and self.status.ours):
            ready.set_result(self.status)
            return ready
        self._stopping = threading.Event()
        self.status = Status(stage=Stage.STARTING, address=address)
        threading.Thread(
            target=self._live, args=(command, address, self._stopping, ready), daemon=True, name="overpaint-backend"
        ).start()
        return ready

    def stop(self) -> None:
        """Ask the child to end; what it paints goes on at its next start. An adopted server is only let go of."""
        self._stopping.set()
        child = self._child
        if child is not None and child.stdin is not None:
            child.stdin.close()  # the sign to end, on every system; the thread sees to it that it does
        if not self.status.ours:
            self.status = Status()

    def lines(self, count: int) -> tuple[str, ...]:
        """The last lines that it said, about `count` at most; of a long log only the end is read."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - count * WIDTH))
                return tuple(file.read().decode("utf-8", "replace").splitlines()[-count:])
        except OSError:
            return ()

    def _live(self, command: tuple[str, ...], address: str, stopping: threading.Event, ready: Future[Status]) -> None:
        """The thread's whole life: adopt or start, wait until it listens, wait until it ends."""
        try:
            if _answers(address):
                found = Status() if stopping.is_set() else Status(stage=Stage.RUNNING, address=address, ours=False)
                self._become(found, ready)
                return
            child = self._begin(command, address)
            where = self._listens(child, stopping)
            if where:
                self._become(Status(stage=Stage.RUNNING, address=where), ready)
                while child.poll() is None and not stopping.wait(0.5):
                    pass
            self._end(child, stopping, ready)
        except OSError as error:
            words = f"{command[0]} cannot be started ({error.strerror or error})"
            remedy = "Choose the `overpaint` command in Preferences"
            self._become(
                Status(stage=Stage.FAILED, error=Missing(field="backend", message=words, remedy=remedy)), ready
            )

    def _become(self, status: Status, ready: Future[Status]) -> None:
        self.status = status
        if not ready.done():
            ready.set_result(status)

    def _begin(self, command: tuple[str, ...], address: str) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        env = {name: value for name, value in os.environ.items() if name.removeprefix("OVERPAINT_") not in NOT_FOR_IT}
        with self.log.open("wb") as log:  # a file, not a pipe: it must be able to speak when we are gone
            self._child = subprocess.Popen(
                [*command, "serve", "--listen", address, "--with-parent"],
                stdin=subprocess.PIPE,  # closed when this process ends, however it ends: its sign to end too
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        return self._child

    def _listens(self, child: subprocess.Popen[bytes], stopping: threading.Event) -> str:
        """Where it listens, once it says so; "" where it ended, was stopped, or took too long."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            ended = child.poll() is not None  # asked before the log is read: what is in there then is all
            for line in self.lines(200):
                if " listens on " in line:
                    return line.split(" listens on ")[1].split(",")[0]
            if ended or stopping.wait(0.1):
                break
        return ""

    def _end(self, child: subprocess.Popen[bytes], stopping: threading.Event, ready: Future[Status]) -> None:
        """The child is to end, or has ended: the status it leaves."""
        code = child.poll()
        if child.stdin is not None:
            child.stdin.close()
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if stopping.is_set():
            self._become(Status(), ready)
            return
        said = "; ".join([line.strip() for line in self.lines(3) if line.strip()]) or "it said nothing"
        how = f"did not listen within {PATIENCE:.0f} s" if code is None else f"ended with {code}"
        remedy = "Open its log, or run `overpaint doctor` in a terminal"
        error = Unavailable(field="backend", message=f"the local backend {how}: {said}", remedy=remedy)
        self._become(Status(stage=Stage.FAILED, error=error), ready)


def _answers(address: str) -> bool:
    """Whether an Overpaint server is there already; one that wants a token is one too."""
    from overpaint.client import Client  # brings gRPC

    with Client(address) as client:
        try:
            return bool(client.server(KNOCK).version)
        except Unauthenticated:
            return True
        except OverpaintError:
            return False
