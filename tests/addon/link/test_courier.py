"""The courier with a live server: what is short never waits for what is long, and what was given up stays given up."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Guide, GuideKey, Input, Task
from overpaint.errors import Cancelled
from overpaint.job import EventKind, JobEvent, JobSpec, JobState, Picture
from overpaint_addon.core.draft import Draft
from overpaint_addon.core.steps import AWAY
from overpaint_addon.core.submit import submit
from overpaint_addon.link.courier import Courier

from tests.fakes import FakeTickets, FakeTimeline, clip_frames, held_mask
from tests.serving import free, serving

FRAMES = clip_frames(4)
MASK = np.zeros((24, 32), np.uint8)
MASK[6:15, 10:20] = 255
PIXELS = {digest(one): one for one in (*FRAMES, MASK)}
DRAFT = Draft(engine="toy", task=Task.REPAINT, prompt="a red coat", seed=5)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("live") / "jobs") as server:
        yield server.address


def a_spec(**options: Any) -> JobSpec:
    clip = Clip(size=Size(width=32, height=24), rate=Rate(numerator=24), depth=8, frames=tuple(map(digest, FRAMES)))
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, pixels=digest(MASK)),), hold=True)
    edit = Edit(task=Task.REPAINT, prompt="a red coat", guides=(mask,), options=options)
    return JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=edit)


def test_law_7_a_cancel_does_not_wait_for_uploads_however_many_there_are(live: str) -> None:
    courier, go = Courier(Client(live, patience=math.inf)), threading.Event()

    def slowly(name: str) -> np.ndarray:
        go.wait(120)
        return PIXELS[name]

    try:
        uploads = [courier.send(a_spec(), slowly) for _ in range(6)]
        painting = a_spec(delay=0.2, steps=200)
        with Client(live) as other:
            other.send(painting, PIXELS.__getitem__)
        assert courier.cancel(painting.id).result(30) in (JobState.CANCELLING, JobState.CANCELLED)
        assert not any(one.done() for one in uploads)
        go.set()
        assert all(one.result(60) for one in uploads)
    finally:
        go.set()
        courier.close()


def test_what_was_cancelled_while_the_server_was_away_is_not_painted_when_it_is_back(tmp_path: Path) -> None:
    address = free()
    courier, tickets = Courier(Client(address, patience=math.inf)), FakeTickets()
    sent: list[Future[JobState]] = []
    send = courier.send
    courier.send = lambda *given: sent.append(send(*given)) or sent[-1]  # type: ignore[method-assign]
    job_id = uuid.uuid4().hex
    try:
        with serving(tmp_path / "jobs", listen=address) as server:
            with Client(address) as other:
                other.send(a_spec(), PIXELS.__getitem__)  # so that the next job lacks no pixels
            timeline = FakeTimeline(FRAMES, (held_mask(MASK),), tmp_path)
            steps = submit(timeline, courier, tickets, DRAFT, job_id)
            while not sent:
                if next(steps).stage == "reading the strip":
                    server.kill()
        while next(steps).stage != AWAY:
            time.sleep(0.01)
        steps.close()  # the artist has cancelled it: nobody holds a ticket
        with serving(tmp_path / "jobs", listen=address), Client(address, patience=30) as other:
            assert isinstance(sent[0].exception(30), Cancelled)
            other.send(a_spec(), PIXELS.__getitem__)  # gRPC takes a moment to see that the server is back
            queued = {one.id for one in other.jobs() if one.state not in (JobState.OPEN, JobState.CANCELLED)}
            assert queued and job_id not in queued
    finally:
        courier.close()


class Talking:
    """A client whose job tells how far it is, again and again."""

    def __init__(self, events: list[JobEvent]) -> None:
        self.told = events

    def watch(self, job: str, after: int, cut: object) -> Iterator[JobEvent]:
        yield from self.told


def test_of_a_job_that_nobody_follows_only_the_newest_progress_is_held() -> None:
    picture = Picture(width=1, height=1, rgb=b"rgb")
    kinds = [EventKind.STARTED, *[EventKind.PROGRESS] * 10_000, EventKind.WINDOW_DONE, *[EventKind.PROGRESS] * 10_000]
    events = [JobEvent(number=number, kind=kind, at=0.0) for number, kind in enumerate(kinds, 1)]
    events[15_000] = replace(events[15_000], picture=picture)
    courier = Courier(Talking(events))  # type: ignore[arg-type]
    until = time.monotonic() + 60
    while not (held := courier.events("a" * 32, 0)) or held[-1].number < len(events):
        assert time.monotonic() < until, "not all was heard"
        time.sleep(0.01)
    assert [(one.number, one.kind) for one in held] == [
        (1, EventKind.STARTED),
        (10_001, EventKind.PROGRESS),
        (10_002, EventKind.WINDOW_DONE),
        (20_002, EventKind.PROGRESS),
    ]
    assert held[-1].picture == picture  # the newest that there was
