"""The toy engine: every task and every input honoured in milliseconds, and nothing worth looking at."""

from __future__ import annotations

from pathlib import Path

from overpaint_backend.engine import Engine
from overpaint_backend.engines.toy.card import card

__all__ = ["build", "card"]


def build(device: str, weights: Path) -> Engine:
    """The engine, ready to paint. The toy runs anywhere and has no weights: neither argument is used."""
    from overpaint_backend.engines.toy.engine import ToyEngine

    return ToyEngine()
