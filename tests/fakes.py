"""Fakes with state, for tests of the add-on's use-cases: a backend, a timeline and a ticket store without Blender or network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from overpaint import wire
from overpaint.card import EngineCard, Estimate, check_spec
from overpaint.clip import Clip, Depth, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Guide, GuideKey, Input, Knot, Stroke, Track
from overpaint.errors import Cancelled, Conflict, Invalid, Missing, OverpaintError, Unavailable
from overpaint.job import EventKind, JobEvent, JobSpec, JobState, Picture, advance
from overpaint.order import Click, GuideOrder, GuideProgress, MadeGuide, ObjectGuide, TrackOrder
from overpaint.sealed import seal
from overpaint_addon.core.ports import PlacedStrip, Selection, Still, Ticket
from overpaint_addon.core.variants import Take
from overpaint_addon.link.pictures import read_png, write_png
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What the server said to a job's opening: its state, and the digests whose pixels it lacks."""

    state: JobState
    missing: tuple[str, ...]


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
        self.engines = {card.name: card for card in cards}
        self.jobs: dict[str, FakeJob] = {}
        self.frames: dict[str, np.ndarray] = {}
        self.sent = 0
        self.fetched = 0
        self.trouble: OverpaintError | None = None  # what the next job to be painted fails with
        self.away = False
        self.server = "fake:1"

    def cards(self) -> Future[tuple[EngineCard, ...]]:
        return now(lambda: tuple(self.engines.values()))

    def estimate(self, engine: str, size: Size, depth: Depth, length: int, edit: Edit) -> Future[Estimate]:
        return now(lambda: self._estimate(engine, size, depth, length, edit))

    def _estimate(self, engine: str, size: Size, depth: Depth, length: int, edit: Edit) -> Estimate:
        clip = Clip(size=size, rate=Rate(numerator=24), depth=depth, frames=("0" * 64,) * length)
        self._check(JobSpec(id="0" * 32, engine=engine, clip=clip, edit=edit))
        pixel_bytes = length * size.pixels * 3 * depth // 8
        return Estimate(frames=length, windows=1, window_size=size, pixel_bytes=pixel_bytes, seconds=None, device="cpu")

    def _card(self, engine: str) -> EngineCard:
        if engine not in self.engines:
            raise Missing(field="engine", message=f"there is no engine {engine}", remedy="Choose another")
        return self.engines[engine]

    def digest(self, read: Callable[[], np.ndarray]) -> Future[str]:
        return now(lambda: digest(read()))

    def open_job(self, spec: JobSpec) -> Future[Opened]:
        return now(lambda: self._open(spec))

    def _open(self, spec: JobSpec) -> Opened:
        self._check(spec)
        job = self.jobs.setdefault(spec.id, FakeJob(spec))
        if job.spec != spec:
            raise Conflict(field="id", message="another job has this id", remedy="Make a new id")
        if not job.events:
            job.record(EventKind.OPENED)
        return Opened(state=job.state, missing=tuple(one for one in spec.digests() if one not in self.frames))

    def _check(self, spec: JobSpec) -> None:
        for problem in check_spec(spec, self._card(spec.engine)):
            raise Invalid(field=problem.field, message=problem.message, remedy=problem.remedy)

    def send(self, spec: JobSpec, read: Callable[[str], np.ndarray]) -> Future[JobState]:
        def send() -> JobState:
            opened = self._open(spec)
            for one in opened.missing:
                self._keep(self.jobs[spec.id], read(one))
            return self._seal(self.jobs[spec.id])

        return now(send)

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

    def seal(self, folder: Path, spec: JobSpec, read: Callable[[str], np.ndarray]) -> Future[Path]:
        return now(lambda: seal(folder, spec, read))

    def _seal(self, job: FakeJob) -> JobState:
        if job.state is not JobState.OPEN:
            return job.state
        lacking = [one for one in job.spec.digests() if one not in self.frames]
        if lacking:
            raise Conflict(field="frames", message=f"{len(lacking)} frames are missing", remedy="Upload them")
        return job.record(EventKind.SEALED)

    def events(self, job_id: str, after: int) -> tuple[JobEvent, ...]:
        if self.away:
            raise Unavailable(field="server", message="no server answers", remedy="Start it")
        job = self._job(job_id)
        fast = not job.spec.edit.options.get("delay")
        if job.state is JobState.QUEUED:
            job.record(EventKind.STARTED, stage="starting")
        elif job.state is JobState.RUNNING and job.events[-1].kind is EventKind.STARTED:
            picture = Picture(width=1, height=1, rgb=b"rgb")
            job.record(EventKind.PROGRESS, stage="painting", step=1, steps=1, windows=1, picture=picture)
        elif job.state is JobState.RUNNING and self.trouble:
            words, self.trouble = self.trouble, None
            job.record(EventKind.FAILED, field=words.field, message=words.message, remedy=words.remedy)
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

    def read(self, file: Path) -> np.ndarray:
        return read_png(file)

    def write(self, file: Path, make: Callable[[], np.ndarray]) -> Future[Path]:
        write_png(file, make())
        return now(lambda: file)

    def make_guide(self, order: GuideOrder, read: Callable[[str], np.ndarray]) -> FakeMaking:
        def made() -> MadeGuide:
            clicks = (
                order.wanted.clicks if isinstance(order.wanted, TrackOrder) else (Click(object=0, frame=0, x=9, y=9),)
            )
            if isinstance(order.wanted, TrackOrder) and not any(click.positive for click in clicks):
                raise Invalid(field="clicks", message="no click says where the thing is", remedy="Click on it")
            for one in order.digests():
                if one not in self.frames:
                    self.frames[one] = read(one)
                    self.sent += self.frames[one].nbytes
            kind = Input.MASK if isinstance(order.wanted, TrackOrder) else Input.SKETCH
            corners = ((-4, -4), (4, -4), (4, 4), (-4, 4))
            found: list[ObjectGuide] = []
            for number in sorted({click.object for click in clicks}):
                at = next(click for click in clicks if click.object == number)
                square = Stroke(
                    knots=tuple(Knot(x=at.x + x, y=at.y + y) for x, y in corners), closed=kind is Input.MASK
                )
                keys = tuple(GuideKey(frame=one.frame, strokes=(square,)) for one in order.frames)
                found.append(ObjectGuide(object=number, guide=Guide(kind=kind, keys=keys)))
            return MadeGuide(guides=tuple(found), method="classical")

        return FakeMaking(order, made)

    def cancel(self, job_id: str) -> Future[JobState]:
        return now(lambda: self._cancel(self._job(job_id)))

    def pause(self, job_id: str) -> Future[JobState]:
        return now(lambda: self._ask(self._job(job_id), EventKind.PAUSED, JobState.PAUSED))

    def resume(self, job_id: str) -> Future[JobState]:
        return now(lambda: self._ask(self._job(job_id), EventKind.RESUMED, JobState.QUEUED, JobState.RUNNING))

    def move_up(self, job_id: str) -> Future[JobState]:
        return now(lambda: self._ask(self._job(job_id), EventKind.MOVED_UP, JobState.RUNNING))

    def retry(self, job_id: str) -> Future[JobState]:
        def retry() -> JobState:
            job = self._job(job_id)
            lacking = [one for one in job.spec.digests() if one not in self.frames]
            if lacking:
                raise Conflict(field="frames", message=f"{len(lacking)} frames are missing", remedy="Upload them")
            return self._ask(job, EventKind.RETRIED, JobState.QUEUED, JobState.RUNNING)

        return now(retry)

    @staticmethod
    def _ask(job: FakeJob, kind: EventKind, *granted: JobState) -> JobState:
        return job.state if job.state in granted else job.record(kind)

    def _cancel(self, job: FakeJob) -> JobState:
        if job.state.ended or job.state is JobState.CANCELLING:
            return job.state
        return job.record(EventKind.CANCEL_ASKED if job.state is JobState.RUNNING else EventKind.CANCELLED)

    def _job(self, job_id: str) -> FakeJob:
        if job_id not in self.jobs:
            raise Missing(field="job", message=f"there is no job {job_id}", remedy="Submit it again")
        return self.jobs[job_id]


