"""Lay painted pixels into the source through the feathered mask, leaving every byte outside it alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32


def composite(
    source: np.ndarray,
    painted: Float32[np.ndarray, "h w 3"],
    place: tuple[slice, slice],
    weight: Float32[np.ndarray, "H W"],
) -> np.ndarray:
    """The take of one frame as a patch over its source: "H W 4" in the source's dtype.

    source  "H W 3", uint8 or uint16
    painted in [0, 1], the pixels of `place` (rows and columns of the picture)
    weight  in [0, 1], feather included; what lies outside `place` counts as 0
    Where the weight is 0 the patch is 0 in all channels: the source shows through with its own bytes. Elsewhere
    alpha is at its maximum and RGB is painted * weight + source * (1 - weight), rounded.
    """
    top = np.iinfo(source.dtype).max
    patch = np.zeros((*source.shape[:2], 4), source.dtype)
    inside = weight[place]
    touched = inside > 0
    share = inside[touched][:, None]
    mixed = painted[touched] * top * share + source[place][touched] * (1 - share)
    piece = patch[place]  # a view: writing to it writes to the patch
    piece[touched, :3] = np.rint(np.clip(mixed, 0, top)).astype(source.dtype)
    piece[touched, 3] = top
    return patch
