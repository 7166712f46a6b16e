"""The takes that a source strip remembers, and the one of each edit that is shown above it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.errors import Missing

from ..core.variants import Take, Variant, successor
from . import keyframes, media, stack, takes, versions, waste
from .stack import MARK

REQUEST = "overpaint"  # of a take's strip: the whole request
JOB = "overpaint_job"  # of a take's strip: whose take it is
SOURCE = "overpaint_source"  # of a take's strip that is only shown: its source's mark; an applied one has none
TAKES = "overpaint_takes"  # of a source: what it remembers, by job
CHOSEN = "overpaint_chosen"  # of a source: the job of the take that was shown last
COLOUR = "COLOR_05"  # of applied takes


def remembered(source: Any) -> tuple[Variant, ...]:
    """The takes of the strip, in the order in which they came."""
    kept = source.get(TAKES)
    return tuple(_from_plain(one) for one in kept.to_dict().values()) if kept else ()


def find(source: Any, job_id: str) -> Variant:
    """The take of that job. Raises Missing."""
    for one in remembered(source):
        if one.job_id == job_id:
            return one
    raise Missing(field="take", message=f"{source.name} has no such take any more", remedy="Undo its removal")


def remember(source: Any, variant: Variant) -> None:
    """Keep the take with its source; one of the same job is replaced."""
    kept = source[TAKES].to_dict() if TAKES in source else {}
    plain = asdict(variant)
    plain["take"]["seed"] = str(variant.take.seed)  # Blender's numbers end at 2**31, and seeds go to 2**32
    source[TAKES] = kept | {variant.job_id: plain}


def _from_plain(plain: dict[str, Any]) -> Variant:
    take: dict[str, Any] = plain.pop("take")
    take["seed"] = int(take["seed"])
    return Variant(take=Take(**take), **plain)


def source_of(scene: Any, strip: Any) -> Any:
    """The strip that remembers: itself, or the one that it is shown for."""
    if SOURCE not in strip:
        return strip
    sources = [one for one in stack.owner(scene, strip).strips if one.get(MARK) == strip[SOURCE]]
    return next((one for one in sources if _meet(one, strip)), strip)


def shown(scene: Any, source: Any, edit: str = "") -> list[Any]:
    """The strips that show takes of the source without having been applied; those of one edit, or of all."""
    edits = {one.job_id: one.take.edit for one in remembered(source)}
    return [
        one
        for one in stack.owner(scene, source).strips
        if JOB in one and MARK in source and one.get(SOURCE) == source[MARK] and _meet(one, source)
        if not edit or edits.get(one.get(JOB)) == edit
    ]


def chosen(source: Any) -> Variant | None:
    """The take that buttons act on: the one that was shown last, while it is remembered; else the last one."""
    known = remembered(source)
    return next((one for one in known if one.job_id == source.get(CHOSEN)), known[-1] if known else None)


def strips_of(scene: Any, source: Any) -> list[Any]:
    """Every strip above the source that shows one of its takes, applied or not."""
    jobs = {one.job_id for one in remembered(source)}
    return [one for one in stack.owner(scene, source).strips if one.get(JOB) in jobs and _meet(one, source)]


def compare(scene: Any, source: Any) -> bool:
    """Before and after: hide every take of the source, or show them again; whether they show now."""
    strips = strips_of(scene, source)
    after = all(one.mute for one in strips)
    for one in strips:
        one.mute = not after
    return after


def applied(scene: Any, job_id: str) -> bool:
    """Whether a strip of its own shows the take."""
    return any(one.get(JOB) == job_id and SOURCE not in one for one in scene.sequence_editor.strips_all)


def show(scene: Any, source: Any, variant: Variant, frames: Sequence[Path] = ()) -> Any:
    """Show the take above its source, and no other take of the same edit; `frames` are its files, looked up if empty.

    Nothing has changed where it raises: Missing where its files are gone, Invalid where there is no room.
    """
    frames = frames or files(variant)
    leaving = [one for one in shown(scene, source, variant.take.edit) if not _built_upon(scene, one)]
    holder, start = stack.owner(scene, source), versions.content_start_of(source) + variant.offset
    room = takes.free_channel(scene, source, start, start + variant.length)
    first, stop = _trimmed(source, start, start + variant.length)
    channel = takes.free_channel(scene, source, first, stop, leaving)
    keep(source)  # where it is a shown take itself, it is one to stay
    for one in shown(scene, source, variant.take.edit):
        _leave(scene, source, one) if one in leaving else keep(one)
    percentage = variant.percentage or scene.render.resolution_percentage
    take = takes.new_strip(holder, variant.take.name, frames, room, start, percentage)
    versions.set_handles(take, first, stop)
    take.channel = channel  # only now: until 5.0, strips that overlap for a moment are moved apart
    source[CHOSEN] = variant.job_id
    take[REQUEST], take[JOB], take[SOURCE] = variant.take.request, variant.job_id, stack.mark(source)
    if scene.sequence_editor.active_strip is None:  # it was a take that left
        scene.sequence_editor.active_strip = source
    return take


def keep(take: Any) -> None:
    """Make a shown take a strip of its own; nothing where it is one."""
    if SOURCE in take:
        del take[SOURCE]


def apply(scene: Any, source: Any, variant: Variant) -> Any:
    """The take as a strip of its own, named and coloured; the source's other takes stay, and are not shown."""
    strips = shown(scene, source, variant.take.edit)
    take = next((one for one in strips if one[JOB] == variant.job_id), None) or show(scene, source, variant)
    keep(take)
    take.mute, take.color_tag = False, COLOUR
    return take


