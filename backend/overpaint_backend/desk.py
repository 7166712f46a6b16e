"""What can be asked of the workshop, apart from how it is asked: the service and the command line both come here."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import overpaint
from overpaint.card import Device, EngineCard, Estimate, ServerCard, check_spec
from overpaint.chunks import Chunk, unpack
from overpaint.clip import Clip, Depth, Rate, Size
from overpaint.codec import Limits
from overpaint.edit import Edit, Input
from overpaint.errors import Cancelled, Conflict, Exhausted, Invalid, Unavailable
from overpaint.job import EventKind, JobEvent, JobRecord, JobSpec, JobState, JobSummary, Picture, Pruned, check_priority
from overpaint.order import GuideOrder

from overpaint_backend import registry
from overpaint_backend.access import Caller, Scope
from overpaint_backend.cluster import read_cluster
from overpaint_backend.devices import devices
from overpaint_backend.guides.make import check_order
from overpaint_backend.guides.mask import weight
from overpaint_backend.guides.raster import rasterise
from overpaint_backend.jobs.board import Standing
from overpaint_backend.jobs.collect import Collector, drop
from overpaint_backend.jobs.room import check_room
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import LIVE, Store, unknown
from overpaint_backend.pipeline.plan import plan_job
from overpaint_backend.pipeline.region import Box, mask_box
from overpaint_backend.settings import Settings

QUEUEING = (EventKind.SEALED, EventKind.LOST, EventKind.RESUMED, EventKind.MOVED_UP, EventKind.RETRIED)
MOST_PROBLEMS = 5  # of one request that its refusal names
LOOK = 0.03  # seconds between two looks for new events
MOST_ENDED = 20  # jobs that have ended and are still shown at one look

Shapes = Mapping[str, tuple[tuple[int, ...], int]]
"""Digest -> (height, width, channels) and bits a channel."""


class Desk:
    """The workshop's desk. Every method may be called from any thread.

    A job that the caller may not see is answered as one that does not exist.
    """

    def __init__(self, settings: Settings, store: Store, spool: Spool) -> None:
        self._settings, self._store, self._spool = settings, store, spool
        self._draining = self._closing = False
        self._counting = threading.Lock()  # of an allowance, until what it allowed is written down
        quota = int(settings.quota_gb * 1e9)
        self.collector = Collector(store, spool, keep_days=settings.keep_days, quota=quota)

    def drain(self) -> None:
        """Take no new jobs, and let those go who watch a job that nobody paints: nothing happens to it any more."""
        self._draining = True

    def close(self) -> None:
        """Let everyone who still watches go."""
        self._closing = True

    def server(self) -> ServerCard:
        return ServerCard(
            version=overpaint.__version__,
            devices=self._devices(),
            max_frames=self._settings.max_frames,
            max_pixels=self._settings.max_pixels,
            now=time.time(),
        )

    def engines(self) -> tuple[EngineCard, ...]:
        if self._settings.ray is not None:
            # The nodes' weights count, not ours; before any node was there, nobody knows better.
            known = read_cluster(self._settings.folder).obstacles
            cards = registry.usable(self._settings.weights, gpu=True)
            return tuple(replace(card, obstacle=known.get(card.name, card.obstacle)) for card in cards)
        gpu = any(device.name.startswith("cuda") for device in devices())
        return registry.usable(self._settings.weights, gpu=gpu)

    def _devices(self) -> tuple[Device, ...]:
        """What paints: this machine's devices, or those of the cluster as it is now."""
        return devices() if self._settings.ray is None else read_cluster(self._settings.folder).devices

    def estimate(
        self, engine: str, size: Size, depth: Depth, length: int, edit: Edit, wanted: Callable[[], bool]
    ) -> Estimate:
        """What a job would cost, from its strokes alone: they are drawn for as long as it is `wanted`.

        Raises Missing, Invalid or Exhausted as `open` would, and Cancelled.
        """
        card = registry.card(engine)
        self._check_size(length, size)  # before anything is made of that length
        unread = Clip(size=size, rate=Rate(numerator=24), depth=depth, frames=("0" * 64,) * length)
        self._check(JobSpec(id="0" * 32, engine=engine, clip=unread, edit=edit), card)
        plan = plan_job(self._boxes(edit, length, size, wanted), size, card)
        pace = self._store.seconds_per_megapixel(engine)
        return Estimate(
            frames=length,
            windows=len(plan.windows),
            window_size=plan.region.size,
            pixel_bytes=length * size.pixels * 3 * depth // 8,
            seconds=None if pace is None else pace * length * size.pixels / 1e6,
            device=next((device.title for device in self._devices()), ""),
        )

    @staticmethod
    def _boxes(edit: Edit, length: int, size: Size, wanted: Callable[[], bool]) -> list[Box | None]:
        """The mask's box on each frame; the whole picture where the mask's pixels are not here yet."""
        guide = edit.guide(Input.MASK)
        if guide is None:
            return [(0, 0, size.width, size.height)] * length

        @cache  # a held mask is drawn once for all of its frames
        def box(key: int | None) -> Box | None:
            mask = None if key is None else rasterise(guide, key, size)
            return None if mask is None else mask_box(weight(mask, guide))

        boxes: list[Box | None] = []
        for frame in range(length):
            if not wanted():
                raise Cancelled(field="estimate", message="nobody waits for the estimate any more")
            key = guide.key_at(frame)
            unread = key is not None and key.pixels is not None
            boxes.append((0, 0, size.width, size.height) if unread else box(None if key is None else key.frame))
        return boxes

    def open(self, caller: Caller, spec: JobSpec, priority: int = 0) -> tuple[JobState, tuple[str, ...]]:
        """Announce a job: its state, and the digests whose pixels are missing. Opening it again answers the same.

        Pixels that the caller never sent are missing, whoever else sent them. Raises Exhausted above an allowance, and where
        the disk is full.
        """
        caller.need(Scope.PAINT)
        self._check_open()
        self._check(spec, registry.card(spec.engine))
        check_priority(priority)
        size = _bytes(spec)
        with self._counting:
            self._check_allowance(caller, spec.clip.size, size, spec.digests(), length=len(spec.clip), job=spec.id)
            check_room(self._spool.folder)
            state = self._store.open(spec, caller.name, priority, size)
        return state, self._missing(caller.name, spec.digests())

    def _missing(self, owner: str, named: Iterable[str]) -> tuple[str, ...]:
        """Those of the digests `named` whose pixels are not here, or that `owner` never sent."""
        digests = tuple(named)
        unproven = self._store.holdings.unproven(owner, digests)
        absent = frozenset(self._spool.missing(one for one in digests if one not in unproven))
        return tuple(one for one in digests if one in unproven or one in absent)

    def _check_allowance(
        self, caller: Caller, frame: Size, size: int, digests: Iterable[str], *, length: int, job: str = ""
    ) -> None:
        """`size` bytes of pixels more, which are among `digests`, for the job `job` or for a guide. Raises Exhausted."""
        allowance = caller.allowance
        jobs, kept = self._store.holdings.of_owner(caller.name, job, digests)
        for field, asked, most, what, remedy in (
            ("frames", length, allowance.frames, "frames in a clip", "Choose a shorter range"),
            ("pixels", frame.pixels, allowance.pixels, "pixels in a frame", "Lower the resolution"),
            ("jobs", jobs + bool(job), allowance.jobs, "jobs at a time", "Wait until one has ended, or cancel one"),
            (
                "bytes",
                kept + size,
                allowance.bytes,
                "bytes of pixels in all its jobs and guides",
                "Delete jobs that have ended; pixels of guides alone count for a day",
            ),
        ):
            if most and asked > most:
                words = f"{caller.name} may have {most} {what}, and this would make {asked}"
                raise Exhausted(field=field, message=words, remedy=remedy)

    def _see(self, caller: Caller, job: str) -> str:
        """Whose job it is. Raises Missing where there is none that the caller may see."""
        owner = self._store.owner(job)
        if not caller.sees(owner):
            raise unknown(job)
        return owner

    def _check_size(self, length: int, size: Size) -> None:
        if length > self._settings.max_frames:
            raise Exhausted(
                field="clip",
                message=f"the clip has {length} frames, and this server takes {self._settings.max_frames}",
                remedy="Choose a shorter range",
            )
        if size.pixels > self._settings.max_pixels:
            raise Exhausted(
                field="clip",
                message=f"a frame has {size} pixels, and this server takes {self._settings.max_pixels} in all",
                remedy="Lower the resolution",
            )

    def _check(self, spec: JobSpec, card: EngineCard) -> None:
        self._check_size(len(spec.clip), spec.clip.size)
        problems = check_spec(spec, card)
        if problems:
            first = problems[0]
            named = "; ".join(map(str, problems[1:MOST_PROBLEMS]))  # not all: an error travels in a call's metadata
            more = f" (and {len(problems) - 1} more: {named})" if named else ""
            raise Invalid(field=first.field, message=first.message + more, remedy=first.remedy)

    def keep(self, caller: Caller, job: str, pieces: Iterable[Chunk]) -> int:
        """Keep proven frames that the job names, as they arrive; returns how many. Raises Invalid for any other frame."""
        owner, spec = self._see(caller, job), self._store.spec(job)
        frames = unpack(pieces, Limits(max_pixels=spec.clip.size.pixels))
        return self._keep(owner, _shapes(spec), frames, "job")

    def _keep(self, owner: str, wanted: Shapes, frames: Iterator[tuple[str, np.ndarray]], by: str) -> int:
        kept = 0
        for digest, frame in frames:
            if wanted.get(digest) != (_three(frame.shape), frame.dtype.itemsize * 8):
                what = (
                    f"is not named by the {by}" if digest not in wanted else "has another shape or depth than the clip"
                )
                raise Invalid(
                    field="frames", message=f"the frame {digest[:12]} {what}", remedy="Send what the server lacks"
                )
            # First, so that what is found here is not collected meanwhile.
            self._store.holdings.prove(owner, digest, ordered=by == "order")
            self._spool.put(frame, digest)
            kept += 1
        return kept

    def missing_for(self, caller: Caller, order: GuideOrder) -> tuple[str, ...]:
        """The digests of an order whose pixels are not here. Raises Invalid, and Exhausted where it is too large or above an allowance."""
        caller.need(Scope.PAINT)
        self._check_size(len(order.frames), order.size)
        check_order(order)
        sizes = _sizes(_ordered(order))
        with self._counting:
            more = sum(sizes[one] for one in self._store.holdings.jobless(caller.name, sizes))
            self._check_allowance(caller, order.size, more, sizes, length=len(order.frames))
            self._store.holdings.order(caller.name, sizes)  # before the look: from then on nobody collects them
        missing = self._missing(caller.name, order.digests())
        absent = frozenset(missing)
        self._check_shapes({name: shape for name, shape in _ordered(order).items() if name not in absent})
        return missing

    def keep_for(self, caller: Caller, order: GuideOrder, pieces: Iterable[Chunk]) -> None:
        """Keep proven frames that the order names. Raises Invalid for any other frame, Conflict where some are missing."""
        self._keep(caller.name, _ordered(order), unpack(pieces, Limits(max_pixels=order.size.pixels)), "order")
        missing = self._missing(caller.name, order.digests())
        if missing:
            what = f"{len(missing)} frames of the order are missing, the first is {missing[0][:12]}"
            raise Conflict(field="frames", message=what, remedy="Send what the answer names")

    def seal(self, caller: Caller, job: str) -> JobState:
        """All pixels are there: queue the job. Sealing it again changes nothing. Raises Conflict naming what is missing."""
        owner = self._see(caller, job)
        state = self._store.state(job)
        if state is not JobState.OPEN:
            return state
        self._check_open()
        self._check_pixels(job, owner)
        self._spool.settle(self._store.spec(job).digests())
        return self._store.record(job, EventKind.SEALED)

    def _check_pixels(self, job: str, owner: str) -> None:
        spec = self._store.spec(job)
        missing = self._missing(owner, spec.digests())
        if missing:
            raise Conflict(
                field="frames",
                message=f"{len(missing)} frames of the job are missing, the first is {missing[0][:12]}",
                remedy="Open the job again and upload what is missing",
            )
        self._check_shapes(_shapes(spec))

    def _check_shapes(self, wanted: Shapes) -> None:
        """Raises Invalid where pixels that are here, and so need not come again, are of another shape or depth."""
        for digest, (shape, depth) in wanted.items():
            found, has = self._spool.shape(digest)
            if (found, has) != (shape, depth):
                what = f"the frame {digest[:12]} is {_said(found, has)}, and {_said(shape, depth)} is wanted"
                raise Invalid(field="frames", message=what, remedy="Say the size and depth that the frames have")

    def watch(self, caller: Caller, job: str, after: int) -> Iterator[JobEvent]:
        """The events after number `after`, those to come as well; ends when the job has ended."""
        return (event for event in self.looks(caller, job, after) if event is not None)

    def looks(self, caller: Caller, job: str, after: int) -> Iterator[JobEvent | None]:
        """As `watch`, with None for each look that found nothing new: so often may whoever watches think of leaving.

        Raises Invalid where `after` did not happen: whoever waits for what follows it would wait for ever.
        """
        self._see(caller, job)
        last = self._store.last_event(job)
        if after > last:
            what = f"the job has no event {after}"
            raise Invalid(
                field="after_event", message=what, remedy=f"Watch from an event on that happened, 0 to {last}"
            )
        while True:
            # In this order, so that nothing is missed: an event after the last look, the end after the last event, or
            # that the job had ended when the desk was closed.
            closing = self._closing
            state = self._store.state(job)
            closing = closing or (self._draining and state not in LIVE)
            for event in self._store.events(job, after):
                after = event.number
                waiting = event.kind in QUEUEING
                yield replace(event, queue_place=self._store.queue_place(job)) if waiting else event
            if state.ended:
                return
            if closing:
                raise Unavailable(
                    field="server", message="the server is going down", remedy="Watch again when it is back"
                )
            yield None
            time.sleep(LOOK)

    def _check_open(self) -> None:
        """Raises Unavailable while the server drains."""
        if self._draining:
            words = "the server is going down; it takes no new jobs"
            raise Unavailable(field="server", message=words, remedy="Send the job again when it is back")

    def board(self, caller: Caller) -> tuple[Standing, ...]:
        """All jobs that the caller may see and that have not ended, and the newest that have."""
        return self._store.board(None if Scope.ADMIN in caller.scopes else caller.name, MOST_ENDED)

    def picture(self, caller: Caller, job: str, event: int) -> Picture:
        """The picture that this event of the job has. Raises Missing where a newer one took its place."""
        self._see(caller, job)
        return self._store.picture(job, event)

    def take(
        self, caller: Caller, job: str, start: int, *, source: bool = False
    ) -> tuple[tuple[str, ...], Iterator[np.ndarray]]:
        """The take's frames from `start` on: their digests, and the patches "h w 4" over the source; or the `source` itself."""
        owner = self._see(caller, job)
        if source:
            self._check_pixels(job, owner)  # who only names a digest does not get at the pixels
        digests = self._store.spec(job).clip.frames if source else self._store.take(job)
        if not 0 <= start <= len(digests):
            raise Invalid(
                field="from_frame", message=f"there are frames 0 to {len(digests) - 1}", remedy="Ask for one of them"
            )
        return digests[start:], map(self._spool.get, digests[start:])

    def cancel(self, caller: Caller, job: str) -> JobState:
        """Cancel the job: at once where it waits, at its next step where it runs."""
        self._see(caller, job)
        return self._store.cancel(job)

    def pause(self, caller: Caller, job: str) -> JobState:
        """Let no worker have the job until it is resumed; the one that paints it stops at its next step."""
        self._see(caller, job)
        return self._store.ask(job, EventKind.PAUSED)

    def resume(self, caller: Caller, job: str) -> JobState:
        """A paused job goes back to its place in the queue."""
        self._see(caller, job)
        return self._store.ask(job, EventKind.RESUMED)

    def move_up(self, caller: Caller, job: str) -> JobState:
        """A queued job becomes the next one of its owner."""
        self._see(caller, job)
        return self._store.ask(job, EventKind.MOVED_UP)

    def retry(self, caller: Caller, job: str) -> JobState:
        """A failed or cancelled job goes to the end of the queue.

        Raises Conflict where pixels never arrived, or went, and Exhausted above an allowance.
        """
        owner = self._see(caller, job)
        if self._store.state(job).ended:
            self._check_pixels(job, owner)
        with self._counting:
            if owner == caller.name and self._store.state(job).ended:  # an administrator has no part in the owner's
                spec = self._store.spec(job)
                size, digests = _bytes(spec), spec.digests()
                self._check_allowance(caller, spec.clip.size, size, digests, length=len(spec.clip), job=job)
            return self._store.ask(job, EventKind.RETRIED)

    def jobs(self, caller: Caller) -> tuple[JobSummary, ...]:
        """The caller's jobs, or everybody's for an administrator; the newest first."""
        return self._store.summaries(None if Scope.ADMIN in caller.scopes else caller.name)

    def delete(self, caller: Caller, job: str) -> None:
        """Forget an ended job, and the pixels and windows that no other job uses."""
        self._see(caller, job)
        drop(self._store, self._spool, *self._store.delete(job))

    def record(self, caller: Caller, job: str) -> JobRecord:
        """The job with its request, and what it holds."""
        self._see(caller, job)
        digests, keys = self._store.holdings.of_job(job)
        files = [self._spool.frame_file(digest) for digest in digests]
        windows = [self._spool.window_file(key) for key in keys]
        return JobRecord(
            summary=self._store.summary(job),
            spec=self._store.spec(job),
            frames=sum(file is not None for file in files),
            windows=sum(file is not None for file in windows),
            bytes=sum(file.st_size for file in (*files, *windows) if file is not None),
        )

    def prune(self, caller: Caller, older_than_days: float | None, *, dry_run: bool) -> Pruned:
        """Forget everybody's jobs that ended so long ago, and what nobody needs; returns what went, or would go."""
        caller.need(Scope.ADMIN)
        if older_than_days is not None and not 0 <= older_than_days < math.inf:
            what = f"{older_than_days} is no number of days"
            raise Invalid(field="older_than_days", message=what, remedy="Give 0 or more")
        return self.collector.prune(older_than_days, dry_run=dry_run)


