"""Submit: take the strip out of Blender, send what the server lacks, put the job into its queue."""

from __future__ import annotations

from overpaint import wire

from .draft import Draft
from .ports import Backend, Capture, Future, Ticket, TicketStore, Timeline
from .steps import Doing, Steps, until


def submit(timeline: Timeline, backend: Backend, tickets: TicketStore, draft: Draft, job_id: str) -> Steps[Ticket]:
    """The strip is captured, hashed and announced; only missing pixels travel; the ticket is kept when it is queued."""
    selection = timeline.read_selection()
    card = yield from until(backend.card(draft.engine), Doing(stage="asking the server"))
    capture = timeline.start_capture(selection)
    try:
        digests = yield from _read(capture, backend, selection.length)
        spec = draft.resolve(job_id, selection, digests, capture.guides(), card)
        opened = yield from until(backend.open_job(spec), Doing(stage="opening the job"))
        frame_of = {digest: frame for frame, digest in enumerate(digests)}
        sending = backend.upload(job_id, opened.missing, lambda digest: capture.frame(frame_of[digest]))
        yield from until(sending, Doing(stage="sending", total=len(opened.missing)))
        state = yield from until(backend.seal_job(job_id), Doing(stage="queueing"))
    finally:
        capture.close()
    ticket = Ticket(job_id=job_id, selection=selection, request=wire.request_to_json(spec), state=state)
    tickets.keep(ticket)
    return ticket


def _read(capture: Capture, backend: Backend, length: int) -> Steps[list[str]]:
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
