"""Guides that a Backend makes, the fake one and the courier to a live server."""

from __future__ import annotations

import os
import time
from typing import Any

import grpc
import numpy as np
import pytest
from overpaint import client as client_module
from overpaint import wire
from overpaint.client import Client
from overpaint.clip import Size
from overpaint.codec import digest
from overpaint.edit import Guide, GuideKey, Input, Knot, Stroke
from overpaint.errors import Cancelled, Invalid, OverpaintError
from overpaint.order import Click, GuideFrame, GuideOrder, GuideProgress, LinesOrder, MadeGuide, TrackOrder, joined
from overpaint.v1 import guides_pb2, service_pb2_grpc


def square(length: int = 5, side: int = 48) -> list[np.ndarray]:
    """An orange square that moves over grey, with a mark in one corner, so that no server has the frames."""
    frames = [np.full((side, side, 3), 90, np.uint8) for _ in range(length)]
    for number, frame in enumerate(frames):
        frame[14:34, 10 + number : 30 + number] = (250, 160, 30)
        frame[0, 0] = np.frombuffer(os.urandom(3), np.uint8)
    return frames


def order(frames: list[np.ndarray], wanted: TrackOrder | LinesOrder) -> GuideOrder:
    height, width = frames[0].shape[:2]
    named = tuple(GuideFrame(frame=number, pixels=digest(frame)) for number, frame in enumerate(frames))
    return GuideOrder(size=Size(width=width, height=height), depth=8, frames=named, wanted=wanted)


def reader(frames: list[np.ndarray], asked: list[str] | None = None) -> Any:
    pixels = {digest(frame): frame for frame in frames}

    def read(name: str) -> np.ndarray:
        if asked is not None:
            asked.append(name)
        return pixels[name]

    return read


def wait(making: Any, seconds: float = 60.0) -> MadeGuide:
    stop = time.monotonic() + seconds
    parts: list[MadeGuide] = []
    while not making.done() and time.monotonic() < stop:
        assert making.progress.stage
        part = making.part()
        if part is None:
            time.sleep(0.01)
        else:
            parts.append(part)
    making.result(1.0)  # it is done, or never will be
    assert all(len({key.frame for one in part.guides for key in one.guide.keys}) == 1 for part in parts)
    return joined(parts)


INSIDE = TrackOrder(clicks=(Click(object=3, frame=0, x=20, y=24),))


def test_clicks_become_a_mask_on_every_frame(backend: Any) -> None:
    frames = square()
    made = wait(backend.make_guide(order(frames, INSIDE), reader(frames)))
    guide = made.guide(3)
    assert made.method == "classical" and guide.kind is Input.MASK
    assert [key.frame for key in guide.keys] == list(range(len(frames)))
    assert all(stroke.closed for key in guide.keys for stroke in key.strokes) and guide.keys[-1].strokes


def test_lines_become_a_sketch_on_the_frames_that_are_named(backend: Any) -> None:
    frames = square()
    asked = order(frames, LinesOrder())
    only = GuideOrder(size=asked.size, depth=8, frames=(asked.frames[1], asked.frames[4]), wanted=asked.wanted)
    seen: list[str] = []
    made = wait(backend.make_guide(only, reader(frames, seen)))
    guide = made.guide()
    assert guide.kind is Input.SKETCH and [key.frame for key in guide.keys] == [1, 4]
    assert all(key.strokes and not any(stroke.closed for stroke in key.strokes) for key in guide.keys)
    assert seen == [digest(frames[1]), digest(frames[4])]


def test_law_6_what_was_uploaded_is_never_uploaded_again(backend: Any) -> None:
    frames, seen = square(), list[str]()
    wait(backend.make_guide(order(frames, INSIDE), reader(frames, seen)))
    assert seen == [digest(frame) for frame in frames]
    wait(backend.make_guide(order(frames, LinesOrder()), reader(frames, seen)))
    assert len(seen) == len(frames)


def test_clicks_that_say_nothing_are_refused_in_words(backend: Any) -> None:
    frames = square()
    only_away = TrackOrder(clicks=(Click(object=0, frame=0, x=2, y=2, positive=False),))
    with pytest.raises(Invalid, match="no click says") as refused:
        wait(backend.make_guide(order(frames, only_away), reader(frames)))
    assert refused.value.field == "clicks" and refused.value.remedy


