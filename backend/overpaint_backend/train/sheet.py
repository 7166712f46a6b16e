"""A contact sheet of clips: a row for each, with frames, mask, lines and words, to see what a data set is made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from overpaint_backend.media import write_picture
from overpaint_backend.train.instances import Sample

SIDE = 192  # pixels of a picture on the sheet
LABEL = 20  # pixels of a row's words
PAPER, INK, MARK = 24, (230, 230, 230), (255, 60, 60)


def contact_sheet(path: Path, samples: Iterable[Sample]) -> None:
    """Write a PNG: first, middle and last frame; then the middle one's instance with its tracks, and its sketch."""
    write_picture(path, np.vstack([_row(sample) for sample in samples]))


def _row(sample: Sample) -> UInt8[np.ndarray, "h w 3"]:
    last = len(sample.frames) - 1
    middle = last // 2
    pictures = [_scaled(sample.frames[frame]) for frame in (0, middle, last)]
    pictures += [_instance(sample, middle), _scaled(np.repeat(sample.sketch[middle][..., None], 3, axis=2))]
    strip = np.hstack(pictures)
    bar = np.full((LABEL, strip.shape[1], 3), PAPER, np.uint8)
    cv2.putText(bar, sample.caption, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return np.vstack([bar, strip])


def _instance(sample: Sample, frame: int) -> UInt8[np.ndarray, "h w 3"]:
    """The instance over the darkened frame, and a cross on every tracked point that shows."""
    light = np.where(sample.mask[frame] > 0, 1, 0.25).astype(np.float32)
    picture = _scaled(np.rint(sample.frames[frame] * light[..., None]).astype(np.uint8))
    scale = picture.shape[0] / sample.mask.shape[1]
    for x, y in sample.tracks[frame][sample.visible[frame]] * scale:
        cv2.drawMarker(picture, (int(x), int(y)), MARK, cv2.MARKER_CROSS, 7)
    return picture


def _scaled(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """At the sheet's height; pixels stay square blocks where it grows."""
    h, w = picture.shape[:2]
    way = cv2.INTER_NEAREST if h < SIDE else cv2.INTER_AREA
    return cv2.resize(picture, (round(w * SIDE / h), SIDE), interpolation=way)
