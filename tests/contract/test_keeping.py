"""What a server keeps of its jobs: shown, given back, and pruned, as proto/ says it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from overpaint.client import Client
from overpaint.codec import digest
from overpaint.errors import Conflict, Forbidden, Invalid, Missing
from overpaint.job import EventKind, JobSpec, JobState, Pruned
from overpaint.v1 import service_pb2

from tests.contract.test_backend import MASK, fresh, job
from tests.serving import guard, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("guarded") / "jobs"
    for name in ("anna", "bert"):
        guard(folder, name, name)
    guard(folder, "root", "root", ("admin",))
    with serving(folder) as running:
        yield running.address


@pytest.fixture
def anna(server: str) -> Iterator[Client]:
    with Client(server, token="anna") as client:
        yield client


def painted(client: Client) -> tuple[JobSpec, list[np.ndarray]]:
    frames = fresh()
    spec = job(frames, options={"strength": 0.5})
    pixels = {digest(one): one for one in (*frames, MASK)}
    _, missing = client.open_job(spec)
    client.upload(spec.id, [pixels[one] for one in missing])
    client.seal_job(spec.id)
    assert list(client.watch(spec.id))[-1].kind is EventKind.FINISHED
    return spec, frames


def test_a_job_comes_back_with_its_request_its_source_and_what_it_holds(anna: Client) -> None:
    spec, frames = painted(anna)
    record = anna.job(spec.id)
    assert record.spec == spec and record.summary in anna.jobs()
    assert (record.summary.state, record.summary.owner) == (JobState.FINISHED, "anna")
    takes = {digest(patch) for patch in anna.fetch(spec.id)}
    assert record.frames == len(frames) + 1 + len(takes) and record.windows == 2
    assert record.bytes > sum(frame.nbytes for frame in frames) / 2
    source = list(anna.fetch(spec.id, source=True))
    assert all(np.array_equal(one, frame) for one, frame in zip(source, frames, strict=True))
    assert len(list(anna.fetch(spec.id, 15, source=True))) == len(frames) - 15


def test_nobody_sees_or_reads_anothers_job(server: str, anna: Client) -> None:
    spec, _ = painted(anna)
    with Client(server, token="bert") as bert:
        with pytest.raises(Missing):
            bert.job(spec.id)
        with pytest.raises(Missing):
            list(bert.fetch(spec.id, source=True))
        # A job that names anna's pixels does not give them to who never sent them.
        theirs = replace(spec, id="b" * 32)
        bert.open_job(theirs)
        with pytest.raises(Conflict, match="are missing"):
            list(bert.fetch(theirs.id, source=True))
        bert.cancel(theirs.id)
        with pytest.raises(Conflict, match="are missing"):
            list(bert.fetch(theirs.id, source=True))


def test_to_prune_takes_the_scope_and_tells_what_went(server: str, anna: Client) -> None:
    spec, _ = painted(anna)
    with pytest.raises(Forbidden, match="admin"):
        anna.prune(0)
    with Client(server, token="root") as root:
        assert root.prune() == Pruned()  # nothing is 30 days old
        for days in (-1.0, float("inf"), float("nan")):
            with pytest.raises(Invalid, match="no number of days"):
                root.prune(days)
        record = anna.job(spec.id)
        would = root.prune(0, dry_run=True)
        assert would.jobs >= 1 and would.windows >= record.windows and would.bytes >= record.bytes
        assert anna.job(spec.id) == record
        assert root.prune(0) == would and root.prune(0) == Pruned()
    with pytest.raises(Missing):
        anna.job(spec.id)


def test_an_absent_number_of_days_and_no_days_are_told_apart() -> None:
    """0 means every ended job, so a client that says nothing must not be taken to say 0."""
    absent = service_pb2.PruneJobsRequest.FromString(b"")
    assert not absent.HasField("older_than_days")
    said = service_pb2.PruneJobsRequest(older_than_days=0)
    assert service_pb2.PruneJobsRequest.FromString(said.SerializeToString()).HasField("older_than_days")
