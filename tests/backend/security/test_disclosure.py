"""What nobody gets to know, and what no client reaches: logs, errors, files, paths."""

from __future__ import annotations

import ast
import os
import re
import stat
import sys
import sysconfig
import uuid
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from overpaint.client import Client
from overpaint.errors import Invalid, OverpaintError, Unauthenticated
from overpaint.job import EventKind, JobSpec
from overpaint.v1 import service_pb2
from overpaint_backend import registry
from overpaint_backend.cli.arguments import show
from overpaint_backend.quiet import ASKED, failure
from overpaint_backend.settings import read_token

from tests.backend.security.watched import opened, watched
from tests.backend.test_access import PIXELS, job, paint
from tests.serving import guard, serving

ROOT = Path(__file__).parents[3]
SECRET = "zebra with a top hat 4711"
TOKENS = {"anna": "a" * 31 + "7", "bert": "b" * 31 + "7"}


def told(client: Client, spec: JobSpec) -> str:
    """Send a job that fails, and what its owner hears of it."""
    _, missing = client.open_job(spec)
    if missing:
        client.upload(spec.id, map(PIXELS.__getitem__, missing), missing)
    client.seal_job(spec.id)
    last = list(client.watch(spec.id))[-1]
    assert last.kind is EventKind.FAILED
    return last.message


def secretive(engine: str, prompt: str = SECRET) -> JobSpec:
    spec = job()
    return replace(spec, engine=engine, edit=replace(spec.edit, prompt=prompt, negative_prompt=f"no {SECRET}"))


@pytest.mark.parametrize("asked", [False, True])
def test_prompts_tokens_and_words_of_failures_are_in_no_log_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    monkeypatch.setenv("GRPC_VERBOSITY", "debug")
    for name, token in TOKENS.items():
        guard(tmp_path / "jobs", token, name)
    flags = ("--log-prompts",) if asked else ()
    with (
        watched(tmp_path, monkeypatch, *flags) as (server, _),
        Client(server.address, token=TOKENS["anna"]) as anna,
        Client(server.address, token=TOKENS["bert"]) as bert,
        Client(server.address, token=f"guess {TOKENS['anna']}") as guess,
    ):
        paint(anna, secretive("toy"))
        assert SECRET in told(anna, secretive("quoting"))  # its owner hears what the engine said
        with pytest.raises(Invalid) as refused:
            anna.open_job(replace(secretive("toy"), edit=replace(secretive("toy").edit, options={"colour": SECRET})))
        with pytest.raises(Unauthenticated) as unknown:
            guess.jobs()
        assert TOKENS["anna"] not in str(refused.value) + str(unknown.value)
        assert SECRET in str(anna.jobs()) and SECRET not in str(bert.jobs())
        for ask in (bert.watch, bert.fetch):
            with pytest.raises(OverpaintError) as hidden:
                list(ask(anna.jobs()[0].id))
            assert SECRET not in str(hidden.value)
    log = (tmp_path / "jobs.log").read_text()
    assert "ValueError" in log and "quoting_engine.py" in log  # the failure and its place are there, at any rate
    assert (SECRET in log) == asked
    assert not any(token in log for token in TOKENS.values())


def test_a_failure_is_logged_by_type_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise ValueError(f"no {SECRET}") from error

    with pytest.raises(ValueError) as failed:
        fail()
    said = failure(failed.value)
    monkeypatch.setenv(ASKED, "1")
    asked = failure(failed.value)
    assert re.fullmatch(
        r"ValueError at security/test_disclosure\.py:\d+ fail < \S+ test_a_f\w+; after KeyError at \S+ fail", said
    )
    assert SECRET in asked and "Traceback" in asked


@pytest.mark.parametrize(("said", "quotes"), [("0", False), ("False", False), ("", False), ("1", True), ("yes", True)])
def test_who_says_no_to_prompts_in_the_log_gets_none(monkeypatch: pytest.MonkeyPatch, said: str, quotes: bool) -> None:
    monkeypatch.setenv(ASKED, said)
    assert (SECRET in failure(ValueError(SECRET))) == quotes


