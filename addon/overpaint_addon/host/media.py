"""The files behind a strip: which are there, and how deep their pixels are."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.clip import Depth
from overpaint.errors import Invalid

KINDS = ("MOVIE", "IMAGE", "SCENE")  # the strips that can be edited


def files(strip: Any) -> list[Path]:
    """The files that a movie or image strip shows, in order. A scene strip shows none: its scene is rendered."""
    if strip.type == "SCENE":
        return []
    if strip.type == "MOVIE":
        return [Path(bpy.path.abspath(strip.filepath))]
    folder = Path(bpy.path.abspath(strip.directory))
    return [folder / element.filename for element in strip.elements]


def check_files(strip: Any) -> None:
    """Raises Invalid for the first file that is missing.

    Blender shows it black or pink and says nothing, and where the .blend was loaded without it, rendering it crashes.
    """
    for file in files(strip):
        _check_file(strip, file)


def _check_file(strip: Any, file: Path) -> None:
    if not file.is_file():
        raise Invalid(
            field="strip",
            message=f"the file {file} of the strip {strip.name} is missing",
            remedy="Put it back, or use File > External Data > Find Missing Files",
        )


def depth(strip: Any) -> Depth:
    """16 where the strip's source holds more than 8 bits a channel, as its first file says.

    A scene is as deep as it is to be written. Raises Invalid where the file is missing or cannot be read, or the strip
    has no scene. Decodes a file's first frame once.
    """
    if strip.type == "SCENE":
        if strip.scene is None:
            raise Invalid(field="strip", message=f"{strip.name} shows no scene", remedy="Choose a scene for it")
        return 8 if strip.scene.render.image_settings.color_depth == "8" else 16
    file = files(strip)[0]
    _check_file(strip, file)
    stat = file.stat()
    return _depth(str(file), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _depth(file: str, _modified: int, _length: int) -> Depth:
    # Blender's own decoder says it for every format, movies of 10 bits included: it keeps floats for what does
    # not fit into bytes. (In `bpy.data.temp_data()` the second image crashes 4.5, 5.0 and 5.2, hence the real one.)
    image = bpy.data.images.load(file, check_existing=False)
    try:
        if not image.depth:
            raise Invalid(
                field="strip", message=f"Blender cannot read {file}", remedy="Convert it to a format that Blender reads"
            )
        return 16 if image.is_float else 8
    finally:
        bpy.data.images.remove(image)
