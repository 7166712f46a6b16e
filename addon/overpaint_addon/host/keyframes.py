"""Keyframes: finished pictures of single frames, remembered by the source strip, as files beside the .blend."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.ports import Selection, Still
from . import stack, takes, versions, waste

KEYFRAMES = "overpaint_keyframes"  # of a source: by its frame, counted from the source's first picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A keyframe on `frame` of the timeline, wherever the source has been moved to."""

    frame: int
    file: Path


def remembered(source: Any) -> tuple[Kept, ...]:
    """The keyframes of the strip in order, also those that its handles hide."""
    kept = source[KEYFRAMES].to_dict() if KEYFRAMES in source else {}
    start = versions.content_start_of(source)
    found = [
        Kept(frame=start + int(offset), file=takes.find_folder(one["folder"], one["beside"]) / "00001.png")
        for offset, one in kept.items()
    ]
    return tuple(sorted(found, key=lambda one: one.frame))


def accept(source: Any, frame: int, picture: Path) -> None:
    """The picture becomes the keyframe of that frame, in the place of another; it is copied beside the .blend."""
    folder = takes.take_folder(f"keyframe-{uuid.uuid4().hex}")
    folder.mkdir(parents=True)
    shutil.copyfile(picture, folder / "00001.png")
    remove(source, frame)
    kept = source[KEYFRAMES].to_dict() if KEYFRAMES in source else {}
    offset = str(frame - versions.content_start_of(source))
    source[KEYFRAMES] = kept | {offset: {"folder": str(folder), "beside": takes.beside(folder)}}


def remove(source: Any, frame: int) -> None:
    """Forget the keyframe of that frame; where there is none, nothing happens."""
    kept = source[KEYFRAMES].to_dict() if KEYFRAMES in source else {}
    one = kept.pop(str(frame - versions.content_start_of(source)), None)
    if one is not None:
        source[KEYFRAMES] = kept
        waste.throw(takes.find_folder(one["folder"], one["beside"]))


def stills(selection: Selection) -> tuple[Still, ...]:
    """The pictures of the selection's keyframes, in order."""
    _, source = stack.find(selection)
    found = [Still(frame=one.frame - selection.start, file=one.file) for one in remembered(source)]
    return tuple(one for one in found if one.frame in selection.keyframes)


def frames(scene: Any, source: Any, start: int, length: int) -> tuple[int, ...]:
    """The frames of a clip that keyframes are given for; none where the artist leaves them out."""
    loop = getattr(scene, "overpaint_loop", None)  # without the panel nobody leaves them out
    wanted = loop is None or loop.use_keyframes
    return tuple(one.frame - start for one in remembered(source) if wanted and start <= one.frame < start + length)
