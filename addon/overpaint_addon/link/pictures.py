"""A take's frames as PNG, without Blender: this runs off the main thread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import png
from overpaint.errors import Invalid, Missing


def write_png(path: Path, frame: np.ndarray) -> None:
    """Write RGB or RGBA "h w c", uint8 or uint16, as PNG; the file is there whole or not at all."""
    height, width, channels = frame.shape
    bits = frame.dtype.itemsize * 8
    rows = frame.astype(">u2" if bits == 16 else "u1", copy=False).reshape(height, -1)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        writer = png.Writer(width, height, alpha=channels == 4, greyscale=False, bitdepth=bits, compression=1)  # pyright: ignore
        writer.write_packed(file, (row.tobytes() for row in rows))
    part.replace(path)


def read_png(path: Path) -> np.ndarray:
    """A PNG as "h w c", c being 3 or 4, uint8 or uint16. Raises Missing where there is none, Invalid where it is none."""
    try:
        width, height, rows, about = png.Reader(bytes=path.read_bytes()).asDirect()
        pixels = np.vstack([np.asarray(row) for row in rows]).reshape(height, width, about["planes"])
    except FileNotFoundError:
        raise Missing(field="file", message=f"the picture {path} is gone", remedy="Put it back") from None
    except (OSError, png.Error) as error:
        raise Invalid(
            field="file", message=f"{path} cannot be read ({error})", remedy="Save it as PNG again"
        ) from error
    pixels = pixels.astype(np.uint16 if about["bitdepth"] == 16 else np.uint8)
    return pixels if pixels.shape[2] >= 3 else np.dstack([pixels[..., :1]] * 3 + [pixels[..., 1:]])
