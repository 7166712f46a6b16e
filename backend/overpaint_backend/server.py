"""The composition root: build the parts, start them, and stop them in order."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import ssl
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from overpaint.address import host_of, is_here
from overpaint.errors import Conflict, Invalid, Missing
from overpaint.v1 import service_pb2, service_pb2_grpc

from overpaint_backend.access import Door, check_private
from overpaint_backend.calls import CallCounter
from overpaint_backend.desk import Desk
from overpaint_backend.devices import devices
from overpaint_backend.health import Health
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.metrics import Gauges, Metrics
from overpaint_backend.rounds import Rounds
from overpaint_backend.service import THREADS, Doorkeeper, HealthTold, Service
from overpaint_backend.settings import Settings
from overpaint_backend.web.application import Application
from overpaint_backend.web.listening import WebServer
from overpaint_backend.workers.guide import GuideMaker
from overpaint_backend.workers.local import LocalWorkers, work

# Bytes. 20 000 frames with a mask of 50 knots and handles on each fit, or 240 with the lines that are found in 1080p footage.
MAX_MESSAGE = 64 << 20
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_metadata_size", 8 << 10),  # bytes of a call's headers; above twice that it is refused
    ("grpc.absolute_max_metadata_size", 16 << 10),
    ("grpc.max_concurrent_streams", THREADS - 8),  # of one connection: some threads stay for others
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 20_000),  # a client that is gone and never said so gives its thread back
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),  # clients ask every 10 seconds whether we are there
    ("grpc.http2.max_ping_strikes", 0),
)
"""What a connection may ask for, and how long it may be silent."""
SERVICE = service_pb2.DESCRIPTOR.services_by_name["OverpaintService"].full_name
log = logging.getLogger(__name__)


class Server:
    """A server that runs: `address` is where it listens, `web` where its page is ("": there is none)."""

    def __init__(self, settings: Settings) -> None:
        self._folder = folder = settings.folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(folder)
        self._store = Store(folder / "jobs.sqlite")
        spool = Spool(folder / "spool")
        for kept in (folder / "spool", *folder.glob("jobs.sqlite*")):
            kept.chmod(kept.stat().st_mode & ~0o077)  # an earlier version may have let others in
        for job in self._store.release(everyone=True):  # no worker can be alive: this server has none yet
            log.info("taken up again", extra={"job": job})
        self._desk = Desk(settings, self._store, spool)
        certified = settings.clients is not None
        door = Door(settings.tokens, guarded=certified or not settings.here)
        self._workers = LocalWorkers(self._store, lives(settings))
        self._health, self._metrics = Health(self._store, folder, self._workers.living), Metrics(self._look)
        self._rounds = Rounds(self._store, self._metrics, self._health, folder / "spool", self._tell_health)
        self._grpc = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="call"),
            interceptors=[CallCounter(self._metrics), Doorkeeper(door, certified=certified)],
            options=OPTIONS,
        )
        maker = GuideMaker(folder / "spool", settings.weights, devices()[0].name, settings.log_format)
        service_pb2_grpc.add_OverpaintServiceServicer_to_server(Service(self._desk, door, maker.make), self._grpc)
        self._told = HealthTold()
        health_pb2_grpc.add_HealthServicer_to_server(self._told, self._grpc)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._grpc)
        self.address = _bind(self._grpc, settings)
        self._web = WebServer(self._application(settings), settings) if settings.web else None
        self.web = self._web.address if self._web else ""

    def _application(self, settings: Settings) -> Application:
        """The page. Where clients show certificates there is no door that stands open, and the page asks for a token."""
        here = is_here(host_of(settings.web, "web"))
        door = Door(settings.tokens, guarded=not here or settings.clients is not None)
        return Application(self._desk, door, self._health, self._metrics, here=here)

    def start(self) -> None:
        self._workers.start()
        self._rounds.start()
        self._desk.collector.start()
        self._grpc.start()
        if self._web:
            self._web.start()

    def _tell_health(self, reasons: tuple[str, ...]) -> None:
        standing = health_pb2.HealthCheckResponse
        for name in ("", SERVICE):
            self._told.set(name, standing.NOT_SERVING if reasons else standing.SERVING)

    def _look(self) -> Gauges:
        return Gauges(
            jobs=self._store.counts(),
            workers=self._workers.living(),
            restarts=self._workers.restarts,
            spool_bytes=self._rounds.spool_bytes,
            disk_free_bytes=shutil.disk_usage(self._folder).free,
            well=not self._health.reasons(),
        )

    def wait(self) -> None:
        """Until `stop` is called from another thread, or a signal handler."""
        self._grpc.wait_for_termination()

    def drain(self, seconds: float, hurried: Callable[[], bool]) -> None:
        """Take no new jobs, tell everyone, and let running windows end; `seconds` at most, or until `hurried`, which waits a moment."""
        log.info("draining")
        self._health.drain()
        self._rounds.check_health()
        self._desk.drain()
        self._workers.drain(seconds, hurried)

    def stop(self) -> None:
        """Answer no new calls, let those under way end, end the workers. What they paint is resumed at the next start."""
        self._told.enter_graceful_shutdown()
        self._desk.close()
        self._workers.stop()
        self._rounds.stop()
        if self._web:
            self._web.stop()
        self._desk.collector.stop()
        self._grpc.stop(grace=2).wait()
        self._lock.close()


def lives(settings: Settings) -> dict[str, Callable[[str], None]]:
    """What each worker process does: one for each device here, or one for a whole cluster.

    Raises Missing where Ray is asked for and not installed.
    """
    if settings.ray is None:
        told = {"log_format": settings.log_format}
        return {
            device.name: partial(work, settings.folder, settings.weights, device.name, **told) for device in devices()
        }
    if find_spec("ray") is None:
        what = "Ray is not installed"
        raise Missing(field="executor", message=what, remedy="Say pip install 'overpaint[ray]'")
    return {"ray": partial(_work_on_ray, settings.folder, settings.ray, log_format=settings.log_format)}


def _work_on_ray(folder: Path, address: str, name: str, log_format: str) -> None:
    from overpaint_backend.workers.ray import work  # Ray belongs to its own process alone

    work(folder, address, name, log_format)


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
    credentials = _credentials(settings)
    try:
        if credentials is None:
            port = server.add_insecure_port(settings.listen)
        else:
            port = server.add_secure_port(settings.listen, credentials)
    except RuntimeError:
        port = 0
    if port == 0:
        raise Invalid(field="listen", message=f"{settings.listen} is taken or not ours", remedy="Choose another port")
    return f"{settings.listen.rpartition(':')[0]}:{port}"


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """What TLS needs, looked at first: gRPC would only say that it cannot listen. Raises Invalid."""
    if settings.certificate is None or settings.key is None:
        return None
    checked = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    part = f"{settings.certificate} and {settings.key}"
    try:
        check_private(settings.key, "key", group=True)
        checked.load_cert_chain(settings.certificate, settings.key, password="")  # never asks at a terminal
        clients = None
        if settings.clients is not None:
            part, clients = str(settings.clients), settings.clients.read_bytes()
            checked.load_verify_locations(settings.clients)
        pair = (settings.key.read_bytes(), settings.certificate.read_bytes())
    except ssl.SSLError:
        what = f"{part}: no certificate, or no key of it"
        raise Invalid(field="certificate", message=what, remedy="Make them with `overpaint cert`") from None
    except OSError as error:
        named = error.filename or part  # the pair is opened inside OpenSSL, which does not say which it is
        why = f"{named} cannot be read ({error.strerror})"
        raise Invalid(field="certificate", message=why, remedy="Check the path") from None
    return grpc.ssl_server_credentials([pair], clients, require_client_auth=clients is not None)
