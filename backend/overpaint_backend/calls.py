"""Every call of the gRPC server is counted, timed, and named in the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from overpaint.v1 import service_pb2

from overpaint_backend.journal import about
from overpaint_backend.metrics import Metrics

SERVICE = service_pb2.DESCRIPTOR.services_by_name["OverpaintService"]
OURS = {f"/{SERVICE.full_name}/{method.name}" for method in SERVICE.methods}


class CallCounter(grpc.ServerInterceptor):
    """Stands before every other interceptor, so that those who are turned away are counted too."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        found = continuation(handler_call_details)
        if handler_call_details.method not in OURS:  # health and reflection; and a stranger must not make labels up
            return found
        name = handler_call_details.method.rpartition("/")[2]
        make, act = _kind(found)
        return make(
            self._stream(name, act) if found.response_streaming else self._answer(name, act),
            request_deserializer=found.request_deserializer,
            response_serializer=found.response_serializer,
        )

    def _answer(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            began = time.monotonic()
            try:
                with about(method=name):
                    answered = act(self._coming_in(request), context)
                self._weigh("out", answered)
                return answered
            finally:
                self._close(name, began, context)

        return answer

    def _stream(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            began = time.monotonic()
            try:
                answers = act(self._coming_in(request), context)
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

    def _coming_in(self, request: Any) -> Any:
        if not hasattr(request, "ByteSize"):
            return map(self._weigh_in, request)
        return self._weigh_in(request)

    def _weigh_in(self, message: Any) -> Any:
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
