"""What is counted of the jobs' events: each once, by what it says."""

from __future__ import annotations

from overpaint.job import EventKind, JobEvent, JobState
from overpaint_backend.metrics import Gauges, Metrics


def look() -> Gauges:
    jobs = {JobState.QUEUED: 3, JobState.RUNNING: 1}
    return Gauges(jobs=jobs, workers=1, restarts={"cpu": 2}, spool_bytes=10, disk_free_bytes=20, well=True)


def shown(metrics: Metrics) -> dict[str, float]:
    lines = metrics.exposition().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def event(number: int, kind: EventKind, **details: object) -> JobEvent:
    return JobEvent(number=number, kind=kind, at=100.0 + number, **details)  # type: ignore[arg-type]


def test_gauges_are_looked_up_when_they_are_asked_for() -> None:
    figures = shown(Metrics(look))
    assert figures["overpaint_queue_length"] == 3 and figures['overpaint_jobs{state="running"}'] == 1
    assert (
        figures['overpaint_jobs{state="failed"}'] == 0 and figures['overpaint_worker_restarts_total{device="cpu"}'] == 2
    )
    assert (figures["overpaint_spool_bytes"], figures["overpaint_disk_free_bytes"], figures["overpaint_well"]) == (
        10,
        20,
        1,
    )


def test_windows_losses_and_ends_are_counted_by_what_their_events_say() -> None:
    metrics = Metrics(look)
    for one in (
        event(1, EventKind.WINDOW_DONE),
        event(2, EventKind.WINDOW_DONE, window=1),
        event(3, EventKind.WINDOW_DONE, window=2, reused=True),
        event(4, EventKind.LOST, field="worker"),
        event(5, EventKind.LOST, field="server"),
        event(6, EventKind.FAILED, field="mask", message="no"),
    ):
        metrics.count("j", "toy", one)
    figures = shown(metrics)
    assert figures['overpaint_windows_painted_total{engine="toy"}'] == 2
    assert figures['overpaint_windows_reused_total{engine="toy"}'] == 1
    assert figures['overpaint_losses_total{cause="worker"}'] == figures['overpaint_losses_total{cause="server"}'] == 1
    assert figures['overpaint_jobs_ended_total{engine="toy",state="failed"}'] == 1


def test_steps_share_the_time_between_two_reports() -> None:
    metrics = Metrics(look)
    for number, step, window, stage in (
        (0, 2, 0, "painting"),
        (4, 6, 0, "painting"),
        (5, 1, 1, "painting"),
        (6, 2, 1, "decoding"),
    ):
        metrics.count(
            "j", "toy", event(number, EventKind.PROGRESS, stage=stage, step=step, steps=8, window=window, windows=2)
        )
    figures = shown(
        metrics
    )  # four steps in four seconds; the others have no earlier report of the same window and stage
    assert figures['overpaint_step_seconds_count{engine="toy"}'] == 4
    assert figures['overpaint_step_seconds_sum{engine="toy"}'] == 4.0


def test_reading_and_compositing_are_no_steps_of_an_engine() -> None:
    metrics = Metrics(look)
    for number in range(4):
        metrics.count("j", "toy", event(number, EventKind.PROGRESS, stage="reading the mask", step=number, steps=9))
        metrics.count(
            "k",
            "toy",
            event(number, EventKind.PROGRESS, stage="compositing", step=number, steps=9, window=2, windows=2),
        )
    assert not [name for name in shown(metrics) if name.startswith("overpaint_step_seconds_count")]


def test_stepping_down_for_lack_of_memory_is_counted_once() -> None:
    metrics = Metrics(look)
    events = (
        event(1, EventKind.STARTED),
        event(2, EventKind.PLANNED),
        event(3, EventKind.PROGRESS, stage="out of memory: again, frame by frame", windows=2),
        event(4, EventKind.PLANNED, step=1, stage="out of memory: again, in windows of 9 frames"),
        event(5, EventKind.LOST, field="worker"),
        event(6, EventKind.STARTED),
        event(7, EventKind.PLANNED, step=1, stage="out of memory: again, in windows of 9 frames"),  # the same, resumed
    )
    for one in events:
        metrics.count("j", "vires", one)
    assert shown(metrics)['overpaint_out_of_memory_total{engine="vires"}'] == 2
