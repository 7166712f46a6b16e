"""The house keeps its own rules: doors (import-linter, in `make lint`) apart, what can be told from the files."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("shared/overpaint", "addon/overpaint_addon", "backend/overpaint_backend")
DRAWERS = {"utils", "util", "helpers", "helper", "common", "manager", "handler", "data", "info", "misc"}


def sources(*rooms: str) -> Iterator[Path]:
    for room in rooms:
        yield from (path for path in sorted((ROOT / room).rglob("*.py")) if "_pb2" not in path.name)


@pytest.mark.parametrize("path", list(sources(*ROOMS)), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_in_one_sentence_what_it_is_for(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert said and said.splitlines()[0].endswith((".", ":")), path
    assert path.stem not in DRAWERS


def test_the_addon_imports_itself_relatively() -> None:
    """Blender loads it as bl_ext.<repository>.overpaint: a name of its own would not be found there."""
    for path in sources("addon/overpaint_addon"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert not any(name.split(".")[0] == "overpaint_addon" for name in names), path


def loaded_by(code: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(ran.stdout.split())


def test_the_command_starts_without_anything_heavy() -> None:
    loaded = loaded_by("import overpaint_backend.cli")
    assert not loaded & {"torch", "cv2", "grpc", "numpy.linalg", "diffusers", "ffmpeg", "google.protobuf"}


def test_the_server_starts_without_torch() -> None:
    assert "torch" not in loaded_by("import overpaint_backend.server")


def test_a_card_can_be_read_without_what_its_engine_computes_with() -> None:
    loaded = loaded_by("from overpaint_backend import registry; registry.cards()")
    assert not loaded & {"torch", "cv2", "diffusers"}


def test_the_addon_can_be_imported_without_blender() -> None:
    assert "bpy" not in loaded_by("import overpaint_addon, overpaint_addon.core.paint, overpaint_addon.link.courier")


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    protos = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto").rglob("*.proto"))
    out = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", f"--grpc_python_out={tmp_path}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", *out, *protos], check=True)
    made = {path.name: path.read_bytes() for path in tmp_path.rglob("*_pb2*")}
    kept = {path.name: path.read_bytes() for path in (ROOT / "shared/overpaint/v1").glob("*_pb2*")}
    assert made == kept, "run `make proto`"
