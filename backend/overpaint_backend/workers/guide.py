"""Guides are made in a process of their own for each call: it can be ended at any moment, and brings torch where it is needed."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from overpaint.errors import Cancelled, Internal, OverpaintError, Unavailable
from overpaint.order import GuideOrder, GuideProgress, MadeGuide

from overpaint_backend.guides.make import make_guide
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.journal import write_log
from overpaint_backend.quiet import failure

AT_ONCE = 2  # guides that are made; more wait
WAITING = 8  # at most: each holds a thread of the server
LOOK = 0.1  # seconds between two looks whether the guide is still wanted
log = logging.getLogger(__name__)


class GuideMaker:
    """Makes guides from the frames in `spool`, on `device`."""

    def __init__(self, spool: Path, weights: Path, device: str, log_format: str = "text") -> None:
        self._where = (spool, weights, device, log_format)
        self._seats = threading.BoundedSemaphore(AT_ONCE + WAITING)
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def make(self, order: GuideOrder, wanted: Callable[[], bool]) -> Iterator[GuideProgress | MadeGuide]:
        """How far it is, and what was made, frame by frame. The work ends as soon as `wanted` says no, or the iterator is closed.

        Raises what the work raised, Cancelled where it is no longer wanted, and Unavailable where its process died, or
        where too many wait already.
        """
        if not self._seats.acquire(blocking=False):
            what = f"{AT_ONCE + WAITING} guides are made or wait already"
            raise Unavailable(field="guide", message=what, remedy="Ask again in a minute")
        try:
            yield from self._make(order, wanted)
        finally:
            self._seats.release()

    def _make(self, order: GuideOrder, wanted: Callable[[], bool]) -> Iterator[GuideProgress | MadeGuide]:
        waiting = GuideProgress(stage="waiting")
        while not self._places.acquire(timeout=LOOK):
            _check(wanted)
            yield waiting
        try:
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(theirs, order, *self._where), name="guide", daemon=True)
            process.start()
            theirs.close()
            try:
                yield from _answers(ours, wanted)
            finally:
                process.kill()
                process.join()
                ours.close()
        finally:
            self._places.release()


def _check(wanted: Callable[[], bool]) -> None:
    if not wanted():
        raise Cancelled(field="guide", message="the guide is not wanted any more")


def _answers(ours: Connection, wanted: Callable[[], bool]) -> Iterator[GuideProgress | MadeGuide]:
    while True:
        while not ours.poll(LOOK):
            _check(wanted)
        _check(wanted)
        try:
            answer = ours.recv()
        except EOFError:
            what = "the process that made the guide ended"
            raise Unavailable(field="guide", message=what, remedy="The server's log may say why; try again") from None
        if isinstance(answer, tuple):
            kind, words = answer
            raise kind(**words)
        if answer is None:
            return
        yield answer


def _work(pipe: Connection, order: GuideOrder, spool: Path, weights: Path, device: str, log_format: str) -> None:
    """The life of the process. Where nobody listens any more, the next word ends it; where nobody takes its words, it waits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to answer
    write_log(log_format)
    try:
        for part in make_guide(order, Spool(spool).get, pipe.send, weights, device):
            pipe.send(part)
        pipe.send(None)  # that was all
    except BrokenPipeError:
        return
    except OverpaintError as error:
        pipe.send((type(error), {"field": error.field, "message": error.message, "remedy": error.remedy}))
    except Exception as error:
        log.error("a guide failed: %s", failure(error))
        words = {"field": "guide", "message": f"the guide failed: {type(error).__name__}"}
        pipe.send((Internal, words | {"remedy": "The server's log has the details"}))
