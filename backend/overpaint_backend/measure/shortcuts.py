"""`overpaint bench shortcuts`: what each approximation saves, and how far its picture is from the exact one's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from overpaint_backend.diffusion.schedule import bend, times
from overpaint_backend.diffusion.solvers import Corrected, Euler, Solver
from overpaint_backend.engines.vires.config import DiTConfig
from overpaint_backend.engines.vires.dit import DiT, Ready, Shortcuts, Tokens
from overpaint_backend.engines.vires.sampling import sample
from overpaint_backend.engines.vires.weights import load_dit
from overpaint_backend.measure.flops import checked, dit_parts
from overpaint_backend.measure.paint import GUIDANCE, SMALL_DIT, TOKENS, Clip, chosen, sample_clip, workload

FINE = 4  # times the steps: what the solvers are compared with


class Counted(Shortcuts):
    """Shortcuts that count what was done nevertheless."""

    hints = blocks = 0

    def hint(self, compute: Callable[[], Tokens]) -> Tokens:
        def counted() -> Tokens:
            self.hints += 1
            return compute()

        return super().hint(counted)

    def keep(self, added: Tokens) -> None:
        self.blocks += 1
        super().keep(added)


def bench_shortcuts(
    *,
    weights: Path | None = None,
    frames: int | None = None,
    size: int | None = None,
    steps: int | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """Paint one clip exactly and by each shortcut, from the same noise.

    `work` is the sampling's share of the exact one's operations, counted for the published size from how often hint net and
    blocks really ran. `error` is the difference of the latents inside the mask, relative to the exact one's size (root
    mean square). For the solvers it is the distance to a walk of four times the steps. Raises as `bench_paint` does.
    """
    place = chosen(device)
    cuda = place.type == "cuda"
    frames, size, steps = workload(place, (frames, size, steps), (17, 64, 12))
    checked("steps", steps, 2)
    with torch.inference_mode():
        dit = fresh(place) if weights is None else load_dit(weights, place, torch.bfloat16 if cuda else torch.float32)
        clip = sample_clip(dit, frames, size, steps)
        rows = compared(dit, clip)
    return {
        "engine": "vires",
        "weights": "random" if weights is None else str(weights),
        "frames": frames,
        "size": f"{size}x{size}",
        "steps": steps,
        "shortcuts": rows,
    }


def fresh(device: torch.device) -> DiT:
    """A model as training finds it: unlike the benchmark of time, here its numbers matter."""
    torch.manual_seed(0)
    with device:
        dit = DiT(SMALL_DIT if device.type == "cpu" else DiTConfig()).eval()
    return dit if device.type == "cpu" else dit.to(torch.bfloat16)


def compared(dit: DiT, clip: Clip) -> dict[str, dict[str, float]]:
    ready = dit.prepare(clip.hint, clip.texts)
    whole = [(0, 512, 0, 512)] * 3
    _, step, _ = dit_parts(DiTConfig(), frames=51, size=512, text=TOKENS, boxes=whole)
    hint, blocks = step["hint_tail"], step.total() - step["hint_tail"]
    inside = clip.mask.bool().expand_as(clip.start)
    fine, _ = walk(dit, ready, clip, FINE * clip.steps)
    exact, _ = walk(dit, ready, clip, clip.steps)
    half = -(-clip.steps // 2)
    made: dict[str, dict[str, float]] = {}

    def row(name: str, against: Tensor, steps: int, solver: Solver | None = None, **shortcuts: Any) -> None:
        latent, counted = walk(dit, ready, clip, steps, solver, **shortcuts)
        done = counted.hints * hint + counted.blocks * blocks
        error = (latent - against)[inside].norm() / against[inside].norm()
        made[name] = {"work": round(done / (clip.steps * (hint + blocks)), 3), "error": round(error.item(), 4)}

    row("solver=euler", fine, clip.steps)
    row("solver=euler steps/2", fine, half)
    row("solver=corrected", fine, clip.steps, Corrected())
    row("solver=corrected steps/2", fine, half, Corrected())
    for every in (2, 4):
        row(f"hint_every={every}", exact, clip.steps, hint_every=every)
    for stillness in (0.05, 0.1, 0.2):
        row(f"stillness={stillness}", exact, clip.steps, stillness=stillness)
    return made


def walk(
    dit: DiT, ready: Ready, clip: Clip, steps: int, solver: Solver | None = None, **shortcuts: Any
) -> tuple[Tensor, Counted]:
    """The latent of so many steps, and what was computed on the way."""
    counted = Counted(**shortcuts)

    def velocity(x: Tensor, t: float, moving: Tensor | None) -> tuple[Tensor, Tensor]:
        wanted, unwanted = dit.step(x, t, ready, moving, counted).split(1)
        return wanted, unwanted

    frames, height, width = clip.hint.shape[2:]
    moments = times(steps, dit.config.time_ratio or bend(height, width, frames))
    start = clip.start * clip.mask.to(clip.start)  # a clip of nothing: gray around the mask
    return sample(velocity, start, clip.mask, times=moments, guidance=GUIDANCE, solver=solver or Euler()), counted
