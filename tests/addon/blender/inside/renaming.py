"""Strips and scenes that get other names in the middle of what is done for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import stage
from choosing import push
from clicking import click
from overpaint.errors import Missing
from painting import edit, install
from placing import TAKE
from queueing import begin, painting, room, until

QUICK = {"toy": {"delay": 0.02, "steps": 25}}


def takes() -> list[Any]:
    """Every take: in which scene it is, its channel and its first frame."""
    return [
        [scene.name, strip.channel, room("host.versions").start_of(strip)]
        for scene in bpy.data.scenes
        for strip in (scene.sequence_editor.strips_all if scene.sequence_editor else ())
        if "overpaint_job" in strip
    ]


def renew(media: str) -> Any:
    """One scene, with one strip that is new to us."""
    scene = bpy.context.scene
    scene.name = "Scene"
    for one in list(scene.sequence_editor.strips):
        scene.sequence_editor.strips.remove(one)
    return stage.add(scene.sequence_editor.strips, Path(media) / "movie8.mkv", start=5)


def in_sequencer(operator: Callable[[], object]) -> None:
    area = bpy.context.window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    with bpy.context.temp_override(window=bpy.context.window, area=area, region=area.regions[-1]):
        assert operator() == {"FINISHED"}


def duplicate(strip: Any) -> Any:
    """As Shift D does it; the copy lies elsewhere."""
    editor = bpy.context.scene.sequence_editor
    before = {one.name for one in editor.strips}
    for one in editor.strips:
        one.select = one == strip
    in_sequencer(bpy.ops.sequencer.duplicate)
    (copy,) = (one for one in editor.strips if one.name not in before)
    copy.channel = 7
    stage.move(copy, 100)
    return copy


def midway(extension: str, media: str, server: str, folder: str) -> dict[str, Any]:
    """Where the take is placed that was painted while names were changed, and what the list of jobs said."""
    session = install(extension, server)
    edit(media)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "edit.blend"))
    found: dict[str, Any] = {"words": []}

    def go(name: str, change: Callable[[], object]) -> None:
        renew(media)
        push("before")
        job_id = begin(session, options=QUICK)
        until(session, lambda: painting(session, job_id))
        change()
        found.setdefault("rows", []).append([row.name for row in session.rows()])
        until(session, lambda: job_id not in session.runs)
        found[name] = takes()
        found["words"] += [row.words for row in session.rows()]

    def called(name: str) -> Any:
        return bpy.context.scene.sequence_editor.strips_all[name]

    def rename(new: str = "hero") -> None:
        called("source").name = new

    def taken() -> None:
        rename()
        stage.add(bpy.context.scene.sequence_editor.strips, Path(media) / "movie8.mkv", start=40, channel=4)

    def scene_too() -> None:
        bpy.context.scene.name = "Edit"

    def both() -> None:
        rename()
        scene_too()

    def copied() -> None:
        duplicate(called("source"))
        rename()

    def copied_and_named() -> None:
        duplicate(called("source"))
        rename()
        called("source.001").name = "another"

    def undone() -> None:
        push("painting")
        rename()
        push("renamed")
        bpy.ops.ed.undo()
        assert called("source")

    def undone_beyond() -> None:
        """Undo takes the strip back to what it was before it was painted, and then it gets another name again."""
        rename()
        push("renamed")
        bpy.ops.ed.undo()
        rename("heroine")

    def redone() -> None:
        undone()
        bpy.ops.ed.redo()
        assert called("hero")

    cases = (rename, taken, scene_too, both, copied, copied_and_named, undone, undone_beyond, redone)
    for change in cases:
        go(change.__name__, change)
    return found


def reopened(extension: str, media: str, server: str, blend: str, old: bool) -> dict[str, Any]:
    """Rename, save, close and open the file in the middle of a job.

    `old`: the file is one of before there were marks, and nothing is renamed.
    """
    session = install(extension, server)
    scene, source = edit(media)
    job_id = begin(session)
    until(session, lambda: painting(session, job_id))
    if old:
        (ticket,) = json.loads(scene["overpaint_tickets"])
        del ticket["selection"]["mark"], source["overpaint_mark"]
        scene["overpaint_tickets"] = json.dumps([ticket])
    else:
        source.name, scene.name = "hero", "Edit"
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=blend)
    found = {"again": [row.name for row in session.rows()]}
    until(session, lambda: not session.runs)
    return found | {"takes": takes(), "left": len(session.rows())}


def nearest(media: str, take: str) -> dict[str, Any]:
    """Which strip it is where several are like it, or none is."""
    versions, timeline = room("host.versions"), room("host.timeline").BlenderTimeline()
    stage.sequencer()
    found: dict[str, Any] = {}

    def insert(name: str, selection: Any) -> None:
        frames = sorted(Path(take).iterdir())[: selection.length]
        try:
            timeline.insert_take(selection, frames, TAKE)
        except Missing as error:
            found[name] = [error.field, error.message, error.remedy]
            return
        found[name] = takes()
        for scene in bpy.data.scenes:
            for one in [one for one in scene.sequence_editor.strips if "overpaint_job" in one]:
                scene.sequence_editor.strips.remove(one)

    def part(selection: Any) -> Any:
        return replace(selection, start=9, length=4)

    source = renew(media)
    read = timeline.read_selection()
    marked = timeline.mark(read)
    found["the same mark"] = [timeline.mark(read) == marked, timeline.mark(marked) == marked, read.mark]
    right = source.split(frame=9, split_method="SOFT")
    insert("cut, by its name", marked)
    source.name, right.name = "left", "right"
    insert("cut", marked)
    insert("cut, the right half", part(marked))
    stage.move(right, 50)
    insert("cut, and the right half moved", part(marked))
    bpy.context.scene.sequence_editor.strips.remove(source)
    insert("cut, and the left half removed", part(marked))
    bpy.context.scene.sequence_editor.strips.remove(right)
    insert("removed", marked)

    source = renew(media)
    found["another of the name"] = "overpaint_mark" in source
    insert("brought back under its name", marked)
    source.name = "hero"
    insert("of old, and renamed", read)

    source = renew(media)
    marked = timeline.mark(timeline.read_selection())
    for one in bpy.context.scene.sequence_editor.strips:
        one.select = one == source
    in_sequencer(bpy.ops.sequencer.copy)
    other = bpy.data.scenes.new("A scene")
    other.sequence_editor_create()
    first = bpy.context.scene
    versions.show_scene(bpy.context, other)
    in_sequencer(bpy.ops.sequencer.paste)
    versions.show_scene(bpy.context, first)
    insert("also in another scene", marked)
    before = str(Path(take).parent / "before.blend")
    bpy.ops.wm.save_as_mainfile(filepath=before, copy=True)
    first.name = "Edit"
    source.name = "hero"
    with bpy.data.libraries.load(before, link=True) as (_, wanted):
        wanted.scenes = ["Scene"]  # as it was called, and read only
    assert bpy.data.scenes["Scene"].library
    for one in other.sequence_editor.strips:
        one.name = "pasted"
        stage.move(one, 30)
    insert("also in another scene, and renamed", marked)
    store = room("host.tickets").BlendTickets()
    store.keep(room("core.ports").Ticket(job_id="b" * 32, selection=marked, request="{}"))
    found["the ticket is kept in"] = [one.name for one in bpy.data.scenes if "overpaint_tickets" in one]
    store.close()
    bpy.data.scenes.remove(first)
    insert("only in another scene", marked)
    for one in list(other.sequence_editor.strips):
        other.sequence_editor.strips.remove(one)
    insert("the scene removed", marked)
    return found


def others(extension: str, media: str, server: str) -> dict[str, Any]:
    """What else is under way for a strip that is renamed, with its scene, before anything was read of it."""
    session = install(extension, server)
    scene, source = edit(media)
    found: dict[str, Any] = {}

    def go(steps: Any, name: str) -> None:
        run = session.start(steps, "under way")
        session.pump.tick()
        source.name = scene.name = name
        session.pump.wait(run)

    click(8, 48, 32)
    go(room("ui.preview")._steps(bpy.context, same_pixels=False), "one")
    preview = room("host.preview").shown(scene)
    found["preview"] = [preview.channel, room("host.variants").source_of(scene, preview).name]
    go(room("ui.clicks").OVERPAINT_OT_track.steps(None, scene, session), "two")
    found["mask"] = [session.words.split(" by ")[0], room("host.guides").has_mask(source)]
    if room("host.versions").can_draw():
        go(room("ui.clicks").OVERPAINT_OT_lines.steps(None, scene, session), "three")
        found["lines"] = session.words
    return found
