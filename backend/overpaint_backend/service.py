"""The gRPC servicer: decode, one call at the desk, encode."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2
from overpaint import chunks, wire
from overpaint.errors import WATCHING, Internal, Invalid, OverpaintError, Unauthenticated, Unavailable
from overpaint.order import GuideOrder, GuideProgress, MadeGuide, joined
from overpaint.v1 import frames_pb2, guides_pb2, service_pb2, service_pb2_grpc

from overpaint_backend.access import ANYONE, Caller, Door
from overpaint_backend.desk import Desk
from overpaint_backend.quiet import failure

MakeGuide = Callable[[GuideOrder, Callable[[], bool]], Iterator[GuideProgress | MadeGuide]]
"""Makes what is ordered for as long as it is wanted: how far it is, and what was made, frame by frame."""

log = logging.getLogger(__name__)
ERROR_KEY = "overpaint-error-bin"
THREADS = 128  # that answer calls; they begin as they are needed
WATCHERS = 96  # of them at most watch jobs: what is left uploads, seals and fetches
TURN = 2.0  # seconds that a watcher keeps his seat when others want one
FOR_ANYONE = ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch")  # methods that take no token
APART = ThreadPoolExecutor(2, thread_name_prefix="health")


def refuse(context: grpc.ServicerContext, error: Exception) -> None:
    """End the call with the error's status and its words. Always raises."""
    if not context.is_active():
        if not isinstance(error, Unauthenticated):  # strangers write nothing into the log
            log.info("a client went away in the middle of a call")
        context.abort(grpc.StatusCode.CANCELLED, "the client went away")
    if not isinstance(error, OverpaintError):
        log.error("a call failed: %s", failure(error))
        error = Internal(
            field="server",
            message=f"the server failed: {type(error).__name__}",
            remedy="The server's log has the details",
        )
    detail = service_pb2.ErrorDetail(field=error.field, message=error.message, remedy=error.remedy)
    context.set_trailing_metadata(((ERROR_KEY, detail.SerializeToString()),))
    context.abort(getattr(grpc.StatusCode, error.status), str(error))


def _answers(method: Callable[..., Any]) -> Callable[..., Any]:
    """Errors of a single answer travel in words."""

    @functools.wraps(method)
    def answered(self: Service, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, self.caller(context), context)
        except Exception as error:
            refuse(context, error)

    return answered


