"""The files of discarded takes: they stay while undo, or the .blend as it was saved, can bring their take back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]

from . import takes

_thrown: set[Path] = set()
# By .blend: what it needs as it was last saved or loaded, as far as that was seen.
_needed_on_disk: dict[str, set[Path]] = {}
_seen: set[str] = set()  # the files that were saved or loaded while we watched
_listening: list[tuple[list[Callable[..., None]], Callable[..., None]]] = []


def throw(folder: Path) -> None:
    """Let the take's files go when the file is left, unless something needs them then, or in a saved file.

    What lies in the folder of another .blend is that one's: this file is a later version of it, or a copy.
    """
    if folder.resolve().parent != takes.take_folder(folder.name).resolve().parent:
        return
    _thrown.add(folder.resolve())
    if bpy.data.filepath and bpy.data.filepath not in _seen:
        _needed_on_disk.setdefault(bpy.data.filepath, set()).add(folder.resolve())


def begin(used_folders: Callable[[], Iterable[Path]]) -> None:
    """Watch the file being saved and left; `used_folders` are those that anything in the open file needs."""

    def note() -> None:
        _seen.add(bpy.data.filepath)
        _needed_on_disk[bpy.data.filepath] = {folder.resolve() for folder in used_folders()}

    @bpy.app.handlers.persistent
    def saved(file: str, *_: object) -> None:
        if file == bpy.data.filepath:  # and no copy, as a capture makes
            note()

    @bpy.app.handlers.persistent
    def loaded(*_: object) -> None:
        note()

    @bpy.app.handlers.persistent
    def leave(*_: object) -> None:
        sweep(used_folders())

    handlers = bpy.app.handlers
    _listening.extend(((handlers.save_post, saved), (handlers.load_post, loaded), (handlers.load_pre, leave)))
    for event, function in _listening:
        event.append(function)


def end(used_folders: Callable[[], Iterable[Path]]) -> None:
    """The add-on or Blender ends: this is leaving, too."""
    for event, function in _listening:
        if function in event:
            event.remove(function)
    _listening.clear()
    sweep(used_folders())


def sweep(used: Iterable[Path]) -> None:
    """Remove what was thrown and nothing needs: a take's own files only, because a .blend can name any folder."""
    needed = {folder.resolve() for folder in used}.union(*_needed_on_disk.values())
    for folder in _thrown - needed:
        if _may_be_in_another(folder):
            continue
        for file in (*folder.glob("[0-9][0-9][0-9][0-9][0-9].png"), folder / "thumbnail.png"):
            file.unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    _thrown.clear()


def _may_be_in_another(folder: Path) -> bool:
    """Whether a .blend beside this one was saved since the take was painted: as another version of it, it may need it."""
    blend = Path(bpy.data.filepath)
    others = [one for one in blend.parent.glob("*.blend") if one != blend] if bpy.data.filepath else []
    return folder.is_dir() and any(one.stat().st_mtime >= folder.stat().st_mtime for one in others)
