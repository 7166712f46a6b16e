"""The spool: frames on disk found by their digest, and painted windows beside their carries."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from overpaint import codec, wire
from overpaint.chunks import Chunk
from overpaint.codec import EncodedFrame, Limits
from overpaint.colour import from_float, to_float
from overpaint.errors import Corrupt, Missing
from overpaint.v1 import frames_pb2

from overpaint_backend.engine import Carry
from overpaint_backend.jobs.room import whole

HEADER_TAG = 0x12  # of FrameChunk.header
LONGEST_HEADER = 127  # bytes; a digest and seven numbers


class Spool:
    """Frames and windows below `folder`. Files appear whole or not at all; several processes may use it at once.

    Whatever writes raises Exhausted where the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "frames").mkdir(parents=True, exist_ok=True)
        (folder / "windows").mkdir(exist_ok=True)

    def put(self, frame: np.ndarray, digest: str | None = None) -> str:
        """Keep a frame ("h w c", uint8 or uint16) and return its digest; `digest` where it is proven already."""
        if digest is not None and self._touched(self._path(digest)):
            return digest
        encoded = codec.encode(frame, name=digest)
        path = self._path(encoded.header.digest)
        if not self._touched(path):
            chunk = Chunk(number=0, header=encoded.header, payload=encoded.payload)
            with whole(path) as file:
                file.write(wire.chunk_to_wire(chunk).SerializeToString())
        return encoded.header.digest

    def get(self, digest: str) -> np.ndarray:
        """The frame, "h w c", or "h w" where it has one channel. Raises Missing, and Corrupt where the file is no longer what it was."""
        try:
            body = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise Missing(
                field="frames", message=f"the frame {digest[:12]} is not in the spool", remedy="Send it again"
            ) from None
        try:
            chunk = wire.chunk_from_wire(frames_pb2.FrameChunk.FromString(body))
            if chunk.header is None or chunk.header.digest != digest:
                raise ValueError("the file is another frame's")
            return codec.decode(EncodedFrame(header=chunk.header, payload=chunk.payload), Limits())
        except Exception as error:  # whatever a damaged file makes of itself, it must not be taken for pixels
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

    def drop(self, digest: str) -> None:
        self._path(digest).unlink(missing_ok=True)

    def keep_window(self, key: str, frames: np.ndarray, carry: Carry | None) -> None:
        """Keep a painted window: frames "t h w 3" float32 in [0, 1], rounded to 16 bits, and its carry as it is.

        `key` (64 hex digits) stands for everything that decided it, see pipeline/key.py.
        """
        arrays = {"frames": from_float(frames, 16)}
        arrays |= {f"carry.{name}": array for name, array in (carry or {}).items()}
        with whole(self._window_path(key)) as file:
            np.savez(file, **arrays, allow_pickle=False)

    def has_window(self, key: str) -> bool:
        return self._window_path(key).exists()

    def window(self, key: str) -> tuple[np.ndarray, Carry | None]:
        """The frames of a painted window, float32 in [0, 1], and its carry."""
        try:
            # The file is ours to close: numpy leaves it open where it is no archive.
            with self._window_path(key).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                carry = {
                    name.removeprefix("carry."): arrays[name] for name in arrays.files if name.startswith("carry.")
                }
                return to_float(arrays["frames"]), carry or None
        except (zipfile.BadZipFile, ValueError, KeyError) as error:
            self.drop_window(key)
            what = f"the painted window {key[:12]} was damaged on disk"
            raise Corrupt(field="job", message=what, remedy="Retry the job: the window is painted again") from error

    def drop_window(self, key: str) -> None:
        self._window_path(key).unlink(missing_ok=True)

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
