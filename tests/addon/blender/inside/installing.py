"""The extension from its zip: installed, used, replaced by a newer one and removed, in a Blender of its own."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np

NAME = "bl_ext.user_default.overpaint"
CARRIED = ("overpaint", "grpc", "google.protobuf.message", "zstandard", "png", "typing_extensions")


def install(extension: str) -> None:
    """Install the zip; every module is imported once, so that Python keeps it compiled for the tests to come."""
    bpy.ops.extensions.package_install_files(filepath=extension, repo="user_default", enable_on_install=True)
    add_on = importlib.import_module(NAME)
    for module in pkgutil.walk_packages(add_on.__path__, f"{NAME}."):
        importlib.import_module(module.name)
    importlib.import_module("overpaint.client")


def installed(extension: str, media: str) -> dict[str, Any]:
    """What it brings, and that it works with that."""
    bpy.ops.extensions.package_install_files(filepath=extension, repo="user_default", enable_on_install=True)
    user = bpy.utils.resource_path("USER")
    found: dict[str, Any] = {"enabled": NAME in bpy.context.preferences.addons}
    importlib.import_module(f"{NAME}.link.courier")
    importlib.import_module("overpaint.client")
    files = {name: importlib.import_module(name).__file__ or "" for name in CARRIED}
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


def used(extension: str, newer: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """Install, set, paint and submit; then install the newer zip over it, and look at what is kept and what works."""
    install(extension)
    import painting  # only now is there an extension to import

    session = painting.install(server)
    bpy.ops.overpaint.profile_add()
    profile = bpy.context.preferences.addons[NAME].preferences.profiles[1]
    profile.name, profile.address, profile.token = "Farm", server, "open sesame"
    painting.edit(media)
    blend = str(Path(folder) / "edit.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    bpy.ops.overpaint.paint()
    draft = bpy.context.scene.overpaint.draft()
    bpy.context.scene.sequence_editor.active_strip = bpy.context.scene.sequence_editor.strips["source"]
    submit = importlib.import_module(f"{NAME}.core.submit").submit
    session.pump.drain(submit(session.timeline, session.backend(), session.tickets, draft, "a" * 32))
    bpy.ops.wm.save_mainfile()
    before = importlib.import_module("overpaint").__version__
    bpy.ops.extensions.package_install_files(filepath=newer, repo="user_default", enable_on_install=True)
    bpy.ops.wm.save_userpref()
    return {"before": before, "in the same Blender": _kept()}


def used_again(blend: str) -> dict[str, Any]:
    """The same in a Blender that was started after the update."""
    bpy.ops.wm.read_userpref()  # as Blender does when it starts; the module does not
    bpy.ops.wm.open_mainfile(filepath=blend)
    found = _kept()
    session = importlib.import_module(f"{NAME}.ui.session").current()
    bpy.ops.overpaint.resume()
    found["resumed"] = [len(session.tickets.all()), len(_takes())]
    editor = bpy.context.scene.sequence_editor
    editor.active_strip = editor.strips["source"]
    bpy.context.scene.overpaint.prompt = "a blue coat"
    bpy.ops.overpaint.paint()
    return found | {"painted": len(_takes())}


def _kept() -> dict[str, Any]:
    """What is there of what `used` has made."""
    session = importlib.import_module(f"{NAME}.ui.session").current()
    own, scene = bpy.context.preferences.addons[NAME].preferences, bpy.context.scene
    return {
        "version": importlib.import_module("overpaint").__version__,
        "servers": [[one.name, one.token] for one in own.profiles],
        "chosen": own.active,
        "prompt": scene.overpaint.prompt,
        "tickets": [one.job_id for one in session.tickets.all()],
        "takes": len(_takes()),
    }


def _takes() -> list[Any]:
    source = bpy.context.scene.sequence_editor.strips["source"]
    return list(importlib.import_module(f"{NAME}.host.variants").remembered(source))
