"""Callers, tokens and what belongs to whom, over a real server."""

from __future__ import annotations

import json
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Task
from overpaint.errors import Conflict, Exhausted, Forbidden, Invalid, Missing, Unauthenticated
from overpaint.job import EventKind, JobSpec
from overpaint_backend.access import Allowance, Door, Scope, add_token, callers, remove_token

from tests.fakes import clip_frames, held_mask
from tests.serving import guard, serving

FRAMES = clip_frames(6)
MASK = np.zeros((24, 32), np.uint8)
MASK[6:15, 10:20] = 255
PIXELS = {digest(one): one for one in (*FRAMES, MASK)}


def job(length: int = 6) -> JobSpec:
    frames = tuple(map(digest, FRAMES[:length]))
    clip = Clip(size=Size(width=32, height=24), rate=Rate(numerator=24), depth=8, frames=frames)
    return JobSpec(
        id=uuid.uuid4().hex, engine="toy", clip=clip, edit=Edit(task=Task.REPAINT, guides=(held_mask(MASK),))
    )


def paint(client: Client, spec: JobSpec) -> list[np.ndarray]:
    _, missing = client.open_job(spec)
    if missing:
        client.upload(spec.id, map(PIXELS.__getitem__, missing), missing)
    client.seal_job(spec.id)
    assert list(client.watch(spec.id))[-1].kind is EventKind.FINISHED
    return list(client.fetch(spec.id))


def test_a_token_is_kept_as_a_hash_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    token = add_token(file, "anna", frozenset({Scope.PAINT}), Allowance(jobs=2))
    assert token not in file.read_text() and len(token) >= 32
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Conflict, match="anna has a token"):
        add_token(file, "anna", frozenset({Scope.PAINT}), Allowance())
    door = Door(file, guarded=False)
    assert door.admit(token).name == "anna" and door.admit(token).allowance.jobs == 2 and not door.open
    for wrong in ("", token[:-1], token.lower(), json.loads(file.read_text())["tokens"][0]["sha256"]):
        with pytest.raises(Unauthenticated):
            door.admit(wrong)
    assert [one.name for one in callers(file)] == ["anna"]
    remove_token(file, "anna")
    with pytest.raises(Unauthenticated):
        door.admit(token)
    assert not door.open  # the last token is gone, and the door stays shut
    with pytest.raises(Missing):
        remove_token(file, "anna")


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_tokens_that_others_may_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    add_token(file, "anna", frozenset({Scope.PAINT}), Allowance())
    file.chmod(0o644)
    with pytest.raises(Invalid, match="may be read by others"):
        Door(file, guarded=False)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_list_whose_mode_changes_shuts_the_door_and_opens_it_again(tmp_path: Path) -> None:
    """What the log says to do about it helps, without a restart."""
    file = tmp_path / "tokens.json"
    token = add_token(file, "anna", frozenset({Scope.PAINT}), Allowance())
    door = Door(file, guarded=False)
    assert door.admit(token).name == "anna"
    file.chmod(0o644)
    with pytest.raises(Unauthenticated):
        door.admit(token)
    file.chmod(0o600)
    assert door.admit(token).name == "anna"


