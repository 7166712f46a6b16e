"""Masks as VIRES wants them: a little larger than what is drawn, and on the latent grid."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Num
from torch import Tensor

CHUNK, GROUP, SIDE = 17, 4, 8  # frames of a chunk, frames of a latent frame, pixels (of a side) of a latent pixel

PAINTING, TRAINING = 64, 128
"""Cells across the shorter side, for `dilate`."""


def dilate(mask: Num[np.ndarray, "t h w"], cells: int = PAINTING) -> Bool[np.ndarray, "t h w"]:
    """Grow a mask (0: keep) by about two cells and make its outline blocky, so that it does not tell the old shape.

    As the official inference does: thin it to about `cells` across the shorter side, blur over 5x5 cells, take all that is
    not 0. A part that falls between the pixels kept by the thinning is lost there; here the drawn mask is added back.
    """
    height, width = mask.shape[1:]
    pixels = max(1, min(height, width) // cells)
    grown = np.empty(mask.shape, bool)
    for i, frame in enumerate(mask):
        small = cv2.resize(
            (frame > 0).astype(np.float32), (width // pixels, height // pixels), interpolation=cv2.INTER_NEAREST
        )
        wide = cv2.resize(cv2.GaussianBlur(small, (5, 5), 4), (width, height), interpolation=cv2.INTER_NEAREST)
        grown[i] = wide > 0
    return grown | (mask > 0)


def down_sample_mask(
    mask: Float[Tensor, "b 1 f h w"], side: int = SIDE, blocks: bool = False
) -> Float[Tensor, "b 1 t h/side w/side"]:
    """The mask on the latent grid, 0 or 1; `mask` is in [0, 1], its sides multiples of `side`.

    Linear interpolation, and all that is not 0. A latent frame comes from the frames that the autoencoder puts into it:
    of each chunk of 17 the first alone, then four at a time. In a shorter last chunk too the last frames are grouped by
    four, and the first latent frame takes what remains (one to four frames). `blocks`: a latent pixel is 1 where any of
    its pixels is not 0, for an autoencoder whose latent pixels know their own block only.
    """
    height, width = mask.shape[3] // side, mask.shape[4] // side
    parts: list[Tensor] = []
    for chunk in mask.split(CHUNK, dim=2):
        first = (chunk.shape[2] - 1) % GROUP + 1
        for part in (chunk[:, :, :first], chunk[:, :, first:]):
            if part.shape[2]:
                size = (part.shape[2] // GROUP or 1, height, width)
                shrunk = F.adaptive_max_pool3d(part, size) if blocks else F.interpolate(part, size, mode="trilinear")
                parts.append(shrunk)
    return (torch.cat(parts, 2) > 0).float()
