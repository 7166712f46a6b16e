"""A training run in a folder: started, killed, gone on with, and at any time weights that the engine can load."""

from __future__ import annotations

import json
import math
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from overpaint.errors import Invalid
from safetensors.torch import save_file
from torch import Tensor

from overpaint_backend.engines.vires import config
from overpaint_backend.engines.vires.config import VAEConfig
from overpaint_backend.engines.vires.pca import BlockVAE
from overpaint_backend.engines.vires.vae import VideoVAE
from overpaint_backend.engines.vires.weights import DIT, TEXT, VAE
from overpaint_backend.media import write_picture
from overpaint_backend.train.autoencoder import Mending, fit
from overpaint_backend.train.batches import Batches, settings_clip
from overpaint_backend.train.beginning import begin_vae
from overpaint_backend.train.curves import draw_curve
from overpaint_backend.train.devices import check_shares, own_device, shared_mean, team
from overpaint_backend.train.folder import Drawn, Folder
from overpaint_backend.train.instances import Sample
from overpaint_backend.train.judge import judge
from overpaint_backend.train.loop import Learner, ahead
from overpaint_backend.train.settings import Settings, Stage

STATE, NOTES, SCORES = "state.pt", "training.json", "scores.jsonl"
FITTING = 16  # batches for the components; their numbers lie beyond those of all steps
BEYOND = 1 << 24
UNSEEN = 16  # clips to judge by, from a seed of their own
GUIDANCE = 2.0  # when judging
SAVE_EVERY, SAVE_LARGE_EVERY = 120.0, 1800.0  # seconds; a run of published widths writes more than 10 GB
Clips = Callable[[int, int], Sample]
"""A number and a length in frames to a clip. It is sent to another process."""


@dataclass(slots=True, kw_only=True)
class Run:
    """What is done so far. `seconds` of computing, over all starts; `stopped`: a signal ended this one."""

    settings: Settings
    out: Path
    mending: Mending
    learner: Learner
    mended: int = 0
    step: int = 0
    seconds: float = 0.0
    stopped: bool = False
    losses: list[float] = field(default_factory=list)
    vae_losses: list[float] = field(default_factory=list)

    @property
    def first(self) -> bool:
        """Whether this is the one of several processes that saves and speaks."""
        return team().is_main_process

    def save(self) -> None:
        """All of it, and weights in the published layout; whole or not at all. Of several processes the first does it."""
        if not self.first:
            return
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
        state = torch.load(self.out / STATE, weights_only=True, map_location="cpu")
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
    data: Path | None = None,
    weights: Path = Path(),
    save_every: float | None = None,
    judge_every: float | None = 900,
) -> Run:
    """Train to the settings' end, or until each part (the autoencoder's, the transformer's) has done `steps`, or `minutes`
    have passed; then save.

    `data`: a data set (see `folder.py`) in place of generated clips. `weights`: the root of those that the run begins
    with, if its settings say `given`; it then needs `data`, and is not judged. Saves after its first step, every
    `save_every` seconds, and where SIGINT or SIGTERM stops it, after the step that they come in. Judges every
    `judge_every` and at the end (None: never). Several processes share the clips of each step.
    Raises Invalid where `out` holds a run and `resume` is not said, or the other way round, and where a step's clips
    cannot be shared out, or the data set has none that fit; Missing without data set or weights.
    """
    there = (out / STATE).is_file()
    if there != resume:
        what = f"{out} holds {'a' if there else 'no'} run"
        raise Invalid(
            field="out",
            message=what,
            remedy="Say --resume, or name another folder" if there else "Say it without --resume",
        )
    check_shares(settings)
    if settings.given and data is None:
        raise Invalid(field="data", message="this config learns from a data set", remedy="Say --data FOLDER")
    clips, captions = settings_clip(settings), []
    if data is not None:
        folder = Folder(data)
        folder.fitting(max(settings.vae_frames, *(stage.frames for stage in settings.stages)), settings.size)
        clips, captions = Drawn(folder, settings.size, settings.seed), folder.captions
    out.mkdir(parents=True, exist_ok=True)
    vae = first_vae(settings, clips, weights, resume)
    run = Run(settings=settings, out=out, mending=Mending(settings, vae), learner=Learner(settings, weights))
    if resume:
        run.restore()
    run.learner.read(captions)
    if save_every is None:
        save_every = SAVE_LARGE_EVERY if settings.given else SAVE_EVERY
    with signalled() as stop:
        clock = Clock(run, minutes, save_every, None if settings.given else judge_every, stop)
        mended, learned = (
            count if steps is None else min(steps, count) for count in (settings.vae_steps, settings.steps)
        )
        mend(run, clips, clock, mended)
        if not clock.over:
            learn(run, clips, clock, learned)
        run.save()
    if clock.judge_every is not None and not run.stopped:
        score(run)
    team().wait_for_everyone()
    return run