def test_a_damaged_list_opens_nothing(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    file.write_text('{"tokens": [{"name": "anna"}]}')
    file.chmod(0o600)
    with pytest.raises(Invalid, match="not a list of tokens"):
        Door(file, guarded=False)


def test_one_client_never_sees_what_is_anothers(tmp_path: Path) -> None:
    guard(tmp_path / "jobs", "a" * 32, "anna")
    guard(tmp_path / "jobs", "b" * 32, "bert")
    guard(tmp_path / "jobs", "c" * 32, "chief", ("admin",))
    spec = job()
    with (
        serving(tmp_path / "jobs") as server,
        Client(server.address, token="a" * 32) as anna,
        Client(server.address, token="b" * 32) as bert,
        Client(server.address, token="c" * 32) as chief,
    ):
        patches = paint(anna, spec)
        assert anna.open_job(replace(spec, id=uuid.uuid4().hex))[1] == ()  # law 6, for what is one's own
        calls = [bert.seal_job, bert.cancel, bert.pause, bert.resume, bert.move_up, bert.retry, bert.delete]
        calls += [lambda id: list(bert.watch(id)), lambda id: list(bert.fetch(id)), lambda id: bert.upload(id, [MASK])]
        for call in calls:
            with pytest.raises(Missing) as hidden:
                call(spec.id)
            with pytest.raises(Missing) as unknown:
                call("f" * 32)
            assert str(hidden.value).replace(spec.id, "") == str(unknown.value).replace("f" * 32, "")
        assert bert.jobs() == () and {one.id for one in anna.jobs()} >= {spec.id}
        mine = job()
        assert bert.open_job(mine)[1] == mine.digests()  # though the server has every pixel
        with pytest.raises(Conflict, match="frames of the job are missing"):
            bert.seal_job(mine.id)
        with pytest.raises(Conflict, match="another job has the id"):
            bert.open_job(spec)
        again = paint(bert, mine)
        assert all(map(np.array_equal, patches, again))
        assert not any(event.reused for event in bert.watch(mine.id))
        bert.delete(mine.id)
        assert all(map(np.array_equal, patches, anna.fetch(spec.id)))  # what anna has as well stays
        assert {one.owner for one in chief.jobs()} == {"anna"}
        with pytest.raises(Forbidden, match="takes the scope paint"):
            chief.open_job(job())


def test_what_a_token_may_have_is_bounded(tmp_path: Path) -> None:
    size = (6 * 3 + 1) * 32 * 24
    guard(tmp_path / "jobs", "a" * 32, "anna", frames=5)
    guard(tmp_path / "jobs", "b" * 32, "bert", pixels=700)
    guard(tmp_path / "jobs", "c" * 32, "cleo", jobs=1)
    guard(tmp_path / "jobs", "d" * 32, "dora", bytes=2 * size - 1)
    with serving(tmp_path / "jobs") as server:
        for token, field in (("a", "frames"), ("b", "pixels")):
            with Client(server.address, token=token * 32) as client, pytest.raises(Exhausted) as refused:
                client.open_job(job())
            assert refused.value.field == field and refused.value.remedy
        with Client(server.address, token="c" * 32) as cleo:
            spec = job()
            cleo.open_job(spec)
            cleo.open_job(spec)  # the same one again counts once
            with pytest.raises(Exhausted, match="cleo may have 1 jobs at a time"):
                cleo.open_job(job())
            cleo.cancel(spec.id)
            cleo.open_job(job())
        with Client(server.address, token="d" * 32) as dora:
            spec = job()
            paint(dora, spec)
            with pytest.raises(Exhausted, match="bytes of pixels in all its jobs"):
                dora.open_job(job())
            dora.delete(spec.id)
            dora.open_job(job())


def test_jobs_that_are_opened_at_once_are_counted_one_by_one(tmp_path: Path) -> None:
    guard(tmp_path / "jobs", "c" * 32, "cleo", jobs=1)
    with (
        serving(tmp_path / "jobs") as server,
        Client(server.address, token="c" * 32) as cleo,
        ThreadPoolExecutor(32) as threads,
    ):

        def opens(spec: JobSpec) -> bool:
            try:
                cleo.open_job(spec)
            except Exhausted:
                return False
            return True

        assert sum(threads.map(opens, [job() for _ in range(64)])) == 1


def test_a_job_that_is_tried_again_counts(tmp_path: Path) -> None:
    guard(tmp_path / "jobs", "c" * 32, "cleo", jobs=1)
    guard(tmp_path / "jobs", "d" * 32, "chief", ("admin",))
    with (
        serving(tmp_path / "jobs") as server,
        Client(server.address, token="c" * 32) as cleo,
        Client(server.address, token="d" * 32) as chief,
    ):
        spec = job()
        _, missing = cleo.open_job(spec)
        cleo.upload(spec.id, map(PIXELS.__getitem__, missing), missing)
        cleo.cancel(spec.id)
        other = job()
        cleo.open_job(other)
        with pytest.raises(Exhausted, match="cleo may have 1 jobs at a time"):
            cleo.retry(spec.id)
        cleo.cancel(other.id)
        cleo.retry(spec.id)
        assert list(cleo.watch(spec.id))[-1].kind is EventKind.FINISHED
        cancelled = job()
        cleo.open_job(cancelled)
        cleo.cancel(cancelled.id)
        cleo.open_job(job())
        chief.retry(cancelled.id)


def test_reflection_is_for_callers_only(tmp_path: Path) -> None:
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    guard(tmp_path / "jobs", "a" * 32)
    with serving(tmp_path / "jobs") as server, grpc.insecure_channel(server.address) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = stub.ServerReflectionInfo
        question = reflection_pb2.ServerReflectionRequest(list_services="*")
        with pytest.raises(grpc.RpcError) as refused:
            list(ask(iter([question])))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]
        answer = next(ask(iter([question]), metadata=(("authorization", f"Bearer {'a' * 32}"),)))
        assert "overpaint.v1.OverpaintService" in str(answer)
