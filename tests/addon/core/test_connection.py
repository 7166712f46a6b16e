from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as some
from overpaint.errors import Cancelled, Invalid, Unauthenticated, Unavailable
from overpaint_addon.core.connection import (
    PAUSES,
    PING,
    Link,
    State,
    afresh,
    answered,
    ask,
    barred,
    failed,
    may_ask,
    pause,
)

AWAY = Unavailable(field="server", message="no server answers")
WRONG = Unauthenticated(field="token", message="the token is wrong")


def states(*happenings: str) -> list[State]:
    link, now, seen = Link(), 0.0, []
    for one in happenings:
        now = max(now + 1, min(link.due, 1e6))
        link = ask(link)
        seen.append(link.state)
        if one == "answers":
            link = answered(link, link.asking, "1.0", now)
        else:
            link = failed(link, link.asking, {"away": AWAY, "refuses": WRONG}[one], now)
        seen.append(link.state)
    return seen


def test_the_word_goes_from_connecting_to_connected_and_an_outage_does_not_flicker() -> None:
    first, up, off, no = State.CONNECTING, State.CONNECTED, State.OFFLINE, State.REFUSED
    assert states("answers", "answers") == [first, up, up, up]
    assert states("away", "away", "answers") == [first, off, off, off, off, up]
    assert states("answers", "away", "refuses") == [first, up, up, off, off, no]


def test_a_refusal_is_final_until_the_person_acts() -> None:
    link = ask(Link())
    link = failed(link, link.asking, WRONG, now=5.0)
    assert not may_ask(link, 1e12) and link.error is WRONG
    assert may_ask(afresh(link), 5.0)


def test_what_the_request_is_wrong_in_refuses_too() -> None:
    link = ask(Link())
    assert failed(link, link.asking, Invalid(field="certificate", message="?"), 0.0).state is State.REFUSED


def test_pauses_grow_and_stay_within_bounds() -> None:
    pauses = [pause(failures) for failures in range(1, 2000)]
    assert pauses[:4] == [1, 2, 4, 8] and pauses[-1] == PAUSES[1]
    assert all(one <= other for one, other in pairwise(pauses))


ACTS = some.lists(
    some.tuples(some.sampled_from(["ask", "answer", "away", "refuse", "cut", "afresh", "bar"]), some.floats(0, 99))
)


@given(ACTS, some.integers(0, 3))
def test_whatever_happens_it_hears_only_the_last_question_and_can_always_be_asked_again(
    acts: list[tuple[str, float]], stale: int
) -> None:
    link, now = Link(), 0.0
    for act, seconds in acts:
        now += seconds
        before, old = link, link.asking - stale - 1
        # An answer to a question that is not under way changes nothing.
        assert answered(link, old, "0", now) == failed(link, old, AWAY, now) == link or old == link.asking
        if act == "ask" and may_ask(link, now):
            link = ask(link)
            assert link.asking > before.asked
        elif act == "afresh":
            link = afresh(link)
            assert link.state is State.IDLE and may_ask(link, now)
        elif act == "bar":
            link = barred(link, WRONG)
            assert not may_ask(link, now) and may_ask(afresh(link), now)
        elif link.asking:
            kinds = {"away": AWAY, "refuse": WRONG, "cut": Cancelled(field="server", message="closed")}
            if act == "answer":
                link = answered(link, link.asking, "1", now)
                assert (link.state, link.failures, link.due) == (State.CONNECTED, 0, now + PING)
            elif act in kinds:
                link = failed(link, link.asking, kinds[act], now)
            if act in kinds or act == "answer":
                assert not link.asking
        # It never waits for ever: a question is under way, or one is due within a minute, or the person must act.
        assert link.asking or link.due <= now + PAUSES[1] or link.state in (State.REFUSED, State.BARRED)
        assert link.error is None or link.state in (State.OFFLINE, State.REFUSED, State.BARRED)
        assert link.error is not None or link.state in (State.IDLE, State.CONNECTING, State.CONNECTED) or link.asking
        assert link.asked >= before.asked  # numbers are never used twice
