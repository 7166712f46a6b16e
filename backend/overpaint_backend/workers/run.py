"""The walk of one job, told once: plan, paint every window, stitch, composite, keep the take."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from hashlib import sha256
from typing import Any, Protocol

import numpy as np
import overpaint
from overpaint.card import EngineCard
from overpaint.clip import FrameRange
from overpaint.codec import digest
from overpaint.colour import lay_over
from overpaint.edit import GUIDE_KINDS, Edit, Guide, Input, Task, Track, TrackPoint
from overpaint.errors import Cancelled, Conflict, Exhausted, Internal, Unavailable
from overpaint.job import EventKind, JobSpec, JobState, Picture

from overpaint_backend.engine import Carry, Conditioning, Engine, OutOfMemory, Progress, WindowInput, WindowOutput
from overpaint_backend.guides.mask import weight
from overpaint_backend.guides.raster import rasterise
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.pipeline import region
from overpaint_backend.pipeline.composite import composite
from overpaint_backend.pipeline.key import window_key
from overpaint_backend.pipeline.picture import small_picture
from overpaint_backend.pipeline.plan import Plan, plan_job
from overpaint_backend.pipeline.region import Box
from overpaint_backend.pipeline.stitch import stitch
from overpaint_backend.pipeline.windows import Window, shorter
from overpaint_backend.workers.share import Offer, Paint, Share

MASK_BYTES = 64 << 20  # of drawn masks that are kept at hand: enough for where two windows overlap, and for still ones


class Log(Progress, Protocol):
    """Where a walk writes down what is done, so that it goes on from there after anything: a store, or a folder.

    `owner` is whose windows these are, `window` the one that is being painted.
    """

    owner: str
    window: int

    def check(self) -> None:
        """Raises as a report does, and records nothing."""
        ...

    def shrunk(self) -> int:
        """How often the plan was made smaller for lack of memory."""
        ...

    def windows(self, by: str) -> Mapping[int, str]:
        """The keys of the windows that `by` has painted for this job."""
        ...

    def planned(self, plan: Plan, shrunk: int, stage: str) -> None: ...

    def keep(self, window: Window, by: str, key: str) -> None:
        """The window of this key is the job's, so that nobody collects it."""
        ...

    def done(self, window: Window, by: str, key: str, *, reused: bool, picture: Picture) -> None:
        """The window is in the spool under `key`."""
        ...


def run_job(spec: JobSpec, engine: Engine, store: Store, spool: Spool, worker: str, offer: Offer = nullcontext) -> None:
    """Paint the job and keep its take; windows that the spool holds already are not painted again.

    While windows are painted, `offer` may bring others who help. Raises Cancelled when the job was cancelled, and any OverpaintError for what a person can mend.
    """
    reader = Reader(spec, spool)
    reporter = Reporter(store, spec.id, worker)
    plan, keys = paint_job(reader, engine, mask_boxes(reader, reporter), reporter, offer)
    reporter.window = len(plan.windows)  # all are painted
    digests = []
    for frame, patch in enumerate(take(plan, reader, keys)):
        reporter("compositing", frame, len(spec.clip))
        digests.append(digest(patch))
        store.holdings.use(spec.id, digests[-1])  # first, so that what is found in the spool is not collected meanwhile
        spool.put(patch, digests[-1])
    spool.settle(digests)
    store.keep_take(spec.id, digests, worker=worker)


def mask_boxes(reader: Reader, report: Progress) -> list[Box | None]:
    """The box of the mask on every frame."""
    boxes = []
    for frame in range(len(reader.spec.clip)):
        report("reading the mask", frame, len(reader.spec.clip))
        boxes.append(region.mask_box(reader.weight(frame)))
    return boxes


def paint_job(
    reader: Reader, engine: Engine, boxes: Sequence[Box | None], log: Log, offer: Offer = nullcontext
) -> tuple[Plan, dict[int, str]]:
    """All windows, in smaller ones each time that memory runs out; the plan, and the key of each of its windows.

    How often that was is logged, so a job that is resumed has the same plan. Raises Exhausted where no plan is left.
    """
    shrunk = log.shrunk()
    while True:
        card = smaller(engine.card, shrunk)
        plan = plan_job(boxes, reader.spec.clip.size, card)
        log.planned(plan, shrunk, f"out of memory: again, in windows of {card.max_frames} frames" if shrunk else "")
        try:
            return plan, paint_windows(plan, engine, reader, log, plan.windows, offer)
        except (MemoryError, OutOfMemory) as error:
            why = str(error)
        # Not above: the error is in a circle with what the try that failed has made, on the device too.
        gc.collect()
        shrunk += 1
        smaller(engine.card, shrunk, why)