def test_what_ends_a_worker_is_not_said_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor in those of the traceback that Python shows when a process ends by an error."""
    prompt = f"CUDA error: {SECRET}"
    with watched(tmp_path, monkeypatch) as (server, _), Client(server.address) as anna:
        assert "it stopped its worker" in told(anna, secretive("quoting", prompt))
    log = (tmp_path / "jobs.log").read_text()
    assert log.count("the worker ended with exit code 1") >= 2 and SECRET not in log


def test_what_an_engine_lacks_is_told_without_the_servers_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor where its files are not what they should be."""

    class Package:
        card = registry.card("toy")

        @staticmethod
        def check(weights: Path) -> None:
            raise Invalid(field="weights", message=f"{weights / 'toy' / 'a.bin'} is a pickle", remedy=f"Not {weights}")

    monkeypatch.setattr(registry, "_package", lambda _: Package)
    said = {card.obstacle for card in registry.usable(tmp_path / "secret place", gpu=True)}
    assert said == {f"{Path('toy') / 'a.bin'} is a pickle. Not the folder"}


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_nothing_that_the_server_keeps_is_for_others_on_its_machine(tmp_path: Path) -> None:
    """Even in a folder that is there and open to all, and in files of an earlier version."""
    folder = tmp_path / "jobs"
    before = os.umask(0)
    try:
        (folder / "spool").mkdir(parents=True, mode=0o777)
        (folder / "jobs.sqlite").touch(0o666)
        with serving(folder) as server, Client(server.address) as client:
            paint(client, job())
            loose = [
                path
                for path in folder.rglob("*")
                if path.stat().st_mode & 0o077 and not stat.S_ISSOCK(path.stat().st_mode)
            ]
            assert loose == [] and len(list(folder.rglob("*"))) > 20
    finally:
        os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_file_with_a_clients_token_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("open sesame\n")
    file.chmod(0o644)
    with pytest.raises(Invalid, match="may be read by others"):
        read_token(file)
    file.chmod(0o600)
    assert read_token(file) == "open sesame"


