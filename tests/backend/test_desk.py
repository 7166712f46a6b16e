"""What happens at the desk between two looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import Edit, Task
from overpaint.job import EventKind, JobSpec, JobState
from overpaint_backend.access import ANYONE
from overpaint_backend.desk import Desk
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.settings import load_settings


def test_whoever_watches_a_job_to_its_end_is_not_told_that_the_desk_closes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`paint` closes its desk when the job has ended: once that ended it with "the server is going down"."""
    store, spool = Store(tmp_path / "jobs.sqlite"), Spool(tmp_path / "spool")
    desk = Desk(load_settings(flags={"folder": tmp_path}), store, spool)
    frame = spool.put(np.zeros((16, 16, 3), np.uint8))
    clip = Clip(size=Size(width=16, height=16), rate=Rate(numerator=24), depth=8, frames=(frame,))
    spec = JobSpec(id="1" * 32, engine="toy", clip=clip, edit=Edit(task=Task.GENERATE, prompt="an end"))
    store.open(spec)
    store.record(spec.id, EventKind.SEALED)
    store.claim("w", 60)
    look = store.state

    def end_after_the_look(job: str) -> JobState:
        found = look(job)
        if found is JobState.RUNNING:
            monkeypatch.setattr(store, "state", look)
            store.keep_take(job, [frame], worker="w")
            desk.close()
        return found

    monkeypatch.setattr(store, "state", end_after_the_look)
    assert list(desk.watch(ANYONE, spec.id, 0))[-1].kind is EventKind.FINISHED
