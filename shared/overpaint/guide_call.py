"""A guide on its way: a call in which the server asks for pixels, says how far it is, and gives what it made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import numpy as np

from overpaint import chunks, wire
from overpaint.errors import Cancelled, OverpaintError
from overpaint.order import GuideOrder, GuideProgress, LinesOrder, MadeGuide, joined
from overpaint.patience import Cut, Patience
from overpaint.v1 import guides_pb2

Start = Callable[[Iterator[guides_pb2.MakeGuideRequest]], Any]
"""Begins the call with these requests; its answers."""


class GuideCall:
    """A guide on its way: iterate over how far it is; the last is what was made. `cancel` ends it, from any thread.

    After a cut it is ordered again, until nothing has moved for `patience` seconds: what arrived is not sent again, and lines
    that came are not made again; masks are, since each follows from the one before. Where no server answered from the
    start, that is said at once.
    """

    def __init__(
        self,
        start: Start,
        in_words: Callable[[], AbstractContextManager[None]],
        order: GuideOrder,
        read: Callable[[str], np.ndarray],
        patience: float,
        cut: Cut | None = None,
    ) -> None:
        self._start, self._in_words, self._order, self._read = start, in_words, order, read
        self._reached = -1  # the frame up to which the guide has come
        self._cancelled, self._lock = threading.Event(), threading.Lock()
        self._patience = Patience(patience, self._cancelled, cut)
        self._once: _Once | None = None

    def cancel(self) -> None:
        with self._lock:
            self._cancelled.set()
            if self._once is not None:
                self._once.cancel()

    def __iter__(self) -> Iterator[GuideProgress | MadeGuide]:
        """Holds all of the guide until it is made; `parts` does not. Raises Cancelled after `cancel`."""
        parts: list[MadeGuide] = []
        for answer in self.parts():
            if isinstance(answer, GuideProgress):
                yield answer
            else:
                parts.append(answer)
        if parts:
            yield joined(parts)

    def parts(self) -> Iterator[GuideProgress | MadeGuide]:
        """How far it is, and the guide as it comes: each MadeGuide is that of one frame, in the order of the frames.

        Raises Cancelled after `cancel`.
        """
        began = False
        while order := self._left():
            with self._lock:
                if self._cancelled.is_set():
                    raise Cancelled(field="guide", message="the guide was cancelled")
                once = self._once = _Once(self._start, order, self._read)
            try:
                with self._in_words():
                    for answer in once.answers():
                        began = True
                        self._patience.moved()
                        if isinstance(answer, GuideProgress):
                            yield self._of_all(answer, order)
                        elif answer is not None:
                            yield from self._new(answer)
                return
            except OverpaintError as caught:
                error = caught
            finally:
                once.cancel()
            if once.trouble:
                raise once.trouble[0]
            if not began:
                raise error
            self._patience.rest(error)

    def _left(self) -> GuideOrder | None:
        """What is to be ordered now: of lines, those of the frames that have not come; None where all have."""
        frames = tuple(one for one in self._order.frames if one.frame > self._reached)
        if not frames:
            return None
        return replace(self._order, frames=frames) if isinstance(self._order.wanted, LinesOrder) else self._order

    def _of_all(self, progress: GuideProgress, order: GuideOrder) -> GuideProgress:
        """`progress`, which counts the frames of `order`, counting those as well that came before a cut."""
        before = len(self._order.frames) - len(order.frames)
        counted = replace(progress, done=progress.done + before, total=progress.total + before)
        return counted if progress.total else progress

    def _new(self, made: MadeGuide) -> Iterator[MadeGuide]:
        """What has not come yet, frame by frame; an earlier server gives the whole at once."""
        for part in made.by_frame():
            frame = part.guides[0].guide.keys[0].frame
            if frame > self._reached:
                self._reached = frame
                yield part


class _Once:
    """One try."""

    def __init__(self, start: Start, order: GuideOrder, read: Callable[[str], np.ndarray]) -> None:
        self._order, self._read = order, read
        self.trouble: list[Exception] = []  # of reading; gRPC would hide it behind a status of its own
        # What the server lacks, or nothing where the call is over.
        self._missing: SimpleQueue[Sequence[str]] = SimpleQueue()
        self._stream = start(self._requests())

    def cancel(self) -> None:
        self._stream.cancel()
        self._missing.put(())

    def answers(self) -> Iterator[GuideProgress | MadeGuide | None]:
        """None for what only this call itself wants to know."""
        for answer in self._stream:
            match answer.WhichOneof("part"):
                case "missing":
                    self._missing.put([digest.hex() for digest in answer.missing.digests])
                    yield None
                case "progress":
                    yield wire.guide_progress_from_wire(answer.progress)
                case "made":
                    yield wire.made_from_wire(answer.made)
                case _:
                    yield None  # a later server's; nothing that was asked for

    def _requests(self) -> Iterator[guides_pb2.MakeGuideRequest]:
        try:
            yield guides_pb2.MakeGuideRequest(order=wire.order_to_wire(self._order), in_parts=True)
            missing = self._missing.get()
            for chunk in chunks.pack(map(self._read, missing), names=missing):
                request = guides_pb2.MakeGuideRequest()
                wire.chunk_to_wire(chunk, request.chunk)
                yield request
        except Exception as error:
            self.trouble.append(error)
            raise