def _streams(method: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Errors of a stream of answers travel in words."""

    @functools.wraps(method)
    def streamed(self: Service, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            yield from method(self, request, self.caller(context), context)
        except Exception as error:
            refuse(context, error)

    return streamed


class Seats:
    """Every watcher holds a thread of the server for as long as it watches, so there is a seat for only so many.

    Where all are taken, whoever has sat for TURN seconds gives up his seat, and comes back for it as the refused one does.
    """

    def __init__(self, number: int) -> None:
        self._free = threading.BoundedSemaphore(number)
        self._refused_at = -TURN

    @contextmanager
    def taken(self) -> Generator[Callable[[], bool], None, None]:
        """A seat, and whether the turn is over. Raises Unavailable where none is free."""
        if not self._free.acquire(blocking=False):
            self._refused_at = time.monotonic()
            raise _no_seat()
        since = time.monotonic()
        try:
            yield lambda: self._refused_at > since + TURN
        finally:
            self._free.release()


def _no_seat() -> Unavailable:
    return Unavailable(field=WATCHING, message="too many watch jobs at once", remedy="Watch again in a moment")


class Service(service_pb2_grpc.OverpaintServiceServicer):
    def __init__(self, desk: Desk, door: Door, make_guide: MakeGuide) -> None:
        self._desk, self._door, self._make_guide = desk, door, make_guide
        self._seats = Seats(WATCHERS)

    def caller(self, context: grpc.ServicerContext) -> Caller:
        """Who calls: by the name in the certificate that TLS has checked, or by the token."""
        return self._asking(context)()

    def _asking(self, context: grpc.ServicerContext) -> Callable[[], Caller]:
        """Asks again who calls, for calls that take long. Raises Unauthenticated once the token was taken away."""
        tls: Any = context.auth_context()
        (name, *_) = tls.get("x509_common_name", [b""])
        certified = name.decode("utf-8", "replace") if "x509_pem_cert" in tls else None
        metadata = context.invocation_metadata()
        return lambda: _caller(self._door, metadata, certified)

    def _wanted(self, context: grpc.ServicerContext) -> Callable[[], bool]:
        """Whether somebody still waits for the call's answers. Raises Unauthenticated where they may not any more."""
        ask = self._asking(context)
        return lambda: context.is_active() and bool(ask())

    @_answers
    def GetServer(self, request: service_pb2.GetServerRequest, caller: Caller, context: grpc.ServicerContext) -> Any:
        return wire.server_to_wire(self._desk.server())

    @_answers
    def ListEngines(
        self, request: service_pb2.ListEnginesRequest, caller: Caller, context: grpc.ServicerContext
    ) -> Any:
        return service_pb2.ListEnginesResponse(engines=map(wire.card_to_wire, self._desk.engines()))

    @_answers
    def EstimateJob(
        self, request: service_pb2.EstimateJobRequest, caller: Caller, context: grpc.ServicerContext
    ) -> Any:
        size, edit = wire.size_from_wire(request.size), wire.edit_from_wire(request.edit)
        if request.depth not in (8, 16) or request.length < 1:
            raise Invalid(field="clip", message="a clip has 8 or 16 bits and at least one frame", remedy="Say both")
        depth = 8 if request.depth == 8 else 16
        cost = self._desk.estimate(request.engine, size, depth, request.length, edit, self._wanted(context))
        return wire.estimate_to_wire(cost)

    @_answers
    def OpenJob(self, request: service_pb2.OpenJobRequest, caller: Caller, context: grpc.ServicerContext) -> Any:
        state, missing = self._desk.open(caller, wire.spec_from_wire(request.spec), request.priority)
        return service_pb2.OpenJobResponse(state=wire.state_to_wire(state), missing=map(bytes.fromhex, missing))

    @_answers
    def UploadFrames(
        self, request: Iterator[service_pb2.UploadFramesRequest], caller: Caller, context: grpc.ServicerContext
    ) -> service_pb2.UploadFramesResponse:
        first = next(request, None)
        if first is None:
            raise Invalid(field="frames", message="the upload was empty", remedy="Send at least one frame")
        received, ask = 0, self._asking(context)

        def pieces() -> Iterator[chunks.Chunk]:
            nonlocal received
            message: service_pb2.UploadFramesRequest | None = first
            while message is not None:
                ask()
                received += message.ByteSize()
                if message.job_id not in ("", first.job_id):
                    what = "the upload goes over to another job"
                    raise Invalid(field="job", message=what, remedy="Send each job's frames in a call of its own")
                yield wire.chunk_from_wire(message.chunk)
                message = next(request, None)

        kept = self._desk.keep(caller, first.job_id, pieces())
        return service_pb2.UploadFramesResponse(frames=kept, bytes=received)

    @_answers
    def SealJob(self, request: service_pb2.SealJobRequest, caller: Caller, context: grpc.ServicerContext) -> Any:
        return service_pb2.SealJobResponse(state=wire.state_to_wire(self._desk.seal(caller, request.job_id)))

    @_streams
    def WatchJob(
        self, request: service_pb2.WatchJobRequest, caller: Caller, context: grpc.ServicerContext
    ) -> Iterator[Any]:
        with self._seats.taken() as turn_is_over:
            waits, said = self._wanted(context), 0.0
            for event in self._desk.looks(caller, request.job_id, request.after_event):
                if event is not None:
                    yield service_pb2.WatchJobResponse(event=wire.event_to_wire(event))
                elif request.beat_seconds and time.monotonic() - said >= request.beat_seconds:
                    yield service_pb2.WatchJobResponse()  # a sign of life
                else:
                    if turn_is_over():
                        raise _no_seat()
                    if not waits():
                        return  # nobody listens any more
                    continue
                said = time.monotonic()

    @_streams
    def FetchFrames(
        self, request: service_pb2.FetchFramesRequest, caller: Caller, context: grpc.ServicerContext
    ) -> Iterator[Any]:
        how = wire.codec_from_wire(request.codec or frames_pb2.CODEC_DELTA_ZSTD)
        names, patches = self._desk.take(caller, request.job_id, request.from_frame, source=request.source)
        ask = self._asking(context)
        for chunk in chunks.pack(patches, how, names):
            ask()
            answer = service_pb2.FetchFramesResponse()
            wire.chunk_to_wire(chunk, answer.chunk)
            yield answer

    @_answers
    def CancelJob(self, request: service_pb2.CancelJobRequest, caller: Caller, context: grpc.ServicerContext) -> Any:
        return service_pb2.CancelJobResponse(state=wire.state_to_wire(self._desk.cancel(caller, request.job_id)))

    @_answers
    def PauseJob(self, request: service_pb2.PauseJobRequest, caller: Caller, context: grpc.ServicerContext) -> Any:
        return service_pb2.PauseJobResponse(state=wire.state_to_wire(self._desk.pause(caller, request.job_id)))

    @_answers
    def ResumeJob(self, request: service_pb2.ResumeJobRequest, caller: Caller, context: grpc.ServicerContext) -> Any:
        return service_pb2.ResumeJobResponse(state=wire.state_to_wire(self._desk.resume(caller, request.job_id)))

    @_answers
    def MoveJobUp(self, request: service_pb2.MoveJobUpRequest, caller: Caller, context: grpc.ServicerContext) -> Any:
        return service_pb2.MoveJobUpResponse(state=wire.state_to_wire(self._desk.move_up(caller, request.job_id)))

    @_answers
    def RetryJob(self, request: service_pb2.RetryJobRequest, caller: Caller, context: grpc.ServicerContext) -> Any:
        return service_pb2.RetryJobResponse(state=wire.state_to_wire(self._desk.retry(caller, request.job_id)))

    @_answers
    def ListJobs(self, request: service_pb2.ListJobsRequest, caller: Caller, context: grpc.ServicerContext) -> Any:
        return service_pb2.ListJobsResponse(jobs=map(wire.summary_to_wire, self._desk.jobs(caller)))

    @_answers
    def DeleteJob(self, request: service_pb2.DeleteJobRequest, caller: Caller, context: grpc.ServicerContext) -> Any:
        self._desk.delete(caller, request.job_id)
        return service_pb2.DeleteJobResponse()

    @_answers
    def GetJob(self, request: service_pb2.GetJobRequest, caller: Caller, context: grpc.ServicerContext) -> Any:
        return wire.record_to_wire(self._desk.record(caller, request.job_id))

    @_answers
    def PruneJobs(self, request: service_pb2.PruneJobsRequest, caller: Caller, context: grpc.ServicerContext) -> Any:
        days = request.older_than_days if request.HasField("older_than_days") else None
        return wire.pruned_to_wire(self._desk.prune(caller, days, dry_run=request.dry_run))

    @_streams
    def MakeGuide(
        self, request: Iterator[guides_pb2.MakeGuideRequest], caller: Caller, context: grpc.ServicerContext
    ) -> Iterator[guides_pb2.MakeGuideResponse]:
        first = next(request, None)
        if first is None or first.WhichOneof("part") != "order":
            raise Invalid(field="order", message="the call does not begin with an order", remedy="Send it first")
        order = wire.order_from_wire(first.order)
        missing = self._desk.missing_for(caller, order)
        yield guides_pb2.MakeGuideResponse(missing=guides_pb2.MissingPixels(digests=map(bytes.fromhex, missing)))
        if missing:
            ask = self._asking(context)
            self._desk.keep_for(caller, order, (_ordered(message) for message in request if ask()))
        parts: list[MadeGuide] = []
        for answer in self._make_guide(order, self._wanted(context)):
            if isinstance(answer, GuideProgress):
                yield guides_pb2.MakeGuideResponse(progress=wire.guide_progress_to_wire(answer))
            elif first.in_parts:
                yield guides_pb2.MakeGuideResponse(made=wire.made_to_wire(answer))
            else:
                parts.append(answer)
        if parts:
            yield guides_pb2.MakeGuideResponse(made=wire.made_to_wire(joined(parts)))


def _ordered(message: guides_pb2.MakeGuideRequest) -> chunks.Chunk:
    if message.WhichOneof("part") != "chunk":
        what = "a second order, or nothing, came where frames are due"
        raise Invalid(field="order", message=what, remedy="Send each order in a call of its own")
    return wire.chunk_from_wire(message.chunk)


class HealthTold(health.HealthServicer):
    """Health, which anyone may ask for: who does, and then sends nothing or too much, holds none of the threads that work."""

    def __init__(self) -> None:
        super().__init__(experimental_thread_pool=APART)

    def Check(self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext) -> Any:
        return super().Check(request, context)

    Check.experimental_thread_pool = APART  # pyright: ignore[reportFunctionMemberAccess] # where gRPC looks for it


class Doorkeeper(grpc.ServerInterceptor):
    """Turns away whoever has no token before their request is waited for or read; health is open.

    Where TLS asks for a certificate (`certified`) whoever comes so far has shown one, and the methods ask for its name.
    """

    def __init__(self, door: Door, *, certified: bool) -> None:
        self._door, self._certified = door, certified

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        if not self._certified and handler_call_details.method not in FOR_ANYONE:
            try:
                _caller(self._door, handler_call_details.invocation_metadata)
            except Unauthenticated as error:
                refusal = error
                return grpc.stream_stream_rpc_method_handler(lambda _, context: refuse(context, refusal))
        return continuation(handler_call_details)


def _caller(door: Door, metadata: Any, certified: str | None = None) -> Caller:
    """Who calls with this metadata, over TLS with a certificate of that name, where there is one. Raises Unauthenticated."""
    if door.open and certified is None:
        return ANYONE
    shown = dict(metadata).get("authorization", "")
    words = shown if isinstance(shown, str) else shown.decode("ascii", "replace")
    return door.admit(words.removeprefix("Bearer "), certified)
