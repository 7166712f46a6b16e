"""A step that hangs costs its device an hour and not for ever, and slow work is left alone. Real processes; the hour is short."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from overpaint.job import EventKind, JobEvent, JobState
from overpaint_backend import registry
from overpaint_backend.engine import Carry, Conditioning, Engine, Progress, WindowInput, WindowOutput
from overpaint_backend.engines.toy.engine import ToyEngine
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.workers import local, silence
from overpaint_backend.workers.local import LocalWorkers, work

from tests.backend.workers.test_local import claimed, locked, until

HUNG = 3.0


class Trying(ToyEngine):
    """Does in its second window what its test says, the first time that any process gets there."""

    def __init__(self, folder: Path, how: str) -> None:
        super().__init__()
        self._begun, self._how = folder / "begun", how

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        if cut.span.start > 0 and not self._begun.exists():
            self._begun.touch()
            end = time.monotonic() + (2 * HUNG if self._how != "hangs" else 1e6)
            step = 0
            while time.monotonic() < end:
                if self._how == "is slow":
                    progress("painting", step := step + 1, 1000)
                if self._how != "computes":
                    time.sleep(0.5)
        return super().paint(cut, cond, carry, progress)


def life(folder: Path, device: str, how: str, name: str) -> None:
    silence.HUNG = HUNG
    registry.build = partial(build, folder, how)
    work(folder, folder, device, name, "text")


def build(folder: Path, how: str, name: str, device: str, weights: Path) -> Engine:
    return Trying(folder, how)


@contextmanager
def worker(folder: Path, device: str, how: str) -> Generator[LocalWorkers, None, None]:
    workers = LocalWorkers(Store(folder / "jobs.sqlite"), {device: partial(life, folder, device, how)})
    workers.start()
    yield workers
    workers.stop()


def painted(store: Store, spool: Spool, device: str, how: str) -> tuple[int, list[JobEvent]]:
    """A job of two windows to its end: how many workers died, and its events."""
    spec = claimed(store, spool, "toy")
    store.release("w", "not yet", blameless=True)
    before = store.last_event(spec.id)
    with worker(store.folder, device, how) as workers:
        until(lambda: store.state(spec.id).ended)
        assert store.state(spec.id) is JobState.FINISHED
        return sum(workers.restarts.values()), list(store.events(spec.id, before))


def test_a_step_that_hangs_is_noticed_and_its_job_goes_on_in_another_worker(store: Store, spool: Spool) -> None:
    died, events = painted(store, spool, "cpu", "hangs")
    (lost,) = (event for event in events if event.kind is EventKind.LOST)
    assert died == 1 and (lost.field, lost.message) == ("worker", "no step for 0.05 minutes")
    assert [event.window for event in events if event.kind is EventKind.WINDOW_DONE] == [0, 1]


@pytest.mark.parametrize(("device", "how"), [("cuda:0", "is slow"), ("cpu", "computes")])
def test_what_is_slow_is_left_alone(store: Store, spool: Spool, device: str, how: str) -> None:
    """Each step reports; or, on a CPU, a step of hours is seen to compute."""
    died, events = painted(store, spool, device, how)
    assert died == 0 and not [event for event in events if event.kind is EventKind.LOST]


def test_a_process_that_only_waits_for_its_graphics_card_looks_busy_and_is_hung_all_the_same(
    store: Store, spool: Spool
) -> None:
    died, events = painted(store, spool, "cuda:0", "computes")
    assert died == 1 and [event.message for event in events if event.kind is EventKind.LOST] == [
        "no step for 0.05 minutes"
    ]


def test_who_cannot_write_down_a_step_is_not_hung(
    store: Store, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker waits with its report as long as the disk is full or the jobs are locked."""
    spec = claimed(store, spool, "toy")
    monkeypatch.setattr(silence, "HUNG", 0.0)
    monkeypatch.setattr(local.os, "_exit", sys.exit)
    held = local._Held(store, "w", "cuda:0")
    with locked(tmp_path / "jobs.sqlite"):
        for _ in range(3):
            held._look(spec.id)
    assert store.state(spec.id) is JobState.RUNNING
    with pytest.raises(SystemExit):
        held._look(spec.id)
    assert store.events(spec.id)[-1].kind is EventKind.LOST
