"""The toy with faults that are asked for: what a node meets on a bad day."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from overpaint.card import OptionKind, OptionSpec
from overpaint_backend.engine import Carry, Conditioning, Engine, OutOfMemory, Progress, WindowInput, WindowOutput
from overpaint_backend.engines.toy.card import card as toy
from overpaint_backend.engines.toy.engine import ToyEngine

FAULTS = ("none", "memory", "starved", "device", "bug")
fault = OptionSpec(name="fault", kind=OptionKind.CHOICE, default="none", choices=FAULTS, description="what goes wrong")
card = replace(toy, name="odd", options=(*toy.options, fault))


class Odd(ToyEngine):
    """Has memory for windows of 8 frames where it is to lack some."""

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        match cond.options["fault"]:
            case fault if fault == "starved" or (fault == "memory" and len(cut.frames) > 8):
                raise OutOfMemory(field="device", message="no room", remedy="Take less")
            case "device":
                raise RuntimeError("CUDA error: unspecified launch failure")
            case "bug":
                raise ZeroDivisionError("a fault of ours")
            case _:
                return super().paint(cut, cond, carry, progress)


def build(device: str, weights: Path) -> Engine:
    if "ODD_BUILDS" in os.environ:
        with Path(os.environ["ODD_BUILDS"]).open("a") as file:
            file.write("built\n")
    time.sleep(float(os.environ.get("ODD_LOADING", "0")))
    return Odd(card)
