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


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What the jobs of one owner and one priority have had: how many are `running`, and when a worker last took one, or let go of one (Unix time in seconds)."""

    running: int = 0
    at: float = 0.0


def order(waiting: Sequence[Waiting], served: Mapping[tuple[str, int], Served], now: float) -> tuple[Waiting, ...]:
    """The jobs as they will be taken if nothing else happens. `served` is by owner and priority.

    Higher priority first, where long waiting counts as priority: as long as a job waits, and nothing of its owner's is
    painted that is as urgent or less. Else whoever queues many jobs at once would go before all who come later. Of the
    same priority the owners take turns: first who has the fewest jobs running, and of those who was served longest ago.
    """
    painted = {kind: _painted_until(*kind, served, now) for kind in {(one.owner, one.priority) for one in waiting}}
    urgency = {
        one.id: one.priority + int(max(now - max(one.since, painted[one.owner, one.priority]), 0) / AGING)
        for one in waiting
    }
    running: Counter[str] = Counter()
    last: dict[str, float] = {}
    for (owner, _), had in served.items():
        running[owner] += had.running
        last[owner] = max(last.get(owner, 0.0), had.at)
    turns: dict[str, int] = {}
    before: Counter[tuple[str, int]] = Counter()
    for one in sorted(waiting, key=lambda one: (one.since, one.id)):
        mine = (one.owner, urgency[one.id])
        turns[one.id] = running[one.owner] + before[mine]
        before[mine] += 1

    def place(one: Waiting) -> tuple[int, int, float, float, str]:
        return (-urgency[one.id], turns[one.id], last.get(one.owner, 0.0), one.since, one.id)

    return tuple(sorted(waiting, key=place))


def _painted_until(owner: str, priority: int, served: Mapping[tuple[str, int], Served], now: float) -> float:
    """Until when something of `owner`'s that is as urgent or less was painted (Unix time in seconds), 0 for never."""
    mine = (had for (name, other), had in served.items() if name == owner and other <= priority)
    return max((now if had.running else had.at for had in mine), default=0.0)


def choose(ordered: Sequence[Waiting], resident: str) -> Waiting | None:
    """The job to take: the next one, or the first of the same priority whose engine is the `resident` one.

    A job is passed over MOST_PASSED times at most.
    """
    if not ordered or ordered[0].engine == resident or ordered[0].passed >= MOST_PASSED:
        return ordered[0] if ordered else None
    first = ordered[0]
    return next((one for one in ordered if one.engine == resident and one.priority >= first.priority), first)
