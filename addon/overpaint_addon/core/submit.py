"""Submit: take the strip out of Blender, send what the server lacks, put the job into its queue; or seal it for a farm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from overpaint import wire
from overpaint.card import EngineCard
from overpaint.job import JobSpec, JobState

from .draft import Draft
from .keyframes import read_keyframes
from .ports import Backend, Capture, Future, Selection, Ticket, TicketStore, Timeline
from .steps import Doing, Steps, patiently, until
from .words import say


def submit(
    timeline: Timeline,
    backend: Backend,
    tickets: TicketStore,
    draft: Draft,
    job_id: str,
    selection: Selection | None = None,
) -> Steps[Ticket]:
    """The strip is captured, hashed and announced; only missing pixels travel; the ticket is kept when it is queued.

    Without `selection` it is the active strip.
    """
    (ticket,) = yield from submit_batch(timeline, backend, tickets, draft, {job_id: draft.seed}, selection)
    return ticket


def submit_batch(
    timeline: Timeline,
    backend: Backend,
    tickets: TicketStore,
    draft: Draft,
    seeds: Mapping[str, int],
    selection: Selection | None = None,
) -> Steps[tuple[Ticket, ...]]:
    """The same edit with several seeds, by job: the strip is captured and sent once."""
    selection = timeline.mark(selection or timeline.read_selection())
    cards = yield from until(backend.cards(), Doing(stage="asking the server"))
    draft, card = draft.choose(cards, draft.given(selection))
    capture = timeline.start_capture(selection)
    try:
        specs, read = yield from read_strip(timeline, backend, capture, draft, card, seeds, selection)
        submitted: list[Ticket] = []
        for spec in specs:
            state = yield from _send(backend, spec, read)
            request = wire.request_to_json(spec)
            server = backend.server
            submitted.append(Ticket(job_id=spec.id, selection=selection, request=request, state=state, server=server))
            tickets.keep(submitted[-1])
    finally:
        capture.close()
    return tuple(submitted)


def _send(backend: Backend, spec: JobSpec, read: Callable[[str], np.ndarray]) -> Steps[JobState]:
    try:
        return (yield from patiently(backend, backend.send(spec, read), Doing(stage="sending")))
    except GeneratorExit:
        backend.cancel(spec.id)  # nobody would hold a ticket for it
        raise


def export(
    timeline: Timeline, backend: Backend, draft: Draft, job_id: str, folder: Path, selection: Selection | None = None
) -> Steps[str]:
    """Seal the edit in `folder`, for a render farm, instead of sending it; says where it is.

    The server is asked for its engines only. Raises Invalid where `folder` is there already and not empty.
    """
    selection = timeline.mark(selection or timeline.read_selection())
    cards = yield from until(backend.cards(), Doing(stage="asking the server"))
    draft, card = draft.choose(cards, draft.given(selection))
    capture = timeline.start_capture(selection)
    try:
        seeds = {job_id: draft.seed}
        (spec,), read = yield from read_strip(timeline, backend, capture, draft, card, seeds, selection)
        yield from until(backend.seal(folder, spec, read), Doing(stage="writing the folder"))
    finally:
        capture.close()
    return say("Sealed for the farm in {folder}", folder=folder)


def read_strip(
    timeline: Timeline,
    backend: Backend,
    capture: Capture,
    draft: Draft,
    card: EngineCard,
    seeds: Mapping[str, int],
    selection: Selection,
) -> Steps[tuple[list[JobSpec], Callable[[str], np.ndarray]]]:
    """The whole requests of a captured strip, one for each seed, and how to read the pixels of a digest."""
    digests = yield from read_digests(capture, backend, selection.length)
    keyframes, pictures = yield from read_keyframes(timeline, backend, selection)
    guides, tracks = capture.guides(), capture.tracks()
    specs = [
        replace(draft, seed=seed).resolve(job_id, selection, digests, guides, card, tracks, keyframes)
        for job_id, seed in seeds.items()
    ]
    readers = pictures | pixel_readers(capture, digests)
    return specs, lambda digest: readers[digest]()


def pixel_readers(capture: Capture, digests: Sequence[str]) -> dict[str, Callable[[], np.ndarray]]:
    """How to read the captured pixels by digest: those of guides, and the frames, whose digests are given in order."""
    drawn = {key.pixels for guide in capture.guides() for key in guide.keys if key.pixels}
    frames = {digest: partial(capture.frame, index) for index, digest in enumerate(digests)}
    return {digest: partial(capture.guide_pixels, digest) for digest in drawn} | frames


def read_digests(capture: Capture, backend: Backend, length: int) -> Steps[list[str]]:
    """The digests of all frames, taken by the courier while the child still renders."""
    hashing: list[Future[str]] = []
    while len(hashing) < length:
        for index in range(len(hashing), capture.captured()):
            hashing.append(backend.digest(lambda i=index: capture.frame(i)))
        yield Doing(stage="reading the strip", done=len(hashing), total=length)
    digests: list[str] = []
    for one in hashing:
        digests.append((yield from until(one, Doing(stage="reading the strip", done=length, total=length))))
    return digests
