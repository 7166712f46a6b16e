"""The courier with a live server: what is short never waits for what is long, and what was given up stays given up."""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Guide, GuideKey, Input, Task
from overpaint.job import JobSpec, JobState
from overpaint_addon.link.courier import Courier

from tests.fakes import clip_frames
from tests.serving import serving

FRAMES = clip_frames(4)
MASK = np.zeros((24, 32), np.uint8)
MASK[6:15, 10:20] = 255
PIXELS = {digest(one): one for one in (*FRAMES, MASK)}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("live") / "jobs") as server:
        yield server.address


def a_spec(**options: Any) -> JobSpec:
    clip = Clip(size=Size(width=32, height=24), rate=Rate(numerator=24), depth=8, frames=tuple(map(digest, FRAMES)))
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, pixels=digest(MASK)),), hold=True)
    edit = Edit(task=Task.REPAINT, prompt="a red coat", guides=(mask,), options=options)
    return JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=edit)


def test_law_7_a_cancel_does_not_wait_for_uploads_however_many_there_are(live: str) -> None:
    courier, go = Courier(Client(live, patience=math.inf)), threading.Event()

    def slowly(name: str) -> np.ndarray:
        go.wait(60)
        return PIXELS[name]

    try:
        uploads = [courier.send(a_spec(), slowly) for _ in range(6)]
        painting = a_spec(delay=0.2, steps=200)
        with Client(live) as other:
            other.send(painting, PIXELS.__getitem__)
        assert courier.cancel(painting.id).result(5) in (JobState.CANCELLING, JobState.CANCELLED)
        assert not any(one.done() for one in uploads)
        go.set()
        assert all(one.result(30) for one in uploads)
    finally:
        go.set()
        courier.close()