def discard(scene: Any, source: Any, variant: Variant) -> None:
    """Forget the take; where it was shown, the next take of the edit is. Its files go where nothing else needs them."""
    strips = [one for one in shown(scene, source, variant.take.edit) if one[JOB] == variant.job_id]
    follows = successor(remembered(source), variant.job_id) if strips else None
    if follows is not None:
        show(scene, source, follows)
    for one in shown(scene, source, variant.take.edit) if follows is None else ():
        _leave(scene, source, one)
    kept = source[TAKES].to_dict()
    del kept[variant.job_id]
    source[TAKES] = kept
    waste.throw(folder(variant))


def folder(variant: Variant) -> Path:
    """Where its files are now."""
    return takes.find_folder(variant.folder, variant.beside)


def files(variant: Variant) -> list[Path]:
    """Its pictures in order. Raises Missing where they are not all there."""
    found = [folder(variant) / f"{number:05}.png" for number in range(1, variant.length + 1)]
    lacking = next((file for file in found if not file.is_file()), None)
    if lacking is not None:
        raise Missing(field="take", message=f"the file {lacking} of the take is missing", remedy="Paint it again")
    return found


def used_folders() -> Iterator[Path]:
    """Every folder of files that a strip or a remembered take of this .blend needs."""
    for scene in bpy.data.scenes:
        for strip in scene.sequence_editor.strips_all if scene.sequence_editor else ():
            yield from (folder(one) for one in remembered(strip))
            yield from (one.file.parent for one in keyframes.remembered(strip))
            if strip.type == "IMAGE":
                yield media.files(strip)[0].parent


def _meet(one: Any, other: Any) -> bool:
    return versions.start_of(one) < versions.stop_of(other) and versions.start_of(other) < versions.stop_of(one)


def _built_upon(scene: Any, take: Any) -> bool:
    """Whether the artist made more of a shown take: it was painted on, or effects use it."""
    inputs = ("input_1", "input_2")
    return TAKES in take or any(
        getattr(other, name, None) == take for other in stack.owner(scene, take).strips for name in inputs
    )


def _leave(scene: Any, source: Any, take: Any) -> None:
    """Take a shown take away from above its source. What it shows of another half of a source that was split stays."""
    holder = stack.owner(scene, source)
    halves = [one for one in holder.strips if one.get(MARK) == source[MARK] and one != source and _meet(one, take)]
    start, stop = versions.start_of(source), versions.stop_of(source)
    if any(versions.start_of(half) < start for half in halves) and versions.start_of(take) < start:
        take = take.split(frame=start, split_method="SOFT")
    if any(versions.stop_of(half) > stop for half in halves) and versions.stop_of(take) > stop:
        take.split(frame=stop, split_method="SOFT")
    holder.strips.remove(take)


def _trimmed(source: Any, start: int, stop: int) -> tuple[int, int]:
    """No more of start..stop than its source shows, where that was trimmed."""
    first, last = max(start, versions.start_of(source)), min(stop, versions.stop_of(source))
    return (first, last) if first < last else (start, stop)
