"""`overpaint bench wire`: our upload against PNGs over HTTP, on the same frames in the same run.

Each way has a client here and a server in a process of its own, over loopback TCP, and ends when the server has decoded
the last frame and said so. Ours is the real client and the real servicer, over a desk that drops what it is given; every
digest is proven on that side. On this side the frames have been named before, when the job was opened, as in a real
job: what that takes is `naming`, and `speed_ratio_with_naming` counts it. PNG is OpenCV's default, and the parts of one multipart POST:
- png: a request as it is commonly made: all frames encoded, one POST, all frames decoded. One thread on each side.
- png_streamed: a part is sent as soon as it is encoded and decoded as soon as it is there. One thread on each side.
- png_threads: streamed, with as many threads on each side as ours has. The best that we know how to make of PNG.
"""

from __future__ import annotations

import http.client
import io
import multiprocessing
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, cast

import cv2
import grpc
import numpy as np
from overpaint.chunks import THREADS, Chunk, in_order, unpack
from overpaint.client import MAX_MESSAGE, Client
from overpaint.codec import Encoder, Limits, decode, digest
from overpaint.errors import Internal
from overpaint.v1 import service_pb2_grpc

from overpaint_backend.access import Caller, Door
from overpaint_backend.desk import Desk
from overpaint_backend.service import Service

BOUNDARY = b"frame-boundary-5f1e"


def bench_wire(frames: Sequence[np.ndarray] | None = None, repeats: int = 5) -> dict[str, Any]:
    """Send `frames` ("h w 3", all of one shape; a generated clip unless given) `repeats` times each way.

    Seconds are medians; the ways take turns, so that a busy moment of the machine hits all of them.
    """
    clip = list(frames) if frames is not None else generated_clip()
    with ExitStack() as servers:
        grpc_port = servers.enter_context(_process(_serve_grpc))
        http_port = servers.enter_context(_process(_serve_http))
        client = servers.enter_context(Client(f"127.0.0.1:{grpc_port}"))
        names = list(map(digest, clip))
        ways: dict[str, Callable[[], int]] = {
            "ours": lambda: client.upload("bench", clip, names),
            "naming": lambda: sum(map(len, map(digest, clip))),
            "png": lambda: _post(http_port, b"".join(map(_part, clip)), threads=1),
            "png_streamed": lambda: _post(http_port, map(_part, clip), threads=1),
            "png_threads": lambda: _post(http_port, in_order(partial(_part, frame) for frame in clip), THREADS),
        }
        sent = {name: send() for name, send in ways.items()}  # also warms every way up
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repeats):
            for name, send in ways.items():
                start = time.perf_counter()
                send()
                seconds[name].append(time.perf_counter() - start)
    del sent["naming"]  # it sends nothing
    return _report(clip, {name: median(taken) for name, taken in seconds.items()}, sent, frames is None, repeats)


def _report(
    clip: list[np.ndarray], seconds: dict[str, float], sent: dict[str, int], generated: bool, repeats: int
) -> dict[str, Any]:
    size = sum(frame.nbytes for frame in clip)
    height, width = clip[0].shape[:2]
    return {
        "clip": "generated" if generated else "given",
        "frames": len(clip),
        "size": f"{width}x{height}",
        "depth": clip[0].itemsize * 8,
        "megabytes": round(size / 1e6, 3),
        "repeats": repeats,
        "threads": THREADS,
        "seconds": {name: round(taken, 4) for name, taken in seconds.items()},
        "wire_bytes": sent,
        "baseline": "png: OpenCV's default PNG, all frames in one multipart POST, one thread on each side",
        "speed_ratio": round(seconds["png"] / seconds["ours"], 2),
        "speed_ratio_with_naming": round(seconds["png"] / (seconds["ours"] + seconds["naming"]), 2),
        "speed_ratio_to_streamed": round(seconds["png_streamed"] / seconds["ours"], 2),
        "speed_ratio_to_threads": round(seconds["png_threads"] / seconds["ours"], 2),
        "bytes_ratio": round(sent["ours"] / sent["png"], 4),
        "codec": "DELTA_ZSTD",
    } | _codec_speed(clip, size)


def _codec_speed(clip: list[np.ndarray], size: int) -> dict[str, float]:
    """Megabytes of pixels a second of one thread, digests included."""
    encoder, encoded, previous = Encoder(), [], None
    start = time.perf_counter()
    for frame in clip:
        encoded.append(encoder.encode(frame))
    turn = time.perf_counter()
    for one in encoded:
        previous = decode(one, Limits(), previous)
    stop = time.perf_counter()
    return {
        "encode_mb_s": round(size / 1e6 / (turn - start), 1),
        "decode_mb_s": round(size / 1e6 / (stop - turn), 1),
    }


