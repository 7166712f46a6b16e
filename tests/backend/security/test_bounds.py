"""How far anybody comes who wants too much: memory, threads, messages; and a token that was taken away."""

from __future__ import annotations

import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from overpaint import chunks, wire
from overpaint.client import Client
from overpaint.clip import Size
from overpaint.codec import Codec, EncodedFrame, FrameHeader, Prediction, digest
from overpaint.edit import Edit, Guide, GuideKey, Input, Knot, Stroke, Task
from overpaint.errors import Exhausted, OverpaintError, Unauthenticated
from overpaint.job import EventKind
from overpaint.order import GuideFrame, GuideOrder, LinesOrder
from overpaint.v1 import guides_pb2, service_pb2_grpc
from overpaint.v1 import service_pb2 as pb
from overpaint_backend import server
from overpaint_backend.access import remove_token
from overpaint_backend.server import OPTIONS, THREADS
from overpaint_backend.service import FOR_ANYONE
from overpaint_backend.settings import load_settings

from tests.backend.test_access import FRAMES, MASK, PIXELS, job, paint
from tests.fakes import clip_frames, held_mask
from tests.serving import Serving, guard, serving

TOKEN = "a" * 32
SHOWN = (("authorization", f"Bearer {TOKEN}"),)


def stub(channel: grpc.Channel) -> Any:
    return service_pb2_grpc.OverpaintServiceStub(channel)


# Memory


def bomb(claimed: int, blocks: int = 1450) -> bytes:
    """A zstd frame that says that it holds `claimed` bytes, and holds 128 KiB of zeros in each of its 4-byte blocks."""
    frame = struct.pack("<IBBI", 0xFD2FB528, 0x80, 0x50, claimed)
    for number in range(blocks):
        frame += struct.pack("<I", (number == blocks - 1) | 1 << 1 | (128 << 10) << 3)[:3] + b"\0"
    return frame


def status(server: Serving, what: str) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def peak(server: Serving) -> int:
    """The most memory that the server process ever had, in bytes."""
    return status(server, "VmHWM") << 10


def request(job_id: str, number: int, header: FrameHeader, payload: bytes) -> pb.UploadFramesRequest:
    made = pb.UploadFramesRequest(job_id=job_id)
    wire.chunk_to_wire(chunks.Chunk(number=number, header=header, payload=payload), made.chunk)
    return made


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for a process's memory")
def test_what_unpacks_to_gigabytes_costs_the_server_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of 190 MB each that say that they are small, or what they are, or are larger than the server takes."""
    monkeypatch.setenv("OVERPAINT_MAX_PIXELS", "1000000")
    spec, real = job(), 1450 * (128 << 10)
    size = 32 * 24 * 3
    with (
        serving(tmp_path / "jobs") as server,
        Client(server.address) as client,
        grpc.insecure_channel(server.address, [("grpc.max_send_message_length", -1)]) as channel,
    ):
        paint(client, job())
        client.open_job(spec)
        before = peak(server)
        refused = 0
        for claimed, width, height in ((size, 32, 24), (real, 32, 24), (0, 32, 24), (8192 * 4320 * 3, 8192, 4320)):
            payload = bomb(claimed)
            header = FrameHeader(
                digest=spec.clip.frames[0],
                width=width,
                height=height,
                channels=3,
                depth=8,
                codec=Codec.DELTA_ZSTD,
                prediction=Prediction.NONE,
                payload_bytes=len(payload),
            )
            for _ in range(8):
                with pytest.raises(grpc.RpcError) as error:
                    stub(channel).UploadFrames(
                        (request(spec.id, number, header, payload) for number in range(4)), timeout=60
                    )
                assert error.value.code().name in ("DATA_LOSS", "RESOURCE_EXHAUSTED")  # type: ignore[attr-defined]
                refused += 1
        assert refused == 32
        assert peak(server) - before < 64 << 20  # one of them unpacked would be 190 MB
        # gRPC's own compression: half a gigabyte of a field that nobody knows, in half a megabyte.
        body = pb.SealJobRequest(job_id=spec.id).SerializeToString() + b"\x7a\x80\x80\x80\x80\x02" + bytes(512 << 20)
        with pytest.raises(grpc.RpcError) as error:
            channel.unary_unary("/overpaint.v1.OverpaintService/SealJob")(
                body, compression=grpc.Compression.Gzip, timeout=60
            )
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
        assert peak(server) - before < 192 << 20
        assert client.server().version


def empty_keys(count: int) -> bytes:
    """An OpenJobRequest with a guide of `count` keys that say nothing: two bytes each, and a value each once they are read."""
    return wrapped(b"\x12\0" * count, 5, 4, 1)  # Edit.guides, JobSpec.edit, OpenJobRequest.spec


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for a process's memory")
def test_what_has_no_token_is_not_read(tmp_path: Path) -> None:
    """What costs a caller thirty times its size in the server's memory costs nothing where the token is missing or wrong."""
    guard(tmp_path / "jobs", TOKEN)
    keys = 4_000_000  # a few more are refused before they are read
    body = empty_keys(keys)
    assert len(pb.OpenJobRequest.FromString(body).spec.edit.guides[0].keys) == keys
    with serving(tmp_path / "jobs") as server, grpc.insecure_channel(server.address) as channel:
        ask: Any = channel.unary_unary("/overpaint.v1.OverpaintService/OpenJob")

        def cost(metadata: tuple[tuple[str, str], ...]) -> tuple[int, grpc.StatusCode]:
            before = peak(server)
            with pytest.raises(grpc.RpcError) as refused:
                ask(body, metadata=metadata, timeout=90)
            return peak(server) - before, refused.value.code()  # type: ignore[attr-defined]

        cost(())  # so that what gRPC needs once is there
        for metadata in ((), (("authorization", "Bearer guess"),)):
            for _ in range(4):
                grown, code = cost(metadata)
                assert code is grpc.StatusCode.UNAUTHENTICATED and grown < 16 << 20
        grown, code = cost(SHOWN)  # whoever has one: so the figures above say something
        assert code is grpc.StatusCode.INVALID_ARGUMENT and grown > 128 << 20


