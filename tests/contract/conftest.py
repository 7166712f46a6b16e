"""The two subjects of the contract: the fake, and a live server behind the add-on's courier."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from overpaint.client import Client
from overpaint.job import JobSpec, JobState
from overpaint_addon.link.courier import Courier

from tests.fakes import FakeBackend, Opened, now
from tests.serving import serving


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("live") / "jobs") as server:
        yield server.address


class Live(Courier):
    """The courier, with the parts of `send` as the fake has them, so that the contract can look at each."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._parts = client

    def open_job(self, spec: JobSpec) -> Future[Opened]:
        def open_job() -> Opened:
            state, missing = self._parts.open_job(spec)
            return Opened(state=state, missing=missing)

        return now(open_job)

    def upload(self, job_id: str, missing: Sequence[str], read: Callable[[str], np.ndarray]) -> Future[int]:
        return now(lambda: self._parts.upload(job_id, map(read, missing), missing) if missing else 0)

    def seal_job(self, job_id: str) -> Future[JobState]:
        return now(lambda: self._parts.seal_job(job_id))


@pytest.fixture(params=["fake", "live"])
def backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "fake":
        yield FakeBackend()
        return
    courier = Live(Client(request.getfixturevalue("live"), patience=math.inf))
    yield courier
    courier.close()
