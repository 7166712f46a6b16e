"""The toy engine: every task and every input honoured in milliseconds, and nothing worth looking at."""

from __future__ import annotations

from overpaint_backend.engine import Engine
from overpaint_backend.engines.toy.card import card

__all__ = ["build", "card"]


def build(device: str) -> Engine:
    """The engine, ready to paint. The toy runs anywhere, so `device` is not used; the edit brings its own options."""
    from overpaint_backend.engines.toy.engine import ToyEngine

    return ToyEngine()
