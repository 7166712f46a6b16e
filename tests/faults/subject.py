"""What is painted while things break: small clips, and the take that each would have if nothing did."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, OptionValue, Task
from overpaint.job import EventKind, JobEvent, JobSpec
from overpaint_backend import registry
from overpaint_backend.engine import Engine
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.workers.run import run_job

from tests.fakes import held_mask

ENGINES = ("toy", "toy-alone")  # windows that need the one before, and windows that stand alone
LENGTH, WINDOWS = 64, {"toy": 5, "toy-alone": 4}


def clip(seed: int, width: int = 32, height: int = 24) -> list[np.ndarray]:
    """Frames of noise, which no codec makes small; no other seed has them."""
    return list(np.random.default_rng(seed).integers(0, 256, (LENGTH, height, width, 3), np.uint8))


def job(engine: str, seed: int, frames: list[np.ndarray], **options: OptionValue) -> JobSpec:
    """The same engine and seed make the same job, in every process."""
    height, width = frames[0].shape[:2]
    size = Size(width=width, height=height)
    edit = Edit(task=Task.REPAINT, prompt=f"run {seed}", seed=seed, guides=(held_mask(mask(size)),), options=options)
    frames_named = Clip(size=size, rate=Rate(numerator=24), depth=8, frames=tuple(map(digest, frames)))
    return JobSpec(
        id=uuid.uuid5(uuid.NAMESPACE_URL, f"{engine}/{seed}").hex,
        engine=engine,
        clip=frames_named,
        edit=edit,
    )


def mask(size: Size) -> np.ndarray:
    made = np.zeros((size.height, size.width), np.uint8)
    made[size.height // 4 : size.height // 2, size.width // 3 : size.width * 2 // 3] = 255
    return made


def pixels(spec: JobSpec, frames: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {digest(one): one for one in (*frames, mask(spec.clip.size))}


def uninterrupted(spec: JobSpec, frames: list[np.ndarray], engine: Engine | None = None) -> list[np.ndarray]:
    """The take of the job where nothing breaks: painted right here, in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        store, spool = Store(Path(name) / "jobs.sqlite"), Spool(Path(name) / "spool")
        for one in pixels(spec, frames).values():
            spool.put(one)
        store.open(spec)
        store.record(spec.id, EventKind.SEALED)
        store.claim("here", lease=1e9)
        run_job(spec, engine or registry.build(spec.engine, "cpu", Path(name)), store, spool, "here")
        return [spool.get(one) for one in store.take(spec.id)]


def until(events: Iterable[JobEvent], *kinds: EventKind, window: int | None = None) -> JobEvent:
    """The first event of one of these kinds (and of this window)."""
    return next(event for event in events if event.kind in kinds and window in (None, event.window))


def finish(client: Client, spec: JobSpec, after: int = 0) -> list[JobEvent]:
    events = list(client.watch(spec.id, after))
    assert events[-1].kind is EventKind.FINISHED, events[-1]
    return events
