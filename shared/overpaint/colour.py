"""The conversions that both sides must agree on: bit depths, floats, and a take's patch over its source.

Pixels are display-referred sRGB throughout; nothing here changes what a colour looks like.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from overpaint.clip import Depth
from overpaint.errors import Invalid
from overpaint.residual import Pixels

Floats = npt.NDArray[np.float32]

_TOP: dict[Depth, int] = {8: 255, 16: 65535}


def to_float(frame: Pixels) -> Floats:
    """uint8 or uint16 -> float32 in [0, 1]; `from_float` gives exactly the same pixels back."""
    return np.divide(frame, np.iinfo(frame.dtype).max, dtype=np.float32)


def from_float(frame: npt.NDArray[np.floating], depth: Depth) -> Pixels:
    """Floats -> uint8 or uint16, rounded to the nearest; what is outside [0, 1] is clipped."""
    scaled = np.multiply(np.clip(frame, 0, 1), _TOP[depth], dtype=np.float32)
    return np.rint(scaled, out=scaled).astype(np.uint8 if depth == 8 else np.uint16)


def to_depth(frame: Pixels, depth: Depth) -> Pixels:
    """uint8 <-> uint16, rounded to the nearest; 8 bits to 16 and back is exact."""
    if frame.itemsize * 8 == depth:
        return frame
    if depth == 16:
        return frame.astype(np.uint16) * np.uint16(257)
    return ((frame.astype(np.uint32) + 128) // 257).astype(np.uint8)


def lay_over(source: Pixels, patch: Pixels) -> Pixels:
    """A take's frame: `patch` "h w 4" over `source` "h w 3" of the same size and depth -> "h w 3".

    A patch has alpha 0 (and black) where the source shows through, and the maximum where the take replaces it. The
    source's pixels come through as they are, to the bit. Raises Invalid where the two do not fit.
    """
    if patch.shape != (*source.shape[:2], 4) or source.shape[2:] != (3,) or patch.dtype != source.dtype:
        raise Invalid(
            field="frame",
            message=f"a patch {patch.shape} {patch.dtype} does not fit a source {source.shape} {source.dtype}",
            remedy="Lay the take over the clip that it was made from",
        )
    return np.where(patch[:, :, 3:] == 0, source, patch[:, :, :3])
