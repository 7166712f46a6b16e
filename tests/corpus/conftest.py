"""One live server for the whole corpus, with a job in every state that an entry may want."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.corpus.play import SECRET, Entry, Outcome, messages, play, request, token
from tests.serving import guard, serving

LIMITS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
STATES = ("open", "finished", "running", "waiting", "paused", "cancelled", "berts", "ones", "large", "deep", "coloured")
JOBS = {name: md5(name.encode()).hexdigest() for name in STATES} | {"unknown": "0" * 32, "long": "l" * 10**6}
"""The jobs' ids by what entries call them; and an option's name that is too long."""
CALLERS: dict[str, tuple[str, dict[str, int]]] = {
    "anna": ("paint", {}),
    "bert": ("paint", {}),
    "ruth": ("admin", {}),
    "few": ("paint", {"frames": 2}),
    "small": ("paint", {"pixels": 767}),
    "light": ("paint", {"bytes": 3 * 32 * 24 * 3 - 1}),
    "one": ("paint", {"jobs": 1}),
}
SLOW = {"delay": {"number": 5}, "steps": {"whole": 1000}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A live server that keeps its jobs in `folder`; `jobs` are its jobs' ids by what entries call them."""

    address: str
    channel: grpc.Channel
    process: int
    folder: Path
    jobs: dict[str, str]

    def ask(self, call: str, change: dict[str, Any] | None = None, caller: str = "anna") -> Outcome:
        return play(self.channel, call, [request(call, change or {}, self.jobs).SerializeToString()], caller=caller)

    def files(self) -> set[Path]:
        """Every file around the server but those of its database and of the windows it paints."""
        seen = (path for path in self.folder.parent.rglob("*") if path.is_file())
        return {path for path in seen if "windows" not in path.parts and not path.name.startswith("jobs.sqlite")}

    def listed(self) -> set[tuple[str, int]]:
        """The server's jobs and their states; asks the server, so it must answer."""
        listed = self.ask("ListJobs", caller="ruth")
        assert listed.status == "OK", listed
        return {(job.id, job.state) for answer in listed.answers for job in answer.jobs}  # pyright: ignore[reportAttributeAccessIssue]


def check_words(outcome: Outcome, stage: Stage) -> None:
    """The server's error says which field, what and what to do, and nothing that is not the client's to know."""
    detail = outcome.detail
    assert detail is not None, outcome
    assert detail.field and detail.message and detail.remedy, outcome
    for leak in (SECRET, str(stage.folder), "/overpaint", "Traceback", 'File "', ".py"):
        assert leak not in outcome.details + detail.field + detail.message + detail.remedy, outcome


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("corpus") / "jobs"
    for name, (scope, allowance) in CALLERS.items():
        guard(folder, token(name), name, (scope,), **allowance)
    with serving(folder) as server, grpc.insecure_channel(server.address, LIMITS) as channel:
        stage = Stage(
            address=server.address, channel=channel, process=server.process.pid, folder=folder, jobs=dict(JOBS)
        )
        _fill(stage)
        yield stage


def _fill(stage: Stage) -> None:
    frames = [{"$digest": name} for name in ("a", "b", "c", "wide", "grey", "deep")]
    _open(stage, "open", {"spec.clip.frames": frames})
    _open(stage, "cancelled", {})
    _open(stage, "ones", {}, "one")
    _ok(stage.ask("CancelJob", {"job_id": "$cancelled"}))
    # Frames that no entry sends, so that those of the entries are still missing.
    mine = {"spec.clip.frames": [{"$digest": name} for name in ("x", "y", "z")]}
    colours = {"frame": 0, "pixels": {"$digest": "x"}}
    _open(stage, "finished", mine)
    _open(stage, "berts", mine, "bert")
    upload = Entry(name="", call="UploadFrames", status="OK", change={"job_id": "$finished"}, frames=["x", "y", "z"])
    _ok(play(stage.channel, upload.call, messages(upload, stage.jobs)))
    _ok(stage.ask("SealJob", {"job_id": "$finished"}))
    _ok(stage.ask("WatchJob", {"job_id": "$finished"}))
    _open(stage, "large", mine | {"spec.clip.size": {"width": 64, "height": 48}})
    _open(stage, "deep", mine | {"spec.clip.depth": 16})
    _open(stage, "coloured", mine | {"spec.clip.frames.0": {"$digest": "y"}, "spec.edit.guides.0.keys.0": colours})
    for name in ("running", "waiting", "paused"):
        _open(stage, name, mine | {"spec.edit.options": SLOW})
        _ok(stage.ask("SealJob", {"job_id": f"${name}"}))
    _ok(stage.ask("PauseJob", {"job_id": "$paused"}))
    watching = stage.channel.unary_stream(
        "/overpaint.v1.OverpaintService/WatchJob", request_serializer=bytes, response_deserializer=bytes
    )
    events = watching(
        request("WatchJob", {"job_id": "$running"}, stage.jobs).SerializeToString(),
        timeout=90,
        metadata=(("authorization", f"Bearer {token('anna')}"),),
    )
    for _ in zip(range(4), events, strict=False):  # opened, sealed, started, and it paints
        pass
    events.cancel()


def _open(stage: Stage, name: str, change: dict[str, Any], caller: str = "anna") -> None:
    _ok(stage.ask("OpenJob", {"spec.id": f"${name}"} | change, caller))


def _ok(outcome: Outcome) -> None:
    assert outcome.status == "OK", json.dumps([outcome.status, outcome.details])
