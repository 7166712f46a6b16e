"""Streams of chunks: whole, cut, stirred and damaged. A frame arrives to the bit or not at all."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from overpaint import chunks
from overpaint.chunks import Chunk, in_order, join, pack, split, unpack
from overpaint.codec import Codec, Encoder, Limits, digest
from overpaint.errors import Corrupt, Exhausted, OverpaintError

from tests.shared.strategies import depths, pictures, shapes

LIMITS = Limits()


def clip(length: int, height: int = 20, width: int = 16) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    scene = rng.integers(0, 256, (height + length, width, 3)).astype(np.uint8)
    return [scene[index : index + height] for index in range(length)]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 300)


@given(st.data())
def test_law_3_frames_arrive_as_they_were_sent(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.tuples(shapes, depths), max_size=3))
    frames = [frame for shape, depth in kinds for frame in data.draw(st.lists(pictures(shape, depth), max_size=5))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_BYTES", data.draw(st.integers(1, 5000)))
        sent = list(pack(frames, data.draw(st.sampled_from(Codec))))
        arrived = list(unpack(sent, LIMITS))
        assert all(0 < len(chunk.payload) <= chunks.CHUNK_BYTES for chunk in sent)
    assert [chunk.number for chunk in sent] == list(range(len(sent)))
    assert [name for name, _ in arrived] == [digest(frame) for frame in frames]
    assert [digest(frame) for _, frame in arrived] == [digest(frame) for frame in frames]


def test_a_large_frame_travels_in_pieces_of_a_mebibyte() -> None:
    frame = np.random.default_rng(0).integers(0, 65536, (700, 900, 3)).astype(np.uint16)
    sent = list(pack([frame, frame]))
    assert [len(chunk.payload) for chunk in sent[:3]] == [2**20] * 3
    assert [chunk.number for chunk in sent if chunk.header] == [0, 4]
    assert all(np.array_equal(frame, arrived) for _, arrived in unpack(sent, LIMITS))


def stirred(draw: Callable[[SearchStrategy[Any]], Any], sent: list[Chunk]) -> list[Chunk]:
    """The stream with one thing wrong with it."""
    at, to = draw(st.integers(0, len(sent) - 1)), draw(st.integers(0, len(sent) - 1))
    chunk = sent[at]
    match draw(
        st.sampled_from(["drop", "double", "swap", "flip", "shorten", "lengthen", "behead", "relabel", "recount"])
    ):
        case "drop":
            return sent[:at] + sent[at + 1 :]
        case "double":
            return [*sent[:at], chunk, *sent[at:]]
        case "swap":
            sent[at], sent[to] = sent[to], sent[at]
        case "flip":
            bit = draw(st.integers(0, len(chunk.payload) * 8 - 1))
            payload = bytearray(chunk.payload)
            payload[bit // 8] ^= 1 << bit % 8
            sent[at] = dataclasses.replace(chunk, payload=bytes(payload))
        case "shorten":
            sent[at] = dataclasses.replace(chunk, payload=chunk.payload[: draw(st.integers(0, len(chunk.payload) - 1))])
        case "lengthen":
            sent[at] = dataclasses.replace(chunk, payload=chunk.payload + draw(st.binary(min_size=1, max_size=9)))
        case "behead":
            sent[at] = dataclasses.replace(chunk, header=None)
        case "relabel":
            sent[at] = dataclasses.replace(chunk, header=sent[0].header)
        case _:
            sent[at] = dataclasses.replace(chunk, number=draw(st.integers(0, 2**64 - 1)))
    return sent


@settings(max_examples=300)
@given(st.data())
def test_law_3_a_damaged_stream_never_yields_a_wrong_frame(data: st.DataObject) -> None:
    frames = clip(6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_BYTES", 300)
        sent = list(pack(frames))
        broken = stirred(data.draw, list(sent))
        arrived: list[str] = []
        try:
            for name, frame in unpack(broken, LIMITS):
                assert digest(frame) == name
                arrived.append(name)
        except OverpaintError as error:
            assert isinstance(error, Corrupt | Exhausted) and error.field and error.remedy
        else:
            # Nothing was wrong after all (a chunk swapped with itself, a bit that nobody reads), or the stream ended
            # between two frames: what is missing is for the job to see.
            assert broken == sent or len(arrived) <= len(frames)
    assert arrived == [digest(frame) for frame in frames][: len(arrived)]


@pytest.mark.parametrize("order", [[0, 2, 3], [0, 1, 1, 2], [1, 0, 2], [0, 2, 1, 3], [1, 2, 3]])
def test_whole_frames_that_are_lost_doubled_or_swapped_are_noticed(order: list[int]) -> None:
    """Even where each frame is whole in itself, so that only the chunks' numbers tell."""
    sent = list(pack(clip(4), Codec.RAW))
    arrived = unpack((sent[number] for number in order), LIMITS)
    with pytest.raises(Corrupt, match="was due"):
        for (name, _), frame in zip(arrived, clip(4), strict=False):
            assert name == digest(frame)