def generated_clip(length: int = 51, height: int = 512, width: int = 512, seed: int = 7) -> list[np.ndarray]:
    """A clip like a camera's, always the same: a grainy scene under a slow pan, a thing that crosses it, and noise.

    PNG and our codec pack it about as well as they pack real footage.
    """
    rng = np.random.default_rng(seed)
    scene = _texture(rng, height + 64, width + 64)
    thing = _texture(rng, height // 3, width // 4)
    noises = [_soft_noise(rng, height, width, 1.5) for _ in range(8)]
    clip: list[np.ndarray] = []
    for index in range(length):
        pan = np.array([[1, 0, -8 - 0.2 * index], [0, 1, -8 - 0.07 * index]], np.float32)
        frame = cv2.warpAffine(scene, pan, (width, height), flags=cv2.INTER_LINEAR)
        top, left = height // 3 + index // 2, width // 5 + 2 * index
        place = frame[top : top + height // 3, left : left + width // 4]
        place[:] = thing[: place.shape[0], : place.shape[1]]
        frame += np.roll(noises[index % len(noises)], int(rng.integers(width)), axis=1)
        clip.append(np.clip(np.rint(frame), 0, 255).astype(np.uint8))
    return clip


def _texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Colours "h w 3" float32 around mid gray: forms from coarse to fine, more in brightness than in hue, and grain."""
    picture = np.full((height, width, 3), 118, np.float32)
    for cells in (3, 8, 24, 80, 240):
        bright, hue = (
            rng.normal(0, 60 / cells**0.45, (cells, cells, 1)),
            rng.normal(0, 25 / cells**0.6, (cells, cells, 3)),
        )
        picture += cv2.resize((bright + hue).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return picture + _soft_noise(rng, height, width, 6)


def _soft_noise(rng: np.random.Generator, height: int, width: int, strength: float) -> np.ndarray:
    """Noise as a lens and a codec leave it: the same in all channels, neighbours alike; "h w 1" float32."""
    noise = rng.normal(0, strength, (height, width)).astype(np.float32)
    return cv2.GaussianBlur(noise, (3, 3), 0.8)[..., None]


# PNG over HTTP


def _part(frame: np.ndarray) -> bytes:
    _, png = cv2.imencode(".png", frame)
    head = b"--%b\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % (BOUNDARY, len(png))
    return head + png.tobytes() + b"\r\n"


def _post(port: int, body: bytes | Iterator[bytes], threads: int) -> int:
    """POST the parts, streamed where they are an iterator; returns the body's bytes once the server has every frame."""
    sent = 0

    def counted(parts: Iterable[bytes]) -> Iterator[bytes]:
        nonlocal sent
        for part in parts:
            sent += len(part)
            yield part

    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        headers = {"Content-Type": "multipart/form-data; boundary=" + BOUNDARY.decode(), "X-Threads": str(threads)}
        end = b"--%b--\r\n" % BOUNDARY
        if isinstance(body, bytes):
            connection.request("POST", "/frames", b"".join(counted([body, end])), headers)
        else:
            connection.request("POST", "/frames", counted(chain(body, [end])), headers, encode_chunked=True)
        answer = connection.getresponse()
        answer.read()
        if answer.status != HTTPStatus.OK:
            raise Internal(field="bench", message=f"the HTTP server answered {answer.status}")
    return sent


class _Chunked(io.RawIOBase):
    """The body of a request with chunked transfer encoding."""

    def __init__(self, source: io.BufferedIOBase) -> None:
        self._source = source
        self._left = 0
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left and not self._ended:
            self._left = int(self._source.readline(), 16)
            self._ended = not self._left
        count = self._source.readinto(memoryview(buffer)[: self._left])
        self._left -= count
        if not self._left:
            self._source.readline()
        return count


class _Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length, threads = self.headers["Content-Length"], int(self.headers["X-Threads"])
        source = cast(io.BufferedIOBase, self.rfile)
        body = io.BytesIO(source.read(int(length))) if length else io.BufferedReader(_Chunked(source), 2**20)
        works = (partial(cv2.imdecode, png, cv2.IMREAD_UNCHANGED) for png in _pngs(body))
        decoded = in_order(works) if threads > 1 else (work() for work in works)
        whole = all(frame is not None for frame in decoded)
        self.send_response(HTTPStatus.OK if whole else HTTPStatus.BAD_REQUEST)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _pngs(body: io.BufferedIOBase) -> Iterator[np.ndarray]:
    """The parts of a multipart body, as OpenCV wants them."""
    while body.readline().rstrip() == b"--" + BOUNDARY:
        length = 0
        while line := body.readline().rstrip():
            name, value = line.split(b":")
            length = int(value) if name == b"Content-Length" else length
        yield np.frombuffer(body.read(length), np.uint8)
        body.readline()


# The servers


@contextmanager
def _process(serve: Callable[[Connection], None]) -> Generator[int]:
    """Run `serve` in a new process; yields its port. The process ends with the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join(10)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _until_closed(parent: Connection) -> None:
    with suppress(EOFError):
        parent.recv()


class _Dropping:
    """A desk that takes every proven frame and keeps none."""

    def keep(self, caller: Caller, job: str, pieces: Iterable[Chunk]) -> int:
        return sum(1 for _ in unpack(pieces, Limits()))


def _no_guide(*_: Any) -> Any:
    raise Internal(field="guide", message="the benchmark makes no guides", remedy="Ask a server")


def _serve_grpc(parent: Connection) -> None:
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads, options=(("grpc.max_receive_message_length", MAX_MESSAGE),))
        service = Service(cast(Desk, _Dropping()), Door(Path("none"), guarded=False), _no_guide)
        service_pb2_grpc.add_OverpaintServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        parent.send(port)
        _until_closed(parent)
        server.stop(None).wait()


def _serve_http(parent: Connection) -> None:
    with HTTPServer(("127.0.0.1", 0), _Receiver) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        parent.send(server.server_port)
        _until_closed(parent)
        server.shutdown()
        serving.join()
