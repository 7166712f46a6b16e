"""A data set on disk: clips that are written once, in order, and read back by number.

    set.json          {"layout": 1, "made_by": {...}}: what the clips were made from
    manifest.jsonl    one line a clip, in order: clip (its number), caption, attributes, frames, height, width, digest
    clips/000000.npz  the arrays of a Sample; `digest` is the SHA-256 of this file

A clip is there when its line is. A file without a line, and half a line, are what a killed writer left: made again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from overpaint.errors import Conflict, Corrupt, Invalid, Missing

from overpaint_backend.train.instances import Attributes, Sample

LAYOUT = 1
WORDS = ("caption", "attributes", "alternatives")  # these stand in the manifest; the rest of a Sample are arrays
ARRAYS = tuple(field.name for field in fields(Sample) if field.name not in WORDS)


class Folder:
    """A data set that can be read, also while it is being written: it holds what was there when it was opened."""

    def __init__(self, path: Path) -> None:
        """Raises Missing where `path` is no data set, Corrupt where it has another layout."""
        self.path = path
        self.made_by = _made_by(path)
        self._lines = [json.loads(line) for line in _whole_lines(path)]

    def __len__(self) -> int:
        return len(self._lines)

    def clip(self, index: int) -> Sample:
        """Clip number `index`. Raises IndexError, or Corrupt where the file is not what was written."""
        line = self._lines[index]
        path = _clip_path(self.path, index)
        body = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(body).hexdigest() != line["digest"]:
            raise Corrupt(field="data set", message=f"{path} is not what was written", remedy="Write the set again")
        with np.load(io.BytesIO(body)) as arrays:
            return Sample(
                **{name: arrays[name] for name in ARRAYS},
                caption=line["caption"],
                attributes=Attributes(**line["attributes"]) if line["attributes"] else None,
                alternatives=tuple(line["alternatives"]),
            )

    @property
    def captions(self) -> list[str]:
        return [line["caption"] for line in self._lines]

    def fitting(self, frames: int, size: int) -> list[int]:
        """The numbers of the clips that have so many frames or more, `size` pixels square. Raises Invalid: none."""
        found = [
            number
            for number, line in enumerate(self._lines)
            if line["frames"] >= frames and (line["height"], line["width"]) == (size, size)
        ]
        if not found:
            raise Invalid(
                field="data",
                message=f"{self.path} holds no clip of {frames} frames of {size}x{size} pixels",
                remedy="Write the set at this size and length, or take another config",
            )
        return found

    def __iter__(self) -> Iterator[Sample]:
        return (self.clip(index) for index in range(len(self)))


class Drawn:
    """Clips without end out of a folder, each by chance and from a frame by chance: the same for the same number."""

    def __init__(self, folder: Folder, size: int, seed: int) -> None:
        self._folder, self._size, self._seed = folder, size, seed

    def __call__(self, number: int, frames: int) -> Sample:
        """Raises Invalid where no clip of the folder is long enough."""
        rng = np.random.default_rng([self._seed, number])
        found = self._folder.fitting(frames, self._size)
        sample = self._folder.clip(found[int(rng.integers(len(found)))])
        start = int(rng.integers(len(sample.frames) - frames + 1))
        return replace(sample, **{name: getattr(sample, name)[start : start + frames] for name in ARRAYS})


def write(path: Path, clip: Callable[[int], Sample], count: int, made_by: dict[str, Any]) -> Folder:
    """Write clips 0 to `count` - 1; what is there already is kept. Killed at any moment, the next call continues.

    `made_by` says what the clips come from. Raises Conflict where `path` holds clips that come from something else.
    """
    (path / "clips").mkdir(parents=True, exist_ok=True)
    if not (path / "set.json").exists():
        _put(path / "set.json", json.dumps({"layout": LAYOUT, "made_by": made_by}, indent=2).encode())
    if (there := _made_by(path)) != made_by:
        raise Conflict(
            field="data set", message=f"{path} holds clips made by {there}, not {made_by}", remedy="Name a new folder"
        )
    done = _whole_lines(path)
    with (path / "manifest.jsonl").open("ab") as manifest:
        manifest.truncate(sum(len(line) for line in done))
        for index in range(len(done), count):
            manifest.write(_write_clip(path, index, clip(index)))
            manifest.flush()
            os.fsync(manifest.fileno())
    return Folder(path)


def _write_clip(path: Path, index: int, sample: Sample) -> bytes:
    """Write the arrays; returns the clip's line."""
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **{name: getattr(sample, name) for name in ARRAYS})
    _put(_clip_path(path, index), packed.getvalue())
    frames, height, width = sample.mask.shape
    line = {
        "clip": index,
        "caption": sample.caption,
        "attributes": asdict(sample.attributes) if sample.attributes else None,
        "alternatives": sample.alternatives,
        "frames": frames,
        "height": height,
        "width": width,
        "digest": hashlib.sha256(packed.getvalue()).hexdigest(),
    }
    return json.dumps(line).encode() + b"\n"


def _made_by(path: Path) -> dict[str, Any]:
    if not (path / "set.json").is_file():
        raise Missing(field="data set", message=f"{path} is no data set", remedy="Give a folder with a set.json")
    found = json.loads((path / "set.json").read_text())
    if found["layout"] != LAYOUT:
        raise Corrupt(
            field="data set", message=f"{path} has layout {found['layout']}, not {LAYOUT}", remedy="Write it again"
        )
    return found["made_by"]


def _whole_lines(path: Path) -> list[bytes]:
    """The manifest's lines, each with its line break; half a line at the end is none."""
    manifest = path / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True) if manifest.exists() else []
    return lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines


def _clip_path(path: Path, index: int) -> Path:
    return path / "clips" / f"{index:06}.npz"


def _put(path: Path, body: bytes) -> None:
    """Write the file whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
