"""The web page, its api, /health and /metrics of a real server over real HTTP."""

from __future__ import annotations

import json
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Task
from overpaint.errors import Missing
from overpaint.job import EventKind, JobSpec
from overpaint_backend.web.listening import THREADS

from tests.fakes import clip_frames, held_mask
from tests.serving import Serving, guard, serving

FRAMES = clip_frames(40)
MASK = np.zeros((24, 32), np.uint8)
MASK[6:15, 10:20] = 255
SECRET = "a red raincoat nobody may read of"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, *, method: str = "GET", token: str = "", trust: Path | None = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, method=method, headers=named)
    context = ssl.create_default_context(cafile=str(trust)) if trust else None
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            return Answer(status=answer.status, headers=dict(answer.headers), body=answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(status=error.code, headers=dict(error.headers), body=error.read())


def figures(web: str, token: str = "") -> dict[str, float]:
    lines = ask(f"{web}metrics", token=token).body.decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


LONG = 400  # steps that take minutes: such a job is cancelled when all has been looked at


def job(delay: float = 0.0, steps: int = 4, mask: np.ndarray = MASK, seed: int = 0) -> JobSpec:
    clip = Clip(size=Size(width=32, height=24), rate=Rate(numerator=24), depth=8, frames=tuple(map(digest, FRAMES)))
    edit = Edit(
        task=Task.REPAINT, prompt=SECRET, guides=(held_mask(mask),), options={"delay": delay, "steps": steps}, seed=seed
    )
    return JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=edit)


def submit(client: Client, spec: JobSpec, mask: np.ndarray = MASK) -> str:
    pixels = {digest(one): one for one in (*FRAMES, mask)}
    _, missing = client.open_job(spec)
    client.upload(spec.id, [pixels[one] for one in missing]) if missing else None
    client.seal_job(spec.id)
    return spec.id


def ended(client: Client, it: str) -> EventKind:
    """How the job ends, which is awaited."""
    return list(client.watch(it))[-1].kind