def first_vae(settings: Settings, clips: Clips, weights: Path, resume: bool) -> BlockVAE | VideoVAE:
    """The autoencoder that a run begins with; without values where it resumes."""
    kind = settings.vae
    if isinstance(kind, VAEConfig):
        return VideoVAE(kind) if resume else begin_vae(kind, weights)
    if resume:
        return BlockVAE(kind)
    torch.manual_seed(settings.seed)
    fitting = Batches(replace(settings, stages=(replace(settings.stages[0], crop=None),)), clips)
    return fit(kind, [fitting[BEYOND + i] for i in range(FITTING)])


def share() -> tuple[int, int]:
    """Of each batch's clips, which are this process's: every n-th from one on."""
    return team().process_index, team().num_processes


def mend(run: Run, clips: Clips, clock: Clock, last: int) -> None:
    """The autoencoder's part, until `last` steps of it are done."""
    settings = run.settings
    stage = Stage(
        steps=settings.vae_steps, frames=settings.vae_frames, batch=settings.vae_clips, crop=settings.vae_crop
    )
    batches = Batches(replace(settings, stages=(stage,), seed=settings.seed + 1), clips, share())
    rest = range(run.mended, last)
    for step, batch in zip(rest, ahead(batches, rest), strict=False):
        run.vae_losses.append(run.mending.learn(batch, step))
        run.mended = step + 1
        clock.tick(run.mended, last, run.vae_losses)
        if clock.over:
            return


def learn(run: Run, clips: Clips, clock: Clock, last: int) -> None:
    """The transformer's part, until `last` steps of it are done."""
    rest = range(run.step, last)
    for step, batch in zip(rest, ahead(Batches(run.settings, clips, share()), rest), strict=False):
        run.losses.append(run.learner.learn(run.mending.vae, batch, step))
        run.step = step + 1
        clock.tick(run.step, last, run.losses)
        if clock.over:
            return