def test_a_frame_that_never_ends_is_cut_off() -> None:
    (first,) = pack(clip(1))
    taken = 0

    def endless() -> Iterator[Chunk]:
        nonlocal taken
        yield dataclasses.replace(first, payload=first.payload[:-5])
        for number in range(1, 1000):
            taken = number
            yield Chunk(number=number, payload=b"more")

    with pytest.raises(Corrupt, match="more bytes"):
        list(unpack(endless(), LIMITS))
    assert taken == 2


def test_a_stream_cut_between_frames_is_shorter_and_one_cut_within_is_corrupt(small_chunks: None) -> None:
    sent = list(pack(clip(3)))
    starts = [chunk.number for chunk in sent if chunk.header]
    assert len(list(unpack(sent[: starts[2]], LIMITS))) == 2
    cut = unpack(sent[: starts[2] + 1], LIMITS)
    assert [next(cut)[0], next(cut)[0]] == [digest(frame) for frame in clip(3)[:2]]
    with pytest.raises(Corrupt, match="ends"):
        next(cut)


def test_law_6_what_arrived_before_the_line_broke_is_kept_and_the_rest_sent_again(small_chunks: None) -> None:
    frames = clip(8)
    names = [digest(frame) for frame in frames]
    kept: dict[str, np.ndarray] = {}

    def line(sent: Iterator[Chunk], holds: int) -> Iterator[Chunk]:
        for chunk in sent:
            if chunk.number == holds:
                raise ConnectionResetError("the line broke")
            yield chunk

    uploads = 0
    while missing := [frame for frame, name in zip(frames, names, strict=True) if name not in kept]:
        uploads += 1
        try:
            for name, frame in unpack(line(pack(missing), 11), LIMITS):
                assert name not in kept
                kept[name] = frame
        except ConnectionResetError:
            continue
    assert uploads > 1 and all(np.array_equal(kept[name], frame) for name, frame in zip(names, frames, strict=True))


def test_few_frames_are_in_flight_however_long_the_stream() -> None:
    read = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal read
        for frame in clip(60):
            read += 1
            yield frame

    ahead = chunks.THREADS + 2
    for sent, chunk in enumerate(pack(frames())):
        assert chunk.number == sent and read <= sent + ahead
    taken = 0

    def arriving() -> Iterator[Chunk]:
        nonlocal taken
        for chunk in pack(clip(60)):
            taken += 1
            yield chunk

    for received, _ in enumerate(unpack(arriving(), LIMITS)):
        assert taken <= received + ahead


def test_frames_that_wait_for_each_other_all_come() -> None:
    """Each builds on the one before; more of them than there are threads."""
    frames = clip(200, 4, 4)
    assert [name for name, _ in unpack(pack(frames), LIMITS)] == [digest(frame) for frame in frames]


def test_stopping_halfway_leaves_nothing_behind() -> None:
    closed = threading.Event()

    def frames() -> Iterator[np.ndarray]:
        try:
            yield from clip(50)
        finally:
            closed.set()

    packing = pack(frames())
    arriving = unpack(packing, LIMITS)
    next(arriving)
    arriving.close()
    packing.close()
    assert closed.wait(5)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("codec")]


def test_an_error_of_the_source_passes_through() -> None:
    def frames() -> Iterator[np.ndarray]:
        yield from clip(2)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(pack(frames()))


def test_works_are_done_at_once_and_come_in_order() -> None:
    meet = threading.Barrier(min(2, chunks.THREADS), timeout=10)
    assert list(in_order((lambda i=i: (meet.wait(), i)[1]) for i in range(10))) == list(range(10))


def test_limits_hold_for_the_stream() -> None:
    sent = list(pack(clip(3)))
    with pytest.raises(Exhausted):
        list(unpack(sent, Limits(max_frames=2)))
    with pytest.raises(Exhausted):
        list(unpack(sent, Limits(max_pixels=20 * 16 - 1)))


def test_split_and_join_are_inverse(small_chunks: None) -> None:
    encoder = Encoder()
    encoded = [encoder.encode(frame) for frame in clip(4)]
    assert list(join(split(encoded), LIMITS)) == encoded
