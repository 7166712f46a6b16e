"""Engines by name: entry points to cards (cheap), and to engines when one is needed."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

from overpaint.card import EngineCard
from overpaint.errors import Missing, OverpaintError, shown

from overpaint_backend.engine import Engine

GROUP = "overpaint.engines"
log = logging.getLogger(__name__)


@cache
def _packages() -> dict[str, str]:
    return {point.name: point.value for point in importlib.metadata.entry_points(group=GROUP)}


def names() -> tuple[str, ...]:
    """The names of all installed engines, sorted."""
    return tuple(sorted(_packages()))


def card(name: str) -> EngineCard:
    """The card of the engine `name`, without importing what it computes with. Raises Missing."""
    return _package(name).card


def cards() -> tuple[EngineCard, ...]:
    """The cards of all engines that are well; the others are in the log, and the doctor says why."""
    found: list[EngineCard] = []
    for name in names():
        try:
            found.append(card(name))
        except Exception:  # an engine may come from anyone, and must not hide the others
            log.exception("the engine %s cannot be used", name)
    return tuple(found)


def usable(weights: Path, *, gpu: bool) -> tuple[EngineCard, ...]:
    """As `cards`, each with what keeps it from being used here; `gpu`: whether there is a graphics card."""
    return tuple(replace(card, obstacle=_obstacle(card, weights, gpu)) for card in cards())


def _obstacle(card: EngineCard, weights: Path, gpu: bool) -> str:
    check = getattr(_package(card.name), "check", None)
    try:
        if check is not None:
            check(weights)
    except Missing as error:
        return f"its weights are not here. {error.remedy}"  # not where: anyone may ask, and paths are the server's own
    except OverpaintError as error:
        return f"{error.message}. {error.remedy}".replace(f"{weights}{os.sep}", "").replace(str(weights), "the folder")
    return "it needs a graphics card" if card.needs_gpu and not gpu else ""


def build(name: str, device: str, weights: Path) -> Engine:
    """The engine itself, for `device` ("cpu", "cuda:0", ...), with what it needs out of the folder `weights`.

    May take long and much memory. Raises Missing where there is no such engine or its weights are not there, and
    Unavailable where something is not installed.
    """
    # Graphics cards are counted as nvidia-smi counts them, or a device's name would mean another one to torch.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    return _package(name).build(device, weights)


def fingerprint(name: str, weights: Path) -> str:
    """A digest of the weights out of `weights` that the engine `name` paints with; empty where it has none.

    Raises Missing where there is no such engine or its weights are not there.
    """
    tell = getattr(_package(name), "fingerprint", None)
    return "" if tell is None else tell(weights)


def _package(name: str) -> ModuleType:
    if name not in _packages():
        raise Missing(
            field="engine", message=f"there is no engine '{shown(name)}'", remedy=f"Choose {', '.join(names())}"
        )
    return importlib.import_module(_packages()[name])
