"""A sealed job folder: one request and all its pixels, written whole or not at all, the same wherever it lies.

job.json        what is asked: the request as it travels to a server, and what it was made with
pixels/ab/...   every frame, guide and keyframe, named by its digest; the files are the spool's
checksums.txt   SHA-256 of every file, as `sha256sum --check` reads it
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import overpaint
from overpaint import wire
from overpaint.errors import Corrupt, Invalid, Missing
from overpaint.frames import pack_frame, unpack_frame
from overpaint.job import JobSpec
from overpaint.residual import Pixels

FORMAT, VERSION = "overpaint job", 1
JOB, PIXELS, CHECKSUMS = "job.json", "pixels", "checksums.txt"
COLOUR = "sRGB"  # display-referred, full range: what a Clip is made of


class Sealing:
    """A folder that is being filled. Files go to a folder of another name, which `finish` gives its own."""

    def __init__(self, folder: Path) -> None:
        """Raises Invalid where `folder` is there already and holds anything, or is not named by its name."""
        if folder.name in ("", ".."):  # it is filled beside it, under another name, and renamed
            raise Invalid(field="out", message=f"{folder} is no new folder", remedy="Name a new folder")
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Invalid(field="out", message=f"{folder} is there already and not empty", remedy="Name a new folder")
        self._folder, self._part = folder, folder.with_name(folder.name + ".part")
        self._sums: dict[str, str] = {}
        shutil.rmtree(self._part, ignore_errors=True)
        (self._part / PIXELS).mkdir(parents=True)

    def put(self, frame: Pixels, digest: str | None = None) -> str:
        """Keep a frame and return its digest."""
        name, body = pack_frame(frame, digest)
        self._write(_pixel_path(name), body)
        return name

    def finish(self, spec: JobSpec, weights: str = "") -> Sealed:
        """Write the request and the checksums, and give the folder its name. Raises Missing where pixels were not put.

        `weights` is the fingerprint of the weights that are to paint it; empty: any.
        """
        absent = [digest for digest in spec.digests() if _pixel_path(digest) not in self._sums]
        if absent:
            what = f"{len(absent)} frames of the job were not kept, the first is {absent[0][:12]}"
            raise Missing(field="frames", message=what, remedy="Pack it again")
        plain = {
            "format": FORMAT,
            "version": VERSION,
            "made_by": f"overpaint {overpaint.__version__}",
            "request": wire.message_to_dict(wire.spec_to_wire(spec)),
            "weights": weights,
            "colour": COLOUR,
            "pixels": PIXELS,
        }
        self._write(JOB, (json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
        sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(self._sums.items()))
        write_whole(self._part / CHECKSUMS, sums.encode())
        if self._folder.exists():
            self._folder.rmdir()
        self._part.rename(self._folder)
        return read_sealed(self._folder)

    def __enter__(self) -> Sealing:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._part, ignore_errors=True)

    def _write(self, name: str, body: bytes) -> None:
        if name not in self._sums:
            self._sums[name] = hashlib.sha256(body).hexdigest()
            write_whole(self._part / name, body)


def seal(folder: Path, spec: JobSpec, read: Callable[[str], Pixels]) -> Path:
    """Write the folder of `spec`; `read` gives the pixels of a digest. Raises Invalid where `folder` holds anything."""
    with Sealing(folder) as sealing:
        for digest in spec.digests():
            if sealing.put(read(digest)) != digest:
                what = f"the frame {digest[:12]} has other pixels than its digest says"
                raise Corrupt(field="frames", message=what, remedy="Capture the strip again")
        sealing.finish(spec)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A sealed folder's request; `weights` as `Sealing.finish` was told, `digest` the SHA-256 of job.json."""

    folder: Path
    spec: JobSpec
    weights: str
    made_by: str
    digest: str

    def frame(self, digest: str) -> Pixels:
        """The pixels of a digest. Raises Missing, and Corrupt where the file is no longer what it was."""
        try:
            body = (self.folder / _pixel_path(digest)).read_bytes()
        except FileNotFoundError:
            raise _absent(_pixel_path(digest)) from None
        return unpack_frame(body, digest)

    def check(self) -> int:
        """Compare every file with its checksum; returns how many there are. Raises Missing or Corrupt naming the file."""
        sums = _sums(self.folder)
        unnamed = [digest for digest in self.spec.digests() if _pixel_path(digest) not in sums]
        for name in (JOB, *map(_pixel_path, unnamed)):
            if name not in sums:
                raise _damaged(CHECKSUMS, f"does not name {name}")
        for name, expected in sums.items():
            try:
                found = hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
            except FileNotFoundError:
                raise _absent(name) from None
            if found != expected:
                raise _damaged(name, "is not what it was when the folder was sealed")
        return len(sums)


def read_sealed(folder: Path) -> Sealed:
    """What the folder asks for. Raises Missing (no such folder), Corrupt (changed since), Invalid (not to be read here)."""
    if not (folder / JOB).is_file():
        raise Missing(field="job", message=f"{folder} holds no {JOB}", remedy="Give a folder that overpaint pack made")
    body = (folder / JOB).read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    if _sums(folder).get(JOB) != digest:
        raise _damaged(JOB, "is not what it was when the folder was sealed")
    try:
        plain: dict[str, Any] = json.loads(body)
        if plain["format"] != FORMAT or plain["version"] != VERSION:
            what = f"{folder / JOB} is of the kind {plain['format']!r}, version {plain['version']}"
            remedy = f"This version reads {FORMAT!r}, version {VERSION}: pack it again, or update Overpaint"
            raise Invalid(field="job", message=what, remedy=remedy)
        spec = wire.request_from_json(json.dumps(plain["request"]))
        return Sealed(folder=folder, spec=spec, weights=plain["weights"], made_by=plain["made_by"], digest=digest)
    except (ValueError, KeyError, TypeError) as error:
        what = f"{folder / JOB} is no job that can be read ({error!r})"
        raise Invalid(field="job", message=what, remedy="Pack it again") from None


def write_whole(path: Path, body: bytes) -> None:
    """Write a file whole or not at all, also where the power is cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _pixel_path(digest: str) -> str:
    # Only ever 64 hex digits (wire and codec see to that), so no path of anybody's making.
    return f"{PIXELS}/{digest[:2]}/{digest}"


def _sums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / CHECKSUMS).read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise _absent(CHECKSUMS) from None
    except ValueError:
        raise _damaged(CHECKSUMS, "cannot be read") from None
    pairs = [line.partition("  ") for line in lines]
    return {name: digest for digest, _, name in pairs}


def _absent(name: str) -> Missing:
    return Missing(
        field="job", message=f"{name} is not in the folder", remedy="Copy the folder again, or pack it again"
    )


def _damaged(name: str, what: str) -> Corrupt:
    return Corrupt(field="job", message=f"{name} {what}", remedy="Copy the folder again, or pack it again")
