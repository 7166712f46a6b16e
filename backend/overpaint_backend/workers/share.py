"""The windows of one job, shared: the job's own engine and any that help each take the next one when they are free."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TypeAlias

from overpaint.errors import Cancelled

from overpaint_backend.engine import DeviceFault, Engine, Progress
from overpaint_backend.pipeline.windows import Window

MOST_DEATHS = 3  # devices, or whole nodes, that one window may take with it before it counts against the job

log = logging.getLogger(__name__)

Paint: TypeAlias = Callable[[Window, "str | None", Progress], tuple[str, bool]]
"""Paints a window, given the key of the one before; its own key, and whether it was there already."""


class Share:
    """What is to be painted of a job, and the keys of what is.

    `engine` is the job's own; `painter` makes what paints with any engine, and `done` hears of every painted window, of
    one at a time. `check` raises where the job is no longer to be painted.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        keys: Mapping[int, str],
        engine: Engine,
        painter: Callable[[Engine], Paint],
        done: Callable[[Window, str, bool], None],
        check: Callable[[], None],
    ) -> None:
        self.engine = engine
        self.keys = dict(keys)
        self._left = deque(window for window in windows if window.index not in keys)
        self._painter, self._done, self._check = painter, done, check
        self._paints: dict[int, tuple[Engine, Paint]] = {}  # by id, which stays its own as long as it is kept
        self._changed = threading.Condition()
        self._busy = 0
        self._deaths: Counter[tuple[int, type]] = Counter()
        self._error: BaseException | None = None

    @property
    def spare(self) -> int:
        """How many windows there are for those who help. Where a window needs the one before, there never are any."""
        return 0 if self._error is not None or self.engine.card.chained else len(self._left)

    def fits(self, engine: Engine) -> bool:
        """Whether `engine` paints the same bytes, so that nobody sees in the take who helped."""
        return (engine.painter, engine.card) == (self.engine.painter, self.engine.card)

    def paint_all(self, progress: Progress) -> None:
        """Paint until every window is there, whoever painted it. Raises the first error, once nobody paints any more."""

        def tell(stage: str, step: int, steps: int) -> None:
            self._heed()
            progress(stage, step, steps)

        with suppress(Exception):  # it is raised below, or the error of who failed before
            while (window := self._take(wait=True)) is not None:
                self._paint(window, self.engine, tell, mine=True)
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
        if self._error is not None:
            raise self._error

    def help(self, engine: Engine) -> bool:
        """Paint one window with `engine`, which fits; False where none is left. What goes wrong is the job's to tell.

        Raises DeviceFault where the engine's device can compute no more; another paints the window then.
        """

        def heed(stage: str, step: int, steps: int) -> None:
            self._heed()
            self._check()

        window = self._take(wait=False)
        if window is None:
            return False
        try:
            self._paint(window, engine, heed, mine=False)
        except DeviceFault:
            raise
        except Exception:
            log.debug("no help any more", exc_info=True)
        return True

    def _take(self, *, wait: bool) -> Window | None:
        """The next window; where others still paint, one of theirs may come back, so `wait` for that."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._left or not self._busy or self._error)
            if self._error is not None or not self._left:
                return None
            self._busy += 1
            return self._left.popleft()

    def _paint(self, window: Window, engine: Engine, progress: Progress, *, mine: bool) -> None:
        error = None
        try:
            key, reused = self._paint_with(engine)(window, self.keys.get(window.index - 1), progress)
            with self._changed:
                self.keys[window.index] = key
                self._done(window, key, reused)
        except BaseException as caught:
            error = caught
            raise
        finally:
            with self._changed:  # all at once, or who waits would believe that nothing is left
                self._end(window, error, mine)
                self._busy -= 1
                self._changed.notify_all()

    def _end(self, window: Window, error: BaseException | None, mine: bool) -> None:
        if isinstance(error, DeviceFault) and not mine:
            death = window.index, type(error)
            self._deaths[death] += 1
            if self._deaths[death] < MOST_DEATHS:
                self._left.appendleft(window)
                return
        self._error = self._error or error

    def _paint_with(self, engine: Engine) -> Paint:
        with self._changed:
            if id(engine) not in self._paints:
                self._paints[id(engine)] = engine, self._painter(engine)
            return self._paints[id(engine)][1]

    def _heed(self) -> None:
        """After an error nobody paints on, but where only a device was lost: what others have begun is good."""
        if self._error is not None and not isinstance(self._error, DeviceFault):
            raise Cancelled(field="job", message="the job has ended")


Offer: TypeAlias = Callable[[Share], AbstractContextManager[object]]
"""Lets others help for the length of a `with` block."""
