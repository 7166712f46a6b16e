"""The state machine of a job: whatever happens, it stays within the table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overpaint.errors import Conflict
from overpaint.job import EventKind, JobEvent, JobState, advance

LIVE = [state for state in JobState if not state.ended]
ENDED = [state for state in JobState if state.ended]


def test_a_job_begins_by_being_opened_and_only_once() -> None:
    assert advance(None, EventKind.OPENED) is JobState.OPEN
    for kind in set(EventKind) - {EventKind.OPENED}:
        with pytest.raises(Conflict, match="unknown"):
            advance(None, kind)
    for state in JobState:
        with pytest.raises(Conflict):
            advance(state, EventKind.OPENED)


@pytest.mark.parametrize("state", ENDED)
@pytest.mark.parametrize("kind", EventKind)
def test_law_7_an_ended_job_takes_nothing_but_another_try(state: JobState, kind: EventKind) -> None:
    if kind is EventKind.RETRIED and state is not JobState.FINISHED:
        assert advance(state, kind) is JobState.QUEUED
        return
    with pytest.raises(Conflict) as caught:
        advance(state, kind)
    assert f"a job that is {state} cannot " in caught.value.message and caught.value.remedy


def test_law_7_a_job_can_be_cancelled_in_every_live_state() -> None:
    """What no worker holds is cancelled at once; what one holds, as soon as it hears of it, dies or fails."""
    for state in (JobState.OPEN, JobState.QUEUED, JobState.PAUSED):
        assert advance(state, EventKind.CANCELLED) is JobState.CANCELLED
    asked = advance(JobState.RUNNING, EventKind.CANCEL_ASKED)
    assert asked is JobState.CANCELLING
    for kind in (EventKind.CANCELLED, EventKind.LOST, EventKind.FAILED):
        assert advance(asked, kind) is JobState.CANCELLED
    for kind in (EventKind.PLANNED, EventKind.PROGRESS, EventKind.WINDOW_DONE):
        assert advance(asked, kind) is asked
    assert advance(asked, EventKind.FINISHED) is JobState.FINISHED  # the take was there before the cancel


@given(st.lists(st.sampled_from(EventKind), max_size=40))
def test_any_run_of_events_keeps_within_the_table(kinds: list[EventKind]) -> None:
    state = advance(None, EventKind.OPENED)
    started = sealed = retried = False
    for kind in kinds:
        try:
            after = advance(state, kind)
        except Conflict:
            continue  # refused events leave the job where it was
        assert not state.ended or kind is EventKind.RETRIED
        sealed |= kind is EventKind.SEALED
        started |= kind is EventKind.STARTED
        state = after
        retried |= kind is EventKind.RETRIED
        assert sealed or retried or state in (JobState.OPEN, JobState.CANCELLED)
        assert started or state in (JobState.OPEN, JobState.QUEUED, JobState.PAUSED, JobState.CANCELLED)


def test_every_live_state_can_end_in_every_way() -> None:
    """A job never gets stuck: from each live state each end can be reached."""
    for start in LIVE:
        reached, edge = {start}, [start]
        while edge:
            state = edge.pop()
            for kind in EventKind:
                try:
                    after = advance(state, kind)
                except Conflict:
                    continue
                if after not in reached:
                    reached.add(after)
                    edge.append(after)
        expected = {JobState.FINISHED, JobState.CANCELLED} | (
            {JobState.FAILED} if start is not JobState.CANCELLING else set()
        )
        assert expected <= reached


@given(st.lists(st.sampled_from(EventKind), max_size=40))
def test_no_worker_begins_a_paused_job_before_it_is_resumed(kinds: list[EventKind]) -> None:
    state = advance(None, EventKind.OPENED)
    paused = False
    for kind in (EventKind.SEALED, *kinds):
        try:
            state = advance(state, kind)
        except Conflict:
            continue
        paused = (paused or kind is EventKind.PAUSED) and kind not in (EventKind.RESUMED, EventKind.CANCELLED)
        assert (state is JobState.PAUSED) == paused


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_a_paused_job_goes_back_to_the_queue_wherever_it_was(state: JobState) -> None:
    assert advance(advance(state, EventKind.PAUSED), EventKind.RESUMED) is JobState.QUEUED


def test_law_4_a_lost_worker_sends_the_job_back_to_the_queue() -> None:
    state = JobState.RUNNING
    for kind in (EventKind.LOST, EventKind.STARTED, EventKind.PLANNED, EventKind.WINDOW_DONE, EventKind.FINISHED):
        state = advance(state, kind)
    assert state is JobState.FINISHED


def test_the_share_of_a_job_never_falls_back() -> None:
    def event(kind: EventKind, window: int = 0, step: int = 0, steps: int = 0) -> JobEvent:
        return JobEvent(number=1, kind=kind, at=0.0, windows=2, window=window, step=step, steps=steps)

    told = [
        event(EventKind.PLANNED),
        event(EventKind.PROGRESS, window=0, step=1, steps=4),
        event(EventKind.WINDOW_DONE, window=0),
        event(EventKind.PROGRESS, window=1, step=0, steps=4),
        event(EventKind.PROGRESS, window=1, step=4, steps=4),
        event(EventKind.PROGRESS, window=2, step=1, steps=4),  # all windows are painted: the take is composited
        event(EventKind.FINISHED),
    ]
    assert [one.share for one in told] == [0.0, 0.125, 0.5, 0.5, 1.0, 1.0, 1.0]
