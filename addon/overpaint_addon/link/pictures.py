"""Write a take's frames as PNG, without Blender: this runs off the main thread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import png


def write_png(path: Path, frame: np.ndarray) -> None:
    """Write RGBA "h w 4", uint8 or uint16, as PNG; the file is there whole or not at all."""
    height, width, _ = frame.shape
    bits = frame.dtype.itemsize * 8
    rows = frame.astype(">u2" if bits == 16 else "u1", copy=False).reshape(height, -1)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        writer = png.Writer(width, height, alpha=True, greyscale=False, bitdepth=bits, compression=1)  # pyright: ignore
        writer.write_packed(file, (row.tobytes() for row in rows))
    part.replace(path)
