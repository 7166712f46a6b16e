"""The VIRES engine: a sketch and a prompt repaint the masked instance (arXiv 2411.16199), with its published weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from overpaint.card import EngineCard
from overpaint.errors import Missing, Unavailable

from overpaint_backend.engine import Engine
from overpaint_backend.engines.vires.card import card
from overpaint_backend.weights import fingerprint as weights_of

__all__ = ["build", "card", "check", "fingerprint"]

WEIGHTS = ("VIRES", "VIRES_VAE", "t5-v1_1-xxl")


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


def fingerprint(weights: Path) -> str:
    """A digest of all that it paints with: other weights, another fingerprint. Raises Missing where they are not there."""
    for folder in WEIGHTS:
        if not (weights / folder).is_dir():
            raise _no_weights(card, weights / folder)
    return weights_of(weights / folder for folder in WEIGHTS)


def checked(card: EngineCard, weights: Path) -> None:
    """Raises Unavailable where the extra `engines` is not installed, Missing where the weights are not there."""
    for package in ("torch", "diffusers", "transformers", "safetensors", "sentencepiece"):
        if importlib.util.find_spec(package) is None:
            what = f"the engine {card.name} needs {package}, and it is not installed"
            raise Unavailable(field="engine", message=what, remedy="Say pip install 'overpaint[engines]'")
    for folder in ("VIRES", "VIRES_VAE"):
        if not (weights / folder).is_dir():
            raise _no_weights(card, weights / folder)


def _no_weights(card: EngineCard, folder: Path) -> Missing:
    what = f"the engine {card.name} has no weights in {folder}"
    return Missing(field="weights", message=what, remedy="Say overpaint weights fetch vires")
