"""A VIRES of our own: the same code, five million parameters, trained on drawn figures, and shipped with its weights."""

from __future__ import annotations

from pathlib import Path

from overpaint_backend.engine import Engine
from overpaint_backend.engines.vires import made
from overpaint_backend.engines.vires.small.card import card

__all__ = ["build", "card"]


def build(device: str, weights: Path) -> Engine:
    """The engine for `device`; its weights lie beside this file, unless you trained others into `weights`/vires-small.

    Raises as the large one does.
    """
    own = weights / card.name
    return made(card, device, own if own.is_dir() else Path(__file__).parent, weights)