def smaller(card: EngineCard, times: int, why: str = "") -> EngineCard:
    """The card with shorter windows, after memory ran out so many times. Raises Exhausted where they cannot be shorter."""
    for _ in range(times):
        less = shorter(card)
        if less is None:
            raise Exhausted(
                field="device",
                message=f"the memory does not hold a window of {card.max_frames} frames ({why or 'it ran out'})",
                remedy="Close what else uses it, lower the resolution, or choose a device with more memory",
            )
        card = less
    return card


def paint_windows(
    plan: Plan, engine: Engine, reader: Reader, log: Log, wanted: Sequence[Window], offer: Offer = nullcontext
) -> dict[int, str]:
    """The keys of all windows that are painted, those `wanted` among them. What is logged is not even looked at.

    Raises Unavailable where a window needs the one before, and that is neither painted nor wanted.
    """
    by = Painter(engine, reader, plan, log.owner).plan_name
    keys = {number: key for number, key in log.windows(by).items() if reader.spool.has_window(key)}
    first = next((window.index for window in wanted if window.index not in keys), 0)
    if engine.card.chained and first > 0 and first - 1 not in keys:
        what = f"the window {first} begins with what the window {first - 1} ends with, which is not painted yet"
        raise Unavailable(field="windows", message=what, remedy="Paint the earlier windows first")

    def paint_with(one: Engine) -> Paint:
        painter = Painter(one, reader, plan, log.owner)

        def paint(window: Window, before: str | None, progress: Progress) -> tuple[str, bool]:
            while True:
                key, reused = painter.paint(window, before, progress)
                log.keep(window, by, key)
                if reader.spool.has_window(key):  # what was reused may have been collected before it was the job's
                    return key, reused

        return paint

    def count() -> None:
        log.window = wanted[0].index + sum(window.index in share.keys for window in wanted)

    def done(window: Window, key: str, reused: bool) -> None:
        count()
        log.done(window, by, key, reused=reused, picture=_picture(window, reader.window(key)[0], plan, reader))

    share = Share(wanted, keys, engine, painter=paint_with, done=done, check=log.check)
    count()
    with offer(share):
        share.paint_all(log)
    return share.keys


class Painter:
    """Paints windows of one job with one engine; what the spool holds already is not painted again."""

    def __init__(self, engine: Engine, reader: Reader, plan: Plan, owner: str) -> None:
        """`owner`: nobody's window is taken for another's job, since even that it is there tells something."""
        self.name = f"{owner}/{overpaint.__version__}/{engine.painter}"
        self._engine, self._reader, self._plan = engine, reader, plan
        edit = reader.spec.edit
        # With the defaults, since they decide too, and may be others in a later version of the engine.
        options = engine.card.complete(dict(edit.options))
        self._words = Edit(task=edit.task, prompt=edit.prompt, negative_prompt=edit.negative_prompt, options=options)
        # A job's windows have numbers: in another plan they mean others, and this is not seen from the painter.
        cut = sha256(repr((plan, sorted(options.items()))).encode()).hexdigest()[:16]
        self.plan_name = f"{self.name}/{cut}"
        self._cond: Conditioning = None
        self._encoded = False

    def paint(self, window: Window, before: str | None, progress: Progress) -> tuple[str, bool]:
        """The key of the painted window, and whether it was there already. `before` is the key of the one before it.

        What a window sees of the one before is read back from the spool, so it does not matter who painted that, or when.
        """
        spool, chained = self._reader.spool, self._engine.card.chained
        frames, carry = self._reader.window(before) if before is not None and chained else (None, None)
        cut = self._reader.cut(
            window, self._plan, frames[-window.known :] if frames is not None and window.known else None
        )
        blank = window.index in self._plan.blank
        key = window_key(cut, self._words, carry, f"{self.name}/nothing" if blank else self.name)
        if spool.has_window(key):
            return key, True
        out = WindowOutput(frames=cut.frames, carry=carry) if blank else self._painted(cut, carry, progress)
        spool.keep_window(key, out.frames[: len(window.span)], out.carry)
        return key, False

    def _painted(self, cut: WindowInput, carry: Carry | None, progress: Progress) -> WindowOutput:
        if not self._encoded:
            self._cond, self._encoded = self._engine.encode(self._words), True
        out = self._engine.paint(cut, self._cond, carry, progress)
        if out.carry and not self._engine.card.chained:
            what = f"the engine {self._engine.card.name} hands something on, and its card says that it does not"
            raise Internal(field="engine", message=what, remedy="Say carries=True on its card")
        asked, given = cut.frames.shape, out.frames.shape
        if asked != given or not np.isfinite(out.frames).all():
            found = (
                f"frames of {given} where {asked} were asked for" if asked != given else "values that are no numbers"
            )
            what = f"the engine {self._engine.card.name} painted {found}"
            raise Internal(field="engine", message=what, remedy="Try other options; the server's log has the details")
        return out


