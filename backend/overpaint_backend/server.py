"""The composition root: build the parts, start them, and stop them in order."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from overpaint.errors import Conflict, Invalid
from overpaint.v1 import service_pb2, service_pb2_grpc

from overpaint_backend.access import Door
from overpaint_backend.desk import Desk, devices
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.service import Doorkeeper, Service
from overpaint_backend.settings import Settings
from overpaint_backend.workers.guide import GuideMaker
from overpaint_backend.workers.local import LocalWorkers

THREADS = 64  # each watching client holds one
MAX_MESSAGE = 64 << 20  # bytes; a job of 20 000 frames with strokes on every one fits
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 20_000),  # a client that is gone and never said so gives its thread back
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),  # clients ask every 10 seconds whether we are there
    ("grpc.http2.max_ping_strikes", 0),
)
SERVICE = service_pb2.DESCRIPTOR.services_by_name["OverpaintService"].full_name
log = logging.getLogger(__name__)


class Server:
    """A server that runs: `address` is where it listens."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(folder)
        self._store = Store(folder / "jobs.sqlite")
        spool = Spool(folder / "spool")
        for job in self._store.release(everyone=True):  # no worker can be alive: this server has none yet
            log.info("job %s is taken up again", job)
        self._desk = Desk(settings, self._store, spool)
        door = Door(settings.tokens, guarded=not settings.here)
        self._grpc = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="call"),
            interceptors=[Doorkeeper(door)],
            options=OPTIONS,
        )
        maker = GuideMaker(folder / "spool", settings.weights, devices()[0].name)
        service_pb2_grpc.add_OverpaintServiceServicer_to_server(Service(self._desk, door, maker.make), self._grpc)
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._grpc)
        self.address = _bind(self._grpc, settings)
        self._workers = LocalWorkers(folder, settings.weights, tuple(device.name for device in devices()), self._store)

    def start(self) -> None:
        self._workers.start()
        self._grpc.start()
        for name in ("", SERVICE):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def wait(self) -> None:
        """Until `stop` is called from another thread, or a signal handler."""
        self._grpc.wait_for_termination()

    def stop(self) -> None:
        """Answer no new calls, let those under way end, end the workers. What they paint is resumed at the next start."""
        self._health.enter_graceful_shutdown()
        self._desk.close()
        self._workers.stop()
        self._grpc.stop(grace=2).wait()
        self._lock.close()


@contextmanager
def serving(settings: Settings) -> Generator[Server, None, None]:
    """A server for the length of a `with` block."""
    server = Server(settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _lock(folder: Path) -> sqlite3.Connection:
    """One server to a folder: an SQLite lock works on every system and ends with the process that holds it."""
    connection = sqlite3.connect(folder / "server.lock", timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        raise Conflict(
            field="folder", message=f"another server works in {folder}", remedy="Stop it, or give another folder"
        ) from None
    return connection


def _bind(server: grpc.Server, settings: Settings) -> str:
    try:
        if settings.certificate is None or settings.key is None:
            port = server.add_insecure_port(settings.listen)
        else:
            pairs = [(settings.key.read_bytes(), settings.certificate.read_bytes())]
            clients = settings.clients and settings.clients.read_bytes()
            trusted = grpc.ssl_server_credentials(pairs, clients, require_client_auth=bool(clients))
            port = server.add_secure_port(settings.listen, trusted)
    except OSError as error:
        raise Invalid(
            field="certificate", message=f"{error.filename} cannot be read ({error.strerror})", remedy="Check the path"
        ) from None
    except RuntimeError:
        port = 0
    if port == 0:
        raise Invalid(field="listen", message=f"{settings.listen} is taken or not ours", remedy="Choose another port")
    return f"{settings.listen.rpartition(':')[0]}:{port}"
