"""What the panel asks the server in the background: its engines' cards, and what painting would cost."""

from __future__ import annotations

import importlib
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from overpaint.card import EngineCard, Estimate
from overpaint.errors import OverpaintError, Unavailable

from ..core.estimate import Question, ask
from ..core.steps import Doing, Steps, until
from ..host.pump import Pump
from . import options, session
from .preferences import Connection, connection

FRESH = 60.0  # seconds that cards are good for: an engine may become usable while the server runs
AGAIN = 5.0  # seconds until a server that did not answer is asked again, by the next redraw


class Asking:
    """Nothing here waits: `look` and `weigh` are called while drawing, and the answers come with a later tick.

    `error` is why there are no cards, `refusal` why there is no cost.
    """

    def __init__(self) -> None:
        self.pump = Pump()  # of its own: questions are no jobs
        self.cards: tuple[EngineCard, ...] = ()
        self.error: OverpaintError | None = None
        self.cost: Estimate | None = None
        self.refusal: OverpaintError | None = None
        self._server: Connection | None = None
        self._due = self._again = 0.0
        self._question: Question | None = None
        self._looking: Future[Any] | None = None
        self._weighing: Future[Any] | None = None

    def look(self) -> None:
        """See to it that the cards are those of the server that the preferences name."""
        try:
            wanted = connection()
        except OverpaintError as error:
            self.cards, self.error, self._server = (), error, None
            return
        if wanted != self._server:
            self.cards, self.error, self._server, self._due = (), None, wanted, 0.0
            self._question = None
            if self._looking is not None:
                self._looking.cancel()
        if time.monotonic() >= self._due and (self._looking is None or self._looking.done()):
            self._looking = self.pump.start(self._look())

    def weigh(self, wanted: Question | None) -> None:
        """See to it that the cost is that of `wanted`; no question, no cost."""
        away = isinstance(self.refusal, Unavailable) and time.monotonic() >= self._again
        if wanted == self._question and not away:
            return
        self._question, self.cost, self.refusal = wanted, None, None
        if self._weighing is not None:
            self._weighing.cancel()
        if wanted is not None:
            self._weighing = self.pump.start(self._weigh(wanted))

    def close(self) -> None:
        self.pump.close()
        options.forget_fields()

    def _look(self) -> Steps[None]:
        doing = Doing(stage="asking the server")
        yield from until(_imported(), doing)
        try:
            cards = yield from until(session.current().backend().cards(), doing)
        except OverpaintError as error:
            self.error, self._due = error, time.monotonic() + AGAIN
            return
        if cards != self.cards:
            options.make_fields(cards)
        self.cards, self.error, self._due = cards, None, time.monotonic() + FRESH

    def _weigh(self, wanted: Question) -> Steps[None]:
        try:
            self.cost = yield from ask(session.current().backend(), wanted)
        except OverpaintError as error:
            self.refusal, self._again = error, time.monotonic() + AGAIN


def _imported() -> Future[Any]:
    """gRPC, read from disk on another thread: that takes a noticeable while."""
    with_one = ThreadPoolExecutor(1, thread_name_prefix="overpaint-import")
    try:
        return with_one.submit(importlib.import_module, "overpaint.client")
    finally:
        with_one.shutdown(wait=False)


_current: Asking | None = None


def begin() -> None:
    global _current
    _current = Asking()


def end() -> None:
    global _current
    if _current is not None:
        _current.close()
    _current = None


def current() -> Asking:
    """There is one whenever the add-on is enabled."""
    assert _current is not None, "the add-on is not enabled"
    return _current
