"""A VIRES of our own: the same code, five million parameters, trained on drawn figures, and shipped with its weights."""

from __future__ import annotations

from pathlib import Path

from overpaint_backend.engine import Engine
from overpaint_backend.engines import vires
from overpaint_backend.engines.vires import checked, made
from overpaint_backend.engines.vires.small.card import card

__all__ = ["build", "card", "check", "fingerprint"]


def build(device: str, weights: Path) -> Engine:
    """The engine for `device`; its weights lie beside this file, unless you trained others into `weights`/vires-small.

    Raises as the large one does.
    """
    return made(card, device, _own(weights), weights)


def check(weights: Path) -> None:
    """Raises as `build` does, without building."""
    checked(card, _own(weights))


def fingerprint(weights: Path) -> str:
    """As the large one's."""
    return vires.fingerprint(_own(weights))


def _own(weights: Path) -> Path:
    trained = weights / card.name
    return trained if trained.is_dir() else Path(__file__).parent
