"""What a render node prints: plain lines, JSON lines or Open Job Description's, and one at least every few seconds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Any

from overpaint.errors import OverpaintError

BEAT = 15.0  # seconds of silence after which a line is printed: farms kill what is silent for long
EVERY = {"plain": 5.0, "json": 0.25, "openjd": 1.0}  # seconds between two lines of the same stage


class Style(StrEnum):
    PLAIN = "plain"
    JSON = "json"
    OPENJD = "openjd"


class Teller:
    """Prints what happens through `write`, one line each; use it in a `with`, or nothing is printed while all is silent."""

    def __init__(self, style: Style, write: Callable[[str], None]) -> None:
        self._style, self._write = style, write
        self._stage = "starting"
        self._since = self._last = self._last_step = time.monotonic()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._beating = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def __enter__(self) -> Teller:
        self._beating.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._beating.join()

    def say(self, words: str) -> None:
        """Something worth knowing."""
        self._line(words, {"event": "note", "words": words}, f"openjd_status: {words}")

    def begin(self, stage: str) -> None:
        """Something that has no steps begins: reading weights, say."""
        self._stage, self._since = stage, time.monotonic()
        self.say(stage)

    def step(self, stage: str, step: int, steps: int, place: tuple[int, int] | None) -> None:
        """Step `step` of `steps`; of the window `place[0]` (counted from 0) of `place[1]` where it is about a window."""
        now = time.monotonic()
        if stage == self._stage and now - self._last_step < EVERY[self._style]:
            return
        if stage != self._stage:
            self._stage, self._since = stage, now
        self._last_step = now
        words, share = f"{stage}: step {step} of {steps}", None
        plain = {"event": "step", "stage": stage, "step": step, "steps": steps}
        if place is not None:
            window, windows = place
            words = f"{stage}: window {window + 1} of {windows}, step {step} of {steps}"
            plain |= {"window": window, "windows": windows}
            share = (window + step / steps) / windows if steps else None
        self._line(words, plain, f"openjd_status: {words}", share)

    def window_done(self, number: int, frames: str, done: int, windows: int) -> None:
        words = f"window {number} is painted, frames {frames}"
        plain = {"event": "window_done", "window": number, "frames": frames}
        self._line(words, plain, f"openjd_status: {words}", done / windows)

    def done(self, words: str, result: Mapping[str, Any]) -> None:
        """All went well; `result` is what came of it."""
        self._line(words, {"event": "done", **result}, f"openjd_status: {words}", 1.0)

    def fail(self, words: str) -> None:
        """Only OpenJD is told here: people and programs read the error as every verb says it."""
        if self._style is Style.OPENJD:
            self._print(f"openjd_fail: {words}")

    def _line(self, words: str, plain: Mapping[str, Any], openjd: str, share: float | None = None) -> None:
        if self._style is Style.PLAIN:
            self._print(words)
        elif self._style is Style.JSON:
            self._print(json.dumps(plain if share is None else {**plain, "share": round(share, 4)}))
        else:
            self._print(openjd)
            if share is not None:
                self._print(f"openjd_progress: {100 * share:.1f}")

    def _print(self, line: str) -> None:
        with self._lock:
            self._last = time.monotonic()
            self._write(" ".join(line.splitlines()))  # whoever reads it takes a line for a whole

    def _beat(self) -> None:
        with suppress(OverpaintError):  # nobody listens any more, which the next step tells
            self._break_silence()

    def _break_silence(self) -> None:
        while not self._over.wait(1.0):
            now = time.monotonic()
            if now - self._last >= BEAT:
                words = f"still at it: {self._stage}, for {now - self._since:.0f} seconds"
                self._line(words, {"event": "alive", "stage": self._stage}, f"openjd_status: {words}")
