"""What the server counts, as Prometheus reads it: docs/administration.md has a line for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from overpaint.job import EventKind, JobEvent, JobState
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

STEP_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
CALL_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60, 600)
OUT_OF_MEMORY = "out of memory"  # how the stage begins in which an engine tries again with less
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What is looked up whenever somebody asks: jobs by state, workers that live, restarts by device, bytes, health."""

    jobs: Mapping[JobState, int]
    workers: int
    restarts: Mapping[str, int]
    spool_bytes: int
    disk_free_bytes: int
    well: bool


class Metrics:
    """The server's counters. All begin at 0 when it starts, as Prometheus expects; gauges are asked of `look`."""

    def __init__(self, look: Callable[[], Gauges]) -> None:
        disable_created_metrics()  # nobody reads when a counter was made
        self._registry = registry = CollectorRegistry(auto_describe=False)
        registry.register(_Looked(look))
        self.calls = Counter("overpaint_calls", "Calls by method and status.", ("method", "status"), registry=registry)
        self.call_seconds = Histogram(
            "overpaint_call_seconds",
            "How long calls took, streams as long as they lasted.",
            ("method",),
            buckets=CALL_SECONDS,
            registry=registry,
        )
        self.bytes = Counter("overpaint_bytes", "Bytes of messages, in or out.", ("direction",), registry=registry)
        self.frames = Counter(
            "overpaint_frames", "Frames uploaded (in) and fetched (out).", ("direction",), registry=registry
        )
        self._windows = Counter("overpaint_windows_painted", "Windows painted.", ("engine",), registry=registry)
        self._reused = Counter(
            "overpaint_windows_reused", "Windows taken over, not painted.", ("engine",), registry=registry
        )
        self._steps = Histogram(
            "overpaint_step_seconds",
            "Seconds for a step of an engine.",
            ("engine",),
            buckets=STEP_SECONDS,
            registry=registry,
        )
        self._losses = Counter(
            "overpaint_losses", "Jobs that lost their worker, by cause.", ("cause",), registry=registry
        )
        self._memory = Counter(
            "overpaint_out_of_memory", "Times an engine tried again with less memory.", ("engine",), registry=registry
        )
        self._ended = Counter(
            "overpaint_jobs_ended", "Jobs that ended, by state.", ("engine", "state"), registry=registry
        )
        for direction in ("in", "out"):  # so that both are there, at 0, before anything travelled
            self.bytes.labels(direction)
            self.frames.labels(direction)
        self._last_step: dict[str, JobEvent] = {}
        self._planned: set[str] = set()

    def exposition(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)

    def count(self, job: str, engine: str, event: JobEvent) -> None:
        """Take note of an event of a job. Each is to be told once, in order."""
        match event.kind:
            case EventKind.PROGRESS:
                self._memory.labels(engine).inc(event.stage.startswith(OUT_OF_MEMORY))
                self._count_steps(job, engine, event)
            case EventKind.WINDOW_DONE:
                (self._reused if event.reused else self._windows).labels(engine).inc()
            case EventKind.STARTED:
                self._planned.discard(job)
            case EventKind.PLANNED:  # a second plan of the same run is a smaller one
                self._memory.labels(engine).inc(job in self._planned)
                self._planned.add(job)
            case EventKind.LOST:
                self._losses.labels(event.field or "worker").inc()
            case EventKind.FINISHED | EventKind.FAILED | EventKind.CANCELLED:
                self._ended.labels(engine, event.kind.value).inc()
                self._planned.discard(job)
            case _:
                pass
        if event.kind is not EventKind.PROGRESS:
            self._last_step.pop(job, None)

    def _count_steps(self, job: str, engine: str, event: JobEvent) -> None:
        """A worker reports a few times a second, not every step: the time between two reports is shared among the steps."""
        before, self._last_step[job] = self._last_step.get(job), event
        of_an_engine = event.steps and event.window < event.windows  # else the mask is read, or the take composited
        if not of_an_engine or before is None or (before.stage, before.window) != (event.stage, event.window):
            return
        for _ in range(steps := event.step - before.step):
            self._steps.labels(engine).observe((event.at - before.at) / steps)


class _Looked(Collector):
    def __init__(self, look: Callable[[], Gauges]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        now = self._look()
        jobs = GaugeMetricFamily("overpaint_jobs", "Jobs by state.", labels=["state"])
        for state in JobState:
            jobs.add_metric([state.value], now.jobs.get(state, 0))
        yield jobs
        restarts = CounterMetricFamily(
            "overpaint_worker_restarts", "Workers that ended and were started again.", labels=["device"]
        )
        for device, number in now.restarts.items():
            restarts.add_metric([device], number)
        yield restarts
        for name, words, value in (
            ("queue_length", "Jobs that wait.", now.jobs.get(JobState.QUEUED, 0)),
            ("workers", "Workers that live.", now.workers),
            ("spool_bytes", "Bytes of pixels and windows on disk; measured once a minute.", now.spool_bytes),
            ("disk_free_bytes", "Bytes free where jobs and pixels are.", now.disk_free_bytes),
            ("well", "1 where the server's health is good.", now.well),
        ):
            yield GaugeMetricFamily(f"overpaint_{name}", words, value=value)