def until(condition: Any, seconds: float = 90.0) -> Any:
    stop = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < stop, "it did not come to pass"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server of this machine alone, without tokens."""
    with serving(tmp_path_factory.mktemp("open") / "jobs", "--web", "127.0.0.1:0", "--log-format", "json") as server:
        yield server


def test_the_page_and_its_parts_come_with_every_guard(opened: Serving) -> None:
    for path, kind in {
        "": "text/html",
        "page.css": "text/css",
        "page.js": "text/javascript",
        "icon.svg": "image/svg",
    }.items():
        answer = ask(opened.web + path)
        assert answer.status == 200 and answer.headers["Content-Type"].startswith(kind) and answer.body
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';") and "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and "Set-Cookie" not in answer.headers
    assert ask(opened.web + "../settings.py").status == ask(opened.web + "page/../../cli.py").status == 404


def test_health_is_open_and_says_that_all_is_well(opened: Serving) -> None:
    assert ask(opened.web + "health").json == {"well": True, "reasons": []}


def test_a_name_that_only_leads_here_is_not_answered(opened: Serving) -> None:
    for path in ("", "api/queue", "health"):
        refused = ask(opened.web + path, Host="evil.example:8766")
        assert refused.status == 400 and refused.json["error"]["field"] == "host"
    assert ask(opened.web + "api/queue", Host="localhost:9").status == 200


def test_no_foreign_page_may_read_or_act(opened: Serving) -> None:
    with Client(opened.address) as client:
        it = submit(client, job(0.2, LONG))
        for origin, kind in (("", ""), ("https://evil.example", ""), ("https://evil.example", "text/plain")):
            refused = ask(f"{opened.web}api/jobs/{it}/cancel", method="POST", Origin=origin, Content_Type=kind)
            assert refused.status == 400 and refused.json["error"]["field"] == "header"
        preflight = ask(f"{opened.web}api/jobs/{it}/cancel", method="OPTIONS", Origin="https://evil.example")
        assert preflight.status == 405 and not [name for name in preflight.headers if name.startswith("Access-Control")]
        assert ask(f"{opened.web}api/jobs/{it}/cancel").status == 405
        assert client.jobs()[0].state not in ("cancelled", "cancelling")
        assert ask(f"{opened.web}api/jobs/{it}/cancel", method="POST", X_Overpaint="1").status == 200
        assert ended(client, it) is EventKind.CANCELLED


def test_a_running_job_shows_how_far_it_is_and_its_newest_picture(opened: Serving) -> None:
    with Client(opened.address) as client:
        # Its first picture comes with its first window, and the other two last for ten seconds.
        it, next_one, last = (submit(client, one) for one in (job(0.2, 25), job(), job()))

        def look() -> dict[str, Any]:
            return {one["id"]: one for one in ask(opened.web + "api/queue").json["jobs"]}

        seen = until(lambda: (found := look())[it]["picture"] and found)
        assert seen[it]["room"] == "painting" and seen[it]["can"] == ["pause", "cancel"]
        how = seen[it]["progress"]
        assert how["windows"] == 3 and 0 < how["share"] < 1 and seen[it]["frames"] == 40
        assert seen[it]["prompt"] == SECRET and seen[it]["size"] == "32x24"
        assert (seen[next_one]["place"], seen[last]["place"]) == (1, 2)
        assert seen[next_one]["can"] == ["pause", "cancel"] and seen[last]["can"] == ["front", "pause", "cancel"]
        picture = ask(f"{opened.web}api/jobs/{it}/pictures/{seen[it]['picture']}")
        if picture.status == 404:  # a newer one came between the two questions
            picture = ask(f"{opened.web}api/jobs/{it}/pictures/{look()[it]['picture']}")
        assert picture.headers["Content-Type"] == "image/png"
        shown = cv2.imdecode(np.frombuffer(picture.body, np.uint8), cv2.IMREAD_COLOR)
        assert shown is not None and shown.shape == (24, 32, 3)
        assert ask(f"{opened.web}api/jobs/{last}/front", method="POST", X_Overpaint="1").json == {"state": "queued"}
        assert look()[last]["place"] == 1
        for act, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled"), ("retry", "queued")):
            assert ask(f"{opened.web}api/jobs/{next_one}/{act}", method="POST", X_Overpaint="1").json == {
                "state": state
            }
            if act == "cancel":
                refused = ask(f"{opened.web}api/jobs/{next_one}/front", method="POST", X_Overpaint="1")
                assert refused.status == 409 and refused.json["error"]["remedy"]
        for one in (it, next_one, last):
            client.cancel(one)
            assert ended(client, one) in (EventKind.CANCELLED, EventKind.FINISHED)


def test_a_failed_job_says_why_and_what_to_do(opened: Serving) -> None:
    empty = np.zeros_like(MASK)
    with Client(opened.address) as client:
        it = submit(client, job(mask=empty), empty)
        assert ended(client, it) is EventKind.FAILED
        shown = next(one for one in ask(opened.web + "api/queue").json["jobs"] if one["id"] == it)
    assert shown["room"] == "ended" and shown["can"] == ["retry"]
    assert "empty on every frame" in shown["error"]["message"] and "Draw a mask" in shown["error"]["remedy"]


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Serving]:
    with serving(tmp_path / "jobs", "--web", "127.0.0.1:0") as server:
        yield server


def test_metrics_count_what_happened(counted: Serving) -> None:
    with Client(counted.address) as client:
        it = submit(client, job(0.01))
        assert ended(client, it) is EventKind.FINISHED
        assert len(list(client.fetch(it))) == 40
        with pytest.raises(Missing, match="there is no job"):
            client.cancel("f" * 32)
    until(lambda: figures(counted.web).get('overpaint_jobs_ended_total{engine="toy",state="finished"}') == 1)
    now = figures(counted.web)
    assert now['overpaint_windows_painted_total{engine="toy"}'] == 3
    assert now['overpaint_frames_total{direction="in"}'] == 41  # the mask as well
    assert now['overpaint_frames_total{direction="out"}'] == 40
    assert now['overpaint_bytes_total{direction="out"}'] > 1000
    assert now['overpaint_calls_total{method="CancelJob",status="NOT_FOUND"}'] == 1
    assert now['overpaint_calls_total{method="SealJob",status="OK"}'] == 1
    assert now['overpaint_call_seconds_count{method="WatchJob"}'] == 1
    assert now["overpaint_workers"] == now["overpaint_well"] == 1 and now["overpaint_disk_free_bytes"] > 0


def test_the_log_names_jobs_and_methods_and_no_prompt(opened: Serving) -> None:
    with Client(opened.address) as client:
        it = submit(client, job(0.2, LONG))
        assert ask(f"{opened.web}api/jobs/{it}/cancel", method="POST", X_Overpaint="1").status == 200
        assert ended(client, it) is EventKind.CANCELLED

    def said() -> list[dict[str, str]]:
        whole, _, _ = Path(opened.log).read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    until(lambda: [line for line in said() if line["message"].startswith("cancelled") and line["job"] == it])
    assert [line for line in said() if line["message"].startswith("sealed") and line["job"] == it]
    assert any(line.get("method") == "web POST" and line["message"] == "cancel over the web" for line in said())
    assert SECRET not in Path(opened.log).read_text()


TOKENS = {"anna": "open-sesame", "ben": "let-me-in", "boss": "by-order"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("guarded") / "jobs"
    for name, token in TOKENS.items():
        guard(folder, token, name, ("paint", "admin") if name == "boss" else ("paint",))
    with serving(folder, "--web", "127.0.0.1:0") as server:
        yield server


def test_with_tokens_nothing_is_said_without_one(guarded: Serving) -> None:
    for path in ("api/queue", "metrics", f"api/jobs/{'0' * 32}/pictures/1", "nowhere"):
        for token in ("", "guess"):
            refused = ask(guarded.web + path, token=token)
            assert refused.status == 401 and refused.headers["WWW-Authenticate"] == "Bearer"
    assert ask(f"{guarded.web}api/queue?token={TOKENS['anna']}", Cookie=f"token={TOKENS['anna']}").status == 401
    refused = ask(f"{guarded.web}api/jobs/{'0' * 32}/cancel", method="POST", X_Overpaint="1")
    assert refused.status == 401
    assert ask(guarded.web + "health").status == 200 and ask(guarded.web).status == 200


def test_each_sees_and_stops_their_own_and_the_administrator_all(guarded: Serving) -> None:
    with Client(guarded.address, token=TOKENS["anna"]) as client:
        it = submit(client, job(0.2, LONG))
        for name, sees in (("anna", [it]), ("ben", []), ("boss", [it])):
            queue = ask(guarded.web + "api/queue", token=TOKENS[name]).json
            assert [one["id"] for one in queue["jobs"]] == sees
            assert queue["caller"] == {"name": name, "admin": name == "boss"}
        for act in ("cancel", "pause", "front"):
            refused = ask(f"{guarded.web}api/jobs/{it}/{act}", method="POST", token=TOKENS["ben"], X_Overpaint="1")
            assert refused.status == 404
        assert ask(f"{guarded.web}api/jobs/{it}/pictures/1", token=TOKENS["ben"]).status == 404
        assert ask(guarded.web + "metrics", token=TOKENS["anna"]).status == 403
        assert "overpaint_queue_length" in figures(guarded.web, TOKENS["boss"])
        assert (
            ask(f"{guarded.web}api/jobs/{it}/cancel", method="POST", token=TOKENS["boss"], X_Overpaint="1").status
            == 200
        )
        assert ended(client, it) is EventKind.CANCELLED


def test_a_page_for_other_machines_needs_tls_and_a_token(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "overpaint_backend.cli", "serve", "--listen", "127.0.0.1:0", "--web", "0.0.0.0:0"]
    ran = subprocess.run([*words, "--folder", tmp_path / "jobs"], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 10 and "web: 0.0.0.0:0 can be reached from other machines" in ran.stderr


def test_a_page_with_tls(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes its certificate with openssl, which is not here")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    names = ["-subj", "/CN=overpaint", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    guard(tmp_path / "jobs", TOKENS["anna"])
    flags = ("--certificate", str(certificate), "--key", str(key), "--web", "0.0.0.0:0")
    with serving(tmp_path / "jobs", *flags, listen="0.0.0.0:0") as server:
        web = server.web.replace("0.0.0.0", "127.0.0.1")
        assert web.startswith("https://")
        assert ask(web + "api/queue", trust=certificate).status == 401
        assert ask(web + "api/queue", trust=certificate, token=TOKENS["anna"], Host="paint.example.org").status == 200
        with pytest.raises(OSError):
            ask(web.replace("https", "http") + "api/queue")
        host, port = web.removeprefix("https://").strip("/").split(":")

        def answered_while_they_wait() -> bool:
            """None was given up on meanwhile, so the answer did not wait for them; the machine may have, for as long."""
            with ExitStack() as connections:
                strangers = [connections.enter_context(socket.create_connection((host, int(port)))) for _ in range(20)]
                strangers[0].sendall(b"this is no TLS")
                assert ask(web + "health", trust=certificate).status == 200
                return not any(select.select(strangers[1:], [], [], 0)[0])

        until(answered_while_they_wait)
    assert "Traceback" not in Path(server.log).read_text()


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = [sys.executable, "-m", "overpaint_backend.cli", "serve", "--listen", "127.0.0.1:0"]
        web = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = subprocess.run([*words, "--web", web, "--folder", tmp_path], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 10 and ran.stderr.splitlines()[-1].startswith(
        f"overpaint: web: {web} cannot be listened on"
    )


def test_a_request_that_is_too_large_or_no_http_is_refused(opened: Serving) -> None:
    host, port = opened.web.removeprefix("http://").strip("/").split(":")
    large = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * (64 << 10) + b"\r\n\r\n"
    long = b"POST /api/queue HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999\r\n\r\n"
    for words in (large, long, b"\x16\x03\x01 not http\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=60) as stranger:
            stranger.sendall(words)
            assert stranger.recv(100).split(b" ")[1][:1] == b"4"
    assert ask(opened.web + "health").status == 200


@pytest.mark.timeout(90)
def test_who_drips_keeps_nobody_out(tmp_path: Path) -> None:
    """More requests than the page has threads, each of which comes at a byte a second, as long as it is let."""
    with serving(tmp_path / "jobs", "--web", "127.0.0.1:0") as server, ExitStack() as connections:
        host, port = server.web.removeprefix("http://").strip("/").split(":")
        strangers = [connections.enter_context(socket.create_connection((host, int(port)))) for _ in range(THREADS + 8)]
        end, begun = threading.Event(), threading.Event()

        def drip() -> None:
            while strangers and not end.wait(1):
                for stranger in tuple(strangers):
                    try:
                        stranger.sendall(b"G")
                    except OSError:  # hung up on
                        strangers.remove(stranger)
                begun.set()

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert begun.wait(10)
            assert ask(server.web + "health").status == 200
        finally:
            end.set()
            dripping.join()


def test_a_stop_is_clean(tmp_path: Path) -> None:
    with serving(tmp_path / "jobs", "--web", "127.0.0.1:0") as server:
        assert ask(server.web + "health").status == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=90) == 0
    assert "Traceback" not in Path(server.log).read_text()
    with pytest.raises(OSError):
        ask(server.web + "health")
