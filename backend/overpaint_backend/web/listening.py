"""The web application on a port: threads, and TLS with the certificate of the gRPC port."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from typing import Any

from cheroot import wsgi
from cheroot.server import HTTPConnection
from cheroot.ssl.builtin import BuiltinSSLAdapter
from overpaint.errors import Invalid

from overpaint_backend.settings import Settings
from overpaint_backend.web.application import Application

THREADS = 16  # none of our answers waits
MOST_WAITING = 64  # connections that nobody has accepted yet
SECONDS = 5  # that a connection may be silent, and that a request may take to come
HEADER_BYTES, BODY_BYTES = 16 << 10, 1 << 10
log = logging.getLogger(__name__)


class WebServer:
    """Listens from the moment it is made, and answers from `start` on. `address` is where, as a browser takes it."""

    def __init__(self, application: Application, settings: Settings) -> None:
        """Raises Invalid where the port cannot be had, or certificate and key cannot be read."""
        host, _, port = settings.web.rpartition(":")
        secure = settings.certificate is not None and settings.key is not None
        self._server = server = _Threads(
            (host.strip("[]"), int(port)),
            application,
            server_name="overpaint",
            numthreads=THREADS,
            max=THREADS,
            request_queue_size=MOST_WAITING,
            timeout=SECONDS,
            shutdown_timeout=2,
        )
        server.max_request_header_size, server.max_request_body_size = HEADER_BYTES, BODY_BYTES
        try:
            if secure:
                server.ssl_adapter = _LateHandshake(str(settings.certificate), str(settings.key))
            server.prepare()
        except OSError as error:
            words = f"{settings.web} cannot be listened on ({error.strerror or error})"
            raise Invalid(field="web", message=words, remedy="Choose another port") from None
        self.address = f"{'https' if secure else 'http'}://{host}:{server.bind_addr[1]}/"
        self._thread = threading.Thread(target=server.serve, name="web", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.stop()
        self._thread.join(timeout=5)


class _Hurried:
    """A socket from which nothing more is read once it is `until`: the library's own patience begins anew with each byte."""

    def __init__(self, sock: Any) -> None:
        self._sock, self.until = sock, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv_into(self, buffer: Any) -> int:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)

    def send(self, what: bytes) -> int:
        self._sock.settimeout(SECONDS)
        return self._sock.send(what)


class _Connection(HTTPConnection):
    """The library's connection, on which no request takes longer to come than SECONDS."""

    def __init__(self, server: Any, sock: Any, makefile: Any) -> None:
        self._hurried = _Hurried(sock)
        super().__init__(server, sock, lambda _, mode, size: makefile(self._hurried, mode, size))

    def communicate(self) -> bool:
        self._hurried.until = time.monotonic() + SECONDS
        return super().communicate()


class _Threads(wsgi.Server):
    """The library's server, in which a connection that has said nothing holds no thread."""

    ConnectionClass = _Connection

    def process_conn(self, conn: Any) -> None:
        if getattr(conn, "heard", False):
            super().process_conn(conn)
        else:  # it comes back when there is something to read
            conn.heard = True
            self.put_conn(conn)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """What a client does that speaks no HTTP or no TLS, or goes away, is none of our troubles."""
        ours = traceback and not isinstance(sys.exc_info()[1], OSError)
        log.log(level if ours else logging.DEBUG, "%s", msg, exc_info=ours)


class _LateHandshake(BuiltinSSLAdapter):
    """TLS whose handshake comes with the first read, in a thread of its own: one silent client must not hold up all others."""

    def wrap(self, sock: socket.socket) -> tuple[Any, dict[str, str]]:
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}