def _picture(window: Window, frames: np.ndarray, plan: Plan, reader: Reader) -> Picture:
    """The middle frame of a painted window, over its source."""
    middle = len(frames) // 2
    frame = window.span.start + middle
    return small_picture(lay_over(reader.source(frame), _patch(frames[middle], frame, plan, reader)))


def take(plan: Plan, reader: Reader, keys: Mapping[int, str]) -> Iterator[np.ndarray]:
    """The take's frames as patches "h w 4" over the source; `keys` name the painted windows."""
    painted = stitch(plan.windows, lambda window: reader.window(keys[window.index])[0])
    for frame, piece in enumerate(painted):
        yield _patch(piece, frame, plan, reader)


def _patch(piece: np.ndarray, frame: int, plan: Plan, reader: Reader) -> np.ndarray:
    """The painted region of one frame, as a patch "h w 4" over the whole frame."""
    full, place = region.put_back(piece, plan.region, frame, reader.spec.clip.size)
    return composite(reader.source(frame), full, place, reader.weight(frame))


class Reader:
    """Everything a job's spec names, as pixels."""

    def __init__(self, spec: JobSpec, spool: Spool) -> None:
        self.spec, self.spool = spec, spool
        # A mask is wanted three times: for the plan, for the window, for the composite. A still one is drawn once.
        self._masks = lru_cache(maxsize=max(2, MASK_BYTES // (4 * spec.clip.size.pixels)))(self._mask)
        # A window is wanted for its picture, and for what the next one sees of it.
        self.window = lru_cache(maxsize=1)(spool.window)

    def source(self, frame: int) -> np.ndarray:
        """Frame of the clip, "h w 3" in its own depth."""
        return self.spool.get(self.spec.clip.frames[frame])

    def guide(self, guide: Guide, frame: int) -> np.ndarray | None:
        """The guide on this frame, uint8 "h w", or None where it is not given."""
        key = guide.key_at(frame)
        if key is None:
            return None
        return rasterise(guide, frame, self.spec.clip.size) if key.pixels is None else self.spool.get(key.pixels)

    def weight(self, frame: int) -> np.ndarray:
        """How much of the painted picture shows, "h w" float32 in [0, 1]: the mask, grown and feathered. Read-only."""
        guide = self.spec.edit.guide(Input.MASK)
        key = guide.key_at(frame) if guide else None
        return self._masks(None if key is None else key.frame)

    def _mask(self, frame: int | None) -> np.ndarray:
        """The weight that the mask's key on `frame` gives; None: the mask does not exist there."""
        size, guide = self.spec.clip.size, self.spec.edit.guide(Input.MASK)
        mask = None if guide is None or frame is None else self.guide(guide, frame)
        if guide is None or mask is None:
            everywhere = guide is None and self.spec.edit.task is Task.GENERATE
            made = np.full((size.height, size.width), everywhere, np.float32)
        else:
            made = weight(mask, guide)
        made.flags.writeable = False
        return made

    def cut(self, window: Window, plan: Plan, known: np.ndarray | None) -> WindowInput:
        """The window as the engine sees it; `known` are its first frames as the window before painted them."""
        frames = [*window.span, *[window.span.stop - 1] * window.pad]
        where = plan.region

        def cut(picture: np.ndarray, frame: int) -> np.ndarray:
            return region.cut(picture, where, frame)

        keyframes = {
            one.frame - window.span.start: cut(self.spool.get(one.pixels), one.frame)
            for one in self.spec.edit.keyframes
            if one.frame in window.span
        }
        keyframes = {index: frame for index, frame in enumerate(known if known is not None else ())} | keyframes
        guides, given = self._guides(frames, where)
        return WindowInput(
            task=self.spec.edit.task,
            frames=np.stack([cut(self.source(frame), frame) for frame in frames]),
            mask=np.stack([(cut(self.weight(frame), frame) > 0).astype(np.float32) for frame in frames]),
            guides=guides,
            given=given,
            keyframes=keyframes,
            known=0 if known is None else len(known),
            tracks=tuple(_cut_track(track, window.span, where) for track in self.spec.edit.tracks),
            span=window.span,
            seed=window_seed(self.spec.edit.seed, window.span.start),
        )

    def _guides(
        self, frames: list[int], where: region.Region
    ) -> tuple[dict[Input, np.ndarray], dict[Input, np.ndarray]]:
        guides: dict[Input, np.ndarray] = {}
        given: dict[Input, np.ndarray] = {}
        for guide in self.spec.edit.guides:
            if guide.kind not in GUIDE_KINDS - {Input.MASK}:
                continue
            pixels = [self.guide(guide, frame) for frame in frames]
            empty = np.zeros((where.size.height, where.size.width), np.float32)
            guides[guide.kind] = np.stack(
                [
                    empty if one is None else region.cut(one, where, frame)
                    for one, frame in zip(pixels, frames, strict=True)
                ]
            )
            given[guide.kind] = np.array([one is not None for one in pixels])
        return guides, given


def _cut_track(track: Track, span: FrameRange, where: region.Region) -> Track:
    scale_x, scale_y = where.size.width / where.crop.width, where.size.height / where.crop.height
    return Track(
        points=tuple(
            TrackPoint(
                frame=point.frame - span.start,
                x=(point.x - where.corners[point.frame][0]) * scale_x,
                y=(point.y - where.corners[point.frame][1]) * scale_y,
            )
            for point in track.points
            if point.frame in span
        )
    )


def window_seed(seed: int, start: int) -> int:
    """The seed of the window that starts at frame `start`: neither order nor machine matters."""
    return int.from_bytes(sha256(f"{seed}/{start}".encode()).digest()[:4], "big")


class Reporter:
    """The Log of a job in a store: records what happens a few times a second.

    Raises at the next step: Cancelled when the job was cancelled, Conflict when it was paused or went to another.
    """

    EVERY = 0.25  # seconds between progress events; more would only fill the store

    def __init__(self, store: Store, job: str, worker: str) -> None:
        self.worker = worker
        self.window = 0
        self.owner = store.owner(job)
        self._store, self._job = store, job
        self._windows = 0
        self._painted_before = 0.0
        self._began = self._last = 0.0
        self._last_stage = ""

    def shrunk(self) -> int:
        return self._store.shrunk(self._job)

    def windows(self, by: str) -> Mapping[int, str]:
        return self._store.holdings.windows(self._job, by)

    def planned(self, plan: Plan, shrunk: int, stage: str) -> None:
        self._windows = len(plan.windows)
        self._began = 0.0  # another plan has another pace
        self._record(EventKind.PLANNED, step=shrunk, stage=stage)

    def keep(self, window: Window, by: str, key: str) -> None:
        self._store.holdings.keep_window(self._job, window.index, by, key)

    def done(self, window: Window, by: str, key: str, *, reused: bool, picture: Picture) -> None:
        # Windows may come in any order: `step` says how many there are.
        count = {"step": self.window, "steps": self._windows}
        self._record(EventKind.WINDOW_DONE, window=window.index, reused=reused, picture=picture, **count)

    def _record(self, kind: EventKind, **details: Any) -> None:
        self._store.record(self._job, kind, worker=self.worker, windows=self._windows, **details)

    def check(self) -> None:
        state = self._store.state(self._job)
        if state is JobState.CANCELLING:
            raise Cancelled(field="job", message="the job was cancelled")
        if state is not JobState.RUNNING:
            raise Conflict(field="job", message=f"the job is {state}, and no longer this worker's")

    def __call__(self, stage: str, step: int, steps: int) -> None:
        self.check()
        now = time.monotonic()
        if stage == self._last_stage and now - self._last < self.EVERY:
            return
        self._last, self._last_stage = now, stage
        left = self._seconds_left(now, step, steps)
        self._record(EventKind.PROGRESS, stage=stage, step=step, steps=steps, window=self.window, seconds_left=left)

    def _seconds_left(self, now: float, step: int, steps: int) -> float | None:
        """From the pace since painting began; None before there is a pace."""
        if not self._windows or not steps:
            return None
        painted = self.window + step / steps
        if not self._began:
            self._began, self._painted_before = now, painted
        share = painted - self._painted_before
        left = self._windows - painted
        return (now - self._began) / share * left if share > 0 and left > 0 else None
