"""Timeline, Capture, Backend, TicketStore: everything the use-cases ask of Blender and of the backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from overpaint.card import EngineCard, Estimate
from overpaint.clip import Depth, Rate, Size
from overpaint.edit import Edit, Guide, Track
from overpaint.job import JobEvent, JobSpec, JobState
from overpaint.order import GuideOrder, GuideProgress, MadeGuide

from .roles import MaskSource
from .variants import Take

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The strip that is to be edited, and the frames of the timeline where it shows.

    `start` is a timeline frame; frame i of the clip is timeline frame start + i. `size` is the picture that the
    sequencer renders (resolution percentage applied), `depth` the bits a channel that the strip's source really has.
    `annotation` and `mask` are the names of the datablocks whose strokes guide the edit, or "". The annotation's layers
    are named by what they are drawn for. `mask_source` says where the mask comes from, never AUTOMATIC; `box` is its
    left, top, width and height in clip pixels where it is a box. `keyframes` are the frames of the clip that a finished
    picture is given for. `objects` names the collection whose objects are the mask, or is ""; with `scene_lines` the
    lines of the strip's 3D scene are the sketch. `content` is the frame of the timeline where the strip's first picture
    would be, were nothing trimmed: the clip moves with it. `percentage` is that of the render, or 0 in a ticket of old.

    `scene` and `strip` are names of when it was read, and may be others by now: `mark` is what the strip is known by
    through every renaming, once that was asked for. It is "" where it was only looked at, and in a ticket of old.
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
    sketch_layers: tuple[str, ...] = ()
    mask_layers: tuple[str, ...] = ()
    track_layers: tuple[str, ...] = ()
    mask_source: MaskSource = MaskSource.NONE
    mask: str = ""
    box: tuple[float, ...] = ()
    keyframes: tuple[int, ...] = ()
    objects: str = ""
    scene_lines: bool = False
    content: int | None = None
    percentage: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A finished picture of frame `frame` of the clip: a PNG."""

    frame: int
    file: Path


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
        """Sketch and mask as strokes in clip pixels, or as pixels; only when all frames are captured."""
        ...

    def guide_pixels(self, digest: str) -> np.ndarray:
        """The pixels that a guide names by their digest, "h w" uint8."""
        ...

    def tracks(self) -> tuple[Track, ...]:
        """The strokes of track layers as motion tracks in clip pixels; only when all frames are captured."""
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

    def mark(self, selection: Selection) -> Selection:
        """The selection with its strip's mark, by which it is found however it is renamed meanwhile.

        For the first step of whatever takes longer; not while drawing. Raises Missing where the strip is gone.
        """
        ...

    def start_capture(self, selection: Selection) -> Capture:
        """Save a copy of the file and start the child that renders the strip from it."""
        ...

    def read_frame(self) -> Selection:
        """The active strip on the current frame only. Raises Invalid where it does not show there."""
        ...

    def start_frame(self, selection: Selection, *, same_pixels: bool) -> Capture:
        """A capture of one frame; with `same_pixels`, of the pixels that the last one took, if it was this frame."""
        ...

    def stills(self, selection: Selection) -> tuple[Still, ...]:
        """The pictures of the selection's keyframes, in order."""
        ...

    def preview_folder(self, job_id: str) -> Path:
        """A folder for a preview, which goes when Blender ends."""
        ...

    def show_preview(self, selection: Selection, patch: Path, picture: Path) -> None:
        """Show `patch` (an RGBA PNG) above the strip on its one frame, in the place of any other preview.

        `picture` is the same frame whole, for a keyframe. No undo step: it is not the artist's work.
        """
        ...

    def take_folder(self, job_id: str) -> Path:
        """The folder where this job's take is to be written: beside the .blend, or in Blender's user files."""
        ...

    def insert_take(self, selection: Selection, frames: Sequence[Path], take: Take) -> PlacedStrip:
        """Put `frames` (RGBA PNGs in order) above the strip on a free channel as one image strip.

        The strip carries the whole request. The source remembers the take, and shows it instead of another take of the
        same edit. One undo step.
        """
        ...


