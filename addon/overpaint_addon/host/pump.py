"""Pump: drives the use-cases' steps on Blender's main thread, by a timer in the window, by hand in the background."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any, TypeVar

import bpy  # pyright: ignore[reportMissingImports]

from ..core.steps import Doing, Steps

T = TypeVar("T")

PAUSE = 0.05  # seconds between two looks of a use-case that waits: quick enough for a progress bar, and no load
BUDGET = 0.01  # seconds of a tick that a use-case may go on for while it does not wait


class Pump:
    """Holds running use-cases and advances each by one short step per tick.

    `start` gives a Future: it holds the value or the error when the last step is done, and cancelling it closes the
    use-case before its next step, so that its `finally` runs.
    """

    def __init__(self) -> None:
        self._running: list[_Run] = []
        self._timer = self.tick  # one object, because Blender knows its timers by identity

    def start(self, steps: Steps[T]) -> Future[T]:
        """Begin a use-case; a window's timer drives it, in background mode someone must call `tick` or `drain`."""
        run = self._begin(steps)
        if not bpy.app.background and not bpy.app.timers.is_registered(self._timer):
            bpy.app.timers.register(self._timer, persistent=True)
        return run.future

    def tick(self) -> float | None:
        """Advance every use-case that is due by one step: the seconds until the next tick, None where all are done."""
        said = [run.doing for run in self._running]
        try:
            for run in list(self._running):
                run.step()
        finally:
            if [run.doing for run in self._running if not run.ended] != said:
                _redraw()
            self._running = [run for run in self._running if not run.ended]
        return min((run.waits() for run in self._running), default=None)

    def drain(self, steps: Steps[T]) -> T:
        """Run a use-case to its end, for background mode, where no timer ticks: its value, or its error raised.

        An interrupt closes it and goes on to the caller.
        """
        return self.wait(self._begin(steps).future)

    def wait(self, future: Future[T]) -> T:
        """Drive all use-cases until the one that was started with this future has ended, as `drain` does."""
        try:
            while not future.done():
                time.sleep(self.tick() or 0)
            return future.result()
        finally:
            for run in [run for run in self._running if run.future is future]:
                run.close()
                self._running.remove(run)

    def _begin(self, steps: Steps[Any]) -> _Run:
        run = _Run(steps)
        self._running.append(run)
        return run

    def doing(self, future: Future[Any] | None = None) -> Doing | None:
        """What is being done for `future`, or by the last use-case that was begun. None where it has ended, or all."""
        runs = [run for run in self._running if future in (None, run.future) and not run.ended]
        return runs[-1].doing if runs else None

    def close(self) -> None:
        """Close every use-case, for when the add-on is unregistered."""
        if bpy.app.timers.is_registered(self._timer):
            bpy.app.timers.unregister(self._timer)
        for run in self._running:
            run.close()
        self._running = []


def _redraw() -> None:
    """Let the sequencers show what has changed; Blender draws them only when it is told to."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "SEQUENCE_EDITOR":
                area.tag_redraw()


class _Run:
    """One use-case on its way."""

    def __init__(self, steps: Steps[Any]) -> None:
        self.future: Future[Any] = Future()
        self.ended = False
        self.doing: Doing | None = None
        self._steps = steps
        self._due = 0.0

    def waits(self) -> float:
        return max(0.0, self._due - time.monotonic())

    def step(self) -> None:
        if self.future.cancelled():
            self.close()
        if self.ended or self.waits():
            return
        stop = time.monotonic() + BUDGET
        try:
            while self.doing != (now := next(self._steps)):
                self.doing = now
                if time.monotonic() > stop:
                    return  # it goes on at the next tick, at once
            self._due = time.monotonic() + PAUSE
        except StopIteration as end:
            self._end(value=end.value)
        except Exception as error:
            self._end(error=error)
        except BaseException:  # an interrupt: not for the future's holder, but for whoever runs Blender
            self.close()
            raise

    def close(self) -> None:
        """Close the steps where they are; nothing where they have ended."""
        if not self.ended:
            self._steps.close()
            self.future.cancel()
            self.ended = True

    def _end(self, value: object = None, error: Exception | None = None) -> None:
        self.ended = True
        if not self.future.set_running_or_notify_cancel():
            return  # cancelled during its last step
        if error is None:
            self.future.set_result(value)
        else:
            self.future.set_exception(error)
