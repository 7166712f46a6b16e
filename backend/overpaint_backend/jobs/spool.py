"""The spool: frames on disk found by their digest, and painted windows beside their carries."""

from __future__ import annotations

import os
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from overpaint import wire
from overpaint.colour import from_float, to_float
from overpaint.errors import Corrupt, Missing
from overpaint.frames import pack_frame, unpack_frame
from overpaint.v1 import frames_pb2

from overpaint_backend.engine import Carry
from overpaint_backend.jobs.room import whole

HEADER_TAG = 0x12  # of FrameChunk.header
LONGEST_HEADER = 127  # bytes; a digest and seven numbers
SYNCS = 8  # folders at a time


class Spool:
    """Frames and windows below `folder`. Files appear whole or not at all; several processes may use it at once.

    A file's bytes are on the disk before it has its name, so no power cut leaves a torn one. That it has its name
    survives a power cut once `settle` has returned. Whatever writes raises Exhausted where the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "frames").mkdir(parents=True, exist_ok=True)
        (folder / "windows").mkdir(exist_ok=True)

    def put(self, frame: np.ndarray, digest: str | None = None) -> str:
        """Keep a frame ("h w c", uint8 or uint16) and return its digest; `digest` where it is proven already."""
        if digest is not None and self._touched(self._path(digest)):
            return digest
        name, body = pack_frame(frame, digest)
        path = self._path(name)
        if not self._touched(path):
            with whole(path) as file:
                file.write(body)
        return name

    def get(self, digest: str) -> np.ndarray:
        """The frame, "h w c", or "h w" where it has one channel. Raises Missing, and Corrupt where the file is no longer what it was."""
        try:
            body = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise Missing(
                field="frames", message=f"the frame {digest[:12]} is not in the spool", remedy="Send it again"
            ) from None
        try:
            return unpack_frame(body, digest)
        except Corrupt as error:
            raise self._damaged(digest) from error

    def shape(self, digest: str) -> tuple[tuple[int, int, int], int]:
        """Height, width and channels of a frame that is here, and its depth, without reading its pixels. Raises Corrupt."""
        with self._path(digest).open("rb") as file:
            head = file.read(2 + LONGEST_HEADER)
        try:
            # A FrameChunk begins with its header (its number, 0, is not written): a tag, a length, the header.
            if head[0] != HEADER_TAG or head[1] > LONGEST_HEADER:
                raise ValueError("the file is no frame")
            header = wire.header_from_wire(frames_pb2.FrameHeader.FromString(head[2 : 2 + head[1]]))
        except Exception as error:
            raise self._damaged(digest) from error
        return header.shape, header.depth

    def _damaged(self, digest: str) -> Corrupt:
        self.drop(digest)  # so that it counts as missing, and can be sent again
        return Corrupt(
            field="frames", message=f"the frame {digest[:12]} was damaged on disk", remedy="Submit the job again"
        )

    def missing(self, digests: Iterable[str]) -> tuple[str, ...]:
        """Those of `digests` that are not here, in order."""
        return tuple(digest for digest in digests if not self._path(digest).exists())

    def settle(self, digests: Iterable[str]) -> None:
        """That these frames are here survives a power cut: what is told of them may be told."""
        folders = {self._path(digest).parent for digest in digests}
        with ThreadPoolExecutor(SYNCS) as threads:  # disks answer several at once in the time of one
            deque(threads.map(_sync, (*folders, self.folder / "frames", self.folder)), maxlen=0)

    def drop(self, digest: str) -> int:
        """Returns the bytes that were freed."""
        return _removed(self._path(digest))

    def frame_file(self, digest: str) -> os.stat_result | None:
        """What is known of the file of a frame, or None where it is not here."""
        return _looked_at(self._path(digest))

    def window_file(self, key: str) -> os.stat_result | None:
        """What is known of the file of a painted window, or None where it is not here."""
        return _looked_at(self._window_path(key))

    def frames(self) -> Iterator[dict[str, os.stat_result]]:
        """All frames by digest, a folder at a time, so that a large spool needs no large memory."""
        return _by_folder(self.folder / "frames")

    def windows(self) -> Iterator[dict[str, os.stat_result]]:
        """All painted windows by key, a folder at a time."""
        return _by_folder(self.folder / "windows")

    def drop_parts(self, before: float) -> int:
        """Remove what was begun before this time (Unix, seconds) and never became a file; returns the bytes."""
        return sum(
            _removed(path)
            for path in self.folder.glob("*/*/*.part")
            if (found := _looked_at(path)) is not None and found.st_mtime < before
        )

    def keep_window(self, key: str, frames: np.ndarray, carry: Carry | None) -> None:
        """Keep a painted window: frames "t h w 3" float32 in [0, 1], rounded to 16 bits, and its carry as it is.

        `key` (64 hex digits) stands for everything that decided it, see pipeline/key.py.
        """
        arrays = {"frames": from_float(frames, 16)}
        arrays |= {f"carry.{name}": array for name, array in (carry or {}).items()}
        with whole(self._window_path(key)) as file:
            np.savez(file, **arrays, allow_pickle=False)

    def has_window(self, key: str) -> bool:
        """Whether the window is here; if so, it counts as just used."""
        return self._touched(self._window_path(key))

    def window(self, key: str) -> tuple[np.ndarray, Carry | None]:
        """The frames of a painted window, float32 in [0, 1], and its carry. Raises Missing and Corrupt."""
        try:
            # The file is ours to close: numpy leaves it open where it is no archive.
            with self._window_path(key).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                carry = {
                    name.removeprefix("carry."): arrays[name] for name in arrays.files if name.startswith("carry.")
                }
                return to_float(arrays["frames"]), carry or None
        except FileNotFoundError:
            what = f"the painted window {key[:12]} is not in the spool"
            raise Missing(field="job", message=what, remedy="Retry the job: the window is painted again") from None
        except (zipfile.BadZipFile, EOFError, ValueError, KeyError) as error:
            self.drop_window(key)
            what = f"the painted window {key[:12]} was damaged on disk"
            raise Corrupt(field="job", message=what, remedy="Retry the job: the window is painted again") from error

    def drop_window(self, key: str) -> int:
        """Returns the bytes that were freed."""
        return _removed(self._window_path(key))

    @staticmethod
    def _touched(path: Path) -> bool:
        """Whether the file is there; if so, it counts as new: who collects what nobody uses leaves it alone for a while."""
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def _path(self, digest: str) -> Path:
        # Only ever 64 hex digits (wire and codec see to that), so no path of a client's making.
        return self.folder / "frames" / digest[:2] / digest

    def _window_path(self, key: str) -> Path:
        return self.folder / "windows" / key[:2] / f"{key}.npz"


def _sync(folder: Path) -> None:
    """The names in a folder are on the disk. Windows has no such call, and needs none."""
    if os.name == "nt":
        return
    try:
        opened = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _looked_at(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _removed(path: Path) -> int:
    """The bytes of the file that was there, 0 where there was none."""
    found = _looked_at(path)
    path.unlink(missing_ok=True)
    return 0 if found is None else found.st_size


def _by_folder(root: Path) -> Iterator[dict[str, os.stat_result]]:
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        files = [path for path in folder.iterdir() if path.suffix in ("", ".npz")]
        yield {path.stem: found for path in files if (found := _looked_at(path)) is not None}