def _three(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A frame of one channel comes as "h w"."""
    return shape if len(shape) == 3 else (*shape, 1)


def _said(shape: tuple[int, ...], depth: int) -> str:
    height, width, channels = shape
    return f"{width}x{height} of {channels} channels with {depth} bits"


def _bytes(spec: JobSpec) -> int:
    """Of the job's pixels, before compression."""
    return sum(_sizes(_shapes(spec)).values())


def _sizes(shapes: Shapes) -> dict[str, int]:
    """The bytes of each one's pixels, before compression."""
    return {
        digest: height * width * channels * depth // 8 for digest, ((height, width, channels), depth) in shapes.items()
    }


def _ordered(order: GuideOrder) -> Shapes:
    """For each digest of the order the shape and depth that its pixels must have."""
    height, width = order.size.height, order.size.width
    pictures: Shapes = {one.pixels: ((height, width, 3), order.depth) for one in order.frames}
    return {**{digest: ((height, width, 1), 8) for digest in order.digests()}, **pictures}


def _shapes(spec: JobSpec) -> Shapes:
    """For each digest of the job the shape and depth that its pixels must have."""
    height, width = spec.clip.size.height, spec.clip.size.width
    guides: Shapes = {
        key.pixels: ((height, width, 1), 8) for guide in spec.edit.guides for key in guide.keys if key.pixels
    }
    pictures = (*spec.clip.frames, *(keyframe.pixels for keyframe in spec.edit.keyframes))
    return {**guides, **{digest: ((height, width, 3), spec.clip.depth) for digest in pictures}}
