"""A few faults that take seconds, for the pure suite; the others are in `make test-faults`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from overpaint import patience
from overpaint.client import Client
from overpaint.clip import Size
from overpaint.codec import digest
from overpaint.errors import Cancelled, Exhausted, OverpaintError, Unavailable
from overpaint.job import EventKind
from overpaint.order import GuideFrame, GuideOrder, LinesOrder, MadeGuide
from overpaint.v1 import service_pb2, service_pb2_grpc
from overpaint_backend.access import Caller, Door
from overpaint_backend.desk import Desk
from overpaint_backend.jobs import room
from overpaint_backend.service import Service

from tests.faults import subject
from tests.faults.host import Host
from tests.faults.ledger import Ledger
from tests.faults.proxy import How, Proxy, Way


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Host(tmp_path_factory.mktemp("quick") / "jobs") as host:
        yield host


def test_law_4_and_6_a_cut_in_each_phase_costs_nothing(host: Host, ledger: Ledger) -> None:
    frames = subject.clip(1)
    spec = subject.job("toy", 1, frames, strength=0.5)
    named, read = subject.pixels(spec, frames), []
    heard: list[OverpaintError | None] = []

    def once(digest: str) -> Any:
        read.append(digest)
        return named[digest]

    with (
        ledger.run("quick: the network dropped three times") as compare,
        Proxy(host.address) as proxy,
        Client(proxy.address, patience=30) as client,
    ):
        proxy.arm(Way.UP, How.DROP, 60_000)
        client.send(spec, once, cut=heard.append)
        assert (
            len(named) < len(read) < 2 * len(named)
        )  # some on their way went under; what had arrived was not sent again
        proxy.arm(Way.DOWN, How.HALF, 500)
        numbers = [event.number for event in client.watch(spec.id, cut=heard.append)]
        assert numbers == list(range(1, len(numbers) + 1))
        proxy.arm(Way.DOWN, How.DROP, 8_000)
        compare(list(client.fetch(spec.id, cut=heard.append)), subject.uninterrupted(spec, frames))
        assert heard.count(None) == 3


def test_law_4_a_server_that_starts_anew_is_a_cut_like_any_other(host: Host, ledger: Ledger) -> None:
    frames = subject.clip(2)
    spec = subject.job("toy-alone", 2, frames, delay=0.05)
    with ledger.run("quick: the server killed while watched") as compare, Client(host.address, patience=30) as client:
        client.send(spec, subject.pixels(spec, frames).__getitem__)
        numbers = []
        for event in client.watch(spec.id):
            numbers.append(event.number)
            if event.kind is EventKind.WINDOW_DONE and event.window == 1:
                host.kill()
                host.start()
        assert numbers == list(range(1, len(numbers) + 1))
        compare(list(client.fetch(spec.id)), subject.uninterrupted(spec, frames))


@pytest.mark.parametrize(("way", "after"), [(Way.UP, 60_000), (Way.DOWN, 4_000)])
def test_law_4_a_guide_is_made_in_spite_of_a_cut(host: Host, way: Way, after: int) -> None:
    frames = subject.clip(5 + after)
    size = Size(width=frames[0].shape[1], height=frames[0].shape[0])
    named = {digest(frame): frame for frame in frames}
    order = GuideOrder(
        size=size,
        depth=8,
        frames=tuple(GuideFrame(frame=number, pixels=name) for number, name in enumerate(named)),
        wanted=LinesOrder(),
    )
    read, heard = list[str](), list[OverpaintError | None]()

    def once(name: str) -> np.ndarray:
        read.append(name)
        return named[name]

    with Proxy(host.address) as proxy, Client(proxy.address, patience=30) as client:
        proxy.arm(way, How.DROP, after)
        *_, made = client.make_guide(order, once, heard.append)
        assert isinstance(made, MadeGuide) and len(made.guide().keys) == len(frames)
        assert len(heard) >= 2 and heard[-1] is None
        assert len(read) < 2 * len(named)  # what had arrived was not sent again
        (*_, again) = client.make_guide(order, once)
        assert again == made


def test_a_guide_that_waits_for_the_server_can_be_cancelled(host: Host) -> None:
    frames = subject.clip(7)
    name = digest(frames[0])
    order = GuideOrder(
        size=Size(width=frames[0].shape[1], height=frames[0].shape[0]),
        depth=8,
        frames=(GuideFrame(frame=0, pixels=name),),
        wanted=LinesOrder(),
    )
    away = threading.Event()
    with Proxy(host.address) as proxy, Client(proxy.address, patience=1e9) as client:

        def leave(_: str) -> np.ndarray:
            proxy.close()  # the server asked for the frame, and is gone
            return frames[0]

        call = client.make_guide(order, leave, lambda cut: away.set())
        threading.Thread(target=lambda: (away.wait(30), call.cancel()), daemon=True).start()
        with pytest.raises((Cancelled, Unavailable)):
            list(call)
    assert away.is_set()
    with Client(proxy.address, patience=1e9) as client, pytest.raises(Unavailable):  # nobody is there from the start
        list(client.make_guide(order, leave))


def test_a_wrong_request_is_not_tried_again(host: Host) -> None:
    frames = subject.clip(3)
    heard: list[OverpaintError | None] = []
    with Client(host.address, patience=1e9) as client:
        with pytest.raises(OverpaintError, match="there is no job"):
            list(client.watch("0" * 32, cut=heard.append))
        with pytest.raises(OverpaintError, match="no engine"):
            client.send(subject.job("nobody", 3, frames), {}.__getitem__, cut=heard.append)
    assert not heard


def test_an_older_client_gets_no_signs_of_life_and_a_newer_one_does(host: Host) -> None:
    frames = subject.clip(4)
    spec = subject.job("toy", 4, frames)
    with Client(host.address) as client:
        client.open_job(spec)
    with grpc.insecure_channel(host.address) as channel:
        stub: Any = service_pb2_grpc.OverpaintServiceStub(channel)
        older = stub.WatchJob(service_pb2.WatchJobRequest(job_id=spec.id), timeout=120)
        got: list[bool] = []
        first = threading.Event()

        def listen() -> None:
            with suppress(grpc.RpcError):
                for answer in older:
                    got.append(answer.HasField("event"))
                    first.set()

        listening = threading.Thread(target=listen)
        listening.start()
        assert first.wait(60)
        newer = stub.WatchJob(service_pb2.WatchJobRequest(job_id=spec.id, beat_seconds=1), timeout=60)
        assert [next(newer).HasField("event") for _ in range(4)] == [True, False, False, False]
        newer.cancel()
        older.cancel()
        listening.join()
        assert got == [True]


def test_a_server_that_hangs_is_noticed_by_its_silence(monkeypatch: pytest.MonkeyPatch, host: Host) -> None:
    """Its connection lives and answers pings; only its desk says nothing any more."""
    hung = threading.Event()

    class Hanging(Desk):
        def looks(self, caller: Caller, job: str, after: int) -> Iterator[None]:
            yield None
            hung.wait(120)

        def __init__(self) -> None:
            pass

    monkeypatch.setattr(patience, "STALL", 0.5)
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        service = Service(Hanging(), Door(Path("none"), guarded=False), lambda *_: iter(()))
        service_pb2_grpc.add_OverpaintServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            with Client(f"127.0.0.1:{port}") as client, pytest.raises(Unavailable, match="nothing moved"):
                list(client.watch("0" * 32))
        finally:
            hung.set()
            server.stop(None).wait()


def test_a_full_disk_is_said_in_words_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "has_room", lambda *_: False)
    with pytest.raises(Exhausted, match="disk is full") as refused, room.whole(tmp_path / "file"):
        raise AssertionError("it was written to")
    assert refused.value.field == "disk" and refused.value.remedy
    monkeypatch.undo()
    with pytest.raises(Exhausted), room.whole(tmp_path / "file") as file:
        file.write(b"half")
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []
