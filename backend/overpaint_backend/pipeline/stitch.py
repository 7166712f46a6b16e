"""Join painted windows into one run of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from overpaint_backend.pipeline.windows import Window


def stitch(
    windows: Sequence[Window], painted: Callable[[Window], Float32[np.ndarray, "t h w 3"]]
) -> Iterator[Float32[np.ndarray, "h w 3"]]:
    """The frames of the clip in order, each once; where two windows overlap, the later fades in linearly.

    `painted` gives a window's frames in [0, 1]; padding may still be at the end. Two windows are in memory at most.
    """
    before: tuple[Window, Float32[np.ndarray, "t h w 3"]] | None = None
    for index, window in enumerate(windows):
        now = painted(window)
        following = windows[index + 1] if index + 1 < len(windows) else None
        stop = window.span.stop if following is None else following.span.start
        for frame in range(window.span.start, stop):
            own = now[frame - window.span.start]
            if before is None or frame >= before[0].span.stop:
                yield own
                continue
            older, pixels = before
            weight = np.float32((frame - window.span.start + 1) / (older.span.stop - window.span.start + 1))
            yield pixels[frame - older.span.start] * (1 - weight) + own * weight
        before = (window, now)
