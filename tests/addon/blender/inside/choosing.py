"""The loop with takes, through the operators of the installed extension."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
import painting
import stage


def room(name: str) -> Any:
    """A module of the installed add-on."""
    return importlib.import_module(f"{painting.NAME}.{name}")


def begun(extension: str, media: str, server: str, folder: str, takes: int) -> tuple[Any, Any, Any]:
    """A saved edit with some takes of one mask, painted at once: session, scene, source."""
    session = painting.install(extension, server)
    scene, source = painting.edit(media)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "edit.blend"))
    scene.overpaint_loop.takes, scene.overpaint.lock_seed = takes, True
    assert bpy.ops.overpaint.paint_takes() == {"FINISHED"}
    return session, scene, source


def known(source: Any) -> list[Any]:
    return list(room("host.variants").remembered(source))


def above() -> list[list[Any]]:
    """Every strip but the source: name, channel, whether it shows."""
    scene = bpy.context.scene
    strips = [one for one in scene.sequence_editor.strips_all if one.name != "source"]
    return [[one.name, one.channel, not one.mute] for one in strips]


def source_now() -> Any:
    """Undo makes every strip anew."""
    return bpy.context.scene.sequence_editor.strips_all["source"]


def push(name: str) -> None:
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.ed.undo_push(message=name)


def batch(extension: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """Three takes at once: what travelled, what is shown, and what is remembered after rename, split, save and load."""
    session, scene, source = begun(extension, media, server, folder, 3)
    sent = session.courier.sent_bytes
    scene.overpaint_loop.takes = 1
    scene.overpaint.seed = 9
    scene.sequence_editor.active_strip = source
    bpy.ops.overpaint.paint_takes()
    again = session.courier.sent_bytes - sent
    takes = known(source)
    found = {
        "seeds": [one.take.seed for one in takes],
        "above": above(),
        "thumbnails": [bpy.data.images.load(f"{one.folder}/thumbnail.png").size[:] for one in takes],
        "pixels sent once": sent < 2 * again + 8 * 96 * 64 * 3 * 1.1,
        "a job without pixels": again,
        "active": scene.sequence_editor.active_strip.name,
        "undoable": all("UNDO" in one.bl_options for one in room("ui.takes")._OnTake.__subclasses__()),
    }
    source.name = "renamed"
    half = source.split(frame=9, split_method="SOFT")
    half.name = "half"
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    editor = bpy.context.scene.sequence_editor
    found["remembered"] = [len(known(editor.strips[name])) for name in ("renamed", "half")]
    editor.active_strip = editor.strips["half"]
    bpy.ops.overpaint.show_take(job=takes[0].job_id)
    versions = room("host.versions")
    found["halves"] = sorted(
        [one.name, one.channel, versions.start_of(one), versions.stop_of(one)] for one in editor.strips
    )
    return found


def by_hand(extension: str, media: str, server: str) -> dict[str, Any]:
    """A batch as the button begins it: the pump follows each take to its place."""
    session = painting.install(extension, server)
    scene, source = painting.edit(media)
    draft, seeds = scene.overpaint.draft(), {letter * 32: seed for seed, letter in enumerate("abc")}
    steps = room("core.submit").submit_batch(session.timeline, session.backend(), session.tickets, draft, seeds)
    session.start(steps, "a" * 32, "Takes").add_done_callback(room("ui.takes")._follow_each)
    until = time.monotonic() + 120
    while session.runs:
        assert time.monotonic() < until, session.rows()
        session.pump.tick()
        time.sleep(0.01)
    left = [str(one) for one in session.tickets.all()]
    return {"seeds": sorted(one.take.seed for one in known(source)), "strips": len(above()), "left": left}


def chosen(extension: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """Show, compare, apply and discard, each with undo and redo; what is above the source after each."""
    _, _, source = begun(extension, media, server, folder, 3)
    first, second, _ = (one.job_id for one in known(source))
    found: dict[str, Any] = {"painted": above()}
    push("painted")

    def step(name: str, operator: Any, **given: Any) -> None:
        bpy.context.scene.sequence_editor.active_strip = source_now()
        assert operator(**given) == {"FINISHED"}
        push(name)
        found[name] = above()

    ops = bpy.ops.overpaint
    step("show", ops.show_take, job=first)
    step("before", ops.compare_takes)
    step("after", ops.compare_takes)
    step("apply", ops.apply_take)
    step("show another", ops.show_take, job=second)
    step("discard", ops.discard_take)
    names = ["painted", "show", "before", "after", "apply", "show another", "discard"]
    remembered = []
    undone = []
    for _ in names[1:]:
        bpy.ops.ed.undo()
        undone.append(above())
        remembered.append(len(known(source_now())))
    found["undone"] = undone == [found[name] for name in reversed(names[:-1])]
    redone = []
    for _ in names[1:]:
        bpy.ops.ed.redo()
        redone.append(above())
        remembered.append(len(known(source_now())))
    found["redone"] = redone == [found[name] for name in names[1:]]
    found["remembered"] = remembered
    found["colour"] = [one.color_tag for one in bpy.context.scene.sequence_editor.strips]
    return found


def discarded(extension: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """When the files of discarded takes go: never while undo, the saved file, a strip or another take needs them."""
    _, scene, source = begun(extension, media, server, folder, 3)
    takes = known(source)
    found: dict[str, Any] = {}

    def there(name: str) -> None:
        found[name] = [Path(one.folder).is_dir() for one in takes]

    def reopen() -> None:
        bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
        bpy.context.scene.sequence_editor.active_strip = source_now()

    bpy.ops.overpaint.apply_take(job=takes[0].job_id)  # its strip needs the files
    copy = scene.sequence_editor.strips.new_image("a copy", f"{takes[1].folder}/00001.png", 9, 30)
    bpy.ops.wm.save_mainfile()
    for one in takes:
        bpy.ops.overpaint.discard_take(job=one.job_id)
    there("discarded")
    reopen()  # without saving: everything is back
    there("not saved")
    for one in takes:
        bpy.ops.overpaint.discard_take(job=one.job_id)
    bpy.ops.wm.save_mainfile()
    there("saved")
    reopen()
    there("left")
    found["above"] = above()
    assert copy is not None
    return found


def saved_as(extension: str, media: str, server: str, folder: str) -> dict[str, list[bool]]:
    """Two files of one edit: what the second discards, the first may still need, now and in a later session."""
    begun(extension, media, server, folder, 2)
    first, second, found = bpy.data.filepath, str(Path(folder) / "edit_v2.blend"), {}
    takes = known(source_now())
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.save_as_mainfile(filepath=second)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "edit_v3.blend"), copy=True)
    for name, after in (("at once", second), ("later", first), ("in the first", first)):
        bpy.context.scene.sequence_editor.active_strip = source_now()
        bpy.ops.overpaint.discard_take(job=known(source_now())[0].job_id)
        bpy.ops.wm.save_mainfile()
        bpy.ops.preferences.addon_disable(
            module=painting.NAME
        )  # as Blender does when it ends: nothing is known of others
        room("host.waste")._needed_on_disk.clear()
        found[name] = [Path(one.folder).is_dir() for one in takes]
        bpy.ops.wm.open_mainfile(filepath=after)
        painting.install(extension, server)
    return found


def restored(extension: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """Restore from the list, and from a strip that nothing else knows of."""
    _, scene, source = begun(extension, media, server, folder, 1)
    fields = scene.overpaint
    blank = {"prompt": "", "task": "remove", "seed": 77, "grow": 5.0, "feather": 9.0, "negative_prompt": "x"}

    def now() -> list[Any]:
        return [fields.engine, fields.task, fields.prompt, fields.negative_prompt, fields.seed, fields.grow]

    def spoil() -> None:
        for name, value in blank.items():
            setattr(fields, name, value)

    found: dict[str, Any] = {"asked": now()}
    spoil()
    bpy.ops.overpaint.restore_settings(job=known(source)[0].job_id)
    found["from the list"] = now()
    spoil()
    fields.seed = 5
    bpy.ops.overpaint.copy_seed()
    found["seed"] = [fields.seed, fields.prompt]
    bpy.ops.overpaint.apply_take()
    take = next(one for one in scene.sequence_editor.strips if one != source)
    scene.sequence_editor.active_strip = take
    scene.sequence_editor.strips.remove(source)
    spoil()
    bpy.ops.overpaint.restore_settings()
    found["from the strip"] = now()
    return found


def gathered(extension: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """One meta strip for the source and its takes: the same picture, in one piece, and the loop goes on inside."""
    _, scene, source = begun(extension, media, server, folder, 2)
    stage.plain(scene)
    versions = room("host.versions")
    editor = scene.sequence_editor
    for number, one in enumerate(sorted(editor.strips, key=lambda one: -one.channel)):
        one.channel = 4 - number  # the source on 3, its take on 4
    before = stage.rendered(folder, range(4, 14))
    bpy.ops.overpaint.gather()
    after = stage.rendered(folder, range(4, 14))
    (meta,) = editor.strips
    found: dict[str, Any] = {
        "meta": [meta.name, meta.channel, versions.start_of(meta), versions.stop_of(meta)],
        "inside": sorted([one.name, one.channel] for one in meta.strips),
        "difference": stage.difference(before, after),
        "source": [versions.start_of(source), versions.stop_of(source), source.mute],
    }
    editor.active_strip = meta.strips["source"]
    bpy.ops.overpaint.show_take(job=known(source)[0].job_id)
    found["goes on"] = sorted([one.name, one.channel] for one in meta.strips)
    if hasattr(meta, "content_start"):
        meta.content_start += 20
    else:
        meta.frame_start += 20
    moved = stage.rendered(folder, range(24, 34))
    found["moved"] = stage.difference(moved[:, :20], before[:, :20]) if np.any(moved) else "nothing"
    return found


def panel(extension: str, media: str, server: str, folder: str) -> list[str]:
    """What the panel draws, by a layout that only takes what exists."""
    begun(extension, media, server, folder, 2)
    shown: list[str] = []

    class Layout:
        def __getattr__(self, name: str) -> Any:
            assert name in ("row", "column", "grid_flow", "box"), name
            return lambda **_: self

        def label(self, text: str = "", icon: str = "") -> None:
            shown.append(text)

        def prop(self, owner: Any, name: str, **_: Any) -> None:
            assert name in owner.bl_rna.properties, name
            shown.append(name)

        def template_icon(self, icon_value: int, scale: float) -> None:
            pass  # without a window there are no icons

        def operator(self, name: str, text: str = "", icon: str = "", depress: bool = False) -> Any:
            kind = getattr(bpy.ops.overpaint, name.removeprefix("overpaint.")).get_rna_type()
            shown.append(f"[{text or kind.name}]" + ("*" if depress else ""))
            return type("Given", (), {})()

    shell, takes = type("Shell", (), {"layout": Layout()})(), room("ui.takes")
    takes.OVERPAINT_PT_takes.draw(shell, bpy.context)
    shown += [f"{list(one.image_size)}" for one in takes._pictures.values()]
    return shown


def previewed(extension: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """Preview a frame twice, save and load, paint the whole: where a preview is at each time."""
    painting.install(extension, server)
    scene, source = painting.edit(media)
    blend = str(Path(folder) / "edit.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    stage.plain(scene)
    versions = room("host.versions")
    below = stage.rendered(folder, [8])
    found: dict[str, Any] = {}
    scene.frame_set(3)
    try:
        bpy.ops.overpaint.preview_frame()
    except RuntimeError as error:
        found["outside"] = str(error).strip().removeprefix("Error: ")
    scene.frame_set(8)
    for name in ("first", "second"):
        scene.overpaint.seed += 1
        assert bpy.ops.overpaint.preview_frame() == {"FINISHED"}
        strips = [one for one in scene.sequence_editor.strips if one != source]
        found[name] = [[one.name, one.channel, versions.start_of(one), versions.stop_of(one)] for one in strips]
    over = stage.rendered(folder, [8])
    changed = (below != over).any(axis=(0, 3))
    found["changed"] = [int(np.flatnonzero(changed.any(axis=axis))[end]) for axis in (0, 1) for end in (0, -1)]
    found["remembered"] = len(known(source))
    found["beside the .blend"] = (Path(folder) / "overpaint").exists()
    scene.sequence_editor.active_strip = strips[0]  # to paint a preview is to paint what it is of
    assert bpy.ops.overpaint.paint() == {"FINISHED"}
    found["painted"] = above()
    assert bpy.ops.overpaint.preview_frame() == {"FINISHED"}
    found["above the take"] = above()
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=blend)
    found["opened"] = above()
    return found


def live(extension: str, media: str, server: str) -> dict[str, Any]:
    """Live: one preview for each change, none while nothing changes, and never two at once."""
    session = painting.install(extension, server)
    scene, source = painting.edit(media)
    scene.frame_set(8)
    preview = room("ui.preview")
    bpy.context.window_manager.overpaint_live = True
    most = 0
    begun: list[str] = []
    start = session.start

    def counted(*given: Any) -> Any:
        begun.append(given[1])
        return start(*given)

    type(session).start = lambda _, *given: counted(*given)  # type: ignore[assignment]

    def look_until(enough: Callable[[], bool]) -> None:
        nonlocal most
        while not enough() or "preview" in session.runs:
            preview.look()
            session.pump.tick()
            most = max(most, len(session.runs))
            time.sleep(0.02)

    def previews(least: int) -> int:
        """How many were begun: one second after there were so many, and none is under way."""
        stop = time.monotonic() + 60
        look_until(lambda: len(begun) >= least or time.monotonic() > stop)
        rest = time.monotonic() + 1
        look_until(lambda: time.monotonic() > rest)
        return len(begun)

    children: list[Any] = []
    capture = room("host.capture")
    child, capture.start = capture.start, lambda selection: children.append(selection) or child(selection)
    found: dict[str, Any] = {}
    found["begun"] = previews(1)
    found["nothing changed"] = previews(1)
    for point in bpy.data.masks["square"].layers[0].splines[0].points:
        point.co.x += 0.1
        point.handle_left.x = point.handle_right.x = point.co.x
    scene.frame_set(8)  # as drawing does: Blender then places the handles itself
    found["mask moved"] = previews(2)
    scene.overpaint.prompt = "a blue coat"
    found["prompt changed"] = previews(3)
    source.crop.max_x = 10
    scene.overpaint.prompt = "a green coat"
    found["the strip changed too"] = [previews(4), len(children)]
    bpy.context.window_manager.overpaint_live = False
    found["off"] = preview.look()
    return found | {"at once": most, "captures": len(children), "above": above()}


def pressed(extension: str, media: str, server: str) -> dict[str, Any]:
    """The buttons, and then another strip and another frame before the timer's first tick: what they were pressed for."""
    session = painting.install(extension, server)
    scene, source = painting.edit(media)
    other = stage.add(scene.sequence_editor.strips, Path(media) / "movie8.mkv", start=20, name="other")
    versions, shell = room("host.versions"), type("Shell", (), {})()

    def press(button: Any) -> None:
        scene.frame_set(8)
        scene.sequence_editor.active_strip = source
        button.begin(shell, bpy.context, wait=False)
        scene.frame_set(22)
        scene.sequence_editor.active_strip = other
        until = time.monotonic() + 120
        while session.runs:
            assert time.monotonic() < until, session.rows()
            session.pump.tick()
            time.sleep(0.01)

    press(room("ui.takes").OVERPAINT_OT_paint_takes)
    found: dict[str, Any] = {"takes": [len(known(source)), len(known(other))]}
    press(room("ui.preview").OVERPAINT_OT_preview_frame)
    preview = room("host.preview").shown(scene)
    found["preview"] = versions.start_of(preview)
    waits: list[bool] = []
    button = type("Button", (room("ui.long").Long,), {"begin": lambda self, context, *, wait: waits.append(wait)})
    pressed = button()
    pressed.invoke(bpy.context, None)
    pressed.execute(bpy.context)  # as Repeat Last does
    button().execute(bpy.context)
    found["waits"] = waits
    for one in scene.sequence_editor.strips:
        one.select = True
    return found | {"selected": [one.strip for one in session.timeline.read_selections()]}