class FakeMaking:
    """The port Making: each look at its progress is a step; the guide is a square around each object's first click.

    All frames come at the end.
    """

    def __init__(self, order: GuideOrder, made: Callable[[], MadeGuide]) -> None:
        self._steps, self._total, self._made = 0, len(order.frames), made
        self._parts: list[MadeGuide] = []
        self._left = self._total
        self._error: Exception | None = None
        self.cancelled = False

    @property
    def progress(self) -> GuideProgress:
        self._steps += 1
        return GuideProgress(stage="tracking", done=self._steps, total=self._total)

    def part(self) -> MadeGuide | None:
        if self._steps < self._total or self._error or not self._left:
            return None
        try:
            self._parts = self._parts or list(self._made().by_frame())
        except Exception as error:
            self._error = error
            return None
        self._left -= 1
        return self._parts[self._total - self._left - 1]

    def done(self) -> bool:
        return self.cancelled or self._error is not None or not self._left

    def result(self, timeout: float | None = None) -> None:
        if self.cancelled:
            raise Cancelled(field="guide", message="the guide was cancelled")
        if self._error:
            raise self._error

    def cancel(self) -> None:
        self.cancelled = True


class FakeCapture:
    """The port Capture: one more frame is captured each time someone asks."""

    def __init__(self, frames: Sequence[np.ndarray], guides: tuple[Guide, ...]) -> None:
        self.frames, self.guides_ = frames, guides
        self.drawn: dict[str, np.ndarray] = {}  # the pixels of the guides
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
        return self.guides_

    def guide_pixels(self, digest: str) -> np.ndarray:
        return self.drawn[digest]

    def tracks(self) -> tuple[Track, ...]:
        return ()

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
        self.frame = 0
        self.previews: list[tuple[Selection, Path, Path]] = []
        self._folder = folder
        self._stills: dict[int, Path] = {}

    def read_selection(self) -> Selection:
        return self.selection

    def mark(self, selection: Selection) -> Selection:
        return replace(selection, mark="marked")

    def start_capture(self, selection: Selection) -> FakeCapture:
        assert replace(selection, mark="") == self.selection
        return self.capture

    def read_frame(self) -> Selection:
        return replace(self.selection, start=self.selection.start + self.frame, length=1, keyframes=())

    def start_frame(self, selection: Selection, *, same_pixels: bool) -> FakeCapture:
        self.capture = FakeCapture([self.capture.frames[self.frame]], self.capture.guides_)
        return self.capture

    def stills(self, selection: Selection) -> tuple[Still, ...]:
        return tuple(Still(frame=frame, file=self._stills[frame]) for frame in selection.keyframes)

    def accept(self, frame: int, file: Path) -> None:
        """The picture becomes the keyframe of that frame."""
        self._stills[frame] = file
        self.selection = replace(self.selection, keyframes=tuple(sorted(self._stills)))

    def preview_folder(self, job_id: str) -> Path:
        return self._folder / "preview" / job_id

    def show_preview(self, selection: Selection, patch: Path, picture: Path) -> None:
        self.previews.append((selection, patch, picture))

    def take_folder(self, job_id: str) -> Path:
        return self._folder / job_id

    def insert_take(self, selection: Selection, frames: Sequence[Path], take: Take) -> PlacedStrip:
        strip = PlacedStrip(
            scene=selection.scene,
            name=take.name,
            channel=selection.channel + 1,
            start=selection.start,
            length=len(frames),
            blend_type="ALPHA_OVER",
        )
        self.placed.append((strip, frames, take.request))
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


def wait_for(backend: Any, job_id: str, *kinds: EventKind, seconds: float = 60.0) -> list[JobEvent]:
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