@contextmanager
def signalled() -> Generator[threading.Event, None, None]:
    """An event that SIGINT or SIGTERM sets: a step is to end, and to be saved. A second one does what it always does."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield stop
        return
    previous = [
        (one, handler)
        for one in (signal.SIGINT, signal.SIGTERM)
        if (handler := signal.getsignal(one)) != signal.SIG_IGN  # a shell's, for what runs behind
    ]

    def give_back() -> None:
        for one, handler in previous:
            signal.signal(one, handler)

    def ask(*_: object) -> None:
        stop.set()
        if team().num_processes == 1:  # torchrun repeats to its processes what the terminal has told them already
            give_back()

    for one, _ in previous:
        signal.signal(one, ask)
    try:
        yield stop
    finally:
        give_back()


class Clock:
    """Says how far a run is, and when to save and to judge; `over`: its minutes have passed, or `stop` was set."""

    def __init__(
        self, run: Run, minutes: float | None, save_every: float, judge_every: float | None, stop: threading.Event
    ) -> None:
        self.run, self.over, self._stop = run, False, stop
        self._save_every, self.judge_every = save_every, judge_every
        self._begin = self._last = self._saved = self._said = self._judged = time.monotonic()
        if not (run.out / STATE).is_file():
            self._saved = -math.inf  # at once: what is killed soon can go on too, and a disk without room is seen now
        self._end = math.inf if minutes is None else self._begin + 60 * minutes
        self._pace = 0.0

    def tick(self, step: int, steps: int, losses: list[float]) -> None:
        """After each step."""
        now = time.monotonic()
        took, self._last = now - self._last, now
        self._pace = took if self._pace == 0 else 0.95 * self._pace + 0.05 * took
        self.run.seconds += took
        # Processes must end at the same step, and neither clocks nor signals are alike.
        ends = torch.tensor([self._stop.is_set(), now >= self._end], dtype=torch.float32, device=own_device())
        self.run.stopped, late = (shared_mean(ends) > 0).tolist()
        self.over = self.run.stopped or late
        if self.run.first and (now - self._said > 10 or step == steps):
            self._said = now
            what = "transformer" if self.run.losses else "decoder"
            left = (steps - step) * self._pace / 60
            words = f"{what}: step {step} of {steps}, loss {np.mean(losses[-100:]):.4f}, {1 / self._pace:.2f} steps/s"
            print(f"{words}, {left:.0f} min to go", file=sys.stderr, flush=True)
        if now - self._saved > self._save_every and not self.over:
            self.run.save()
            self._saved = time.monotonic()
        if self.judge_every is not None and self.run.losses and now - self._judged > self.judge_every:
            score(self.run)
            self._judged = time.monotonic()
        self._last = time.monotonic()


def score(run: Run) -> None:
    """Judge by clips that nobody trains on: a line in scores.jsonl, and a picture. Of several processes the first does it."""
    if not run.first:
        return
    vae = run.mending.vae
    assert isinstance(vae, BlockVAE)
    settings, stage = run.settings, run.settings.stage(max(run.step - 1, 0))
    unseen = replace(
        settings, seed=settings.seed + 1_000_003, stages=(Stage(steps=1, frames=stage.frames, batch=UNSEEN, silent=0),)
    )
    batch, clip = Batches(unseen)[0].to(own_device()), settings_clip(unseen)
    samples = [clip(i, stage.frames) for i in range(UNSEEN)]
    dit, words = run.learner.averaged()
    assert words is not None
    with torch.inference_mode():
        texts = words(batch.captions)
    scores, painted = judge(dit, vae, samples, batch, texts, guidance=GUIDANCE)
    line = {"step": run.step, "seconds": round(run.seconds), "frames": stage.frames} | {
        kind: {name: round(value, 4) for name, value in asdict(one).items()} for kind, one in scores.items()
    }
    with (run.out / SCORES).open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), file=sys.stderr, flush=True)
    at, batch = stage.frames // 2, batch.to(torch.device("cpu"))
    lines = np.repeat(batch.sketch[:, at].numpy()[..., None], 3, -1)
    mask = np.repeat(batch.mask[:, at].numpy()[..., None] * np.uint8(255), 3, -1)
    columns = [batch.frames[:, at].numpy(), mask, lines, *(one[:, at] for one in painted.values())]
    picture = np.concatenate([np.concatenate(list(column[:12]), 0) for column in columns], 1)
    write_picture(run.out / "painted.png", picture.repeat(2, 0).repeat(2, 1))


def export(run: Run) -> None:
    """The averaged weights as the engine loads them, in half precision, and beside them how they came about."""
    dit, words = run.learner.averaged()
    parts: dict[str, Mapping[str, Tensor]] = {DIT: dit.state_dict(), VAE: run.mending.vae.state_dict()}
    if words is not None:
        held = words.model.state_dict()
        parts[TEXT] = {name: value for name, value in held.items() if name != "encoder.embed_tokens.weight"}
    for name, tensors in parts.items():
        folder = run.out / name
        folder.mkdir(exist_ok=True)
        part = folder / "part"
        save_file({key: value.half().contiguous() for key, value in tensors.items()}, part)
        part.chmod(0o644)  # save_file makes it for its owner only
        part.replace(folder / "model.safetensors")
    config.write(run.settings.dit, run.out / DIT)
    config.write(run.settings.vae, run.out / VAE)
    if words is not None:
        words.describe(run.out / TEXT)
    notes: dict[str, Any] = {
        "seed": run.settings.seed,
        "steps": run.step,
        "decoder_steps": run.mended,
        "seconds": round(run.seconds),
        "device": device_in_words(),
        "torch": torch.__version__,
        "settings": asdict(run.settings),
    }
    (run.out / NOTES).write_text(json.dumps(notes, indent=2) + "\n")


def device_in_words() -> str:
    device, many = own_device(), team().num_processes
    if device.type == "cuda":
        return f"{many} x {torch.cuda.get_device_name(device)}"
    return f"{many} x {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
