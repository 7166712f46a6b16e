"""The flow engine: classical repainting and removal on the CPU, for when there is no GPU and no model."""

from __future__ import annotations

from pathlib import Path

from overpaint_backend.engine import Engine
from overpaint_backend.engines.flow.card import card

__all__ = ["build", "card"]


def build(device: str, weights: Path) -> Engine:
    """The engine, ready to paint. It always runs on the CPU, whatever `device` is, and has no weights."""
    from overpaint_backend.engines.flow.engine import FlowEngine

    return FlowEngine()
