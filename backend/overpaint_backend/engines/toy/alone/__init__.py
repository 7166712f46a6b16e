"""The toy whose windows stand alone: none needs the one before, so they can be painted in any order, anywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from overpaint_backend.engine import Engine
from overpaint_backend.engines.toy.card import card as toy

__all__ = ["build", "card"]

card = replace(
    toy,
    name="toy-alone",
    title="Toy, windows alone",
    description=f"{toy.description} Its windows stand alone.",
    overlap=0,
)


def build(device: str, weights: Path) -> Engine:
    """The engine, ready to paint; neither argument is used."""
    from overpaint_backend.engines.toy.engine import ToyEngine

    return ToyEngine(card)
