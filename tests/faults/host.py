"""A server that can be killed and started again at the same address, and its worker."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

from tests.serving import Serving, free, serving


class Host:
    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.address = free()
        self._stack = ExitStack()
        self._env = env

    def __enter__(self) -> Host:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        before = {name: os.environ.get(name) for name in self._env}
        os.environ.update(self._env)
        try:
            self._server: Serving = self._stack.enter_context(serving(self.folder, listen=self.address))
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})

    def kill(self) -> None:
        self._server.kill()

    def worker(self) -> int:
        """The worker's process: the server's child that was spawned to work. Waits for it."""
        stop = time.monotonic() + 30
        while time.monotonic() < stop:
            threads = Path(f"/proc/{self._server.process.pid}/task").glob("*/children")
            for pid in (pid for thread in threads for pid in thread.read_text().split()):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return int(pid)
            time.sleep(0.05)
        raise AssertionError("the server has no worker")

    def kill_worker(self, how: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.worker(), how)
