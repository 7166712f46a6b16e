"""The preview of one frame: a strip of one picture above the source, and what may have changed since."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
from overpaint.edit import Guide, Track

from ..core.ports import Capture, Selection
from . import capture_child, guides, stack, strokes, takes, variants, versions

PICTURE = "overpaint_preview"  # of a preview's strip: the file of the whole picture


def folder(job_id: str) -> Path:
    """Where a preview's files are: they go when Blender ends."""
    return Path(bpy.app.tempdir or tempfile.gettempdir()) / "overpaint-preview" / job_id


def show(selection: Selection, patch: Path, picture: Path) -> None:
    """Show `patch` above the strip and all its takes, in the place of any other preview."""
    scene, source = stack.find(selection)
    clear(scene)
    top = max((source, *variants.strips_of(scene, source)), key=lambda one: one.channel)
    channel = takes.free_channel(scene, top, selection.start, selection.start + 1)
    holder = stack.owner(scene, source)
    strip = takes.new_strip(holder, "Preview", [patch], channel, selection.start, selection.percentage)
    strip[PICTURE], strip[variants.SOURCE] = str(picture), stack.mark(source)


def shown(scene: Any) -> Any:
    """The preview's strip, or None."""
    strips = scene.sequence_editor.strips_all if scene.sequence_editor else ()
    return next((one for one in strips if PICTURE in one), None)


def clear(scene: Any) -> None:
    """Take the preview away."""
    while (strip := shown(scene)) is not None:
        if scene.sequence_editor.active_strip == strip:
            scene.sequence_editor.active_strip = variants.source_of(scene, strip)
        stack.owner(scene, strip).strips.remove(strip)


class KeptFrame:
    """A capture whose pixels are remembered, or remembered pixels with the drawings as they are now."""

    _kept: tuple[object, np.ndarray] | None = None  # of the last one

    def __init__(self, selection: Selection, capture: Capture | None) -> None:
        self._selection, self._capture = selection, capture
        self._text = "" if capture else _drawings(selection)
        self._place = _place(selection)

    @classmethod
    def holds(cls, selection: Selection) -> bool:
        """Whether the pixels are still there. Those of a 3D scene are not: what is in it may have changed."""
        _, strip = stack.find(selection)
        return strip.type != "SCENE" and cls._kept is not None and cls._kept[0] == _place(selection)

    def captured(self) -> int:
        return self._capture.captured() if self._capture else 1

    def frame(self, index: int) -> np.ndarray:
        if self._capture is not None:
            KeptFrame._kept = (self._place, self._capture.frame(index))
        assert KeptFrame._kept is not None, "the frame was kept"
        return KeptFrame._kept[1]

    def guides(self) -> tuple[Guide, ...]:
        return self._capture.guides() if self._capture else strokes.from_json(self._text.split("\n")[0])

    def guide_pixels(self, digest: str) -> np.ndarray:
        assert self._capture is not None, "where guides are rendered, no frame is kept"
        return self._capture.guide_pixels(digest)

    def tracks(self) -> tuple[Track, ...]:
        return self._capture.tracks() if self._capture else strokes.tracks_from_json(self._text.split("\n")[1])

    def close(self) -> None:
        if self._capture:
            self._capture.close()


def _place(selection: Selection) -> object:
    """What the pixels of the frame depend on, as far as it is asked for cheaply: which frame, and how it is shown."""
    scene, strip = stack.find(selection)
    shown = [strip, *stack.effects(scene, strip)]
    where = (bpy.data.filepath, scene.name, strip.name, selection.start, selection.size, selection.depth)
    return *where, *(tuple(_settings(one)) for one in shown)


def _settings(one: Any, depth: int = 2) -> Iterator[object]:
    """Every value that can be set on a strip, and on what it holds: its place, its crop, its pictures, its modifiers."""
    for kind in one.bl_rna.properties:
        name, inner = kind.identifier, kind.type in ("POINTER", "COLLECTION")
        if name == "rna_type" or name.startswith("select") or (kind.is_readonly and not inner):
            continue
        if getattr(kind, "is_deprecated", False):  # reading it warns
            continue
        value = getattr(one, name)
        if kind.type == "COLLECTION":
            yield tuple(tuple(_settings(each, depth - 1)) for each in value) if depth else ()
        elif kind.type == "POINTER":
            other = value is None or isinstance(value, (bpy.types.ID, bpy.types.Strip)) or not depth
            yield getattr(value, "name", None) if other else tuple(_settings(value, depth - 1))
        else:
            yield tuple(value) if getattr(kind, "is_array", False) else value


def _drawings(selection: Selection) -> str:
    """Guides and tracks of the one frame, as the child would write them; the scene is on that frame already."""
    scene, strip = stack.find(selection)
    plan = asdict(selection) | {"width": selection.size.width, "height": selection.size.height}
    with tempfile.TemporaryDirectory(prefix="overpaint-") as there:
        capture_child.write_guides(Path(there), plan, scene, strip)
        return "\n".join((Path(there) / name).read_text("utf-8") for name in ("guides.json", "tracks.json"))


def drawn(selection: Selection) -> str:
    """A digest of all that is drawn for the strip, cheap enough to be asked for ten times a second."""
    scene, strip = stack.find(selection)
    found = hashlib.sha256(strip.get(guides.PROPERTY, "").encode())
    note, mask = guides.annotation(scene), bpy.data.masks.get(selection.mask)
    for points in (*_annotation_points(note), *_mask_points(mask)):
        found.update(points.tobytes())
    return found.hexdigest()


def _annotation_points(note: Any) -> Iterator[np.ndarray]:
    for layer in note.layers if note else ():
        yield np.array([layer.annotation_hide, layer.thickness], np.float32)
        for frame in layer.frames:
            for stroke in frame.strokes:
                points = np.empty(len(stroke.points) * 3, np.float32)
                stroke.points.foreach_get("co", points)
                yield points


def _mask_points(mask: Any) -> Iterator[np.ndarray]:
    for layer in mask.layers if mask else ():
        yield np.array([layer.hide_render, layer.invert, layer.alpha], np.float32)
        for spline in layer.splines:
            corners = [(*point.co, *point.handle_left, *point.handle_right) for point in spline.points]
            yield np.array(corners, np.float32)


def frame_of(strip: Any) -> int:
    """The frame of the timeline that a preview is of."""
    return versions.start_of(strip)
