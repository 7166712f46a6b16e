"""A training run in a folder: started, killed, gone on with, and at any time weights that the engine can load."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from overpaint.errors import Invalid
from safetensors.torch import save_file
from torch import Tensor

from overpaint_backend.engines.vires import config
from overpaint_backend.engines.vires.pca import BlockVAE
from overpaint_backend.engines.vires.weights import DIT, TEXT, VAE
from overpaint_backend.media import write_picture
from overpaint_backend.train.autoencoder import Mending, fit
from overpaint_backend.train.batches import Batches, settings_clip
from overpaint_backend.train.curves import draw_curve
from overpaint_backend.train.instances import Sample
from overpaint_backend.train.judge import judge
from overpaint_backend.train.loop import Learner, ahead
from overpaint_backend.train.settings import CONFIGS as CONFIGS
from overpaint_backend.train.settings import Settings, Stage

STATE, NOTES, SCORES = "state.pt", "training.json", "scores.jsonl"
FITTING = 16  # batches for the components; their numbers lie beyond those of all steps
BEYOND = 1 << 24
UNSEEN = 16  # clips to judge by, from a seed of their own
GUIDANCE = 2.0  # when judging
Clips = Callable[[int, int], Sample]
"""A number and a length in frames to a clip. It is sent to another process."""


@dataclass(slots=True, kw_only=True)
class Run:
    """What is done so far. `seconds` of computing, over all starts."""

    settings: Settings
    out: Path
    mending: Mending
    learner: Learner
    mended: int = 0
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    vae_losses: list[float] = field(default_factory=list)

    def save(self) -> None:
        """All of it, and weights in the published layout; whole or not at all."""
        state = {
            "settings": asdict(self.settings),
            "mending": self.mending.state_dict(),
            "learner": self.learner.state(),
            "counts": (self.mended, self.step, self.seconds),
            "losses": (self.losses, self.vae_losses),
        }
        part = self.out / f"{STATE}.part"
        torch.save(state, part)
        part.replace(self.out / STATE)
        draw_curve(self.out / "loss.png", self.losses or self.vae_losses)
        export(self)

    def restore(self) -> None:
        state = torch.load(self.out / STATE, weights_only=True)
        if json.dumps(state["settings"]) != json.dumps(asdict(self.settings)):
            what = f"{self.out} was trained with other settings"
            raise Invalid(field="config", message=what, remedy="Take the same --config, or another --out")
        self.mending.load_state_dict(state["mending"])
        self.learner.restore(state["learner"])
        self.mended, self.step, self.seconds = state["counts"]
        self.losses, self.vae_losses = state["losses"]


def train(
    settings: Settings,
    out: Path,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    resume: bool = False,
    clips: Clips | None = None,
    save_every: float = 120,
    judge_every: float | None = 900,
) -> Run:
    """Train to the settings' end, or until `steps` of the transformer are done or `minutes` have passed; then save.

    `clips` in place of generated ones. Saves every `save_every` seconds, and judges every `judge_every` and at the end (None:
    never). Raises Invalid
    where `out` holds a run and `resume` is not said, or the other way round.
    """
    there = (out / STATE).is_file()
    if there != resume:
        what = f"{out} holds {'a' if there else 'no'} run"
        raise Invalid(
            field="out",
            message=what,
            remedy="Say --resume, or name another folder" if there else "Say it without --resume",
        )
    out.mkdir(parents=True, exist_ok=True)
    clips = clips or settings_clip(settings)
    if resume:
        run = Run(
            settings=settings, out=out, mending=Mending(settings, BlockVAE(settings.vae)), learner=Learner(settings)
        )
        run.restore()
    else:
        torch.manual_seed(settings.seed)
        fitting = Batches(replace(settings, stages=(replace(settings.stages[0], crop=None),)), clips)
        vae = fit(settings.vae, [fitting[BEYOND + i] for i in range(FITTING)])
        run = Run(settings=settings, out=out, mending=Mending(settings, vae), learner=Learner(settings))
    clock = Clock(run, minutes, save_every, judge_every)
    mend(run, clips, clock)
    last = min(settings.steps if steps is None else steps, settings.steps)
    if not clock.over:
        for step, batch in zip(
            range(run.step, last), ahead(Batches(settings, clips), range(run.step, last)), strict=False
        ):
            run.losses.append(run.learner.learn(run.mending.vae, batch, step))
            run.step = step + 1
            clock.tick(run.step, last, run.losses)
            if clock.over:
                break
    run.save()
    if judge_every is not None:
        score(run)
    return run


def mend(run: Run, clips: Clips, clock: Clock) -> None:
    """The autoencoder's part."""
    settings = run.settings
    stage = Stage(steps=settings.vae_steps, frames=4, batch=settings.vae_batch // 4)
    batches = Batches(replace(settings, stages=(stage,), seed=settings.seed + 1), clips)
    rest = range(run.mended, settings.vae_steps)
    for step, batch in zip(rest, ahead(batches, rest), strict=False):
        run.vae_losses.append(run.mending.learn(batch, step))
        run.mended = step + 1
        clock.tick(run.mended, settings.vae_steps, run.vae_losses)
        if clock.over:
            return


class Clock:
    """Says how far a run is, and when to save and to judge; `over`: its minutes have passed."""

    def __init__(self, run: Run, minutes: float | None, save_every: float, judge_every: float | None) -> None:
        self.run, self.over = run, False
        self._save_every, self._judge_every = save_every, judge_every
        self._begin = self._last = self._saved = self._said = self._judged = time.monotonic()
        self._end = None if minutes is None else self._begin + 60 * minutes
        self._pace = 0.0

    def tick(self, step: int, steps: int, losses: list[float]) -> None:
        """After each step."""
        now = time.monotonic()
        took, self._last = now - self._last, now
        self._pace = took if self._pace == 0 else 0.95 * self._pace + 0.05 * took
        self.run.seconds += took
        self.over = self._end is not None and now >= self._end
        if now - self._said > 10 or step == steps:
            self._said = now
            what = "transformer" if self.run.losses else "decoder"
            left = (steps - step) * self._pace / 60
            words = f"{what}: step {step} of {steps}, loss {np.mean(losses[-100:]):.4f}, {1 / self._pace:.2f} steps/s"
            print(f"{words}, {left:.0f} min to go", file=sys.stderr, flush=True)
        if now - self._saved > self._save_every:
            self.run.save()
            self._saved = time.monotonic()
        if self._judge_every is not None and self.run.losses and now - self._judged > self._judge_every:
            score(self.run)
            self._judged = time.monotonic()
        self._last = time.monotonic()


def score(run: Run) -> None:
    """Judge by clips that nobody trains on: a line in scores.jsonl, and a picture."""
    settings, stage = run.settings, run.settings.stage(max(run.step - 1, 0))
    unseen = replace(
        settings, seed=settings.seed + 1_000_003, stages=(Stage(steps=1, frames=stage.frames, batch=UNSEEN, silent=0),)
    )
    batch, clip = Batches(unseen)[0], settings_clip(unseen)
    samples = [clip(i, stage.frames) for i in range(UNSEEN)]
    dit, words = run.learner.averaged()
    with torch.inference_mode():
        texts = words(batch.captions)
    scores, painted = judge(dit, run.mending.vae, samples, batch, texts, guidance=GUIDANCE)
    line = {"step": run.step, "seconds": round(run.seconds), "frames": stage.frames} | {
        kind: {name: round(value, 4) for name, value in asdict(one).items()} for kind, one in scores.items()
    }
    with (run.out / SCORES).open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), file=sys.stderr, flush=True)
    at = stage.frames // 2
    lines = np.repeat(batch.sketch[:, at].numpy()[..., None], 3, -1)
    mask = np.repeat(batch.mask[:, at].numpy()[..., None] * np.uint8(255), 3, -1)
    columns = [batch.frames[:, at].numpy(), mask, lines, *(one[:, at] for one in painted.values())]
    picture = np.concatenate([np.concatenate(list(column[:12]), 0) for column in columns], 1)
    write_picture(run.out / "painted.png", picture.repeat(2, 0).repeat(2, 1))


def export(run: Run) -> None:
    """The averaged weights as the engine loads them, in half precision, and beside them how they came about."""
    dit, words = run.learner.averaged()
    text = {name: value for name, value in words.model.state_dict().items() if name != "encoder.embed_tokens.weight"}
    parts: Mapping[str, Mapping[str, Tensor]] = {DIT: dit.state_dict(), VAE: run.mending.vae.state_dict(), TEXT: text}
    for name, tensors in parts.items():
        folder = run.out / name
        folder.mkdir(exist_ok=True)
        part = folder / "part"
        save_file({key: value.half().contiguous() for key, value in tensors.items()}, part)
        part.chmod(0o644)  # save_file makes it for its owner only
        part.replace(folder / "model.safetensors")
    config.write(run.settings.dit, run.out / DIT)
    config.write(run.settings.vae, run.out / VAE)
    words.describe(run.out / TEXT)
    notes: dict[str, Any] = {
        "seed": run.settings.seed,
        "steps": run.step,
        "decoder_steps": run.mended,
        "seconds": round(run.seconds),
        "device": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "settings": asdict(run.settings),
    }
    (run.out / NOTES).write_text(json.dumps(notes, indent=2) + "\n")
