"""Jobs side by side: paused, tried again, taken up after a restart, with the fake backend and with a live server."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from overpaint.client import Client
from overpaint.codec import digest
from overpaint.edit import OptionValue, Task
from overpaint.errors import Cancelled, Invalid, Missing
from overpaint.job import JobState, Picture
from overpaint_addon.core.draft import Draft
from overpaint_addon.core.jobs import Act, JobRow, sending_row, ticket_row
from overpaint_addon.core.paint import paint, resume
from overpaint_addon.core.ports import Ticket
from overpaint_addon.core.steps import AWAY, Doing, Steps
from overpaint_addon.core.submit import submit
from overpaint_addon.link.courier import Courier

from tests.fakes import FakeBackend, FakeTickets, FakeTimeline, clip_frames, held_mask
from tests.serving import free, serving

FRAMES = clip_frames()
MASK = np.zeros((24, 32), np.uint8)
MASK[6:15, 10:20] = 255
DRAFT = Draft(engine="toy", task=Task.REPAINT, prompt="a red coat", seed=5)
SLOW: dict[str, dict[str, OptionValue]] = {"toy": {"delay": 0.2, "steps": 200}}
# There is time to do something meanwhile; the prompt must be a test's own, or another's windows are used again.
LONG: dict[str, dict[str, OptionValue]] = {"toy": {"delay": 0.25, "steps": 10}}
WORKING: dict[str, dict[str, OptionValue]] = {"toy": {"delay": 0.02, "steps": 8}}


class Desk:
    """The four parts of a use-case; `working` lets a job take a while."""

    def __init__(self, backend: Any, folder: Path, working: Any = None, spool: Path = Path()) -> None:
        self.backend, self.folder, self.working, self.spool = backend, folder, working or {}, spool
        self.after: Callable[[], object] = lambda: None
        self.tickets = FakeTickets()
        self.timelines: list[FakeTimeline] = []

    def timeline(self) -> FakeTimeline:
        self.timelines.append(FakeTimeline(FRAMES, (held_mask(MASK),), self.folder))
        self.timelines[-1].capture.drawn = {digest(MASK): MASK}
        return self.timelines[-1]

    def paint(self, job_id: str = "", **changed: Any) -> Steps[Any]:
        given = job_id or uuid.uuid4().hex
        return paint(self.timeline(), self.backend, self.tickets, replace(DRAFT, **changed), given)

    def submit(self, **changed: Any) -> Ticket:
        draft, job_id = replace(DRAFT, **changed), uuid.uuid4().hex
        return run(submit(self.timeline(), self.backend, self.tickets, draft, job_id))

    def resume(self, ticket: Ticket, *, retry: bool = False) -> Steps[Any]:
        return resume(self.timeline(), self.backend, self.tickets, ticket, retry=retry)

    def placed(self) -> int:
        return sum(len(timeline.placed) for timeline in self.timelines)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server's address, and its spool."""
    folder = tmp_path_factory.mktemp("live") / "jobs"
    with serving(folder) as server:
        yield server.address, folder / "spool"


