"""A proxy that breaks the line: real sockets, which it drops, half-closes or stalls after so many bytes."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from enum import StrEnum


class How(StrEnum):
    DROP = "dropped"  # reset, both ways
    HALF = "half-closed"  # one way ends as if its sender had closed it; the other goes on
    STALL = "stalled"  # the line stands, and nothing moves on it any more


class Way(StrEnum):
    UP = "up"
    DOWN = "down"


class Proxy:
    """Passes on to `target`. `arm` breaks the line once; later connections are whole."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._fault: tuple[Way, How] | None = None
        self._left = 0
        self.broken = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nobody is here any more."""
        for one in (self._listening, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def arm(self, way: Way, how: How, after: int) -> None:
        """Break the line when `after` more bytes have gone this way."""
        with self._lock:
            self._fault, self._left = (way, how), after
            self.broken.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    client.close()  # the server is away
                    continue
                self._open += [client, server]
                stalled = threading.Event()
                for way, source, sink in ((Way.UP, client, server), (Way.DOWN, server, client)):
                    threading.Thread(target=self._pass, args=(way, source, sink, stalled), daemon=True).start()

    def _pass(self, way: Way, source: socket.socket, sink: socket.socket, stalled: threading.Event) -> None:
        with suppress(OSError):
            while piece := source.recv(1024):
                how = self._due(way, len(piece))
                if how is How.DROP:
                    for one in (source, sink):
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        one.shutdown(socket.SHUT_RD)
                        one.close()
                    return
                if how is How.HALF:
                    break
                if how is How.STALL:
                    stalled.set()
                if stalled.is_set():
                    return
                sink.sendall(piece)
        if not stalled.is_set():
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    def _due(self, way: Way, size: int) -> How | None:
        with self._lock:
            if self._fault is None or self._fault[0] is not way:
                return None
            self._left -= size
            if self._left > 0:
                return None
            how, self._fault = self._fault[1], None
            self.broken.set()
            return how
