"""Weights come whole, go on where they were interrupted, and are refused in words; the hub is a real server here."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import pytest
from overpaint.errors import Corrupt, Exhausted, Invalid, Missing, Unavailable
from overpaint_backend import weights
from overpaint_backend.weights import State

REVISION = "5f" * 20
needs_extra = pytest.mark.torch


def tensors(size: int = 4) -> bytes:
    """A safetensors file with one tensor of `size` float32: 8 bytes of length, JSON, values."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [size], "data_offsets": [0, 4 * size]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4 * size)


def states(root: Path) -> dict[str, State]:
    return {one.name: one.state for one in weights.entries(root)}


def put(folder: Path, **files: bytes) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def overpaint(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "overpaint_backend.cli", "weights", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, env=os.environ | env, stdin=subprocess.DEVNULL
    )


# What needs nothing installed.


def test_the_list_says_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    put(tmp_path / "VIRES", **{"model.safetensors": tensors()})
    put(tmp_path / ".fetching" / "VIRES_VAE" / REVISION, **{"model.safetensors.part": b"half"})
    assert states(tmp_path) == {
        "VIRES": State.UNCHECKED, "VIRES_VAE": State.INCOMPLETE, "t5-v1_1-xxl": State.MISSING,
        "sam2.1-hiera-small": State.MISSING,
    }  # fmt: skip
    ran = overpaint("list", "--weights", tmp_path, "--json")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [line["state"] for line in lines] == ["unchecked", "incomplete", "missing", "missing"]
    assert lines[0]["size"] == len(tensors()) and {line["engine"] for line in lines} == {"vires", "guides"}


@pytest.mark.parametrize(
    ("there", "read"),
    [
        (["model.safetensors", "ema.pt", "optimizer/model.safetensors"], ["model.safetensors"]),
        (["model-1.safetensors", "model-2.safetensors", "pytorch_model.bin"], ["model-1.safetensors", "model-2.safetensors"]),
        (["model/model.safetensors", "old.safetensors"], ["model/model.safetensors"]),
        (
            ["model.safetensors", "sdxlvae/diffusion_pytorch_model.safetensors", "sdxlvae/sdxl_vae.safetensors"],
            ["model.safetensors", "sdxlvae/diffusion_pytorch_model.safetensors"],
        ),
    ],
)  # fmt: skip
def test_of_a_folder_only_what_the_official_loader_reads_is_read(
    tmp_path: Path, there: list[str], read: list[str]
) -> None:
    put(tmp_path, **{name.replace("/", "__"): tensors() for name in there})
    found = weights.tensor_files(tmp_path, weights.published("VIRES_VAE"))
    assert [path.relative_to(tmp_path).as_posix() for path in found] == read


def test_a_pickle_is_not_loaded_and_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Missing) as caught:
        weights.tensor_files(tmp_path, weights.published("VIRES"))
    assert "overpaint weights fetch VIRES" in caught.value.remedy
    put(tmp_path, **{"pytorch_model-00001-of-00002.bin": b"pickle"})
    with pytest.raises(Invalid, match="is a pickle"):
        weights.tensor_files(tmp_path, weights.published("VIRES"))


def test_what_is_no_weights_is_not_imported(tmp_path: Path) -> None:
    source = put(tmp_path / "somewhere", **{"README.md": b"words"})
    with pytest.raises(Invalid, match="does not tell which"):
        weights.adopt(source, tmp_path / "root")
    with pytest.raises(Invalid, match="holds neither"):
        weights.adopt(source, tmp_path / "root", "VIRES")
    with pytest.raises(Missing, match="no weights called 'vires'"):
        weights.adopt(source, tmp_path / "root", "vires")
    with pytest.raises(Missing, match="no folder"):
        weights.adopt(tmp_path / "nowhere", tmp_path / "root", "VIRES")
    assert not any((tmp_path / "root").glob("*"))


def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(Missing, match="needs huggingface_hub") as caught:
        weights.fetch("VIRES", tmp_path, lambda offer: True)
    assert "overpaint[engines]" in caught.value.remedy


# What comes from a folder.


@needs_extra
def test_a_snapshot_of_the_hubs_cache_is_copied_and_its_links_followed(tmp_path: Path) -> None:
    cache = tmp_path / "models--suimu--VIRES"
    put(cache / "blobs", abc=tensors(), words=b"license: x")
    snapshot = cache / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to("../../blobs/abc")
    (snapshot / "README.md").symlink_to("../../blobs/words")
    folder = weights.adopt(snapshot, tmp_path / "root")
    assert folder == tmp_path / "root" / "VIRES" and states(tmp_path / "root")["VIRES"] is State.PRESENT
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "manifest.json", "model.safetensors"]
    assert not any(path.is_symlink() for path in folder.iterdir()) and (snapshot / "README.md").is_symlink()


