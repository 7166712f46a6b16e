"""Every call of the gRPC server is read, counted, timed, and named in the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from overpaint.errors import Exhausted, Invalid, OverpaintError
from overpaint.v1 import service_pb2

from overpaint_backend.journal import about
from overpaint_backend.metrics import Metrics
from overpaint_backend.parts import has_more_parts
from overpaint_backend.service import refuse

SERVICE = service_pb2.DESCRIPTOR.services_by_name["OverpaintService"]
MOST_PARTS = 2**22  # of one request: points as sparse as they can be, 20 bytes each, reach the longest message before
OURS = {f"/{SERVICE.full_name}/{method.name}" for method in SERVICE.methods}


class CallCounter(grpc.ServerInterceptor):
    """Stands before every other interceptor, so that those who are turned away are counted too.

    Reads the messages as well: gRPC would in the one thread that all calls wait for, however large they are.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        found = continuation(handler_call_details)
        if handler_call_details.method not in OURS:  # health and reflection; and a stranger must not make labels up
            return found
        name = handler_call_details.method.rpartition("/")[2]
        make, act = _kind(found)
        coming = partial(self._each_in if found.request_streaming else self._one_in, name, found.request_deserializer)
        return make(
            self._stream(name, act, coming) if found.response_streaming else self._answer(name, act, coming),
            response_serializer=found.response_serializer,
        )

    def _answer(self, name: str, act: Callable[..., Any], coming: Callable[..., Any]) -> Callable[..., Any]:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            began = time.monotonic()
            try:
                with about(method=name):
                    answered = act(coming(request, context), context)
                self._weigh("out", answered)
                return answered
            finally:
                self._close(name, began, context)

        return answer

    def _stream(self, name: str, act: Callable[..., Any], coming: Callable[..., Any]) -> Callable[..., Any]:
        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            began = time.monotonic()
            try:
                answers = act(coming(request, context), context)
                while True:
                    with about(method=name):  # never over a `yield`: what is between two answers is not ours
                        answered = next(answers, None)
                    if answered is None:
                        return
                    self._weigh("out", answered)
                    yield answered
            finally:
                self._close(name, began, context)

        return stream

    def _one_in(self, name: str, read: Callable[[bytes], Any], body: bytes, context: grpc.ServicerContext) -> Any:
        try:
            return self._read(name, read, body)
        except OverpaintError as error:
            refuse(context, error)

    def _each_in(self, name: str, read: Callable[[bytes], Any], bodies: Iterator[bytes], _: Any) -> Iterator[Any]:
        return map(partial(self._read, name, read), bodies)  # whoever asks for the next one refuses

    def _read(self, name: str, read: Callable[[bytes], Any], body: bytes) -> Any:
        """The message, weighed. Raises Invalid where it is none, and Exhausted where it would be far larger than its bytes."""
        try:
            if has_more_parts(body, SERVICE.methods_by_name[name].input_type, MOST_PARTS):
                what = f"the request has more than {MOST_PARTS} parts"
                raise Exhausted(field="request", message=what, remedy="Send fewer frames, or fewer strokes in them")
            message = read(body)
        except DecodeError:
            what = "the bytes are no request of this call"
            raise Invalid(field="request", message=what, remedy="Use the same version on both sides") from None
        self._weigh("in", message)
        return message

    def _weigh(self, direction: str, message: Any) -> None:
        self._metrics.bytes.labels(direction).inc(message.ByteSize())
        chunk = getattr(message, "chunk", None)
        if chunk is not None and chunk.HasField("header"):  # a frame's first chunk
            self._metrics.frames.labels(direction).inc()

    def _close(self, name: str, began: float, context: Any) -> None:
        status = context.code() or (grpc.StatusCode.OK if context.is_active() else grpc.StatusCode.CANCELLED)
        self._metrics.calls.labels(name, status.name).inc()
        self._metrics.call_seconds.labels(name).observe(time.monotonic() - began)


def _kind(found: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """How a method of this kind is made, and what it does."""
    return {
        (False, False): (grpc.unary_unary_rpc_method_handler, found.unary_unary),
        (False, True): (grpc.unary_stream_rpc_method_handler, found.unary_stream),
        (True, False): (grpc.stream_unary_rpc_method_handler, found.stream_unary),
        (True, True): (grpc.stream_stream_rpc_method_handler, found.stream_stream),
    }[found.request_streaming, found.response_streaming]
