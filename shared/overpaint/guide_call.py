"""A guide on its way: a call in which the server asks for pixels, says how far it is, and gives what it made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import Any

import numpy as np

from overpaint import chunks, wire
from overpaint.errors import Cancelled, OverpaintError
from overpaint.order import GuideOrder, GuideProgress, MadeGuide
from overpaint.patience import Cut, Patience
from overpaint.v1 import guides_pb2

Start = Callable[[Iterator[guides_pb2.MakeGuideRequest]], Any]
"""Begins the call with these requests; its answers."""


class GuideCall:
    """A guide on its way: iterate over how far it is; the last is what was made. `cancel` ends it, from any thread.

    After a cut it is ordered again, until nothing has moved for `patience` seconds: what arrived is not sent again, what was
    made is made anew. Where no server answered from the start, that is said at once.
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
        self._cancelled, self._lock = threading.Event(), threading.Lock()
        self._patience = Patience(patience, self._cancelled, cut)
        self._once: _Once | None = None

    def cancel(self) -> None:
        with self._lock:
            self._cancelled.set()
            if self._once is not None:
                self._once.cancel()

    def __iter__(self) -> Iterator[GuideProgress | MadeGuide]:
        """Raises Cancelled after `cancel`."""
        began = False
        while True:
            with self._lock:
                if self._cancelled.is_set():
                    raise Cancelled(field="guide", message="the guide was cancelled")
                once = self._once = _Once(self._start, self._order, self._read)
            try:
                with self._in_words():
                    for answer in once.answers():
                        began = True
                        self._patience.moved()
                        if answer is not None:
                            yield answer
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
            yield guides_pb2.MakeGuideRequest(order=wire.order_to_wire(self._order))
            missing = self._missing.get()
            for chunk in chunks.pack(map(self._read, missing), names=missing):
                request = guides_pb2.MakeGuideRequest()
                wire.chunk_to_wire(chunk, request.chunk)
                yield request
        except Exception as error:
            self.trouble.append(error)
            raise
