"""The connection in Blender: servers in the preferences, the test, the local backend, diagnostics; by their operators."""

from __future__ import annotations

import importlib
import os
import time
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import painting
import recording

NAME = painting.NAME
SECRET, PROMPT = "open sesame 4711", "a red coat of a most secret kind"


def room(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


def own() -> Any:
    return bpy.context.preferences.addons[NAME].preferences


def refused(act: Any, **given: Any) -> str:
    """What an operator refuses with, or ""."""
    try:
        act(**given)
    except RuntimeError as error:
        return str(error).strip().removeprefix("Error: ")
    return ""


def keep_profiles(extension: str) -> dict[str, Any]:
    """Two servers, the second chosen, written with the preferences."""
    painting.install(extension, "127.0.0.1:8765")
    bpy.ops.overpaint.profile_add()
    profile = own().profiles[1]
    profile.name, profile.address, profile.token, profile.certificate = "Farm", "farm:1", SECRET, "/cert.pem"
    bpy.ops.wm.save_userpref()
    return {"names": [one.name for one in own().profiles], "active": own().active}


def find_profiles(extension: str) -> dict[str, Any]:
    """The same in another Blender, and how they are removed."""
    bpy.ops.wm.read_userpref()  # as Blender does when it starts; the module does not
    profile = own().profiles[1]
    found = {"active": own().active, "kept": [profile.name, profile.address, profile.token, profile.certificate]}
    bpy.ops.overpaint.profile_choose(index=0)
    found["chosen"] = room("ui.preferences").connection().server
    bpy.ops.overpaint.profile_choose(index=1)
    bpy.ops.overpaint.profile_remove()
    found["left"] = [one.name for one in own().profiles]
    found["last stays"] = not bpy.ops.overpaint.profile_remove.poll()
    return found


def connections(extension: str) -> dict[str, Any]:
    """What is connected to, after environment, preferences and online access."""
    painting.install(extension, "127.0.0.1:1", "kept")
    ask, found = room("ui.preferences").connection, {}
    found["kept"] = [ask().server, ask().shown.token, ask().shown.certificate]
    os.environ |= {"OVERPAINT_SERVER": "localhost:2", "OVERPAINT_TOKEN": "t", "OVERPAINT_CERTIFICATE": "/c.pem"}
    found["environment"] = [ask().server, ask().shown.token, str(ask().shown.certificate)]
    os.environ["OVERPAINT_SERVER"] = "paint.example.org:443"
    found["online"] = bpy.app.online_access
    try:
        ask()
    except Exception as error:
        found["refused"] = str(error)
    found["test"] = refused(bpy.ops.overpaint.test_connection)
    bpy.context.preferences.system.use_online_access = True
    found["allowed"] = ask().server
    return found


def tested(extension: str, servers: list[list[str]]) -> list[Any]:
    """The word, the error and the checks, for each address and token."""
    painting.install(extension, "")
    connection, found = room("ui.connection"), []
    for address, token in servers:
        own().profiles[0].address, own().profiles[0].token = address, token
        watch, until = connection.current(), time.monotonic() + 90
        words = []
        watch.look()
        while watch.answer is not None and time.monotonic() < until:
            words.append(watch.link.state.value)
            time.sleep(0.02)
            watch.look()
        words.append(watch.link.state.value)
        said = refused(bpy.ops.overpaint.test_connection)
        marks = "".join({True: "+", False: "x", None: "-"}[check.well] for check in watch.checks)
        found.append([list(dict.fromkeys(words)), marks, said])
    return found


def shown(extension: str, address: str, certificates: dict[str, str]) -> list[str]:
    """What the test says, and who the server says that asks: with a certificate of one's own, and without."""
    painting.install(extension, address)
    profile, found = own().profiles[0], []
    for name, file in certificates.items():
        setattr(profile, name, file)
    found.append(refused(bpy.ops.overpaint.test_connection))
    found += [card.name for card in room("ui.session").current().backend().cards().result(60)]
    profile.client_certificate = profile.client_key = ""
    found.append(refused(bpy.ops.overpaint.test_connection))
    return found


def local(extension: str, command: str, address: str, folder: str) -> dict[str, Any]:
    """The local backend from start to end, by its buttons."""
    os.environ["OVERPAINT_FOLDER"] = folder
    painting.install(extension, "paint.example.org:443")
    own().backend_command = str(Path(folder) / "nothing")
    found: dict[str, Any] = {"not found": refused(bpy.ops.overpaint.start_backend)}
    found["error kept"] = room("ui.session").current().error.field
    own().backend_command = command
    own().profiles.add().address = address
    bpy.ops.overpaint.start_backend()
    backend = room("ui.connection").current().local
    found["running"] = [backend.status.stage.value, backend.status.address == address, own().active]
    found["again"] = bpy.ops.overpaint.start_backend.poll()
    bpy.ops.overpaint.test_connection()
    bpy.ops.overpaint.open_backend_log()
    found["log"] = "listens on" in bpy.data.texts["Overpaint Backend Log"].as_string()
    bpy.ops.overpaint.stop_backend()
    until = time.monotonic() + 90
    while backend.status.stage.value != "Stopped" and time.monotonic() < until:
        time.sleep(0.05)
    found["stopped"] = backend.status.stage.value
    return found


def diagnosed(extension: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """A diagnosis of a session in which secrets were used, and where they are after the file was saved."""
    painting.install(extension, server, SECRET)
    painting.edit(media)
    bpy.context.scene.overpaint.prompt = PROMPT
    refused(bpy.ops.overpaint.test_connection)
    refused(bpy.ops.overpaint.paint)
    file = Path(folder) / "diagnosis.txt"
    bpy.ops.overpaint.diagnose(filepath=str(file))
    bpy.ops.overpaint.open_backend_log()
    found = {"refused": refused(bpy.ops.overpaint.diagnose, filepath=str(Path(folder) / "no" / "where.txt"))}
    text = file.read_text("utf-8")
    bpy.context.scene.overpaint.prompt = ""
    blend = Path(folder) / "edit.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), compress=False)
    written = blend.read_bytes()
    return found | {
        "text": text,
        "same": text == bpy.data.texts["Overpaint Diagnostics"].as_string(),
        "in text": [secret in text for secret in (SECRET, PROMPT, str(Path.home()) + "/")],
        "in .blend": [secret.encode() in written for secret in (SECRET, server)],
    }


def remedied(extension: str) -> dict[str, Any]:
    """That every button there may be exists and takes what it is given; and what is drawn in each state."""
    painting.install(extension, "127.0.0.1:9")
    remedies, connection, preferences = room("ui.remedies"), room("ui.connection"), room("ui.preferences")

    def remedy(field: str) -> list[str]:
        layout = recording.Layout()
        remedies.draw_remedy(layout, Invalid(field=field, message="This is wrong", remedy="Do that"))
        return layout.shown

    Invalid = importlib.import_module("overpaint.errors").Invalid
    found: dict[str, Any] = {field: remedy(field) for field in (*remedies.REMEDIES, "prompt")}
    panel = connection.OVERPAINT_PT_backend
    watch = connection.current()
    found["header"] = recording.drawn(panel, draw="draw_header_preset").shown
    refused(bpy.ops.overpaint.test_connection)
    watch.look()
    until = time.monotonic() + 90
    while watch.answer is not None and time.monotonic() < until:
        time.sleep(0.02)
        watch.look()
    found["header then"] = recording.drawn(panel, draw="draw_header_preset").shown
    found["panel"] = recording.drawn(panel).shown
    found["timer rests"] = connection._tick() is None  # there is no window, so nobody sees the panel
    shell: Any = recording.Shell()
    shell.profiles, shell.active, shell.backend_command = own().profiles, 0, ""
    shell.bl_rna = own().bl_rna
    preferences.OverpaintPreferences.draw(shell, bpy.context)
    found["preferences"] = shell.layout.shown
    found["menu"] = recording.drawn(connection.OVERPAINT_MT_profiles).shown
    bpy.ops.overpaint.open_preferences(section="SYSTEM")
    found["section"] = bpy.context.preferences.active_section
    return found