def keyed(extension: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """Accept a preview as keyframe, and let flow carry it through the strip: law 1, and what the keyframe's frame shows."""
    painting.install(extension, server)
    scene, source = painting.edit(media)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "edit.blend"))
    stage.plain(scene)
    fields = scene.overpaint
    below = stage.rendered(folder, range(5, 13))
    scene.frame_set(8)
    bpy.ops.overpaint.preview_frame()
    picture = stage.rendered(folder, [8])[0]
    push("previewed")
    bpy.ops.overpaint.accept_keyframe()
    push("accepted")
    keyframes = room("host.keyframes")
    found: dict[str, Any] = {"kept": [one.frame for one in keyframes.remembered(source_now())]}
    bpy.ops.ed.undo()
    found["undone"] = [one.frame for one in keyframes.remembered(source_now())]
    bpy.ops.ed.redo()
    scene, source = bpy.context.scene, source_now()
    scene.sequence_editor.active_strip = source
    fields = scene.overpaint
    fields.engine, fields.task, fields.prompt = "flow", "repaint", ""
    assert bpy.ops.overpaint.paint() == {"FINISHED"}
    request = json.loads(known(source)[-1].take.request)
    found["request"] = [one["frame"] for one in request["edit"]["keyframes"]]
    got = stage.rendered(folder, range(5, 13))
    inside = np.zeros(got.shape[1:3], bool)
    inside[22:42, 38:58] = True
    found["law 1"] = int(np.abs(got.astype(int) - below)[:, ~inside].max())
    within = np.s_[23:41, 39:57]  # the mask's edge lies between pixels; there the keyframe is mixed with the source
    found["on the keyframe"] = int(np.abs(got[3].astype(int) - picture)[within].max())
    found["other frames change"] = [bool((a != b).any()) for a, b in zip(got, below, strict=True)]
    scene.overpaint_loop.use_keyframes = False
    found["left out"] = painting.refusal()
    bpy.ops.overpaint.jump_keyframe(frame=8)
    found["jumped"] = scene.frame_current
    file = keyframes.remembered(source)[0].file
    bpy.ops.overpaint.remove_keyframe(frame=8)
    found["removed"] = [len(keyframes.remembered(source)), file.is_file()]
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    found["left"] = file.parent.exists()
    return found
