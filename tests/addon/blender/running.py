"""Run a function of the folder `inside` in a real Blender, and give back what it returned."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
VERSIONS = ("4.5", "5.0", "5.2")


def python_of(version: str) -> Path:
    """The interpreter whose `bpy` is that Blender; it may be missing."""
    return ROOT / ".blender" / version / "bin" / "python"


def run(version: str, function: str, *, timeout: float = 120, env: dict[str, str] | None = None, **given: Any) -> Any:
    """What `function` ("module.name") returned for `given`; both travel as JSON.

    A crash, a hang or an exception in there fails the test with everything that Blender said.
    """
    with tempfile.TemporaryDirectory(prefix="overpaint-test-") as folder:
        asked, answered = Path(folder) / "asked.json", Path(folder) / "answered.json"
        asked.write_text(json.dumps(given, default=str), "utf-8")
        command = [python_of(version), "-P", ROOT / "tests/addon/blender/inside/main.py", function, asked, answered]
        said = Path(folder) / "said.txt"
        with said.open("wb") as out:
            try:
                # Blender's user files go into the folder: a test must not depend on what this account has.
                ended = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    timeout=timeout,
                    env=os.environ | {"BLENDER_USER_RESOURCES": folder} | (env or {}),
                ).returncode
            except subprocess.TimeoutExpired:
                ended = f"nothing after {timeout:.0f} s"
        if ended != 0 or not answered.exists():
            words = said.read_text("utf-8", errors="replace")
            raise AssertionError(f"{function} in Blender {version} ended with {ended}:\n{words[-6000:]}")
        return json.loads(answered.read_text("utf-8"))
