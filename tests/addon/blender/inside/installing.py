"""The extension, installed from its zip, in a Blender that sees nothing of this repository or of pip's packages."""

from __future__ import annotations

import importlib
import sys
import time
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np

NAME = "bl_ext.user_default.overpaint"
CARRIED = ("overpaint", "grpc", "google.protobuf", "zstandard", "png")


class Blind:
    """Finds what the extension carries nowhere but in the user's Blender files."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if "." in name or name not in {one.split(".")[0] for one in (*CARRIED, "typing_extensions")}:
            return None
        own = [one for one in sys.path if "extensions" in Path(one).parts]
        spec = PathFinder.find_spec(name, own, target)
        if spec is None:
            raise ModuleNotFoundError(f"no module {name} in {own}")
        return spec


def installed(extension: str, media: str) -> dict[str, Any]:
    sys.path[:] = [one for one in sys.path if Path(one).name not in ("addon", "shared")]
    sys.meta_path.insert(0, Blind())  # type: ignore[arg-type]
    bpy.ops.extensions.package_install_files(filepath=extension, repo="user_default", enable_on_install=True)
    user = bpy.utils.resource_path("USER")
    found: dict[str, Any] = {"enabled": NAME in bpy.context.preferences.addons}
    importlib.import_module(f"{NAME}.link.courier")
    importlib.import_module("overpaint.client")
    files = {name: importlib.import_module(name).__file__ or "" for name in CARRIED if name != "google.protobuf"}
    files["google.protobuf"] = importlib.import_module("google.protobuf.message").__file__ or ""
    found["from elsewhere"] = {name: file for name, file in files.items() if not file.startswith(user)}
    found["version"] = importlib.import_module("overpaint").__version__
    found["difference"] = _captured(media)
    bpy.ops.preferences.addon_disable(module=NAME)
    found["disabled"] = NAME not in bpy.context.preferences.addons and not hasattr(bpy.types.Scene, "overpaint")
    return found


def _captured(media: str) -> int:
    """A capture by the installed add-on: its child finds the rooms and the wheel where Blender unpacked them."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 96, 64
    if bpy.app.version >= (5, 0, 0):
        bpy.context.workspace.sequencer_scene = scene
    editor = scene.sequence_editor_create()
    editor.active_strip = editor.strips.new_movie("source", str(Path(media) / "movie8.mkv"), 1, 1)
    timeline = importlib.import_module(f"{NAME}.host.timeline").BlenderTimeline()
    capture = timeline.start_capture(timeline.read_selection())
    while capture.captured() < 8:
        time.sleep(0.02)
    got = np.stack([capture.frame(index) for index in range(8)])
    capture.close()
    return int(np.abs(got.astype(int) - np.load(Path(media) / "frames8.npy")).max())
