"""The two subjects of the contract: the fake, and a live server behind the add-on's courier."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from overpaint.client import Client
from overpaint_addon.link.courier import Courier

from tests.fakes import FakeBackend
from tests.serving import serving


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("live") / "jobs") as server:
        yield server.address


@pytest.fixture(params=["fake", "live"])
def backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "fake":
        yield FakeBackend()
        return
    courier = Courier(Client(request.getfixturevalue("live")))
    yield courier
    courier.close()
