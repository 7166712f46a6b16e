"""Preview: paint one frame quickly and show it, to see where the edit goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from overpaint import wire
from overpaint.colour import lay_over

from .choose import Quality
from .draft import Draft
from .follow import follow
from .ports import Backend, Capture, Selection, Ticket, Timeline
from .steps import Doing, Steps, patiently, until
from .submit import pixel_readers, read_digests

GRACE = 0.25  # seconds that nothing may change before a live preview begins
STAGE = "previewing"


def preview(
    timeline: Timeline,
    backend: Backend,
    draft: Draft,
    job_id: str,
    selection: Selection | None = None,
    *,
    same_pixels: bool = False,
) -> Steps[None]:
    """Paint one frame with half the usual steps, and show it in the place of the preview before.

    Without `selection` it is the current one.
    `same_pixels`: the strip shows there what it showed at the last preview; only the drawings may have changed. No
    ticket is kept: a preview is not worth taking up again, and closing this cancels it.
    """
    selection = timeline.mark(selection or timeline.read_frame())
    cards = yield from until(backend.cards(), Doing(stage=STAGE))
    draft, card = replace(draft, quality=Quality.DRAFT).choose(cards, draft.given(selection))
    capture = timeline.start_frame(selection, same_pixels=same_pixels)
    sent = False
    try:
        digests = yield from read_digests(capture, backend, 1)
        spec = draft.resolve(job_id, selection, digests, capture.guides(), card, capture.tracks())
        sent = True
        readers = pixel_readers(capture, digests)
        sending = backend.send(spec, lambda digest: readers[digest]())
        state = yield from patiently(backend, sending, Doing(stage="sending"))
        ticket = Ticket(job_id=job_id, selection=selection, request=wire.request_to_json(spec), state=state)
        yield from follow(backend, _Forgetful(), ticket)
        sent = False
        yield from _show(timeline, backend, capture, ticket)
    finally:
        capture.close()
        if sent:
            backend.cancel(job_id)


def _show(timeline: Timeline, backend: Backend, capture: Capture, ticket: Ticket) -> Steps[None]:
    folder = timeline.preview_folder(ticket.job_id)
    (patch,) = yield from until(backend.fetch(ticket.job_id, folder, 1), Doing(stage=STAGE))

    def whole() -> np.ndarray:
        return lay_over(capture.frame(0), backend.read(patch))

    picture = yield from until(backend.write(folder / "picture.png", whole), Doing(stage=STAGE))
    timeline.show_preview(ticket.selection, patch, picture)


class _Forgetful:
    """The port TicketStore, for a job that nobody takes up again."""

    def keep(self, ticket: Ticket) -> None:
        pass

    def all(self) -> tuple[Ticket, ...]:
        return ()

    def drop(self, job_id: str) -> None:
        pass


class Live:
    """When to preview again: a change is painted when nothing has changed for a moment and no preview is under way.

    What changed meanwhile is not queued: the newest state is painted when its time has come.
    """

    def __init__(self) -> None:
        self._seen: object = None
        self._painted: object = None
        self._since = 0.0

    def due(self, state: object, now: float, *, busy: bool) -> bool:
        """Whether to begin with `state` (anything that compares) at `now`, in seconds; if so, it counts as painted."""
        if state != self._seen:
            self._seen, self._since = state, now
        if busy or state == self._painted or now - self._since < GRACE:
            return False
        self._painted = state
        return True
