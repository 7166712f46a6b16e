"""The flow engine: one door to its two tasks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from overpaint.edit import Edit, Task
from overpaint.errors import Invalid

from overpaint_backend.engine import Carry, Conditioning, Progress, WindowInput, WindowOutput
from overpaint_backend.engines.flow.card import card
from overpaint_backend.engines.flow.remove import remove
from overpaint_backend.engines.flow.repaint import repaint


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowConditioning:
    """All that flow takes from an edit besides its pixels: the name of the ink."""

    ink: str


class FlowEngine:
    """Optical flow and patches. It needs no carry: the frames that a window knows are keyframes, and those suffice."""

    card = card
    painter = f"{card.name} {card.version} numpy {np.__version__} opencv {cv2.__version__}"

    def encode(self, edit: Edit) -> FlowConditioning:
        return FlowConditioning(ink=str(card.complete(dict(edit.options))["ink"]))

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        """Paint one window. Raises Invalid for a task that is not on the card, and Cancelled between two frames."""
        match cut.task:
            case Task.REMOVE:
                return WindowOutput(frames=remove(cut, progress))
            case Task.REPAINT:
                return WindowOutput(frames=repaint(cut, cond.ink, progress))
            case _:
                raise Invalid(
                    field="task", message=f"the engine {card.name} cannot {cut.task}", remedy="Choose repaint or remove"
                )