class Future(Protocol[T_co]):
    """A result that arrives on another thread; concurrent.futures.Future is one."""

    def done(self) -> bool: ...
    def result(self, timeout: float | None = None) -> T_co: ...


class Making(Protocol):
    """A guide on its way: says how far it is, and gives it frame by frame. Few frames wait to be taken: then the work waits."""

    @property
    def progress(self) -> GuideProgress: ...
    def part(self) -> MadeGuide | None:
        """The guide of the next frame, in their order; None where it has not come yet, or all were taken."""
        ...

    def done(self) -> bool:
        """Whether no frame is to come any more, and all that came were taken."""
        ...

    def result(self, timeout: float | None = None) -> None:
        """Raises what the work failed with."""
        ...

    def cancel(self) -> object:
        """End the work where it is not done; then `result` raises Cancelled."""
        ...


class Backend(Protocol):
    """What the use-cases ask of the backend. No call blocks: work happens on the courier's thread."""

    @property
    def server(self) -> str:
        """Its address, host:port."""
        ...

    @property
    def away(self) -> bool:
        """Whether something that was begun waits for the server to come back; then it goes on."""
        ...

    def cards(self) -> Future[tuple[EngineCard, ...]]:
        """What the server's engines say of themselves."""
        ...

    def estimate(self, engine: str, size: Size, depth: Depth, length: int, edit: Edit) -> Future[Estimate]:
        """What a job would cost; its pixels need not be there. Fails as `send` would."""
        ...

    def send(self, spec: JobSpec, read: Callable[[str], np.ndarray]) -> Future[JobState]:
        """Announce the job, send the pixels that the server lacks, put it into the queue; after a cut it goes on.

        `read` gives the pixels of a digest, on the courier's thread.
        """
        ...

    def seal(self, folder: Path, spec: JobSpec, read: Callable[[str], np.ndarray]) -> Future[Path]:
        """Write the job and its pixels to a new folder, for a render farm; they are read on the courier's thread."""
        ...

    def digest(self, read: Callable[[], np.ndarray]) -> Future[str]:
        """The digest of the frame that `read` gives; read and hashed on the courier's thread."""
        ...

    def events(self, job_id: str, after: int) -> tuple[JobEvent, ...]:
        """The events after number `after` that have arrived; the first call begins to watch the job.

        Raises Unavailable as long as the server is away, and goes on when it is back; and what else the watching
        failed with: the next call begins again.
        """
        ...

    def fetch(self, job_id: str, folder: Path, length: int) -> Future[Sequence[Path]]:
        """Write the take as RGBA PNGs into `folder`, in order; frames that are there already are not fetched again."""
        ...

    def read(self, file: Path) -> np.ndarray:
        """The pixels of a PNG, "h w c"; slow, so it is for the courier's thread: for what `digest` and `upload` call.

        Raises Missing where there is none, Invalid where it cannot be read.
        """
        ...

    def write(self, file: Path, make: Callable[[], np.ndarray]) -> Future[Path]:
        """Write the picture that `make` gives as PNG, both on the courier's thread; the result is `file`."""
        ...

    def cancel(self, job_id: str) -> Future[JobState]: ...

    def make_guide(self, order: GuideOrder, read: Callable[[str], np.ndarray]) -> Making:
        """Have a guide made; the pixels of the digests that the server lacks are read on the courier's thread."""
        ...

    def pause(self, job_id: str) -> Future[JobState]: ...

    def resume(self, job_id: str) -> Future[JobState]: ...

    def move_up(self, job_id: str) -> Future[JobState]: ...

    def retry(self, job_id: str) -> Future[JobState]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A submitted job, remembered in the .blend until its take is placed or it is dismissed.

    `event` is the last event that was learnt, `words` what the server or Blender said last, `server` where it was sent.
    """

    job_id: str
    selection: Selection
    request: str
    event: int = 0
    state: JobState = JobState.OPEN
    words: str = ""
    server: str = ""


class TicketStore(Protocol):
    """Where tickets live: in the .blend, so that they survive closing it. Main thread only."""

    def keep(self, ticket: Ticket) -> None:
        """Add the ticket, or replace the one of the same job."""
        ...

    def all(self) -> tuple[Ticket, ...]: ...

    def drop(self, job_id: str) -> None: ...
