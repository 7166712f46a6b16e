"""Fakes with state, for tests of the add-on's use-cases: a backend, a timeline and a ticket store without Blender or network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from overpaint import wire
from overpaint.card import EngineCard, check_spec
from overpaint.clip import Rate, Size
from overpaint.codec import digest
from overpaint.edit import Guide, GuideKey, Input
from overpaint.errors import Conflict, Invalid, Missing
from overpaint.job import EventKind, JobEvent, JobSpec, JobState, advance
from overpaint_addon.core.ports import Opened, PlacedStrip, Selection, Ticket
from overpaint_addon.link.pictures import write_png
from overpaint_backend.engines.toy.card import card as toy

T = TypeVar("T")


def now(act: Callable[[], T]) -> Future[T]:
    """A future that is done already."""
    future: Future[T] = Future()
    try:
        future.set_result(act())
    except Exception as error:
        future.set_exception(error)
    return future


@dataclass(slots=True)
class FakeJob:
    spec: JobSpec
    state: JobState = JobState.OPEN
    events: list[JobEvent] = field(default_factory=list)

    def record(self, kind: EventKind, **details: Any) -> JobState:
        self.state = advance(self.state if self.events else None, kind)
        self.events.append(JobEvent(number=len(self.events) + 1, kind=kind, at=time.time(), **details))
        return self.state


class FakeBackend:
    """The port Backend. A job takes a step each time its events are asked for; painting inverts the masked pixels."""

    def __init__(self, cards: Sequence[EngineCard] = (toy,)) -> None:
        self.cards = {card.name: card for card in cards}
        self.jobs: dict[str, FakeJob] = {}
        self.frames: dict[str, np.ndarray] = {}
        self.sent = 0
        self.fetched = 0

    def card(self, engine: str) -> Future[EngineCard]:
        return now(lambda: self._card(engine))

    def _card(self, engine: str) -> EngineCard:
        if engine not in self.cards:
            raise Missing(field="engine", message=f"there is no engine {engine}", remedy="Choose another")
        return self.cards[engine]

    def digest(self, read: Callable[[], np.ndarray]) -> Future[str]:
        return now(lambda: digest(read()))

    def open_job(self, spec: JobSpec) -> Future[Opened]:
        return now(lambda: self._open(spec))

    def _open(self, spec: JobSpec) -> Opened:
        for problem in check_spec(spec, self._card(spec.engine)):
            raise Invalid(field=problem.field, message=problem.message, remedy=problem.remedy)
        job = self.jobs.setdefault(spec.id, FakeJob(spec))
        if job.spec != spec:
            raise Conflict(field="id", message="another job has this id", remedy="Make a new id")
        if not job.events:
            job.record(EventKind.OPENED)
        return Opened(state=job.state, missing=tuple(one for one in spec.digests() if one not in self.frames))

    def upload(self, job_id: str, missing: Sequence[str], read: Callable[[str], np.ndarray]) -> Future[int]:
        return now(lambda: sum(self._keep(self._job(job_id), read(one)) for one in missing))

    def _keep(self, job: FakeJob, frame: np.ndarray) -> int:
        if digest(frame) not in job.spec.digests():
            raise Invalid(field="frames", message="the frame is not named by the job", remedy="Send what is missing")
        self.frames[digest(frame)] = frame
        self.sent += frame.nbytes
        return frame.nbytes

    def seal_job(self, job_id: str) -> Future[JobState]:
        return now(lambda: self._seal(self._job(job_id)))

    def _seal(self, job: FakeJob) -> JobState:
        if job.state is not JobState.OPEN:
            return job.state
        lacking = [one for one in job.spec.digests() if one not in self.frames]
        if lacking:
            raise Conflict(field="frames", message=f"{len(lacking)} frames are missing", remedy="Upload them")
        return job.record(EventKind.SEALED)

    def events(self, job_id: str, after: int) -> tuple[JobEvent, ...]:
        job = self._job(job_id)
        fast = not job.spec.edit.options.get("delay")
        if job.state is JobState.QUEUED:
            job.record(EventKind.STARTED, stage="starting")
        elif job.state is JobState.RUNNING and job.events[-1].kind is EventKind.STARTED:
            job.record(EventKind.PROGRESS, stage="painting", step=1, steps=1, windows=1)
        elif job.state is JobState.RUNNING and fast:
            job.record(EventKind.FINISHED)
        elif job.state is JobState.CANCELLING:
            job.record(EventKind.CANCELLED)
        return tuple(event for event in job.events if event.number > after)

    def fetch(self, job_id: str, folder: Path, length: int) -> Future[Sequence[Path]]:
        return now(lambda: self._fetch(self._job(job_id), folder, length))

    def _fetch(self, job: FakeJob, folder: Path, length: int) -> Sequence[Path]:
        if job.state is not JobState.FINISHED:
            raise Conflict(field="job", message=f"the job is {job.state}", remedy="Watch it until it is finished")
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{number:05}.png" for number in range(1, length + 1)]
        for frame, path in enumerate(paths):
            if not path.exists():
                self.fetched += 1
                write_png(path, self._patch(job.spec, frame))
        return paths

    def _patch(self, spec: JobSpec, frame: int) -> np.ndarray:
        source = self.frames[spec.clip.frames[frame]]
        guide = spec.edit.guide(Input.MASK)
        key = guide.key_at(frame) if guide else None
        mask = self.frames[key.pixels] if key and key.pixels else np.zeros(source.shape[:2], np.uint8)
        top = np.iinfo(source.dtype).max
        patch = np.dstack([top - source, np.full(source.shape[:2], top, source.dtype)])
        return np.where(mask[..., None] > 0, patch, 0).astype(source.dtype)

    def cancel(self, job_id: str) -> Future[JobState]:
        return now(lambda: self._cancel(self._job(job_id)))

    def _cancel(self, job: FakeJob) -> JobState:
        if job.state.ended or job.state is JobState.CANCELLING:
            return job.state
        return job.record(EventKind.CANCEL_ASKED if job.state is JobState.RUNNING else EventKind.CANCELLED)

    def _job(self, job_id: str) -> FakeJob:
        if job_id not in self.jobs:
            raise Missing(field="job", message=f"there is no job {job_id}", remedy="Submit it again")
        return self.jobs[job_id]


class FakeCapture:
    """The port Capture: one more frame is captured each time someone asks."""

    def __init__(self, frames: Sequence[np.ndarray], guides: tuple[Guide, ...]) -> None:
        self.frames, self._guides = frames, guides
        self.done = 0
        self.closed = False

    def captured(self) -> int:
        self.done = min(self.done + 1, len(self.frames))
        return self.done

    def frame(self, index: int) -> np.ndarray:
        assert index < self.done, "the frame is not captured yet"
        return self.frames[index]

    def guides(self) -> tuple[Guide, ...]:
        assert self.done == len(self.frames), "the guides are not captured yet"
        return self._guides

    def close(self) -> None:
        self.closed = True


class FakeTimeline:
    """The port Timeline: one strip, with pixels and guides given by the test."""

    def __init__(self, frames: Sequence[np.ndarray], guides: tuple[Guide, ...], folder: Path) -> None:
        height, width = frames[0].shape[:2]
        self.selection = Selection(
            scene="Scene",
            strip="shot",
            channel=1,
            start=11,
            length=len(frames),
            size=Size(width=width, height=height),
            rate=Rate(numerator=24),
            depth=8,
        )
        self.capture = FakeCapture(frames, guides)
        self.placed: list[tuple[PlacedStrip, Sequence[Path], str]] = []
        self._folder = folder

    def read_selection(self) -> Selection:
        return self.selection

    def start_capture(self, selection: Selection) -> FakeCapture:
        assert selection == self.selection
        return self.capture

    def take_folder(self, job_id: str) -> Path:
        return self._folder / job_id

    def insert_take(self, selection: Selection, frames: Sequence[Path], request: str, name: str) -> PlacedStrip:
        strip = PlacedStrip(
            scene=selection.scene,
            name=name,
            channel=selection.channel + 1,
            start=selection.start,
            length=len(frames),
            blend_type="ALPHA_OVER",
        )
        self.placed.append((strip, frames, request))
        return strip


class FakeTickets:
    """The port TicketStore."""

    def __init__(self) -> None:
        self.kept: dict[str, Ticket] = {}
        self.history: list[Ticket] = []

    def keep(self, ticket: Ticket) -> None:
        self.kept[ticket.job_id] = ticket
        self.history.append(ticket)

    def all(self) -> tuple[Ticket, ...]:
        return tuple(self.kept.values())

    def drop(self, job_id: str) -> None:
        self.kept.pop(job_id, None)


def wait_for(backend: Any, job_id: str, *kinds: EventKind, seconds: float = 30.0) -> list[JobEvent]:
    """The job's events until one of `kinds` (or any end) has come."""
    stop = time.monotonic() + seconds
    found: list[JobEvent] = []
    while time.monotonic() < stop:
        found += backend.events(job_id, found[-1].number if found else 0)
        if any(event.kind in (*kinds, EventKind.FINISHED, EventKind.FAILED, EventKind.CANCELLED) for event in found):
            return found
        time.sleep(0.01)
    raise AssertionError(f"none of {kinds} came in {seconds} s, only {[event.kind for event in found]}")


def clip_frames(length: int = 20, width: int = 32, height: int = 24) -> list[np.ndarray]:
    """A small clip of noise, so that every pixel that is not its own shows."""
    return list(np.random.default_rng(7).integers(0, 256, (length, height, width, 3), np.uint8))


def held_mask(mask: np.ndarray) -> Guide:
    """One mask for all frames."""
    return Guide(kind=Input.MASK, keys=(GuideKey(frame=0, pixels=digest(mask)),), hold=True)


def request_of(placed: tuple[PlacedStrip, Sequence[Path], str]) -> JobSpec:
    return wire.request_from_json(placed[2])
