"""Run a function of the folder `inside` in a real Blender, and give back what it returned."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
VERSIONS = ("4.5", "5.0", "5.2")


def python_of(version: str) -> Path:
    """The interpreter whose `bpy` is that Blender; it may be missing."""
    return ROOT / ".blender" / version / "bin" / "python"


def run(
    version: str, function: str, *, user: Path, timeout: float = 400, env: dict[str, str] | None = None, **given: Any
) -> Any:
    """What `function` ("module.name") returned for `given`; both travel as JSON.

    `user` is where Blender has its user's files: a test must not depend on what this account has.
    A crash, a hang or an exception in there fails the test with everything that Blender said.
    """
    with tempfile.TemporaryDirectory(prefix="overpaint-test-") as folder:
        asked, answered = Path(folder) / "asked.json", Path(folder) / "answered.json"
        asked.write_text(json.dumps(given, default=str), "utf-8")
        command = [python_of(version), "-P", ROOT / "tests/addon/blender/inside/main.py", function, asked, answered]
        said = Path(folder) / "said.txt"
        with said.open("wb") as out:
            try:
                ended = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    timeout=timeout,
                    env=os.environ | {"BLENDER_USER_RESOURCES": str(user)} | (env or {}),
                ).returncode
            except subprocess.TimeoutExpired:
                ended = f"nothing after {timeout:.0f} s"
        if ended != 0 or not answered.exists():
            words = said.read_text("utf-8", errors="replace")
            raise AssertionError(f"{function} in Blender {version} ended with {ended}:\n{words[-6000:]}")
        return json.loads(answered.read_text("utf-8"))


class Installed:
    """Blenders with the extension, installed from its zip once each."""

    def __init__(self, extension: Path, folder: Path) -> None:
        self.extension = extension
        self.folder = folder

    def run(self, version: str, function: str, *, user: Path | None = None, **given: Any) -> Any:
        """run(), with the extension in `user`, or in a folder that is gone afterwards."""
        if user is not None:
            self._lend(version, user)
            return run(version, function, user=user, **given)
        with tempfile.TemporaryDirectory(prefix="user-", dir=self.folder) as folder:
            return self.run(version, function, user=Path(folder), **given)

    def _lend(self, version: str, user: Path) -> None:
        """Put the installed files into `user`, unless they are there."""
        ready = self.folder / version
        if not ready.exists():
            installing = self.folder / f"{version}.installing"
            shutil.rmtree(installing, ignore_errors=True)
            run(version, "installing.install", user=installing, extension=self.extension)
            installing.rename(ready)
        if not (user / "extensions").exists():
            # Linked, since a copy takes seconds: to disable or to replace an extension unlinks its files.
            shutil.copytree(ready / "extensions", user / "extensions", copy_function=os.link)
