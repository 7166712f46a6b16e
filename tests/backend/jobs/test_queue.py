"""The queue: fair, urgent first, and nobody waits for ever."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overpaint_backend.jobs.queue import AGING, MOST_PASSED, Served, Waiting, choose, order

NOW = 1e9


def one(number: int, owner: str = "anna", engine: str = "toy", priority: int = 0, since: float = 0.0) -> Waiting:
    return Waiting(id=f"{number}", owner=owner, engine=engine, priority=priority, since=NOW - 60 + since, passed=0)


def ids(waiting: tuple[Waiting, ...]) -> str:
    return "".join(one.id for one in waiting)


def test_an_owner_with_many_jobs_takes_turns_with_one_who_has_few() -> None:
    waiting = [
        *(one(number, "anna", since=number) for number in range(4)),
        one(4, "bert", since=8),
        one(5, "cleo", since=9),
    ]
    assert ids(order(waiting, {}, NOW)) == "045123"
    assert ids(order(waiting, {("anna", 0): Served(running=1)}, NOW)) == "450123"
    served = {("anna", 0): Served(at=NOW - 5), ("bert", 0): Served(at=NOW - 9)}
    assert ids(order(waiting, served, NOW)) == "540123"


def test_urgent_jobs_go_first_and_waiting_counts_as_urgency() -> None:
    waiting = [one(0), one(1, "bert", priority=2), one(2, "cleo", since=-2.5 * AGING)]
    assert ids(order(waiting, {}, NOW)) == "210"


@pytest.mark.parametrize("running", [True, False])
def test_who_queued_many_jobs_long_ago_still_takes_turns(running: bool) -> None:
    """They had all grown urgent together, and went before everything that came a quarter of an hour later."""
    many = [one(number, "anna", since=number - 3 * AGING) for number in range(100)]
    late = one(100, "bert")
    served = {("anna", 0): Served(running=int(running), at=NOW - 5 * AGING if running else NOW - 1)}
    assert order([*many, late], served, NOW)[0] == late


def test_an_idle_job_does_not_wait_for_ever_for_urgent_ones_of_its_owner() -> None:
    idle, urgent = one(0, priority=-3, since=-3 * AGING), one(1)
    assert order([urgent, idle], {("anna", 0): Served(running=1, at=NOW)}, NOW)[0] == idle
    assert order([urgent, idle], {("anna", -5): Served(running=1, at=NOW)}, NOW)[0] == urgent


jobs = st.lists(
    st.builds(
        Waiting,
        id=st.uuids().map(str),
        owner=st.sampled_from("abc"),
        engine=st.sampled_from(["toy", "flow", "vires"]),
        priority=st.integers(-10, 10),
        since=st.floats(NOW - 20 * AGING, NOW),
        passed=st.integers(0, MOST_PASSED),
    ),
    max_size=12,
)


@given(jobs, st.sampled_from(["", "toy", "flow"]))
def test_every_job_is_there_once_and_one_of_the_most_urgent_is_taken(waiting: list[Waiting], resident: str) -> None:
    ordered = order(waiting, {}, NOW)
    assert Counter(ordered) == Counter(waiting)
    taken = choose(ordered, resident)
    assert (taken is None) == (not waiting)
    if taken is not None and taken is not ordered[0]:
        assert taken.engine == resident != ordered[0].engine and taken.priority >= ordered[0].priority


@given(jobs.filter(bool), st.sampled_from(["toy", "flow"]), st.data())
def test_nobody_starves_however_many_jobs_come_for_the_loaded_engine(
    waiting: list[Waiting], resident: str, draw: st.DataObject
) -> None:
    """As long as jobs for the loaded engine keep coming, the one that is next waits for MOST_PASSED of them at most."""
    first = order(waiting, {}, NOW)[0]
    for turn in range(MOST_PASSED + 1):
        newcomer = one(turn, draw.draw(st.sampled_from("abc")), resident, first.priority, since=60)
        ordered = order([*waiting, newcomer], {}, NOW)
        if ordered[0].id != first.id:
            return  # someone's turn came before, fairly
        taken = choose(ordered, resident)
        assert taken is not None
        if taken.id == first.id:
            return
        first = replace(first, passed=first.passed + 1)
        waiting = [first if each.id == first.id else each for each in waiting if each.id != taken.id]
    raise AssertionError("it was passed over once more")
