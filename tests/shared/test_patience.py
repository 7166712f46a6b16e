from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from overpaint import patience as subject
from overpaint.errors import Exhausted, Invalid, OverpaintError, Unauthenticated, Unavailable
from overpaint.patience import Patience, Stall, passes

AWAY = Unavailable(field="server", message="no server answers")
FULL = Exhausted(field="disk", message="the server's disk is full")


def test_only_what_may_go_by_itself_is_waited_for() -> None:
    assert passes(AWAY) and passes(FULL)
    wrong = (
        Invalid(field="mask", message="none"),
        Unauthenticated(field="token", message="wrong"),
        Exhausted(field="jobs", message="too many"),
    )
    for error in wrong:
        assert not passes(error)
        with pytest.raises(type(error)):
            Patience(60.0, threading.Event()).rest(error)


def test_without_patience_there_is_one_try() -> None:
    with pytest.raises(Unavailable):
        Patience(0.0, threading.Event()).rest(AWAY)


def test_pauses_grow_to_a_ceiling_and_begin_anew_when_something_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    class Closed(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0.0)
            return False

    monkeypatch.setattr("random.uniform", lambda least, most: most)
    heard: list[OverpaintError | None] = []
    patience = Patience(1e9, Closed(), heard.append)
    patience.moved()
    for _ in range(6):
        patience.rest(AWAY)
    patience.moved()
    patience.rest(AWAY)
    assert pauses == [0.5, 1.0, 2.0, 4.0, subject.CEILING, subject.CEILING, 0.5]
    assert heard == [AWAY] * 6 + [None] + [AWAY]


def test_patience_counts_from_the_first_cut_after_something_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0

    class Clock(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            nonlocal now
            now += timeout or 0.0
            return False

    monkeypatch.setattr(subject, "time", SimpleNamespace(monotonic=lambda: now))
    patience = Patience(0.25, Clock())
    now += 3  # an upload that is slow, or somebody who looks at a frame for long
    patience.rest(AWAY)
    assert now == 103.25  # no longer than patience lasts
    with pytest.raises(Unavailable):
        patience.rest(AWAY)
    patience.moved()
    now += 3
    patience.rest(AWAY)


def test_whoever_closes_ends_a_rest_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "FIRST", 1e6)  # else it would last for days
    monkeypatch.setattr(subject, "CEILING", 1e6)
    closed = threading.Event()
    threading.Timer(0.05, closed.set).start()
    with pytest.raises(Unavailable):
        Patience(1e9, closed).rest(AWAY)


def test_a_stream_on_which_nothing_moves_is_ended_and_one_at_rest_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "STALL", 0.1)
    ended = threading.Event()
    with Stall() as stall:
        stall.guard(ended.set)
        stall.expect()
        stall.rest()
        assert not ended.wait(1.5) and not stall.ended
        stall.expect()
        assert ended.wait(60) and stall.ended
