"""A client of the service: the add-on's link, the command line and pipelines all talk through it."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

import grpc
import numpy as np

from overpaint import chunks, codec, wire
from overpaint.address import host_of, is_here
from overpaint.card import EngineCard, Estimate, ServerCard
from overpaint.clip import Depth, Size
from overpaint.edit import Edit
from overpaint.errors import (
    BY_STATUS,
    WATCHING,
    Cancelled,
    Exhausted,
    Internal,
    Invalid,
    OverpaintError,
    Unauthenticated,
    Unavailable,
)
from overpaint.guide_call import GuideCall
from overpaint.job import JobEvent, JobRecord, JobSpec, JobState, JobSummary, Pruned, check_priority
from overpaint.order import GuideOrder
from overpaint.patience import STALL, Cut, Patience, Stall
from overpaint.pin import look, read_fingerprint
from overpaint.v1 import guides_pb2, service_pb2_grpc
from overpaint.v1 import service_pb2 as pb

SECONDS = 30.0  # for calls that answer at once
WATCH_AGAIN = 0.5  # seconds, about, until a watcher asks again for whom there was no seat
PRUNE_SECONDS = 600.0  # the whole spool is looked through
ERROR_KEY = "overpaint-error-bin"
MAX_MESSAGE = 64 << 20  # bytes
BEAT = 5  # seconds between two signs of life of a server that has nothing to tell
AT_ONCE = 256 << 20  # bytes of pixels, before compression, of one upload
OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_reconnect_backoff_ms", 8_000),  # gRPC would let two minutes pass before it tries a server again
    ("grpc.keepalive_time_ms", 10_000),  # a line that is dead, and was never closed, is found out in twice that
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # of the pings that gRPC sends of its own accord, and waits a minute for
    ("grpc.http2.max_pings_without_data", 0),  # however long a job is silent
)
# What gRPC says where something between the two ends cut the line, in the words of no server.
CUT = ("RST_STREAM", "GOAWAY", "Stream removed", "reset", "closed", "Broken pipe")


class Client:
    """A connection to the server at `address` (host:port).

    To any machine but this one the connection is TLS, so that a token never travels in the open: checked against
    `certificate` (the server's, or its authority's, PEM), or against the system's authorities. Where there is a
    `fingerprint` (SHA-256, hex), the server is known by that alone: its certificate is looked at before the first call, and
    gRPC then trusts no other. `token` is shown on every call, `client_certificate` (PEM, with `client_key`) in TLS.
    Every method raises an OverpaintError in the server's words, Unavailable where no server answers, or Unauthenticated
    where another one does. A method may be called from any thread; the constructor asks nobody.
    `send`, `watch`, `fetch` and `make_guide` go on after a cut, where they stopped, until nothing has moved for `patience` seconds; a
    server that starts anew is a cut like any other.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str = "",
        certificate: Path | None = None,
        fingerprint: str = "",
        client_certificate: Path | None = None,
        client_key: Path | None = None,
        patience: float = 0.0,
    ) -> None:
        if (client_certificate is None) != (client_key is None):
            what = "a client's certificate and its key go together"
            raise Invalid(field="client_certificate", message=what, remedy="Give both or neither")
        self.address = address
        self.sent_bytes = 0
        self._patience, self._closed = patience, threading.Event()
        self._guides = WeakSet[GuideCall]()  # none of them waits for a client that is closed
        self._pin = read_fingerprint(fingerprint) if fingerprint else ""
        self._own = (client_certificate, client_key) if client_certificate and client_key else None
        self._pems = (
            _read(certificate, "certificate"),
            _read(client_key, "client_key"),
            _read(client_certificate, "client_certificate"),
        )
        self._plain = is_here(host_of(address)) and not self._pin and not any(self._pems)
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._calls: Any = None
        if not self._pin:
            self._connect()
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def _connect(self) -> None:
        """Make the channel, which connects when it is used; a pinned certificate is looked at now."""
        self._channel = self._opened()
        self._calls = service_pb2_grpc.OverpaintServiceStub(self._channel)

    def _opened(self) -> grpc.Channel:
        options: list[tuple[str, Any]] = [
            *OPTIONS,
            # No studio's proxy knows the way to this very machine.
            ("grpc.enable_http_proxy", int(not is_here(host_of(self.address)))),
        ]
        if self._plain:
            return grpc.insecure_channel(self.address, options)
        roots, key, chain = self._pems
        if self._pin:
            pinned = look(self.address, self._pin, self._own)
            roots = pinned.certificate
            options.append(("grpc.ssl_target_name_override", pinned.name))
        return grpc.secure_channel(self.address, grpc.ssl_channel_credentials(roots, key, chain), options)

    @property
    def _stub(self) -> Any:
        """What calls go through; the first call of a pinned client waits for the look at the certificate."""
        with self._lock:
            if self._channel is None:
                self._connect()
            return self._calls

    def close(self) -> None:
        self._closed.set()
        for guide in tuple(self._guides):
            guide.cancel()
        with self._lock:
            if self._channel is not None:
                self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, method: Callable[..., Any], request: Any, seconds: float = SECONDS) -> Any:
        self.sent_bytes += request.ByteSize()
        with self._in_words():
            return method(request, metadata=self._metadata, timeout=seconds)

    def server(self, seconds: float = SECONDS) -> ServerCard:
        return wire.server_from_wire(self._call(self._stub.GetServer, pb.GetServerRequest(), seconds))

    def engines(self) -> tuple[EngineCard, ...]:
        answer = self._call(self._stub.ListEngines, pb.ListEnginesRequest())
        return tuple(map(wire.card_from_wire, answer.engines))

    def estimate(self, engine: str, size: Size, depth: Depth, length: int, edit: Edit) -> Estimate:
        request = pb.EstimateJobRequest(
            engine=engine, size=wire.size_to_wire(size), depth=depth, length=length, edit=wire.edit_to_wire(edit)
        )
        return wire.estimate_from_wire(self._call(self._stub.EstimateJob, request))

    def open_job(self, spec: JobSpec, priority: int = 0) -> tuple[JobState, tuple[str, ...]]:
        """Announce the job: its state, and the digests whose pixels the server lacks. Safe to repeat.

        `priority` is from -10 to 10; the higher goes first.
        """
        check_priority(priority)
        answer = self._call(self._stub.OpenJob, pb.OpenJobRequest(spec=wire.spec_to_wire(spec), priority=priority))
        return wire.state_from_wire(answer.state), tuple(digest.hex() for digest in answer.missing)

    def send(
        self, spec: JobSpec, read: Callable[[str], np.ndarray], priority: int = 0, cut: Cut | None = None
    ) -> JobState:
        """Open the job, send the pixels that the server lacks, put it into the queue; its state.

        `read` gives the pixels of a digest, "h w c" uint8 or uint16. After a cut only what is still missing is sent.
        """
        patience = Patience(self._patience, self._closed, cut)
        # Frames that compress well wait at the server by the hundred; it says that it has them after so many, not after all.
        at_once = max(1, AT_ONCE * 8 // (spec.clip.size.pixels * 3 * spec.clip.depth))
        least: float = math.inf
        while True:
            try:
                _, missing = self.open_job(spec, priority)
                if len(missing) < least:
                    least = len(missing)
                    patience.moved()
                for start in range(0, len(missing), at_once):
                    some = missing[start : start + at_once]
                    self.upload(spec.id, map(read, some), some)
                    patience.moved()
                return self.seal_job(spec.id)
            except OverpaintError as error:
                patience.rest(error)

    def upload(self, job: str, frames: Iterable[np.ndarray], names: Iterable[str] | None = None) -> int:
        """Send frames ("h w c", uint8 or uint16) that the job names, once; returns the bytes that travelled.

        `names` are the frames' digests where they are at hand, as they are after `open_job`: nothing is hashed twice.
        Raises Unavailable after a cut, and where the server takes nothing for STALL seconds. What arrived whole by then
        is no longer missing.
        """

        trouble: list[Exception] = []  # gRPC would hide it behind a status of its own

        def requests() -> Iterator[pb.UploadFramesRequest]:
            try:
                for chunk in chunks.pack(frames, names=names):
                    request = pb.UploadFramesRequest(job_id=job)
                    wire.chunk_to_wire(chunk, request.chunk)
                    self.sent_bytes += request.ByteSize()
                    stall.expect()  # gRPC asks for the next when this one is on its way
                    yield request
                    stall.rest()
                stall.expect()
            except Exception as error:
                trouble.append(error)
                raise

        with Stall() as stall, self._in_words(stall):
            call = self._stub.UploadFrames.future(requests(), metadata=self._metadata)
            stall.guard(call.cancel)
            try:
                return call.result().bytes
            except grpc.RpcError:
                if trouble:
                    raise trouble[0] from None
                raise
            finally:
                call.cancel()

    def seal_job(self, job: str) -> JobState:
        return wire.state_from_wire(self._call(self._stub.SealJob, pb.SealJobRequest(job_id=job)).state)

    def watch(self, job: str, after: int = 0, cut: Cut | None = None) -> Iterator[JobEvent]:
        """The events after number `after`, as they happen; ends when the job has ended.

        Where too many watch at once the server says so, and this asks again: then the events come a little later.
        """
        patience = Patience(self._patience, self._closed, cut)
        while True:
            try:
                for event in self._watch(job, after):
                    patience.moved()
                    if event is not None:
                        after = event.number
                        yield event
                return
            except Unavailable as error:
                if error.field != WATCHING:
                    patience.rest(error)
                elif self._closed.wait(random.uniform(0.5, 1.5) * WATCH_AGAIN):  # not all at the same moment
                    raise
            except OverpaintError as error:
                patience.rest(error)

    def _watch(self, job: str, after: int) -> Iterator[JobEvent | None]:
        """Until the first cut; None is a sign of life."""
        request = pb.WatchJobRequest(job_id=job, after_event=after, beat_seconds=BEAT)
        with self._stream(self._stub.WatchJob, request) as (answers, stall):
            beats = False  # an older server gives no sign, so none is expected of it
            for answer in answers:
                event = wire.event_from_wire(answer.event) if answer.HasField("event") else None
                beats = beats or event is None
                stall.rest()
                yield event
                if beats:
                    stall.expect()

    def fetch(self, job: str, start: int = 0, cut: Cut | None = None, *, source: bool = False) -> Iterator[np.ndarray]:
        """The take's frames from `start` on: patches "h w 4" over the source (see colour.lay_over); or the `source`, "h w 3"."""
        patience = Patience(self._patience, self._closed, cut)
        while True:
            try:
                for frame in self._fetch(job, start, source):
                    patience.moved()
                    start += 1
                    yield frame
                return
            except OverpaintError as error:
                patience.rest(error)

    def _fetch(self, job: str, start: int, source: bool) -> Iterator[np.ndarray]:
        """Until the first cut."""
        request = pb.FetchFramesRequest(job_id=job, from_frame=start, source=source)
        with self._stream(self._stub.FetchFrames, request) as (answers, stall):

            def pieces() -> Iterator[chunks.Chunk]:
                stall.expect()
                for answer in answers:
                    stall.rest()  # whoever takes the frames may take their time
                    yield wire.chunk_from_wire(answer.chunk)
                    stall.expect()

            for _, frame in chunks.unpack(pieces(), codec.Limits()):
                yield frame

    @contextmanager
    def _stream(self, method: Callable[..., Any], request: Any) -> Generator[tuple[Iterator[Any], Stall], None, None]:
        """A stream of answers, and what ends it where it stalls."""
        with Stall() as stall, self._in_words(stall):
            stream = method(request, metadata=self._metadata)
            stall.guard(stream.cancel)
            try:
                yield stream, stall
            finally:
                stream.cancel()

    def cancel(self, job: str) -> JobState:
        return wire.state_from_wire(self._call(self._stub.CancelJob, pb.CancelJobRequest(job_id=job)).state)

    def pause(self, job: str) -> JobState:
        """No worker has the job until it is resumed; what is painted of it stays."""
        return wire.state_from_wire(self._call(self._stub.PauseJob, pb.PauseJobRequest(job_id=job)).state)

    def resume(self, job: str) -> JobState:
        return wire.state_from_wire(self._call(self._stub.ResumeJob, pb.ResumeJobRequest(job_id=job)).state)

    def move_up(self, job: str) -> JobState:
        """A queued job becomes the next one of its owner."""
        return wire.state_from_wire(self._call(self._stub.MoveJobUp, pb.MoveJobUpRequest(job_id=job)).state)

    def retry(self, job: str) -> JobState:
        """A failed or cancelled job is queued again, with its pixels and finished windows."""
        return wire.state_from_wire(self._call(self._stub.RetryJob, pb.RetryJobRequest(job_id=job)).state)

    def jobs(self) -> tuple[JobSummary, ...]:
        return tuple(map(wire.summary_from_wire, self._call(self._stub.ListJobs, pb.ListJobsRequest()).jobs))

    def delete(self, job: str) -> None:
        self._call(self._stub.DeleteJob, pb.DeleteJobRequest(job_id=job))

    def job(self, job: str) -> JobRecord:
        """The job with its whole request, and what it holds on the server."""
        return wire.record_from_wire(self._call(self._stub.GetJob, pb.GetJobRequest(job_id=job)))

    def prune(self, older_than_days: float | None = None, *, dry_run: bool = False) -> Pruned:
        """Forget everybody's jobs that ended so many days ago (the server's setting unless given), and what nobody needs.

        Returns what went, or would go with `dry_run`. Raises Forbidden without the scope admin.
        """
        request = pb.PruneJobsRequest(older_than_days=older_than_days, dry_run=dry_run)
        return wire.pruned_from_wire(self._call(self._stub.PruneJobs, request, PRUNE_SECONDS))

    def make_guide(self, order: GuideOrder, read: Callable[[str], np.ndarray], cut: Cut | None = None) -> GuideCall:
        """Have a guide made: say how far it is, and at last what was made; or, of a long clip, its `parts` as they come.

        `read` gives the pixels of a digest; it is asked, on another thread, for those that the server lacks.
        """

        def start(requests: Iterator[guides_pb2.MakeGuideRequest]) -> Any:
            return self._stub.MakeGuide(map(self._counted, requests), metadata=self._metadata)

        call = GuideCall(start, self._in_words, order, read, self._patience, cut)
        self._guides.add(call)
        return call

    def _counted(self, request: guides_pb2.MakeGuideRequest) -> guides_pb2.MakeGuideRequest:
        self.sent_bytes += request.ByteSize()
        return request

    @contextmanager
    def _in_words(self, stall: Stall | None = None) -> Generator[None, None, None]:
        try:
            yield
        except (grpc.RpcError, grpc.FutureCancelledError) as error:
            if stall is not None and stall.ended:
                raise self._away(f"nothing moved for {STALL:.0f} seconds") from None
            raise self._translate(error) from None

    def _translate(self, error: Any) -> OverpaintError:
        """The server's own words where it sent them; ours where the call never came that far."""
        if isinstance(error, grpc.FutureCancelledError):
            return Cancelled(field="server", message="the call was cancelled")
        status = error.code()
        metadata: dict[str, Any] = dict(error.trailing_metadata() or ())
        kind = BY_STATUS.get(status.name, Internal)
        if ERROR_KEY in metadata:
            detail = pb.ErrorDetail.FromString(metadata[ERROR_KEY])
            return kind(field=detail.field, message=detail.message, remedy=detail.remedy)
        why = str(error.details())
        ours = "Locally" in why or "Channel closed" in why  # cancelled here, and not by the server or what lies between
        cut = status.name in ("INTERNAL", "UNKNOWN", "CANCELLED") and any(word in why for word in CUT) and not ours
        if cut or status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            if self._pin and (other := self._other()):
                return other
            return self._away(why.rpartition(": ")[2])  # before it, gRPC names each layer and address
        if status is grpc.StatusCode.UNAUTHENTICATED:
            return Unauthenticated(field="token", message=error.details(), remedy="Check the token")
        if status is grpc.StatusCode.CANCELLED:
            return Cancelled(field="server", message="the call was cancelled")
        if status is grpc.StatusCode.RESOURCE_EXHAUSTED and "message larger than max" in why:
            what = f"what was asked, or the answer, is more than {MAX_MESSAGE >> 20} MiB"
            return Exhausted(field="edit", message=what, remedy="Choose fewer frames, or fewer lines on them")
        return kind(
            field="server", message=f"{status.name}: {error.details()}", remedy="The server's log has the details"
        )

    def _other(self) -> Unauthenticated | None:
        """What there is to say where the server that was known has gone, and another has come."""
        try:
            look(self.address, self._pin, self._own)
        except Unauthenticated as changed:
            return changed
        except OverpaintError:
            pass
        return None

    def _away(self, why: str) -> Unavailable:
        return Unavailable(
            field="server",
            message=f"no server answers at {self.address} ({why})",
            remedy="Start it with `overpaint serve`, or correct the address",
        )


def _read(file: Path | None, field: str) -> bytes | None:
    try:
        return file.read_bytes() if file else None
    except OSError as error:
        why = f"{file} cannot be read ({error.strerror})"
        raise Invalid(field=field, message=why, remedy="Check the path") from None
