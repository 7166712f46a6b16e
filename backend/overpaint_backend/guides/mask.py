"""How much of the painted picture shows: a mask, grown and feathered as its guide says."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8
from overpaint.edit import Guide

from overpaint_backend.guides.raster import feather, grow


def weight(mask: UInt8[np.ndarray, "h w"], guide: Guide) -> Float32[np.ndarray, "h w"]:
    """The composite's weight in [0, 1]; 0 wherever no byte of the source may change."""
    return feather(grow(mask, guide.grow), guide.feather).astype(np.float32) / np.float32(255)
