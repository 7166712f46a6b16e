"""Which job is next: fair between clients, urgent ones first, and a model that is loaded is used while it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

AGING = 600.0  # seconds of waiting that count as one step of priority, so that nobody waits for ever
MOST_PASSED = 3  # times that the next job is passed over for one whose engine is loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A job in the queue. `since` stands for its place among its owner's (Unix time in seconds, the earlier is first).

    `passed` is how often another job went before it because of a loaded engine.
    """

    id: str
    owner: str
    engine: str
    priority: int
    since: float
    passed: int


def order(
    waiting: Sequence[Waiting], running: Mapping[str, int], served: Mapping[str, float], now: float
) -> tuple[Waiting, ...]:
    """The jobs as they will be taken if nothing else happens.

    Higher priority first, where long waiting counts as priority. Of the same priority the owners take turns: first who
    has the fewest jobs `running`, and of those who was `served` (began a job, Unix time in seconds) longest ago.
    """
    urgency = {one.id: one.priority + int(max(now - one.since, 0) / AGING) for one in waiting}
    turns: dict[str, int] = {}
    before: Counter[tuple[str, int]] = Counter()
    for one in sorted(waiting, key=lambda one: (one.since, one.id)):
        mine = (one.owner, urgency[one.id])
        turns[one.id] = running.get(one.owner, 0) + before[mine]
        before[mine] += 1

    def place(one: Waiting) -> tuple[int, int, float, float, str]:
        return (-urgency[one.id], turns[one.id], served.get(one.owner, 0.0), one.since, one.id)

    return tuple(sorted(waiting, key=place))


def choose(ordered: Sequence[Waiting], resident: str) -> Waiting | None:
    """The job to take: the next one, or the first of the same priority whose engine is the `resident` one.

    A job is passed over MOST_PASSED times at most.
    """
    if not ordered or ordered[0].engine == resident or ordered[0].passed >= MOST_PASSED:
        return ordered[0] if ordered else None
    first = ordered[0]
    return next((one for one in ordered if one.engine == resident and one.priority >= first.priority), first)
