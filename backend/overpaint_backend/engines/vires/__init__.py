"""The VIRES engine: a sketch and a prompt repaint the masked instance (arXiv 2411.16199), with its published weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from overpaint.card import EngineCard
from overpaint.errors import Missing, Unavailable

from overpaint_backend.engine import Engine
from overpaint_backend.engines.vires.card import card

__all__ = ["build", "card", "check"]


def build(device: str, weights: Path) -> Engine:
    """The engine for `device`; its weights are looked for now, and read when the first job needs them.

    Raises Unavailable where the extra `engines` is not installed or torch knows no such device, and Missing where
    the weights are not there.
    """
    return made(card, device, weights, weights)


def made(card: EngineCard, device: str, weights: Path, root: Path) -> Engine:
    """An engine of this family, whose own weights are in `weights`; what it keeps for itself goes into `root`."""
    checked(card, weights)
    from overpaint_backend.engines.vires.engine import VIRESEngine

    return VIRESEngine(card, device, weights, cache=root / "cache" / "text")


def check(weights: Path) -> None:
    """Raises as `build` does, without building."""
    checked(card, weights)


def checked(card: EngineCard, weights: Path) -> None:
    """Raises Unavailable where the extra `engines` is not installed, Missing where the weights are not there."""
    for package in ("torch", "diffusers", "transformers", "safetensors", "sentencepiece"):
        if importlib.util.find_spec(package) is None:
            what = f"the engine {card.name} needs {package}, and it is not installed"
            raise Unavailable(field="engine", message=what, remedy="Say pip install 'overpaint[engines]'")
    for folder in ("VIRES", "VIRES_VAE"):
        if not (weights / folder).is_dir():
            what = f"the engine {card.name} has no weights in {weights / folder}"
            raise Missing(field="weights", message=what, remedy="Say overpaint weights fetch vires")
