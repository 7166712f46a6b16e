"""Submit: take the strip out of Blender, send what the server lacks, put the job into its queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from overpaint import wire

from .draft import Draft
from .keyframes import read_keyframes
from .ports import Backend, Capture, Future, Selection, Ticket, TicketStore, Timeline
from .steps import Doing, Steps, patiently, until


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
    selection = selection or timeline.read_selection()
    cards = yield from until(backend.cards(), Doing(stage="asking the server"))
    draft, card = draft.choose(cards, draft.given(selection))
    capture = timeline.start_capture(selection)
    try:
        digests = yield from read_digests(capture, backend, selection.length)
        keyframes, pictures = yield from read_keyframes(timeline, backend, selection)
        guides, tracks = capture.guides(), capture.tracks()
        specs = [
            replace(draft, seed=seed).resolve(job_id, selection, digests, guides, card, tracks, keyframes)
            for job_id, seed in seeds.items()
        ]
        readers = pictures | pixel_readers(capture, digests)
        submitted: list[Ticket] = []
        for spec in specs:
            sending = backend.send(spec, lambda digest: readers[digest]())
            state = yield from patiently(backend, sending, Doing(stage="sending"))
            request = wire.request_to_json(spec)
            submitted.append(Ticket(job_id=spec.id, selection=selection, request=request, state=state))
            tickets.keep(submitted[-1])
    finally:
        capture.close()
    return tuple(submitted)


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
