"""The ledger of what was broken, how often, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

Compare = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], None]


@dataclass(slots=True)
class Row:
    runs: int = 0
    lost: int = 0
    differ: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Ledger:
    rows: dict[str, Row] = field(default_factory=dict)

    @contextmanager
    def run(self, kind: str) -> Iterator[Compare]:
        """One run: it is to compare the take it came to with the uninterrupted one; a run that does not, has lost its job."""
        row, began, compared = self.rows.setdefault(kind, Row()), time.monotonic(), False

        def compare(take: Sequence[np.ndarray], whole: Sequence[np.ndarray]) -> None:
            nonlocal compared
            compared = True
            same = len(take) == len(whole) and all(map(np.array_equal, take, whole))
            row.differ += not same
            assert same, f"{kind}: the take differs from the uninterrupted one"

        try:
            yield compare
        finally:
            row.runs += 1
            row.lost += not compared
            row.seconds += time.monotonic() - began

    def lines(self) -> Iterator[str]:
        yield f"{'what was broken':56} {'runs':>5} {'lost':>5} {'takes that differ':>18} {'seconds':>8}"
        for kind, row in self.rows.items():
            yield f"{kind:56} {row.runs:5} {row.lost:5} {row.differ:18} {row.seconds:8.0f}"
        rows = self.rows.values()
        total = [sum(getattr(row, name) for row in rows) for name in ("runs", "lost", "differ", "seconds")]
        yield f"{'all':56} {total[0]:5} {total[1]:5} {total[2]:18} {total[3]:8.0f}"


LEDGER = Ledger()