def wrapped(body: bytes, *fields: int) -> bytes:
    """`body` as these fields of a message hold it, the innermost first."""
    for field in fields:
        size, left = b"", len(body)
        while left:
            size, left = size + bytes([left & 127 | (128 if left > 127 else 0)]), left >> 7
        body = bytes([field << 3 | 2]) + size + body
    return body


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for a process's memory")
def test_a_message_of_nothing_but_parts_is_not_read(tmp_path: Path) -> None:
    """62 MiB of what is empty on the wire, and would be 30 times as large once it is read."""
    half = 31 << 20
    bodies = {
        "OpenJob": empty_keys(half),
        "EstimateJob": wrapped(b"\x0a\x02\x1a\0" * (half // 2), 3, 2, 5, 5),  # handles of knots
        "MakeGuide": b"\x0a\0\x12\0" * (half // 2),
    }
    with serving(tmp_path / "jobs") as server, grpc.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.RpcError):  # so that what such a message needs on its way is there
            ask: Any = channel.unary_unary("/overpaint.v1.OverpaintService/SealJob")
            ask(wrapped(bytes(2 * half), 1), timeout=60)
        before = peak(server)
        for call, body in bodies.items():
            ask = channel.stream_stream(f"/overpaint.v1.OverpaintService/{call}")
            with pytest.raises(grpc.RpcError) as refused:
                list(ask(iter([body]), timeout=60))
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, call  # type: ignore[attr-defined]
            assert "more than 4194304 parts" in (refused.value.details() or "")  # type: ignore[attr-defined]
            assert peak(server) - before < 128 << 20, call


def test_the_bomb_is_one() -> None:
    """What the test above sends really unpacks to what it is said to."""
    import zstandard

    opener = zstandard.ZstdDecompressor()
    assert len(opener.decompress(bomb(3 * (128 << 10), 3))) == 3 * (128 << 10)
    assert len(bomb(1)) < 32 * 24 * 3 + 4096  # so the header alone does not give it away
    encoded = EncodedFrame(
        header=FrameHeader(
            digest=digest(FRAMES[0]),
            width=32,
            height=24,
            channels=3,
            depth=8,
            codec=Codec.DELTA_ZSTD,
            prediction=Prediction.NONE,
            payload_bytes=len(bomb(1)),
        ),
        payload=bomb(1),
    )
    assert encoded.header.payload_bytes == len(encoded.payload)


# Threads and messages


WITHOUT_TOKEN = ("/overpaint.v1.OverpaintService/OpenJob", *FOR_ANYONE)


@pytest.mark.timeout(200)
def test_who_has_no_token_holds_no_thread(tmp_path: Path) -> None:
    """More calls than the server has threads, begun without a token and never gone on with; health, which needs none, as well."""
    guard(tmp_path / "jobs", TOKEN)
    end = threading.Event()
    begun: list[Any] = []  # a call that nobody holds is cancelled

    def never() -> Iterator[bytes]:
        end.wait(180)
        yield from ()

    with serving(tmp_path / "jobs") as server, ExitStack() as stack:
        for _ in range(4):
            channel = stack.enter_context(
                grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)])
            )
            grpc.channel_ready_future(channel).result(60)
            for _ in range(THREADS // 4):
                for method in WITHOUT_TOKEN:
                    call: Any = channel.stream_stream(method)
                    begun.append(call(never(), timeout=150))
        for one in begun[:: len(WITHOUT_TOKEN)]:
            assert one.code() is not None  # each is answered, so what was begun before it is there
        with Client(server.address, token=TOKEN) as client:
            assert client.server(60.0).version
        end.set()
        codes = {one.code() for one in begun}  # gRPC itself hangs up on who begins too much
        assert grpc.StatusCode.UNAUTHENTICATED in codes and grpc.StatusCode.OK not in codes


def test_who_has_no_token_writes_nothing_into_the_log(tmp_path: Path) -> None:
    """Anyone could fill the disk with it: calls without a token, given up halfway as well, and bytes that are no message."""
    guard(tmp_path / "jobs", TOKEN)
    with (
        serving(tmp_path / "jobs") as server,
        Client(server.address, token=TOKEN) as client,
        grpc.insecure_channel(server.address) as channel,
    ):
        assert client.server().version
        before = Path(server.log).read_text()
        for method in WITHOUT_TOKEN:
            ask: Any = channel.unary_unary(method)
            for _ in range(20):
                with pytest.raises(grpc.RpcError):
                    ask(b"\xff", timeout=90)
            for _ in range(200):
                ask.future(b"\xff", timeout=90).cancel()
        assert client.server().version
        # gRPC hangs up on who begins and leaves too much, so the next one comes over a line of its own.
        with (
            grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as other,
            pytest.raises(grpc.RpcError) as refused,
        ):
            other.unary_unary("/overpaint.v1.OverpaintService/OpenJob")(b"\xff", metadata=SHOWN, timeout=90)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
        assert Path(server.log).read_text() == before


@pytest.mark.timeout(200)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for a process's threads")
def test_one_connection_never_takes_every_thread(tmp_path: Path) -> None:
    """More uploads than the server has threads, none of which goes on; another caller is answered all the same."""
    end = threading.Event()

    def never() -> Iterator[pb.UploadFramesRequest]:
        end.wait(180)
        yield from ()

    with (
        serving(tmp_path / "jobs") as server,
        Client(server.address) as client,
        grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel,
    ):
        grpc.channel_ready_future(channel).result(60)
        begun = [stub(channel).UploadFrames.future(never(), timeout=150) for _ in range(THREADS + 20)]
        stop = time.monotonic() + 60
        while status(server, "Threads") <= THREADS // 2:  # now they are there
            assert time.monotonic() < stop, "the uploads have no threads"
            time.sleep(0.1)
        assert client.server(60.0).version
        assert sum(not one.done() for one in begun) > THREADS // 2  # and have their threads
        end.set()


@pytest.mark.timeout(120)
def test_an_estimate_ends_when_nobody_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask that is drawn anew on each of 20 000 frames takes minutes; whoever has gone holds no thread for so long."""
    monkeypatch.setattr(server, "THREADS", 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    area = Stroke(knots=tuple(Knot(x=x, y=y) for x, y in ((9.5, 9.5), (1900.5, 9.5), (900.5, 1000.5))), closed=True)
    keys = tuple(GuideKey(frame=frame, strokes=(area,)) for frame in range(20_000))
    edit = Edit(task=Task.REPAINT, guides=(Guide(kind=Input.MASK, keys=keys),))
    settings = load_settings(flags={"folder": tmp_path / "jobs", "listen": "127.0.0.1:0"})
    with server.serving(settings) as running, grpc.insecure_channel(running.address) as channel:
        asked = pb.EstimateJobRequest(engine="toy", size=wire.size_to_wire(Size(width=1920, height=1080)))
        asked.depth, asked.length = 8, len(keys)
        asked.edit.CopyFrom(wire.edit_to_wire(edit))
        for call in [stub(channel).EstimateJob.future(asked, timeout=3) for _ in range(4)]:
            assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        with Client(running.address) as client:
            assert client.server(60.0).version


def test_headers_and_messages_are_bounded(tmp_path: Path) -> None:
    most = dict(OPTIONS)["grpc.max_receive_message_length"]
    with (
        serving(tmp_path / "jobs") as server,
        grpc.insecure_channel(server.address, [("grpc.max_send_message_length", -1)]) as channel,
    ):
        call: Any = stub(channel).GetServer
        for metadata in ((("authorization", "x" * (20 << 10)),), tuple((f"a{n}", "x" * 100) for n in range(300))):
            with pytest.raises(grpc.RpcError) as refused:
                call(pb.GetServerRequest(), metadata=metadata, timeout=90)
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
        with pytest.raises(grpc.RpcError) as refused:
            stub(channel).SealJob(pb.SealJobRequest(job_id="0" * (most + 1)), timeout=90)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
        assert call(pb.GetServerRequest(), timeout=90).version


def test_an_edit_that_is_larger_than_a_message_is_refused_in_words(tmp_path: Path) -> None:
    """The lines of a few hundred frames come to so much."""
    spec = job()
    with serving(tmp_path / "jobs") as server, Client(server.address) as client, pytest.raises(Exhausted) as refused:
        client.open_job(replace(spec, edit=replace(spec.edit, prompt="x" * (65 << 20))))
    assert refused.value.field == "edit" and "more than 64 MiB" in refused.value.message
    assert "fewer frames" in refused.value.remedy


def test_a_guide_is_bounded_by_the_allowance_as_a_job_is(tmp_path: Path) -> None:
    size = 6 * 3 * 32 * 24
    guard(tmp_path / "jobs", "f" * 32, "f", frames=5)
    guard(tmp_path / "jobs", "p" * 32, "p", pixels=700)
    guard(tmp_path / "jobs", "b" * 32, "b", bytes=size - 1)
    guard(tmp_path / "jobs", "j" * 32, "j", jobs=1)
    order = order_of(FRAMES)
    with serving(tmp_path / "jobs") as server:
        for name, field in (("f", "frames"), ("p", "pixels"), ("b", "bytes")):
            with Client(server.address, token=name * 32) as client, pytest.raises(Exhausted) as refused:
                list(client.make_guide(order, PIXELS.__getitem__))
            assert refused.value.field == field
        with Client(server.address, token="j" * 32) as client:
            client.open_job(job())  # its one job; a guide is none
            assert list(client.make_guide(order, PIXELS.__getitem__))


def order_of(frames: Sequence[np.ndarray], mask: np.ndarray | None = None) -> GuideOrder:
    """Lines of these frames, inside the mask."""
    inside = None if mask is None else held_mask(mask)
    return GuideOrder(
        size=Size(width=32, height=24),
        depth=8,
        frames=tuple(GuideFrame(frame=at, pixels=digest(frame)) for at, frame in enumerate(frames)),
        wanted=LinesOrder(mask=inside),
    )


def test_guides_and_jobs_are_added_up(tmp_path: Path) -> None:
    """What was sent for guides counts until a job has it, once, and masks as well as frames."""
    size = 6 * 3 * 32 * 24
    guard(tmp_path / "jobs", TOKEN, bytes=2 * size + MASK.size)
    others = clip_frames(18)[6:]
    pixels = PIXELS | {digest(one): one for one in others}

    def make(client: Client, order: GuideOrder) -> None:
        assert list(client.make_guide(order, pixels.__getitem__))

    with serving(tmp_path / "jobs") as server, Client(server.address, token=TOKEN) as client:
        make(client, order_of(FRAMES, MASK))
        make(client, order_of(others[:6]))
        make(client, order_of(FRAMES, MASK))  # the same again is no more
        for more in (order_of(others[6:7]), order_of(FRAMES, MASK[:, ::-1])):
            with pytest.raises(Exhausted, match="may have 28416 bytes of pixels in all its jobs and guides") as refused:
                make(client, more)
            assert refused.value.field == "bytes"
        with pytest.raises(Exhausted, match="this would make"):
            client.open_job(replace(job(), clip=replace(job().clip, frames=tuple(map(digest, others[6:])))))
        spec = job()
        paint(client, spec)  # of the very frames that the first guide was made of
        make(client, order_of(FRAMES, MASK))
        with pytest.raises(Exhausted, match="this would make"):
            client.open_job(job())


@pytest.mark.timeout(60)
def test_orders_that_come_at_once_are_counted_one_by_one(tmp_path: Path) -> None:
    """Each would fit; none sends its frames before all were asked for."""
    guard(tmp_path / "jobs", TOKEN, bytes=6 * 3 * 32 * 24)
    frames = clip_frames(36)
    with (
        serving(tmp_path / "jobs") as server,
        grpc.insecure_channel(server.address) as channel,
        ThreadPoolExecutor(6) as threads,
    ):
        end = threading.Event()

        def asks(start: int) -> bool:
            def order() -> Iterator[guides_pb2.MakeGuideRequest]:
                yield guides_pb2.MakeGuideRequest(order=wire.order_to_wire(order_of(frames[start : start + 6])))
                end.wait(30)

            try:
                return bool(next(stub(channel).MakeGuide(order(), metadata=SHOWN)).missing.digests)
            except grpc.RpcError:
                return False

        taken = list(threads.map(asks, range(0, 36, 6)))
        end.set()
        assert sum(taken) == 1


# A token that was taken away


def take_away(folder: Path) -> None:
    remove_token(folder / "jobs" / "tokens.json", "anna")


@pytest.mark.timeout(200)
def test_a_token_taken_away_ends_a_watch_and_the_next_call(tmp_path: Path) -> None:
    guard(tmp_path / "jobs", TOKEN)
    with serving(tmp_path / "jobs") as server, Client(server.address, token=TOKEN) as client:
        spec = job()
        client.open_job(spec)  # and never sealed: nothing happens to it
        watching = client.watch(spec.id)
        assert next(watching).kind is EventKind.OPENED
        take_away(tmp_path)
        with pytest.raises(Unauthenticated):
            next(watching)
        with pytest.raises(Unauthenticated):
            client.jobs()


def test_a_token_taken_away_ends_an_upload(tmp_path: Path) -> None:
    guard(tmp_path / "jobs", TOKEN)
    with (
        serving(tmp_path / "jobs") as server,
        Client(server.address, token=TOKEN) as client,
        grpc.insecure_channel(server.address) as channel,
    ):
        spec = job()
        _, missing = client.open_job(spec)

        def requests() -> Iterator[pb.UploadFramesRequest]:
            pieces = list(chunks.pack(map(PIXELS.__getitem__, missing), names=missing))
            for number, chunk in enumerate(pieces):
                made = pb.UploadFramesRequest(job_id=spec.id)
                wire.chunk_to_wire(chunk, made.chunk)
                yield made
                if number == chunks.AHEAD:
                    while client.open_job(spec)[1] == missing:  # until the server has one; a few it may be at work on
                        time.sleep(0.05)
                    take_away(tmp_path)

        with pytest.raises(grpc.RpcError) as ended:
            stub(channel).UploadFrames(requests(), metadata=SHOWN, timeout=90)
        assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]


def test_a_token_taken_away_ends_a_fetch(tmp_path: Path) -> None:
    guard(tmp_path / "jobs", TOKEN)
    noise = np.random.default_rng(1).integers(0, 256, (12, 400, 400, 3), np.uint8)
    mask = np.full((400, 400), 255, np.uint8)
    spec = job()
    clip = replace(spec.clip, size=Size(width=400, height=400), frames=tuple(map(digest, noise)))
    (guide,) = spec.edit.guides
    guide = replace(guide, keys=(replace(guide.keys[0], pixels=digest(mask)),))
    spec = replace(spec, clip=clip, edit=replace(spec.edit, guides=(guide,), options={"strength": 0.5, "steps": 1}))
    pixels = {digest(one): one for one in (*noise, mask)}
    with (
        serving(tmp_path / "jobs") as server,
        Client(server.address, token=TOKEN) as client,
        # No probing of how much fits onto the line: the server is never further than a frame or two ahead.
        grpc.insecure_channel(server.address, [("grpc.http2.bdp_probe", 0)]) as channel,
    ):
        _, missing = client.open_job(spec)
        client.upload(spec.id, map(pixels.__getitem__, missing), missing)
        client.seal_job(spec.id)
        assert list(client.watch(spec.id))[-1].kind is EventKind.FINISHED
        fetching = stub(channel).FetchFrames(pb.FetchFramesRequest(job_id=spec.id), metadata=SHOWN)
        assert next(fetching).chunk.payload
        take_away(tmp_path)
        with pytest.raises(grpc.RpcError) as ended:
            list(fetching)
        assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]


@pytest.mark.skipif(os.name != "posix", reason="holds the guide's process with a named pipe")
@pytest.mark.timeout(200)
def test_a_token_taken_away_ends_a_guide(tmp_path: Path) -> None:
    """Which is never made by then: in the place of a frame its process finds a pipe that nobody writes to."""
    guard(tmp_path / "jobs", TOKEN)
    with (
        serving(tmp_path / "jobs") as server,
        Client(server.address, token=TOKEN) as client,
        grpc.insecure_channel(server.address) as channel,
    ):
        paint(client, job())  # all pixels are there but one picture's
        late, go = FRAMES[0] // 2, threading.Event()
        order = order_of((*FRAMES, late))

        def requests() -> Iterator[guides_pb2.MakeGuideRequest]:
            yield guides_pb2.MakeGuideRequest(order=wire.order_to_wire(order))
            go.wait(100)
            for chunk in chunks.pack([late]):
                made = guides_pb2.MakeGuideRequest()
                wire.chunk_to_wire(chunk, made.chunk)
                yield made

        making = stub(channel).MakeGuide(requests(), metadata=SHOWN)
        assert list(next(making).missing.digests) == [bytes.fromhex(digest(late))]
        kept = tmp_path / "jobs" / "spool" / "frames" / digest(FRAMES[0])[:2] / digest(FRAMES[0])
        kept.unlink()
        os.mkfifo(kept)
        go.set()
        take_away(tmp_path)
        with pytest.raises(grpc.RpcError) as ended:
            list(making)
        assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]


@pytest.mark.parametrize("spoil", ["empty", "damaged", "loose", "gone"])
def test_the_door_stays_shut_whatever_becomes_of_the_list(tmp_path: Path, spoil: str) -> None:
    """While it runs, and, where the list is there, at the next start as well."""
    guard(tmp_path / "jobs", TOKEN)
    file = tmp_path / "jobs" / "tokens.json"
    spoilers: dict[str, Callable[[], object]] = {
        "empty": lambda: take_away(tmp_path),
        "damaged": lambda: file.write_text("{"),
        "loose": lambda: file.chmod(0o644) or file.write_text(file.read_text() + " "),
        "gone": file.unlink,
    }
    with serving(tmp_path / "jobs") as server:
        with Client(server.address, token=TOKEN) as client:
            assert client.jobs() == ()
        spoilers[spoil]()
        for token in ("", TOKEN, "guess"):
            with Client(server.address, token=token) as client, pytest.raises(Unauthenticated) as shut:
                client.jobs()
            assert str(tmp_path) not in str(shut.value)
    if spoil == "empty":
        with serving(tmp_path / "jobs") as server, Client(server.address) as client, pytest.raises(Unauthenticated):
            client.jobs()


def test_every_method_asks_for_the_token(tmp_path: Path) -> None:
    guard(tmp_path / "jobs", TOKEN)
    service = pb.DESCRIPTOR.services_by_name["OverpaintService"]
    with serving(tmp_path / "jobs") as server, grpc.insecure_channel(server.address) as channel:
        for method in service.methods:
            call: Any = channel.stream_stream(f"/{service.full_name}/{method.name}")
            for metadata in ((), (("authorization", f"Bearer {TOKEN[:-1]}"),), (("authorization", f"Basic {TOKEN}"),)):
                with pytest.raises(grpc.RpcError) as refused:
                    list(call(iter([b""]), metadata=metadata, timeout=90))
                assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED, method.name  # type: ignore[attr-defined]


def test_a_frame_that_was_never_sent_is_no_proof(tmp_path: Path) -> None:
    """Who knows the digest of another's frame, and sends other pixels under its name, has proven nothing."""
    guard(tmp_path / "jobs", TOKEN)
    guard(tmp_path / "jobs", "b" * 32, "bert")
    with (
        serving(tmp_path / "jobs") as server,
        Client(server.address, token=TOKEN) as anna,
        Client(server.address, token="b" * 32) as bert,
    ):
        paint(anna, job())
        mine = job()
        _, missing = bert.open_job(mine)
        lies = [np.zeros_like(FRAMES[0]) if name != digest(MASK) else np.zeros_like(MASK) for name in missing]
        with pytest.raises(OverpaintError, match="has other pixels than its digest says"):
            bert.upload(mine.id, lies, missing)
        assert bert.open_job(mine)[1] == missing
