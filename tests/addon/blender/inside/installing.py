"""The extension from its zip: installed, used, replaced by a newer one and removed, in a Blender of its own."""

from __future__ import annotations

import importlib
import pkgutil
import threading
import time
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np

NAME = "bl_ext.user_default.overpaint"
CARRIED = ("overpaint", "grpc", "google.protobuf.message", "zstandard", "png")


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

    session = painting.install(extension, server)
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
    found = {"before": before, "in the same Blender": _kept()}
    bpy.context.scene.sequence_editor.active_strip = bpy.context.scene.sequence_editor.strips["source"]
    bpy.ops.overpaint.paint()
    return found | {"painted": len(_takes())}


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


def updated_while_disabled(extension: str, newer: str) -> dict[str, Any]:
    """Disable, install the newer zip, enable: which code runs."""
    install(extension)
    before = importlib.import_module(f"{NAME}.ui.session")
    bpy.ops.preferences.addon_disable(module=NAME)
    bpy.ops.extensions.package_install_files(filepath=newer, repo="user_default", enable_on_install=False)
    bpy.ops.preferences.addon_enable(module=NAME)
    diagnosis, errors = importlib.import_module(f"{NAME}.ui.diagnosis"), importlib.import_module("overpaint.errors")
    session = importlib.import_module(f"{NAME}.ui.session")
    return {
        "version": diagnosis.overpaint.__version__,
        "new code": session is not before,
        "enabled": session._current is not None,
        "one family of errors": session.OverpaintError is errors.OverpaintError,
    }


KINDS = tuple(getattr(bpy.types, name) for name in ("Operator", "Panel", "Menu", "UIList", "PropertyGroup", "Gizmo"))
TIMERS = (("session", "_take_up_soon"), ("connection", "_tick"), ("preview", "look"))
DRAWN = {"diamonds": "WINDOW", "clicks": "PREVIEW"}


def removed(extension: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """Work as in a window, then uninstall the extension: what is left of it in this Blender and in the user's files."""
    threads, handlers = set(threading.enumerate()), _handlers()
    scene, manager = set(dir(bpy.types.Scene)), set(dir(bpy.types.WindowManager))
    install(extension)
    import painting  # only now is there an extension to import

    session = painting.install(extension, server)
    painting.edit(media)
    bpy.ops.overpaint.paint()  # its take is in the user's files, because there is no .blend
    blend = str(Path(folder) / "edit.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    bpy.context.scene.sequence_editor.active_strip = bpy.context.scene.sequence_editor.strips["source"]
    bpy.ops.overpaint.paint()
    takes = [Path(one.folder) for one in _takes()]

    # What there is in a window only.
    rooms = {name: importlib.import_module(f"{NAME}.ui.{name}") for name in ("session", "connection", "preview")}
    asking = importlib.import_module(f"{NAME}.ui.asking").current()
    timers = [session.pump._timer, asking.pump._timer, *(getattr(rooms[room], name) for room, name in TIMERS)]
    for timer in timers:
        bpy.app.timers.register(timer, first_interval=1000, persistent=True)
    drawing = {}
    for room, region in DRAWN.items():
        drawn: Any = importlib.import_module(f"{NAME}.ui.{room}")
        handle = bpy.types.SpaceSequenceEditor.draw_handler_add(drawn.draw, (), region, "POST_PIXEL")
        drawn._handler = drawing[region] = handle
    log = Path(bpy.utils.extension_path_user(NAME, path="", create=True)) / "backend.log"
    log.write_text("said")

    repos = [one.module for one in bpy.context.preferences.extensions.repos]
    assert bpy.ops.extensions.package_uninstall(repo_index=repos.index("user_default"), pkg_id="overpaint")
    until = time.monotonic() + 60
    while set(threading.enumerate()) - threads and time.monotonic() < until:
        time.sleep(0.05)
    user = Path(bpy.utils.resource_path("USER"))
    keymaps = bpy.context.window_manager.keyconfigs.addon.keymaps
    return {
        "enabled": NAME in bpy.context.preferences.addons,
        "classes": [str(one) for kind in KINDS for one in kind.__subclasses__() if _is_ours(one)],
        "types": [name for name in dir(bpy.types) if "overpaint" in name.lower()],
        "operators": dir(bpy.ops.overpaint),
        "handlers": [str(one) for one in _handlers() - handlers],
        "timers": [str(timer) for timer in timers if bpy.app.timers.is_registered(timer)],
        "draws": [region for region, handle in drawing.items() if _draws(handle, region)],
        "keys": [item.idname for keymap in keymaps for item in keymap.keymap_items if "overpaint" in item.idname],
        "properties": [*set(dir(bpy.types.Scene)) - scene, *set(dir(bpy.types.WindowManager)) - manager],
        "threads": [one.name for one in set(threading.enumerate()) - threads],
        "files": sorted({str(one.relative_to(user)) for one in user.rglob("*overpaint*") if one.suffix != ".blend"}),
        "log": log.exists(),
        "takes": [len(list(take.glob("[0-9]*.png"))) for take in takes],
        "strips": len(bpy.context.scene.sequence_editor.strips),
    }


def _handlers() -> set[Any]:
    events = (getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers))
    return {one for event in events if isinstance(event, list) for one in event}


def _is_ours(kind: type) -> bool:
    """Whether it is of the add-on, and registered."""
    return "bl_rna" in vars(kind) and "overpaint" in f"{kind.__module__} {kind.__name__}".lower()


def _draws(handle: Any, region: str) -> bool:
    """Whether Blender still draws by this handle."""
    try:
        bpy.types.SpaceSequenceEditor.draw_handler_remove(handle, region)
    except ValueError:
        return False
    return True
