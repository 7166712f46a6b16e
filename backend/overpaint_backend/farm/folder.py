"""A job's outputs on disk: painted windows with their notes, and the take with its digests."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import overpaint
from overpaint.clip import Size
from overpaint.errors import Cancelled, Conflict
from overpaint.job import Picture
from overpaint.sealed import Sealed, write_whole

from overpaint_backend.farm.teller import Teller
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.pipeline.plan import Plan
from overpaint_backend.pipeline.region import Box
from overpaint_backend.pipeline.windows import Window
from overpaint_backend.weights import digest
from overpaint_backend.workers.run import Reader, mask_boxes

NOTE = {"job": str, "version": str, "by": str, "key": str, "sha256": str, "bytes": int, "seconds": float}
"""What the note of a window must have; `before` and `native_size` may be null."""


class JobSpool(Spool):
    """Windows below `out`; pixels come from the sealed folder, which is only ever read."""

    def __init__(self, sealed: Sealed, out: Path) -> None:
        # Not Spool's own: no frames are kept here, so there is no folder for any.
        self.folder, self._sealed = out, sealed
        (out / "windows").mkdir(parents=True, exist_ok=True)

    def get(self, digest: str) -> np.ndarray:
        return self._sealed.frame(digest)

    def window_path(self, key: str) -> Path:
        """Where a painted window is, or will be."""
        return self._window_path(key)


class Outputs:
    """What there is of a job below `folder`: `windows/`, `take/`, and a note beside each that says what it must be."""

    def __init__(self, sealed: Sealed, folder: Path) -> None:
        self.sealed, self.folder = sealed, folder
        self.take, self.take_note = folder / "take", folder / "take.json"
        self._plan_note, self._mask_note = folder / "plan.json", folder / "mask.json"

    @cached_property
    def spool(self) -> JobSpool:
        return JobSpool(self.sealed, self.folder)

    @property
    def shrunk(self) -> int:
        """How often the plan was made smaller for lack of memory, here."""
        return (_read(self._plan_note, shrunk=int) or {"shrunk": 0})["shrunk"]

    def keep_shrunk(self, shrunk: int) -> None:
        if shrunk != self.shrunk:
            _write(self._plan_note, {"shrunk": shrunk})

    def boxes(self, log: FolderLog) -> list[Box | None]:
        """The box of the mask on every frame; read once, since every task wants all of them."""
        found = _read(self._mask_note, job=str, version=str, boxes=list)
        if found and (found["job"], found["version"]) == (self.sealed.digest, overpaint.__version__):
            return [None if box is None else (box[0], box[1], box[2], box[3]) for box in found["boxes"]]
        boxes = mask_boxes(Reader(self.sealed.spec, self.spool), log)
        _write(
            self._mask_note, {"job": self.sealed.digest, "version": overpaint.__version__, "boxes": boxes}, indent=None
        )
        return boxes

    def note(self, number: int) -> Mapping[str, Any] | None:
        """What was noted when window `number` of this very job was painted; None where it was not."""
        found = _read(self._note(number), **NOTE)
        own = found and found["job"] == self.sealed.digest and re.fullmatch("[0-9a-f]{64}", found["key"])
        return found if own else None  # a key is a file's name: no other may be read, let alone removed

    def keep_note(self, number: int, note: Mapping[str, Any]) -> None:
        _write(self._note(number), {"job": self.sealed.digest, "window": number, **note})

    def window_file(self, note: Mapping[str, Any]) -> Path:
        return self.spool.window_path(str(note["key"]))

    def whole(self, note: Mapping[str, Any]) -> bool:
        """Whether the file of a painted window is what it was when the note was written."""
        path = self.window_file(note)
        return path.is_file() and path.stat().st_size == note["bytes"] and digest(path) == note["sha256"]

    def _note(self, number: int) -> Path:
        return self.folder / "windows" / f"{number:05}.json"

    def kept_take(self) -> Mapping[str, Any] | None:
        """What was noted of the take: SHA-256 of all its `files`, and what it was `made_of`; None where there is no note."""
        found = _read(self.take_note, job=str, files=dict, made_of=str)
        return found if found and found["job"] == self.sealed.digest else None

    def keep_take(self, files: Mapping[str, str], made_of: str) -> None:
        note = {"job": self.sealed.digest, "frames": len(self.sealed.spec.clip), "files": files, "made_of": made_of}
        _write(self.take_note, note)


def _read(path: Path, **kinds: type) -> dict[str, Any] | None:
    """The note, which has a value of each of these kinds. Half of a note is none: what it stood for is made again."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    whole = isinstance(found, dict) and all(isinstance(found.get(name), kind) for name, kind in kinds.items())
    return found if whole else None