def test_what_others_wrote_does_not_rule_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server refuses such a prompt, and the command line does not print what another server lets through."""
    prompt = "\x1b]0;owned\x07\x9b2J zebra"
    with serving(tmp_path / "jobs") as server, Client(server.address) as client, pytest.raises(Invalid):
        client.open_job(secretive("toy", prompt))
    show(Namespace(json=False), {}, f"toy {prompt}\nnext")
    assert capsys.readouterr().out == "toy ?]0;owned??2J zebra\nnext\n"


# Paths

MARK = "zqx"
HOSTILE = (f"../../../{MARK}", f"/etc/{MARK}", f"{MARK}\0x", f"..\\..\\{MARK}", f"{MARK}:stream", "")
SERVICE = service_pb2.DESCRIPTOR.services_by_name["OverpaintService"]
INSIDE = re.compile(
    r"(spool(/frames|/windows)?(/[0-9a-f]{2}(/[0-9a-f]{64}(\.npz)?(\.[0-9a-f]{32}\.part)?)?)?"
    r"|jobs\.sqlite(-wal|-shm|-journal)?|server\.lock(-journal|-wal)?|tokens\.json|weights(/[\w.-]+)*)?"
)


def fill(message: Message, word: str, depth: int = 0) -> Message:
    """Every text of the message is `word`, in every message that it may hold."""
    for field in message.DESCRIPTOR.fields:
        if depth > 5 or (field.containing_oneof and message.WhichOneof(field.containing_oneof.name)):
            continue
        made: Any = None
        if field.type == FieldDescriptor.TYPE_STRING:
            made = word
        elif field.type == FieldDescriptor.TYPE_BYTES:
            made = (word.encode() * 32)[:32]
        elif field.type == FieldDescriptor.TYPE_ENUM:
            made = 1
        elif field.type in (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_INT32):
            made = 8
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            fill(getattr(message, field.name)[word], word, depth + 1)
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            fill(inner.add() if field.is_repeated else inner, word, depth + 1)
        elif made is not None and field.is_repeated:
            getattr(message, field.name).append(made)
        elif made is not None:
            setattr(message, field.name, made)
    return message


def call_all(channel: grpc.Channel, word: str) -> int:
    """Every method of the service with hostile messages: alone, and with ids that are legal and unknown."""
    refused = 0
    for method in SERVICE.methods:
        path = f"/{SERVICE.full_name}/{method.name}"
        for job_id in (None, uuid.uuid4().hex):
            request: Any = fill(GetMessageClass(method.input_type)(), word)
            if job_id and hasattr(request, "job_id"):
                request.job_id = job_id
            if job_id and hasattr(request, "spec"):
                request.spec.id = job_id
            body = request.SerializeToString()
            with suppress(grpc.RpcError):
                if method.client_streaming:
                    call = channel.stream_stream if method.server_streaming else channel.stream_unary
                    answer = call(path)(iter([body, body]), timeout=10)
                else:
                    call = channel.unary_stream if method.server_streaming else channel.unary_unary
                    answer = call(path)(body, timeout=10)
                if method.server_streaming:
                    list(answer)
                refused -= 1
            refused += 1
    return refused


def strange(spec: JobSpec, word: str) -> Iterator[JobSpec]:
    """Jobs with this word in every place that has room for one."""
    yield replace(spec, id=uuid.uuid4().hex, edit=replace(spec.edit, prompt=word, negative_prompt=word))
    yield replace(spec, id=word)
    yield replace(spec, engine=word)
    yield replace(spec, edit=replace(spec.edit, options={word or "x": word}))
    yield replace(spec, edit=replace(spec.edit, options={"pattern": word}))


def test_no_string_of_a_client_becomes_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file that any process of the server touches is one of ours, and is written inside the folder."""
    folder = (tmp_path / "jobs").resolve()
    with (
        watched(tmp_path, monkeypatch) as (server, said),
        Client(server.address) as client,
        grpc.insecure_channel(server.address) as channel,
    ):
        paint(client, job())
        before = said.stat().st_size
        refused = painted = 0
        for word in HOSTILE:
            refused += call_all(channel, word)
            for spec in strange(job(), word):
                try:
                    paint(client, spec)
                    painted += 1
                except OverpaintError:
                    refused += 1
        assert painted >= len(HOSTILE) - 1 and refused > 4 * len(HOSTILE)
        found = opened(said, before)
    code = [Path(sysconfig.get_paths()[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    ours = [*code, Path(sys.prefix), Path(sys.base_prefix), ROOT, tmp_path / "room", Path("/proc"), Path("/sys")]
    within = 0
    for event, args in found:
        assert not any(MARK in str(one) or "\0" in str(one) for one in args), (event, args)
        for place in (Path(one) for one in args[:2] if isinstance(one, str) and one.startswith(os.sep)):
            if place.is_relative_to(folder):
                within += 1
                assert INSIDE.fullmatch(place.relative_to(folder).as_posix().strip(".")), (event, args)
            elif event == "open":
                read = not int(args[-1]) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
                known = any(place.is_relative_to(one) for one in ours)
                assert (read and known) or place == Path(os.devnull), (event, args)
    assert within > 50


# The code itself

FORBIDDEN = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml"}
BARE = {"eval", "exec", "compile", "__import__"}


def dangers(source: str) -> Iterator[str]:
    """Whatever makes code or objects out of bytes.

    Not multiprocessing: its pipes pickle, but only between a process and those that it has started itself, and what
    goes through them are our own values: no byte of a client's is unpickled.
    """
    for node in ast.walk(ast.parse(source)):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name for name in names if name.split(".")[0] in FORBIDDEN)
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {one.arg: ast.unparse(one.value) for one in node.keywords}
        bad = called in BARE
        bad |= called.endswith("torch.load") and given.get("weights_only") != "True"
        bad |= given.get("allow_pickle", "False") != "False"
        bad |= given.get("trust_remote_code", "False") != "False" or given.get("shell", "False") != "False"
        bad |= called in ("os.system", "os.popen", "tempfile.mktemp")
        if bad:
            yield f"{called}:{node.lineno}"


def test_no_bytes_become_code_or_objects() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {danger}"
        for room in ("shared/overpaint", "backend/overpaint_backend", "addon")
        for path in (ROOT / room).rglob("*.py")
        for danger in dangers(path.read_text("utf-8"))
    }
    assert found == set()


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from yaml import load",
        "eval(x)",
        "exec(x)",
        "torch.load(x)",
        "torch.load(x, weights_only=False)",
        "np.load(x, allow_pickle=True)",
        "np.load(x, allow_pickle=flag)",
        "run(x, shell=True)",
        "Model.from_pretrained(x, trust_remote_code=True)",
    ],
)
def test_dangers_are_seen(source: str) -> None:
    assert list(dangers(source))
    assert not list(dangers("np.load(x)\ntorch.load(x, weights_only=True)\nre.compile(x)\nmodel.eval()"))


def test_a_numpy_file_with_objects_is_not_opened(tmp_path: Path) -> None:
    """np.load without allow_pickle: the default that the spool's files are read with."""
    np.savez(tmp_path / "a.npz", frames=np.array([{}], dtype=object), allow_pickle=True)
    from overpaint.errors import Corrupt
    from overpaint_backend.jobs.spool import Spool

    spool = Spool(tmp_path / "spool")
    key = "0" * 64
    (tmp_path / "spool" / "windows" / "00").mkdir()
    (tmp_path / "a.npz").rename(tmp_path / "spool" / "windows" / "00" / f"{key}.npz")
    with pytest.raises(Corrupt):
        spool.window(key)