@needs_extra
def test_an_import_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    root = tmp_path / "root"
    weights.adopt(put(tmp_path / "good", **{"model.safetensors": tensors()}), root, "VIRES")
    before = (root / "VIRES" / "manifest.json").read_text()
    half = put(tmp_path / "half", **{"model.safetensors": tensors()[:-3]})
    with pytest.raises(Invalid, match="no whole safetensors file") as caught:
        weights.adopt(half, root, "VIRES")
    assert str(half) in caught.value.message
    pointer = put(
        tmp_path / "clone", **{"model.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"}
    )
    with pytest.raises(Invalid, match=r"git lfs") as caught:
        weights.adopt(pointer, root, "VIRES")
    assert "git lfs pull" in caught.value.remedy
    assert (root / "VIRES" / "manifest.json").read_text() == before and [one.name for one in root.iterdir()] == [
        "VIRES"
    ]


@needs_extra
def test_what_is_gone_or_short_makes_it_incomplete(tmp_path: Path) -> None:
    weights.adopt(put(tmp_path / "VIRES", **{"model.safetensors": tensors()}), tmp_path / "root")
    file = tmp_path / "root" / "VIRES" / "model.safetensors"
    file.write_bytes(tensors()[:-1])
    assert states(tmp_path / "root")["VIRES"] is State.INCOMPLETE
    file.unlink()
    assert states(tmp_path / "root")["VIRES"] is State.INCOMPLETE


# What comes from the hub.


@dataclass
class Hub:
    """The few routes of a hub. `cut`: a connection ends after so many bytes; `hold`: it waits there until `go_on`."""

    files: dict[str, bytes]
    address: str = ""
    card: dict[str, str] = field(default_factory=lambda: {"license": "apache-2.0"})
    cut: int = 0
    hold: int = 0
    go_on: Event = field(default_factory=Event)
    digests: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)  # file, first byte
    served: int = 0
    tokens: list[str | None] = field(default_factory=list)

    def about(self) -> dict[str, object]:
        siblings = []
        for name, content in self.files.items():
            sha = self.digests.get(name, hashlib.sha256(content).hexdigest())
            lfs = {"size": len(content), "sha256": sha, "pointerSize": 130}
            siblings.append({"rfilename": name, "size": len(content), "lfs": lfs if len(content) > 99 else None})
        return {"id": "suimu/VIRES", "sha": REVISION, "siblings": siblings, "cardData": self.card}


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

        def do_GET(self) -> None:
            hub.tokens.append(self.headers["Authorization"])
            path = self.path.partition("?")[0]
            if path == "/api/models/suimu/VIRES":
                self.answer(200, json.dumps(hub.about()).encode())
            elif (name := path.removeprefix(f"/suimu/VIRES/resolve/{REVISION}/")) in hub.files:
                start = int((self.headers["Range"] or "bytes=0-")[6:].partition("-")[0])
                hub.asked.append((name, start))
                self.answer(206 if start else 200, hub.files[name][start:])
            else:
                self.answer(404, b"{}")

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            body = body[: hub.cut] if hub.cut and status in (200, 206) and not body.startswith(b"{") else body
            for start in range(0, len(body), 1 << 16):
                if hub.hold and start >= hub.hold:
                    hub.go_on.wait()
                try:
                    self.wfile.write(body[start : start + (1 << 16)])
                except (BrokenPipeError, ConnectionResetError):
                    return
                hub.served += len(body[start : start + (1 << 16)]) * (not body.startswith(b"{"))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        hub.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


def wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@needs_extra
def test_a_fetch_shows_sizes_and_licence_first_and_asks_once(tmp_path: Path) -> None:
    files = {
        "model.safetensors": tensors(1000),
        "config.json": b"{ }",
        "samples/film.mp4": bytes(500),
        "ema.pt": bytes(500),
    }
    with serving(Hub(files)) as hub:
        words = ("fetch", "VIRES", "--endpoint", hub.address, "--weights", tmp_path)
        refused = overpaint(*words)
        assert refused.returncode == 10 and "was not accepted" in refused.stderr and not hub.asked
        assert "4.1 kB  model.safetensors" in refused.stdout and "licence: apache-2.0" in refused.stdout
        fetched = overpaint(*words, "--accept-licence", HF_TOKEN="hf_secret")
        assert fetched.returncode == 0, fetched.stderr
        assert sorted(name for name, _ in hub.asked) == ["config.json", "model.safetensors"]
        manifest = json.loads((tmp_path / "VIRES" / "manifest.json").read_text())
        assert manifest["revision"] == REVISION and manifest["licence"] == "apache-2.0"
        assert states(tmp_path)["VIRES"] is State.PRESENT and not any((tmp_path / ".fetching").glob("*"))

        hub.asked.clear()
        again = overpaint(*words)
        assert again.returncode == 0 and not hub.asked, "it is here, and was accepted"
        (tmp_path / "VIRES" / "model.safetensors").unlink()
        assert overpaint(*words).returncode == 0 and states(tmp_path)["VIRES"] is State.PRESENT
        hub.card["license"] = "another"
        (tmp_path / "VIRES" / "model.safetensors").unlink()
        assert overpaint(*words).returncode == 10, "another licence is another question"
        assert not any(hub.tokens), "a mirror never sees the hub's token"


@needs_extra
def test_a_connection_that_breaks_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    content = tensors(6_000_000)  # huggingface_hub hands on ten megabytes at a time
    with serving(Hub({"model.safetensors": content}, cut=15_000_000)) as hub:
        folder = weights.fetch("VIRES", tmp_path, lambda offer: True, hub.address)
    assert (folder / "model.safetensors").read_bytes() == content
    starts = [start for _, start in hub.asked]
    assert len(starts) == 2 and starts[0] == 0 and 0 < starts[1] <= 15_000_000


@needs_extra
def test_a_fetch_that_was_killed_goes_on_where_it_ended(tmp_path: Path) -> None:
    content = tensors(9_000_000)
    first, second = {"a.safetensors": tensors(2000)}, {"b.safetensors": content}
    part = tmp_path / ".fetching" / "VIRES" / REVISION / "b.safetensors.part"
    with serving(Hub(first | second, hold=20_000_000)) as hub:
        words = ("fetch", "VIRES", "--endpoint", hub.address, "--weights", str(tmp_path), "--accept-licence")
        command = [sys.executable, "-m", "overpaint_backend.cli", "weights", *words]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            try:
                wait_for(lambda: part.is_file() and part.stat().st_size > 0)
            finally:
                running.kill()
        kept = part.stat().st_size
        assert states(tmp_path)["VIRES"] is State.INCOMPLETE
        hub.asked.clear()
        hub.hold = 0
        hub.go_on.set()
        ran = overpaint(*words)
        assert ran.returncode == 0, ran.stderr
    assert hub.asked == [("b.safetensors", kept)] and 0 < kept < len(content)
    assert (tmp_path / "VIRES" / "b.safetensors").read_bytes() == content


@needs_extra
def test_a_file_that_is_not_what_the_hub_promised_is_thrown_away(tmp_path: Path) -> None:
    with serving(Hub({"model.safetensors": tensors(100)}, digests={"model.safetensors": "0" * 64})) as hub:
        with pytest.raises(Corrupt, match="SHA-256"):
            weights.fetch("VIRES", tmp_path, lambda offer: True, hub.address)
        assert not list(tmp_path.rglob("*.part")) and states(tmp_path)["VIRES"] is State.INCOMPLETE
        hub.digests.clear()
        weights.fetch("VIRES", tmp_path, lambda offer: True, hub.address)
    assert states(tmp_path)["VIRES"] is State.PRESENT


@needs_extra
def test_what_stands_in_the_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Hub({"model.safetensors": tensors(100)})) as hub:
        with pytest.raises(Missing, match=r"suimu/VIRES_VAE is not there"):
            weights.fetch("VIRES_VAE", tmp_path, lambda offer: True, hub.address)
        monkeypatch.setattr(weights.shutil, "disk_usage", lambda path: SimpleNamespace(free=300))
        with pytest.raises(Exhausted, match=r"needs 473 bytes more"):
            weights.fetch("VIRES", tmp_path, lambda offer: True, hub.address)
        hub.files = {"pytorch_model.bin": b"pickle"}
        with monkeypatch.context() as without, pytest.raises(Missing, match="needs torch"):
            without.setitem(sys.modules, "torch", None)
            weights.fetch("VIRES", tmp_path, lambda offer: True, hub.address)
        assert not hub.asked, "said before the download"
        hub.files = {"README.md": b"soon"}
        with pytest.raises(Missing, match="holds no weights"):
            weights.fetch("VIRES", tmp_path, lambda offer: True, hub.address)
    with pytest.raises(Unavailable, match="cannot be reached"):
        weights.fetch("VIRES", tmp_path, lambda offer: True, hub.address)
