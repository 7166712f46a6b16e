"""A server of which every process says what files it opens, and logs all that it has to say."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serving import Serving, serving

# Python runs it at the start of every process: the server, its workers, those that make guides.
HOOK = """
import json, logging, os, sys

def watch():
    file = os.open(os.environ["TEST_OPENED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    kinds = ("open", "sqlite3.connect", "subprocess.Popen")
    def said(one):
        return one if isinstance(one, int) else repr(one) if isinstance(one, (list, tuple)) else os.fsdecode(one)
    def tell(event, args):
        told = [said(one) for one in args if isinstance(one, (str, bytes, int, list, tuple, os.PathLike))]
        os.write(file, (json.dumps([event, told]) + "\\n").encode())
    def hook(event, args):
        if event in kinds or event.startswith(("os.", "shutil.", "pathlib.", "tempfile.", "glob.")):
            tell(event, args)
    sys.addaudithook(hook)
    look = os.stat  # Python does not audit it, and whether a file is there is something to know as well
    def stat(path, *args, **more):
        tell("os.stat", (path,))
        return look(path, *args, **more)
    os.stat = stat

watch()
level = logging.Logger.setLevel
logging.Logger.setLevel = lambda self, _: level(self, logging.DEBUG)
"""

# An engine of somebody else's: it fails in words that quote whatever it was given.
ENGINE = """
from dataclasses import replace
from overpaint_backend.engines.toy.card import card as toy
from overpaint_backend.engines.toy.engine import ToyEngine

card = replace(toy, name="quoting", title="Quoting")

class Quoting(ToyEngine):
    def __init__(self, weights):
        super().__init__(card)
        self._weights = weights

    def encode(self, edit):
        try:
            raise KeyError(edit.prompt)
        except KeyError as error:
            raise ValueError(f"{edit.prompt!r} cannot be painted with {self._weights}") from error

def build(device, weights):
    return Quoting(weights)
"""


@contextmanager
def watched(folder: Path, patch: pytest.MonkeyPatch, *flags: str) -> Generator[tuple[Serving, Path], None, None]:
    """The server, and the file that `opened` reads; its log is `folder`/jobs.log."""
    room = folder / "room"
    facts = room / "quoting-1.0.dist-info"
    facts.mkdir(parents=True)
    (room / "sitecustomize.py").write_text(HOOK)
    (room / "quoting_engine.py").write_text(ENGINE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: quoting\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[overpaint.engines]\nquoting = quoting_engine\n")
    said = folder / "opened"
    patch.setenv("PYTHONPATH", os.pathsep.join([str(room), *filter(None, [os.environ.get("PYTHONPATH")])]))
    patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    patch.setenv("TEST_OPENED", str(said))
    with serving(folder / "jobs", *flags) as server:
        yield server, said


def opened(said: Path, after: int = 0) -> list[tuple[str, list[str | int]]]:
    """What was done with files, from the byte `after` on: event and arguments."""
    whole, _, _ = said.read_bytes()[after:].rpartition(b"\n")  # the last line may be about to be written
    return [(event, args) for event, args in map(json.loads, whole.splitlines())]
