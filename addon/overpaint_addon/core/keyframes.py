"""Keyframes: finished pictures of single frames, read and checked on their way to the backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from overpaint.edit import Keyframe
from overpaint.errors import Invalid

from .ports import Backend, Selection, Still, Timeline
from .steps import Doing, Steps, until

Reader = Callable[[], np.ndarray]


def read_keyframes(
    timeline: Timeline, backend: Backend, selection: Selection
) -> Steps[tuple[tuple[Keyframe, ...], dict[str, Reader]]]:
    """The keyframes of the selection, and how to read their pixels by digest: an artist may paint over the files.

    Raises Missing where a file is gone, Invalid where a picture does not fit the clip.
    """
    stills = timeline.stills(selection)
    keyframes: list[Keyframe] = []
    readers: dict[str, Reader] = {}
    for number, still in enumerate(stills):
        read = partial(_picture, backend, still, selection)
        doing = Doing(stage="reading keyframes", done=number, total=len(stills))
        digest = yield from until(backend.digest(read), doing)
        keyframes.append(Keyframe(frame=still.frame, pixels=digest))
        readers[digest] = read
    return tuple(keyframes), readers


def _picture(backend: Backend, still: Still, selection: Selection) -> np.ndarray:
    picture = backend.read(still.file)
    size, depth = selection.size, picture.itemsize * 8
    if picture.shape[2] == 4 and (picture[..., 3] == np.iinfo(picture.dtype).max).all():
        picture = np.ascontiguousarray(picture[..., :3])  # other programs add an alpha that hides nothing
    if picture.shape != (size.height, size.width, 3) or depth != selection.depth:
        height, width, channels = picture.shape
        raise Invalid(
            field="keyframe",
            message=f"{still.file} is {width}x{height} with {channels} channels of {depth} bits, "
            f"and the clip {size} with 3 of {selection.depth}",
            remedy="Save it in the clip's size and depth, without transparency, or remove the keyframe",
        )
    return picture
