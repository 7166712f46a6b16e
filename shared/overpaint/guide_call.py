"""A guide on its way: a call in which the server asks for pixels, says how far it is, and gives what it made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import Any

import numpy as np

from overpaint import chunks, wire
from overpaint.errors import OverpaintError
from overpaint.order import GuideOrder, GuideProgress, MadeGuide
from overpaint.v1 import guides_pb2


class GuideCall:
    """A guide on its way: iterate over how far it is; the last is what was made. `cancel` ends it, from any thread."""

    def __init__(
        self,
        start: Callable[[Iterator[guides_pb2.MakeGuideRequest]], Any],
        in_words: Callable[[], AbstractContextManager[None]],
        order: GuideOrder,
        read: Callable[[str], np.ndarray],
    ) -> None:
        self._in_words, self._order, self._read = in_words, order, read
        self._missing: SimpleQueue[Sequence[str]] = (
            SimpleQueue()
        )  # what the server lacks, or nothing where the call is over
        self._trouble: list[Exception] = []  # gRPC would hide it behind a status of its own
        self._stream = start(self._requests())

    def cancel(self) -> None:
        self._stream.cancel()
        self._missing.put(())

    def __iter__(self) -> Iterator[GuideProgress | MadeGuide]:
        """Raises Cancelled after `cancel`."""
        try:
            with self._in_words():
                for answer in self._stream:
                    match answer.WhichOneof("part"):
                        case "missing":
                            self._missing.put([digest.hex() for digest in answer.missing.digests])
                        case "progress":
                            yield wire.guide_progress_from_wire(answer.progress)
                        case "made":
                            yield wire.made_from_wire(answer.made)
                        case _:
                            pass  # a later server's; nothing that was asked for
        except OverpaintError:
            if self._trouble:
                raise self._trouble[0] from None
            raise
        finally:
            self.cancel()

    def _requests(self) -> Iterator[guides_pb2.MakeGuideRequest]:
        try:
            yield guides_pb2.MakeGuideRequest(order=wire.order_to_wire(self._order))
            missing = self._missing.get()
            for chunk in chunks.pack(map(self._read, missing), names=missing):
                request = guides_pb2.MakeGuideRequest()
                wire.chunk_to_wire(chunk, request.chunk)
                yield request
        except Exception as error:
            self._trouble.append(error)
            raise