def _write(path: Path, plain: Mapping[str, Any], indent: int | None = 1) -> None:
    write_whole(path, (json.dumps(plain, indent=indent, sort_keys=True) + "\n").encode())


class FolderLog:
    """The log of a walk in a folder: notes beside the windows, lines for whoever watches. Raises Cancelled at a step.

    `wanted` are the windows that this walk is about: of the others only the one before the first is looked at.
    """

    owner = ""

    def __init__(self, outputs: Outputs, teller: Teller, stop: Event, wanted: range, *, chained: bool) -> None:
        self.window = -1  # none yet
        self.painted = 0
        self.native_size: Size | None = None
        self._outputs, self._teller, self._stop = outputs, teller, stop
        self._wanted, self._chained = wanted, chained
        self._sums: dict[int, str] = {}
        self._began = time.monotonic()

    def __call__(self, stage: str, step: int, steps: int) -> None:
        self.check()
        place = None if self.window < 0 else (self.window - self._wanted.start, len(self._wanted))
        self._teller.step(stage, step, steps, place)

    def check(self) -> None:
        """Raises Cancelled once the walk is to stop."""
        if self._stop.is_set():
            raise Cancelled(field="job", message="it was cancelled", remedy="Run it again: it goes on where it stopped")

    def shrunk(self) -> int:
        return self._outputs.shrunk

    def windows(self, by: str) -> Mapping[int, str]:
        """Those that are whole. In a chain, one that comes after a gap is looked at again: it is found by its key, unless what
        fills the gap is not what it began with.

        Raises Conflict where the one before the first wanted is another painter's.
        """
        found: dict[int, str] = {}
        self._sums.clear()
        for number in range(max(self._wanted.start - 1, 0), self._wanted.stop):
            note = self._outputs.note(number)
            if note is None:
                continue
            if note["by"] != by:
                if self._chained and number < self._wanted.start:
                    raise _of_two(number, note["by"], by)
                continue
            if not self._outputs.whole(note):
                self._outputs.spool.drop_window(note["key"])  # or it would be found again by its key
                continue
            before = self._sums.get(number - 1)
            if self._chained and (note.get("before") != before if before else number > self._wanted.start):
                continue
            found[number], self._sums[number] = note["key"], note["sha256"]
        return found

    def planned(self, plan: Plan, shrunk: int, stage: str) -> None:
        self._outputs.keep_shrunk(shrunk)
        self._wanted = range(len(plan.windows))
        if stage:
            self._teller.say(stage)
        self._began = time.monotonic()

    def keep(self, window: Window, by: str, key: str) -> None:
        """Nobody collects anything in a folder."""

    def done(self, window: Window, by: str, key: str, *, reused: bool, picture: Picture) -> None:
        path = self._outputs.spool.window_path(key)
        self._sums[window.index] = digest(path)
        now, size = time.monotonic(), self.native_size
        old = self._outputs.note(window.index)
        took = old["seconds"] if old and reused and old["key"] == key else round(now - self._began, 3)
        note = {
            "frames": str(window.span),
            "version": overpaint.__version__,
            "by": by,
            "key": key,
            "sha256": self._sums[window.index],
            "bytes": path.stat().st_size,
            "before": self._sums.get(window.index - 1) if self._chained else None,
            "native_size": [size.width, size.height] if size else None,
            "seconds": took,
        }
        self._outputs.keep_note(window.index, note)
        self._began = now
        self.painted += not reused
        self._teller.window_done(
            window.index, str(window.span), window.index + 1 - self._wanted.start, len(self._wanted)
        )


def same_painter(found: Mapping[int, Mapping[str, Any]]) -> None:
    """Raises Conflict where windows of different painters, or of another version's plan, would be put together."""
    for number, note in found.items():
        if note["version"] != overpaint.__version__:
            what = (
                f"the window {number} was painted by overpaint {note['version']}, and this is {overpaint.__version__}"
            )
            raise Conflict(
                field="version", message=what, remedy="Use that version, or say overpaint run to paint again"
            )
    by = {number: note["by"] for number, note in found.items()}
    others = [number for number, one in by.items() if one != by[min(by)]]
    if others:
        raise _of_two(others[0], by[others[0]], by[min(by)])


def _of_two(number: int, by: str, other: str) -> Conflict:
    what = f"the window {number} was painted by {by!r}, and others are by {other!r}"
    return Conflict(field="weights", message=what, remedy="Run the job on one kind of device, with one set of weights")
