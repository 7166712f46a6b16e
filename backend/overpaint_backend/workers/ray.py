"""The devices of a Ray cluster as workers: one process here claims the jobs, an actor on each device paints.

Jobs, pixels and finished windows stay with the server; an actor gets one window at a time. So nodes need neither the
server's disk nor its database, and whatever is lost over there is a window that is painted again.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

import overpaint
import ray
from overpaint.card import Device
from overpaint.errors import OverpaintError
from overpaint.job import JobState
from ray.autoscaler.sdk import request_resources
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from overpaint_backend.cluster import Cluster, keep_cluster
from overpaint_backend.engine import DeviceFault, NodeLost
from overpaint_backend.jobs.room import insist
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.journal import about, write_log
from overpaint_backend.quiet import failure
from overpaint_backend.workers.local import PAUSE, Loaded, claim, paint_claimed, renew
from overpaint_backend.workers.remote import RemoteEngine, Report, start_actor
from overpaint_backend.workers.share import Share

OURS = "overpaint"  # the resource of nodes that are to paint, where not all are
ROUND = 2.0  # seconds between two looks at the cluster
PATIENCE = 60.0  # seconds that an actor may take to start; then another has its device
MISFIT = 30.0  # seconds until a device that could not be used is tried again
IDLE = 300.0  # seconds without work until an actor lets its device go, so that Ray's autoscaler may end the node
log = logging.getLogger(__name__)


def work(folder: Path, address: str, name: str, log_format: str) -> None:
    """The life of the process: keep a driver for every device that the cluster has, until the server is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to answer
    write_log(log_format)
    keep_cluster(folder, Cluster())
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    log.info("looking for the Ray cluster at %s, for minutes if need be (to start one: ray start --head)", address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    except (ConnectionError, RuntimeError, RayError) as error:
        log.error("there is no Ray cluster at %s: %s", address, str(error).partition("\n")[0])
        raise SystemExit(1) from None
    signal.signal(signal.SIGTERM, _leave)  # Ray would print where it was
    store = Store(folder / "jobs.sqlite")
    threading.Thread(target=renew, args=(store, name), daemon=True).start()
    crew = Crew(folder, store, name)
    server = multiprocessing.parent_process()
    try:
        while server is None or server.is_alive():
            crew.follow(ray.nodes())
            time.sleep(ROUND)
    except SystemExit:
        log.info("told to end")
    request_resources(bundles=[])  # it would outlive us
    os._exit(0)  # Ray's own way out lets drivers believe that devices were lost, or begin another Ray for themselves


def _leave(number: int, frame: object) -> None:
    raise SystemExit(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A device of a node: the `number`-th, and what an actor asks Ray for to get it."""

    node: str
    host: str
    number: int
    gpus: int = 0
    cpus: int = 0
    ours: int = 0

    @property
    def bundle(self) -> dict[str, float]:
        """The resources of an actor, in Ray's words."""
        return {kind: n for kind, n in (("CPU", self.cpus), ("GPU", self.gpus), (OURS, self.ours)) if n}


def seats(nodes: Sequence[Mapping[str, Any]]) -> tuple[Seat, ...]:
    """What paints, of all the nodes that live.

    Where any node has the resource `overpaint`, so many of that; else all graphics cards; else each node that has a CPU.
    Kinds are not mixed unless asked for: law 5 holds for the same kind of device.
    """
    alive = [node for node in nodes if node["Alive"]]

    def has(node: Mapping[str, Any], kind: str) -> int:
        return int(node["Resources"].get(kind, 0))

    kind = next((kind for kind in (OURS, "GPU", "CPU") if any(has(node, kind) for node in alive)), "CPU")
    found = []
    for node in alive:
        gpus = has(node, "GPU")
        for number in range(min(has(node, kind), 1) if kind == "CPU" else has(node, kind)):
            asked = {"ours": int(kind == OURS), "gpus": int(gpus > 0), "cpus": int(kind == "CPU")}
            found.append(Seat(node=node["NodeID"], host=node["NodeManagerAddress"], number=number, **asked))
    return tuple(found)


class Crew:
    """The drivers, one for each seat, and the shares that those of them help with who have no job of their own."""

    def __init__(self, folder: Path, store: Store, name: str) -> None:
        self.store, self.spool, self.name = store, Spool(folder / "spool"), name
        self._folder = folder
        self._drivers: dict[Seat, Driver] = {}
        self._told = Cluster()
        self._shares: list[tuple[int, int, Share]] = []
        self._lock = threading.Lock()
        self._made = 0
        self._bundle: dict[str, float] = {"CPU": 1}  # of a device, as the cluster had it last
        self._asked = -1  # what the autoscaler was told before us is not known

    def follow(self, nodes: Sequence[Mapping[str, Any]]) -> None:
        """Have a driver for every seat of the cluster as it is now, write down what it offers, and ask for what is missing."""
        wanted = seats(nodes)
        for seat in [seat for seat in self._drivers if seat not in wanted]:
            log.info("%s is gone", self._drivers.pop(seat).leave())
        for seat in wanted:
            if seat not in self._drivers:
                self._made += 1
                self._drivers[seat] = Driver(seat, self, f"{self.name}/{self._made}")
                self._drivers[seat].start()
            self._bundle = seat.bundle
        self._tell()
        self._scale()

    def _scale(self) -> None:
        """Wake so many sleeping drivers as have work, and let Ray's autoscaler know how many devices would be used at once."""
        drivers = tuple(self._drivers.values())
        with self._lock:
            waiting = sum(share.spare for *_, share in self._shares)
        waiting += self.store.counts().get(JobState.QUEUED, 0)
        free = sum(one.free for one in drivers)
        asleep = [one for one in drivers if not one.awake.is_set()]
        for one in asleep[: max(0, waiting - free)]:
            one.awake.set()
        used = sum(one.busy for one in drivers) + waiting
        asked = used if waiting and used > len(drivers) else 0
        if asked != self._asked:
            # All devices and not only more: Ray counts what is in use already.
            request_resources(bundles=[self._bundle] * asked)
            log.info("the autoscaler of Ray is asked for %s", f"{asked} devices in all" if asked else "nothing")
            self._asked = asked

    def _tell(self) -> None:
        reports = [(seat, driver.report) for seat, driver in self._drivers.items() if driver.report is not None]
        numbers: Counter[str] = Counter()
        devices: list[Device] = []
        obstacles: dict[str, str] = {}
        for seat, report in reports:
            kind = report.device.name.partition(":")[0]
            devices.append(replace(report.device, name=f"{kind}:{numbers[seat.host]}@{seat.host}"))
            numbers[seat.host] += 1
            for engine, obstacle in report.obstacles.items():
                obstacles[engine] = obstacle and obstacles.get(engine, obstacle)
        # A cluster that has no node just now may have some soon, of the same kind.
        cluster = Cluster(devices=tuple(devices), obstacles=obstacles or self._told.obstacles)
        if cluster != self._told:
            keep_cluster(self._folder, cluster)
            self._told = cluster

    @contextmanager
    def offer(self, job: str, share: Share) -> Generator[None, None, None]:
        """Let idle devices help with the job, the most urgent and then the longest begun first."""
        with self._lock:
            self._made += 1
            mine = (-self.store.priority(job), self._made, share)
            self._shares = sorted([*self._shares, mine], key=lambda one: one[:2])
        try:
            yield
        finally:
            with self._lock:
                self._shares.remove(mine)

    def spare(self, unfit: Collection[Share]) -> Share | None:
        """The most urgent share that has a window for another, and is not among `unfit`."""
        with self._lock:
            return next((share for *_, share in self._shares if share.spare and share not in unfit), None)


@dataclass(slots=True)
class Driver:
    """Claims jobs for one seat, and helps with others' while there are none. A thread; it ends when it is told to leave."""

    seat: Seat
    crew: Crew
    name: str
    report: Report | None = None
    busy: bool = False
    awake: threading.Event = field(default_factory=threading.Event)
    _unfit: WeakSet[Share] = field(default_factory=WeakSet)
    _leaving: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self.awake.set()
        threading.Thread(target=self._live, name=self.name, daemon=True).start()

    def leave(self) -> str:
        """Take nothing more; returns where it was."""
        self._leaving.set()
        self.awake.set()
        return self.where

    @property
    def free(self) -> bool:
        """Whether it takes what comes next."""
        return self.awake.is_set() and self.report is not None and not self.busy

    @property
    def where(self) -> str:
        return f"device {self.seat.number} of {self.seat.host} ({self.seat.node[:8]})"

    def _live(self) -> None:
        while not self._leaving.is_set():
            if self._rests():
                self.awake.clear()
                if not self._leaving.is_set():
                    self.awake.wait()
            else:
                self.report = None
                self._leaving.wait(1.0)  # an actor that dies at once must not spin

    def _rests(self) -> bool:
        """Serve with an actor; True where it was let go for want of work, and the device is as good as it was."""
        actor: Any = None
        try:
            actor = _actor(self.seat)
            if self._welcome(actor):
                self._serve(actor)
                return True
        except NodeLost as error:
            log.warning("%s: %s", self.where, error)
        except DeviceFault as error:
            log.error("%s: %s", self.where, failure(error))
        except Exception as error:
            log.error("%s: a fault of the driver: %s", self.where, failure(error))
            # What it had claimed is nobody's now.
            release = partial(self.crew.store.release, self.name, "its driver failed")
            insist(release, lambda: self._leaving.wait(1.0))
        finally:
            self.busy = False
            if actor is not None:
                ray.kill(actor)
        return False

    def _welcome(self, actor: Any) -> bool:
        """Whether the actor is one of ours: of another version, it would paint what nobody expects."""
        try:
            report: Report = ray.get(actor.report.remote(), timeout=PATIENCE)
        except GetTimeoutError:
            log.error("%s: nothing has started there in %g s: others may have all of it", self.where, PATIENCE)
            return False
        except RayError as error:  # overpaint may not be installed there: Ray says it at length
            log.error("%s cannot be used: %s", self.where, error)
            self._leaving.wait(MISFIT)
            return False
        if report.version != overpaint.__version__:
            words = "%s has overpaint %s, and the server %s: it is not used. Install the same on all nodes"
            log.error(words, self.where, report.version, overpaint.__version__)
            self._leaving.wait(MISFIT)
            return False
        log.info("%s paints: %s", self.where, report.device.title)
        self.report = report
        return True

    def _serve(self, actor: Any) -> None:
        loaded = Loaded(partial(RemoteEngine, actor, where=self.where, node=self.seat.node))
        store, spool = self.crew.store, self.crew.spool
        worked = time.monotonic()
        while not self._leaving.is_set() and time.monotonic() - worked < IDLE:
            self.busy = False
            spec = claim(store, spool, self.name, loaded)
            if spec is not None:
                self.busy = True
                offer = partial(self.crew.offer, spec.id)
                with about(job=spec.id, worker=self.name):
                    paint_claimed(spec, loaded, store, spool, self.name, offer)
            elif not self._help(loaded):
                self._leaving.wait(PAUSE)
                continue
            worked = time.monotonic()

    def _help(self, loaded: Loaded) -> bool:
        """Paint one window of another's job, where there is one; then its own may have come."""
        share = self.crew.spare(self._unfit)
        if share is None:
            return False
        name = share.engine.card.name
        try:
            engine = loaded.have(name)
        except OverpaintError as error:
            log.warning("%s cannot help with %s: %s", self.where, name, error)
            self._unfit.add(share)
            return False
        if not share.fits(engine):
            words = "%s does not help: it paints as %s, and the job's device as %s"
            log.warning(words, self.where, engine.painter, share.engine.painter)
            self._unfit.add(share)
            return False
        self.busy = True
        return share.help(engine)


def _actor(seat: Seat) -> Any:
    return start_actor(
        num_cpus=seat.cpus,
        num_gpus=seat.gpus,
        resources={OURS: seat.ours} if seat.ours else {},
        scheduling_strategy=NodeAffinitySchedulingStrategy(seat.node, soft=False),
    )
