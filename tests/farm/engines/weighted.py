"""The toy with weights, of which only the fingerprint counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from overpaint.errors import Missing
from overpaint_backend.engine import Engine
from overpaint_backend.engines.toy.card import card as toy
from overpaint_backend.engines.toy.engine import ToyEngine
from overpaint_backend.weights import fingerprint as weights_of

card = replace(toy, name="weighted")


def fingerprint(weights: Path) -> str:
    if not (weights / "weighted").is_dir():
        raise Missing(field="weights", message=f"no weights in {weights}", remedy="Fetch them")
    return weights_of([weights / "weighted"])


def build(device: str, weights: Path) -> Engine:
    engine = ToyEngine(card)
    engine.painter += f" {fingerprint(weights)}"
    return engine
