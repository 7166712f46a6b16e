"""Timeline, Capture, Backend, TicketStore: everything the use-cases ask of Blender and of the backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from overpaint.card import EngineCard
from overpaint.clip import Depth, Rate, Size
from overpaint.edit import Guide
from overpaint.job import JobEvent, JobSpec, JobState

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The strip that is to be edited, by name, and the frames of the timeline where it shows.

    `start` is a timeline frame; frame i of the clip is timeline frame start + i. `size` is the picture that the
    sequencer renders (resolution percentage applied), `depth` the bits a channel that the strip's source really has.
    `annotation` and `mask` are the names of the datablocks whose strokes guide the edit, or "".
    """

    scene: str
    strip: str
    channel: int
    start: int
    length: int
    size: Size
    rate: Rate
    depth: Depth
    annotation: str = ""
    mask: str = ""


class Capture(Protocol):
    """The selected strip on its way out of Blender: a child process renders it from a saved copy of the file.

    Everything but `close` may be called from any thread, and nothing blocks on the child.
    """

    def captured(self) -> int:
        """How many frames are on disk. Raises OverpaintError when the child failed, with its words."""
        ...

    def frame(self, index: int) -> np.ndarray:
        """Frame `index` of the clip, "h w 3", uint8 or uint16; it must be captured already."""
        ...

    def guides(self) -> tuple[Guide, ...]:
        """The strokes of annotation and mask as guides in clip pixels; only when all frames are captured."""
        ...

    def close(self) -> None:
        """Stop the child if it still runs, and remove the files."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedStrip:
    """Where a take was placed; `name` is the strip's name in `scene`."""

    scene: str
    name: str
    channel: int
    start: int
    length: int
    blend_type: str


class Timeline(Protocol):
    """What the use-cases ask of Blender. Main thread only; every call is short."""

    def read_selection(self) -> Selection:
        """The active strip and its guides. Raises Invalid in words when there is none that can be edited."""
        ...

    def start_capture(self, selection: Selection) -> Capture:
        """Save a copy of the file and start the child that renders the strip from it."""
        ...

    def take_folder(self, job_id: str) -> Path:
        """The folder where this job's take is to be written: beside the .blend, or in Blender's user files."""
        ...

    def insert_take(self, selection: Selection, frames: Sequence[Path], request: str, name: str) -> PlacedStrip:
        """Put `frames` (RGBA PNGs in order) above the strip on a free channel as one image strip.

        `request` is the whole request as JSON; it is kept in the strip's properties. One undo step.
        """
        ...


class Future(Protocol[T_co]):
    """A result that arrives on another thread; concurrent.futures.Future is one."""

    def done(self) -> bool: ...
    def result(self, timeout: float | None = None) -> T_co: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What the server said to a job's opening: its state, and the digests whose pixels it lacks."""

    state: JobState
    missing: tuple[str, ...]


class Backend(Protocol):
    """What the use-cases ask of the backend. No call blocks: work happens on the courier's thread."""

    def card(self, engine: str) -> Future[EngineCard]: ...

    def open_job(self, spec: JobSpec) -> Future[Opened]: ...

    def upload(self, job_id: str, missing: Sequence[str], read: Callable[[str], np.ndarray]) -> Future[int]:
        """Send the pixels of `missing` digests, read on the courier's thread; the result is the bytes sent."""
        ...

    def seal_job(self, job_id: str) -> Future[JobState]: ...

    def digest(self, read: Callable[[], np.ndarray]) -> Future[str]:
        """The digest of the frame that `read` gives; read and hashed on the courier's thread."""
        ...

    def events(self, job_id: str, after: int) -> tuple[JobEvent, ...]:
        """The events after number `after` that have arrived; the first call begins to watch the job.

        Raises what the watching failed with; while the server is only unreachable for a moment, there is nothing new.
        """
        ...

    def fetch(self, job_id: str, folder: Path, length: int) -> Future[Sequence[Path]]:
        """Write the take as RGBA PNGs into `folder`, in order; frames that are there already are not fetched again."""
        ...

    def cancel(self, job_id: str) -> Future[JobState]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A submitted job, remembered in the .blend until its take is placed."""

    job_id: str
    selection: Selection
    request: str
    event: int = 0
    state: JobState = JobState.OPEN
    words: str = ""


class TicketStore(Protocol):
    """Where tickets live: in the .blend, so that they survive closing it. Main thread only."""

    def keep(self, ticket: Ticket) -> None:
        """Add the ticket, or replace the one of the same job."""
        ...

    def all(self) -> tuple[Ticket, ...]: ...

    def drop(self, job_id: str) -> None: ...
