"""The corpus: bad inputs as data, each with the error that it must produce, over TCP against one live server."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from pathlib import Path

import grpc
import pytest
from overpaint.v1 import service_pb2
from overpaint_backend.service import WATCHERS

from tests.corpus.conftest import Stage, check_words
from tests.corpus.play import METHODS, SERVICE, Entry, Outcome, bomb, digest, entries, messages, play, request, token

ENTRIES = entries()
HOLDS = 4 << 30  # bytes that a bomb of 131 kB holds
LARGEST = 8192 * 4320 * 3  # bytes of the largest frame that the server takes
BOMBS = {
    "it says what it holds": ((8192, 4320), HOLDS, 50),
    "it says nothing": ((8192, 4320), None, 50),
    "it says it is the frame, and a frame's room is made for it": ((8192, 4320), LARGEST, LARGEST / 1e6 + 50),
    "it says it is a frame, and the job has none so large": ((32, 24), LARGEST, 50),
}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.call}: {entry.name}")
def test_a_bad_input_is_refused_in_words_and_leaves_nothing(stage: Stage, entry: Entry) -> None:
    files, jobs = stage.files(), stage.listed()
    try:
        check_answer(entry, play(stage.channel, entry.call, messages(entry, stage.jobs), caller=entry.caller), stage)
        assert stage.listed() == jobs
        assert {path.name for path in stage.files() - files} == set(map(digest, entry.kept)) and files <= stage.files()
    finally:
        for path in stage.files() - files:
            path.unlink()  # the next entry finds the server as this one did


def check_answer(entry: Entry, outcome: Outcome, stage: Stage) -> None:
    assert outcome.status == entry.status, outcome
    assert entry.words and entry.words in outcome.details, outcome
    if entry.by_grpc:
        assert outcome.detail is None
    else:
        check_words(outcome, stage)
        assert outcome.detail is not None and outcome.detail.field == entry.field, outcome


def test_the_corpus_is_large_and_every_call_has_its_part() -> None:
    calls = Counter(entry.call for entry in ENTRIES)
    assert len(ENTRIES) >= 200
    assert set(calls) == set(METHODS), set(METHODS) ^ set(calls)
    names = Counter((entry.call, entry.name) for entry in ENTRIES)
    assert max(names.values()) == 1, names.most_common(1)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux for a process's peak memory")
@pytest.mark.parametrize(("size", "says", "grows"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_costs_no_memory(stage: Stage, size: tuple[int, int], says: int | None, grows: float) -> None:
    """`grows`: megabytes that the server's peak may lie above what it has before."""
    stage.jobs["bombed"] = uuid.uuid4().hex
    change = {"spec.id": "$bombed", "spec.clip.size": {"width": size[0], "height": size[1]}}
    assert stage.ask("OpenJob", change).status == "OK"
    entry = Entry(name="", call="UploadFrames", status="", change={"job_id": "$bombed"}, frames=["a"])
    message = service_pb2.UploadFramesRequest.FromString(messages(entry, stage.jobs)[0])
    message.chunk.payload = bomb(says, HOLDS)
    header = message.chunk.header
    header.width, header.height, header.payload_bytes = 8192, 4320, len(message.chunk.payload)
    assert len(message.chunk.payload) < 200_000
    before = memory(stage, "VmRSS")
    Path(f"/proc/{stage.process}/clear_refs").write_text("5")  # from here on the peak counts anew
    outcomes = [play(stage.channel, "UploadFrames", [message.SerializeToString()]) for _ in range(3)]
    peak = memory(stage, "VmHWM")
    assert {outcome.status for outcome in outcomes} <= {"DATA_LOSS", "RESOURCE_EXHAUSTED"}
    assert peak - before < grows
    assert stage.ask("DeleteJob", {"job_id": "$bombed"}).status == "OK"


def memory(stage: Stage, what: str) -> float:
    """Megabytes of the server's process."""
    for line in Path(f"/proc/{stage.process}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1000
    raise KeyError(what)


def test_watchers_that_went_away_hold_no_thread(stage: Stage) -> None:
    """The server has a seat for each of WATCHERS; nothing happens to an open job that would wake those who sit."""
    watch = stage.channel.unary_stream(
        f"/{SERVICE.full_name}/WatchJob", request_serializer=bytes, response_deserializer=bytes
    )
    body = request("WatchJob", {"job_id": "$open"}, stage.jobs).SerializeToString()
    shown = (("authorization", f"Bearer {token('anna')}"),)
    for _ in range(2):
        watching, stop = [], time.monotonic() + 90
        while len(watching) < WATCHERS:
            events = watch(body, timeout=180, metadata=shown)
            try:
                next(events)  # it is opened, so the call has its seat
                watching.append(events)
            except grpc.RpcError:  # whoever went away a moment ago may still sit
                assert time.monotonic() < stop, "those who went away still sit"
                time.sleep(0.05)
        for events in watching:
            events.cancel()
    assert play(stage.channel, "GetServer", [b""]).status == "OK"
