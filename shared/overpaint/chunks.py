"""A stream of frames <-> bounded, ordered chunks; each frame is safe as soon as it has arrived.

`pack` and `unpack` are for frames and work on several frames at once; `split` and `join` are the framing alone.
A stream that stops halfway is taken up by sending the frames that are still missing, as a new stream.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from overpaint.codec import Codec, EncodedFrame, Encoder, FrameHeader, Limits, Prediction, check_header, rebuild, settle
from overpaint.errors import Corrupt, Exhausted
from overpaint.residual import Pixels

T = TypeVar("T")

CHUNK_BYTES = 2**20
THREADS = min(4, os.cpu_count() or 1)
AHEAD = THREADS + 1  # frames at work at once: one more than threads, so that none waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a frame's payload; a frame's first piece carries its header. `number` counts a stream's chunks from 0."""

    number: int
    header: FrameHeader | None = None
    payload: bytes


def pack(
    frames: Iterable[Pixels], codec: Codec = Codec.DELTA_ZSTD, names: Iterable[str] | None = None
) -> Generator[Chunk]:
    """Frames -> chunks, in order. A frame may be read until the stream ends: do not write into it.

    `names` are the frames' digests where they are known already, so that nothing is hashed twice.
    Close the generator to stop early; no thread outlives it.
    """
    return split(_encoded(frames, codec, names))


def _encoded(frames: Iterable[Pixels], codec: Codec, names: Iterable[str] | None) -> Iterator[EncodedFrame]:
    encoder = Encoder(codec)
    if names is None:
        return in_order(encoder.begin(frame) for frame in frames)
    return in_order(encoder.begin(frame, name) for frame, name in zip(frames, names, strict=True))


def in_order(works: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Do each piece of work in one of THREADS threads, a few at once; the results come in the order of the works."""
    pending: deque[Future[T]] = deque()
    with _workers() as workers:
        for work in works:
            pending.append(workers.submit(work))
            if len(pending) >= AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def unpack(chunks: Iterable[Chunk], limits: Limits) -> Generator[tuple[str, Pixels]]:
    """Chunks -> digest and frame, in order, each proven by its digest; frames are read-only.

    Frames that have wholly arrived are still yielded when `chunks` breaks off with an error; then the error is raised.
    Raises Corrupt where a chunk or a frame is not what it claims to be, and what codec.check_header raises.
    """
    pending: deque[Future[tuple[str, Pixels]]] = deque()
    before: Future[Pixels] | None = None
    trouble: list[Exception] = []
    with _workers() as workers:
        for encoded in _until(trouble, join(chunks, limits)):
            mine: Future[Pixels] = Future()
            pending.append(workers.submit(_opened, encoded, before, mine))
            before = mine
            while pending and (len(pending) >= AHEAD or pending[0].done()):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    if trouble:
        raise trouble.pop()


def _until(trouble: list[Exception], source: Iterator[T]) -> Iterator[T]:
    """What `source` yields, up to an error, which is put into `trouble` instead of being raised."""
    try:
        yield from source
    except Exception as error:
        trouble.append(error)


def _opened(encoded: EncodedFrame, before: Future[Pixels] | None, mine: Future[Pixels]) -> tuple[str, Pixels]:
    """Decode one frame. It may wait for the frame before, which was begun earlier and so never waits for this one."""
    header = encoded.header
    try:
        pixels = rebuild(encoded)
        previous = before.result() if before and Prediction.TEMPORAL in header.prediction else None
        frame = settle(header, pixels, previous)
    except BaseException as error:
        mine.set_exception(error)
        raise
    mine.set_result(frame)
    return header.digest, frame


def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="codec")


def split(frames: Iterable[EncodedFrame]) -> Generator[Chunk]:
    """Cut payloads into chunks of at most CHUNK_BYTES."""
    number = 0
    for frame in frames:
        for start in range(0, len(frame.payload), CHUNK_BYTES):
            header = None if start else frame.header
            yield Chunk(number=number, header=header, payload=frame.payload[start : start + CHUNK_BYTES])
            number += 1


def join(chunks: Iterable[Chunk], limits: Limits) -> Iterator[EncodedFrame]:
    """Put payloads together again. Raises Corrupt where a chunk is not the one that is due; see `unpack`."""
    header: FrameHeader | None = None
    pieces: list[bytes] = []
    missing = frames = 0
    for number, chunk in enumerate(chunks):
        if chunk.number != number:
            raise _corrupt(f"chunk {number} was due, and chunk {chunk.number} came")
        if (header is None) != (chunk.header is not None):
            raise _corrupt(
                f"chunk {number} {'lacks the header of a new frame' if header is None else 'cuts a frame short'}"
            )
        if not 0 < len(chunk.payload) <= CHUNK_BYTES:
            raise _corrupt(f"chunk {number} has {len(chunk.payload)} bytes instead of 1 to {CHUNK_BYTES}")
        if chunk.header is not None:
            header, missing, frames = chunk.header, chunk.header.payload_bytes, frames + 1
            check_header(header, limits)
            _check_count(frames, limits)
        missing -= len(chunk.payload)
        if missing < 0:
            raise _corrupt(f"chunk {number} brings more bytes than its frame's header says")
        pieces.append(chunk.payload)
        if header is not None and missing == 0:
            yield EncodedFrame(header=header, payload=b"".join(pieces))
            header, pieces = None, []
    if header is not None:
        raise _corrupt(f"the stream ends {missing} bytes before the end of the frame {header.digest[:12]}")


def _check_count(frames: int, limits: Limits) -> None:
    if frames > limits.max_frames:
        raise Exhausted(
            field="frames", message=f"more than {limits.max_frames} frames came", remedy="Send them in several streams"
        )


def _corrupt(what: str) -> Corrupt:
    return Corrupt(field="chunk", message=what, remedy="Send the frames that are still missing again")