@pytest.fixture(params=["fake", "live"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "fake":
        yield faked(tmp_path)
        return
    address, spool = request.getfixturevalue("live")
    courier = Courier(Client(address, patience=math.inf))
    yield Desk(courier, tmp_path, WORKING, spool)
    courier.close()


def faked(folder: Path) -> Desk:
    return Desk(FakeBackend(), folder)


@contextmanager
def trouble(desk: Desk) -> Iterator[None]:
    """What is painted in here fails, and could be painted later."""
    if isinstance(desk.backend, FakeBackend):
        desk.backend.trouble = Missing(field="frames", message="a frame is not in the spool", remedy="Send it again")
        yield
        return
    frames, elsewhere = desk.spool / "frames", desk.spool / "elsewhere"
    busy = desk.submit(options=SLOW)  # so that the next job waits until its frames are gone
    desk.after = lambda: (frames.rename(elsewhere), desk.backend.cancel(busy.job_id).result(30))
    yield
    elsewhere.rename(frames)


def drive(*ways: Steps[Any], until: Any = None, seconds: float = 120.0) -> list[Any]:
    """Steps of all, in turn, until each has ended (or `until` says so): what each returned or raised."""
    ended: dict[int, Any] = {}
    stop = time.monotonic() + seconds
    while len(ended) < len(ways) and time.monotonic() < stop:
        for number, steps in enumerate(ways):
            if number not in ended:
                try:
                    said = next(steps)
                except StopIteration as end:
                    ended[number] = end.value
                except Exception as error:
                    ended[number] = error
                else:
                    if until is not None and until(said):
                        return []
        time.sleep(0.002)
    assert len(ended) == len(ways), f"no end after {seconds} s"
    return [ended[number] for number in range(len(ways))]


def run(steps: Steps[Any]) -> Any:
    (end,) = drive(steps)
    if isinstance(end, Exception):
        raise end
    return end


def test_two_jobs_at_once_both_come_to_a_take(desk: Desk) -> None:
    first, second = drive(
        desk.paint(prompt="one", options=desk.working), desk.paint(prompt="two", options=desk.working)
    )
    assert (first.name, second.name) == ("one (5)", "two (5)")
    assert desk.placed() == 2 and not desk.tickets.kept


def test_a_paused_job_waits_and_goes_on_when_it_is_resumed(desk: Desk) -> None:
    job_id = uuid.uuid4().hex
    steps = desk.paint(job_id, prompt="paused", options=desk.working and LONG)
    drive(steps, until=lambda said: said.stage == "painting")
    desk.backend.pause(job_id).result(30)
    drive(steps, until=lambda said: said.stage == "paused")
    assert desk.tickets.kept[job_id].state is JobState.PAUSED
    stand = [next(steps) for _ in range(20)]
    assert stand == [stand[0]] * 20
    desk.backend.resume(job_id).result(30)
    assert run(steps).length == 20 and not desk.tickets.kept


def test_a_failed_job_keeps_its_words_and_comes_to_a_take_when_it_is_tried_again(desk: Desk) -> None:
    with trouble(desk):
        ticket = desk.submit()
        desk.after()
        (refused,) = drive(desk.resume(ticket))
    assert isinstance(refused, Invalid) and refused.remedy
    (kept,) = (one for one in desk.tickets.all() if one.job_id == ticket.job_id)
    assert kept.state is JobState.FAILED and refused.message in kept.words and refused.remedy in kept.words
    sent = _sent(desk.backend)
    assert run(desk.resume(kept, retry=True)).length == 20
    assert ticket.job_id not in desk.tickets.kept and _sent(desk.backend) - sent < 1000  # no pixels


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_job_that_was_sent_to_another_server_says_where(desk: Desk, elsewhere: bool) -> None:
    ticket = desk.submit()
    assert ticket.server == desk.backend.server
    lost = replace(ticket, job_id=uuid.uuid4().hex, server="paint.example.org:1" if elsewhere else ticket.server)
    desk.tickets.keep(lost)
    (refused,) = drive(desk.resume(lost))
    assert isinstance(refused, Missing) and refused.remedy
    assert refused.field == ("server" if elsewhere else "job")
    assert ("was sent to paint.example.org:1" in desk.tickets.kept[lost.job_id].words) is elsewhere


def _sent(backend: Any) -> int:
    return backend.sent if isinstance(backend, FakeBackend) else backend.sent_bytes


def test_a_cancelled_job_stays_in_the_list_and_can_be_tried_again(desk: Desk) -> None:
    ticket = desk.submit(prompt="cancelled", options=desk.working and LONG)
    desk.backend.cancel(ticket.job_id).result(30)
    (refused,) = drive(desk.resume(ticket))
    assert isinstance(refused, Cancelled)
    (kept,) = desk.tickets.all()
    assert kept.state is JobState.CANCELLED and not desk.placed()
    assert run(desk.resume(kept, retry=True)).length == 20


def test_a_job_whose_strip_is_gone_says_so_and_keeps_its_ticket(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = desk.submit()
    timeline = desk.timeline()

    def gone(*_: object) -> Any:
        raise Missing(field="strip", message="there is no strip shot any more", remedy="Undo its removal, then retry")

    monkeypatch.setattr(timeline, "insert_take", gone)
    (refused,) = drive(resume(timeline, desk.backend, desk.tickets, ticket))
    assert isinstance(refused, Missing)
    (kept,) = desk.tickets.all()
    assert kept.state is JobState.FINISHED and "no strip shot any more" in kept.words
    assert ticket_row(kept, None, None).acts == (Act.RETRY, Act.DISMISS)
    assert run(desk.resume(kept, retry=True)).length == 20 and not desk.tickets.kept


def test_while_the_server_is_away_the_job_waits_and_says_so(tmp_path: Path) -> None:
    desk = faked(tmp_path)
    steps = desk.resume(desk.submit())
    drive(steps, until=lambda said: said.stage == "painting")
    desk.backend.away = True
    said = [next(steps) for _ in range(5)]
    assert {one.stage for one in said[1:]} == {AWAY} and said[-1].picture is not None
    desk.backend.away = False
    assert run(steps).length == 20


def test_fetching_waits_for_the_server_too(tmp_path: Path) -> None:
    desk = faked(tmp_path)
    steps = desk.paint()
    drive(steps, until=lambda said: said.stage == "painting")
    fetch, fetching = desk.backend.fetch, Future[Any]()
    desk.backend.fetch = lambda *given: fetching
    drive(steps, until=lambda said: said.stage == "fetching the take")
    desk.backend.away = True
    assert next(steps).stage == AWAY
    desk.backend.away = False
    assert next(steps).stage == "fetching the take"
    (kept,) = desk.tickets.all()
    fetching.set_result(fetch(kept.job_id, tmp_path / "take", 20).result())
    assert run(steps).length == 20


def test_law_4_a_job_outlives_its_server_and_the_file(tmp_path: Path) -> None:
    address = free()
    with serving(tmp_path / "jobs", listen=address) as server:
        courier = Courier(Client(address, patience=math.inf))
        desk = Desk(courier, tmp_path)
        ticket = desk.submit(options=WORKING)
        steps = desk.resume(ticket)
        drive(steps, until=lambda said: said.stage == "painting")
        server.kill()
    drive(steps, until=lambda said: said.stage == AWAY)
    steps.close()  # the file is closed; what it holds is the ticket
    courier.close()
    again = Desk(Courier(Client(address, patience=math.inf)), tmp_path)
    (kept,) = desk.tickets.all()
    steps = again.resume(kept)
    drive(steps, until=lambda said: said.stage == AWAY)  # opened again, and the server is still away
    with serving(tmp_path / "jobs", listen=address):
        assert run(steps).length == 20
        again.backend.close()


def ticket(state: JobState, words: str = "") -> Ticket:
    return replace(faked(Path()).submit(), state=state, words=words)


PAINTING = Doing(
    stage="painting",
    detail="window 2 of 3",
    done=500,
    total=1000,
    seconds_left=75.2,
    picture=Picture(width=1, height=1, rgb=b"rgb"),
)


def test_a_row_says_what_is_done_how_far_it_is_and_how_long_it_takes() -> None:
    row = ticket_row(ticket(JobState.RUNNING), PAINTING, None)
    assert (row.name, row.state, row.share) == ("a red coat · shot", "Painting", 0.5)
    assert row.words == "Painting, window 2 of 3, about 1 min 15 s left"
    assert row.picture == PAINTING.picture and row.acts == (Act.PAUSE, Act.CANCEL)


def test_a_cancel_is_acknowledged_at_once() -> None:
    row = ticket_row(ticket(JobState.RUNNING), PAINTING, Act.CANCEL)
    assert row.state == "Cancelling" and row.acts == ()


def test_a_failed_row_says_what_is_wrong_until_it_is_tried_again_or_dismissed() -> None:
    row = ticket_row(ticket(JobState.FAILED, "mask: it is empty. Paint one"), None, None)
    assert (row.state, row.words, row.acts) == (
        "Failed",
        "mask: it is empty. Paint one",
        (Act.RETRY, Act.DISMISS),
    )


def test_a_job_that_nobody_follows_can_be_taken_up() -> None:
    row = ticket_row(ticket(JobState.RUNNING, "token: the token is missing or wrong"), None, None)
    assert row.acts == (Act.RETRY, Act.DISMISS) and row.words.startswith("token")


def test_a_job_on_its_way_to_the_server_can_be_cancelled() -> None:
    row = sending_row("a" * 32, "a red coat", Doing(stage="reading the strip", done=5, total=20))
    assert row == JobRow(
        job_id="a" * 32,
        name="a red coat",
        state="Sending",
        words="Reading the strip",
        share=0.25,
        acts=(Act.CANCEL,),
    )
