"""Read the one kind of TIFF that the capture child lets Blender write: RGB, uncompressed, pixels interleaved."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from overpaint.errors import Corrupt

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _OFFSETS, _CHANNELS, _LENGTHS = 256, 257, 258, 259, 273, 277, 279
_TYPES = {3: "H", 4: "I", 16: "Q"}  # the field types that hold unsigned numbers wider than a byte


def read_tiff(file: Path) -> np.ndarray:
    """The picture, "h w 3", uint8 or uint16. Raises Corrupt where the file is anything else."""
    raw = file.read_bytes()
    try:
        order = {b"II*\0": "<", b"MM\0*": ">"}[raw[:4]]
        tags = _tags(raw, order)
        bits, channels = set(tags[_BITS]), tags[_CHANNELS]
        if tags[_COMPRESSION] != (1,) or channels != (3,) or bits not in ({8}, {16}):
            raise ValueError(f"{bits} bits, {channels} channels, compression {tags[_COMPRESSION]}")
        strips = zip(tags[_OFFSETS], tags[_LENGTHS], strict=True)
        pixels = b"".join(raw[at : at + length] for at, length in strips)
        stored = np.dtype(f"{order}u{max(bits) // 8}")
        shape = (tags[_HEIGHT][0], tags[_WIDTH][0], 3)
        return np.frombuffer(pixels, stored).reshape(shape).astype(stored.newbyteorder("="), copy=False)
    except (KeyError, ValueError, struct.error) as problem:
        raise Corrupt(
            field="frame", message=f"{file.name} is not a captured frame ({problem})", remedy="Capture again"
        ) from problem


def _tags(raw: bytes, order: str) -> dict[int, tuple[int, ...]]:
    (at,) = struct.unpack_from(order + "I", raw, 4)
    (count,) = struct.unpack_from(order + "H", raw, at)
    tags = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", raw, entry)
        if kind not in _TYPES:
            continue
        form = f"{order}{length}{_TYPES[kind]}"
        where = entry + 8
        if struct.calcsize(form) > 4:
            (where,) = struct.unpack_from(order + "I", raw, where)
        tags[tag] = struct.unpack_from(form, raw, where)
    return tags