def test_a_frame_that_cannot_be_read_is_said_as_it_is(backend: Any) -> None:
    def gone(_: str) -> np.ndarray:
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="the disk went away"):
        wait(backend.make_guide(order(square(), INSIDE), gone))


def test_law_7_cancel_ends_the_work(backend: Any) -> None:
    frames = square(length=60, side=320)
    # So many things take half a minute: it is not made before it is cancelled.
    many = TrackOrder(clicks=tuple(Click(object=number, frame=0, x=20, y=24) for number in range(40)))
    making = backend.make_guide(order(frames, many), reader(frames))
    while making.progress.stage != "tracking":
        assert not making.done()
        time.sleep(0.01)
    making.cancel()
    with pytest.raises(Cancelled):
        making.result(30)


def test_pixels_that_no_order_names_are_refused(live: str) -> None:
    frames = square()
    with Client(live) as client, pytest.raises(OverpaintError):
        list(client.make_guide(order(frames, INSIDE), lambda _: np.ones((48, 48, 3), np.uint8)))


def test_lines_that_no_message_holds_come_in_parts(live: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a long strip in 1080p: here a message holds 64 KiB, and all lines are more."""
    random = np.random.default_rng(11)
    frames = [np.kron(random.integers(0, 256, (24, 24, 3)), np.ones((16, 16, 1))).astype(np.uint8) for _ in range(12)]
    asked = order(frames, LinesOrder())
    with Client(live) as client:
        *_, whole = client.make_guide(asked, reader(frames))
    monkeypatch.setattr(client_module, "OPTIONS", (("grpc.max_receive_message_length", 64 << 10),))
    assert isinstance(whole, MadeGuide) and wire.made_to_wire(whole).ByteSize() > 64 << 10
    with Client(live) as client:
        *said, made = client.make_guide(asked, reader(frames))
        assert made == whole
        done = [(one.done, one.total) for one in said if isinstance(one, GuideProgress) and one.total]
        assert done == [(number, 12) for number in range(1, 13)]
        parts = [one for one in client.make_guide(asked, reader(frames)).parts() if isinstance(one, MadeGuide)]
    assert [part.guide().keys for part in parts] == [(key,) for key in whole.guide().keys]


def test_who_does_not_ask_for_parts_gets_the_whole(live: str) -> None:
    """As a client of an earlier version."""
    frames = square(3)
    with Client(live) as client, grpc.insecure_channel(live) as channel:
        *_, whole = client.make_guide(order(frames, INSIDE), reader(frames))
        request = guides_pb2.MakeGuideRequest(order=wire.order_to_wire(order(frames, INSIDE)))
        answers = list(service_pb2_grpc.OverpaintServiceStub(channel).MakeGuide(iter([request]), timeout=60))
    made = [wire.made_from_wire(one.made) for one in answers if one.WhichOneof("part") == "made"]
    assert made == [whole] and len(made[0].guide(3).keys) == 3


def test_lines_stay_inside_the_mask(live: str) -> None:
    frames = square(1)
    half = Stroke(knots=tuple(Knot(x=x, y=y) for x, y in ((0, 0), (48, 0), (48, 24), (0, 24))), closed=True)
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(half,)),), hold=True)
    with Client(live) as client:
        *_, made = client.make_guide(order(frames, LinesOrder(mask=mask)), reader(frames))
    assert isinstance(made, MadeGuide)
    knots = [knot for stroke in made.guide().keys[0].strokes for knot in stroke.knots]
    assert knots and max(knot.y for knot in knots) < 28


def test_frames_that_nobody_takes_are_waited_with(backend: Any) -> None:
    """None is lost, whenever they are taken; the frames behind them wait on the server, and cancel ends it all the same."""
    frames = square(12)
    making = backend.make_guide(order(frames, LinesOrder()), reader(frames))
    stop = time.monotonic() + 60
    while making.part() is None and time.monotonic() < stop:
        assert making.progress.stage
        time.sleep(0.01)
    time.sleep(0.5)  # so that more are made than may wait
    assert not making.done()
    assert [key.frame for key in wait(making).guide().keys] == list(range(1, 12))

    making = backend.make_guide(order(frames, LinesOrder()), reader(frames))
    while making.part() is None and time.monotonic() < stop:
        assert making.progress.stage
        time.sleep(0.01)
    time.sleep(0.5)
    making.cancel()
    with pytest.raises(Cancelled):
        making.result(60.0)
