"""Seeded noise that is the same on every device: it is always drawn on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float32
from overpaint.errors import Invalid
from torch import Tensor


def normal(shape: Sequence[int], seed: int) -> Float32[Tensor, ...]:
    """Standard normal noise of this shape, on the CPU. `seed` is in 0..2^63-1, else Invalid."""
    if not 0 <= seed < 2**63:
        raise Invalid(field="seed", message=f"{seed} is no seed", remedy="Give a whole number from 0 to 2^63 - 1")
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))
