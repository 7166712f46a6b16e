"""Our own footage made into samples: an instance large enough for long enough, cropped (VIRESET, arXiv 2411.16199)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from jaxtyping import UInt8
from overpaint.colour import to_depth
from overpaint.errors import Invalid, Missing

from overpaint_backend.guides.sketch import Lines, edges
from overpaint_backend.media import PICTURES, Footage, probe, read_frames
from overpaint_backend.train.instances import Sample

AREA = 0.1  # an instance fills at least this part of the frame ...
RUN = 51  # ... on so many frames in a row
MARGIN = 15 / 512  # free at each side of the instance, in sides of the crop


class Tracker(Protocol):
    """Finds the instance of a clip that has no masks beside it."""

    def __call__(self, clip: Path) -> Iterator[UInt8[np.ndarray, "h w"]]:
        """The mask of every frame, more than 127 where the instance is."""
        ...


class Captioner(Protocol):
    """Says in words what the instance is."""

    def __call__(self, clip: Path) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Frames of a clip, from `start` on, on which the instance is large enough; the square they are cropped to."""

    clip: Path
    start: int
    left: int
    top: int
    side: int


def written_caption(clip: Path) -> str:
    """What stands in the text file beside the clip (`name.txt`). Raises Missing."""
    path = clip.with_suffix(".txt")
    if not path.is_file():
        raise Missing(field="caption", message=f"{path} is not there", remedy="Say in it what the instance is")
    return " ".join(path.read_text().split())


def masks_beside(clip: Path) -> Iterator[UInt8[np.ndarray, "h w"]]:
    """The masks in the movie or folder of pictures beside the clip (`name.mask.mkv`, say). Raises Missing."""
    found = sorted(
        one for one in clip.parent.glob(f"{clip.stem}.mask*") if one.name[len(clip.stem) :].startswith(".mask")
    )
    if not found:
        raise Missing(field="mask", message=f"{clip} has no masks beside it", remedy=f"Give {clip.stem}.mask.mkv")
    for picture in read_frames(probe(found[0], "mask"), "mask"):
        yield to_depth(picture, 8).max(axis=2)


class Shots:
    """The samples that a folder of movies holds: `size` pixels square, of `frames` frames, none of which overlap.

    Only masks are read at first, which says how many samples there are; pictures are read when a sample is asked for.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size: int,
        frames: int = RUN,
        tracker: Tracker = masks_beside,
        captioner: Captioner = written_caption,
        lines: Lines = edges,
    ) -> None:
        """Raises Missing where there are no movies, and Invalid where masks do not fit their movie."""
        self.size, self.frames = size, frames
        self._tracker, self._captioner, self._lines = tracker, captioner, lines
        clips = [one for one in sorted(folder.iterdir()) if _is_clip(one)]
        if not clips:
            raise Missing(field="footage", message=f"{folder} holds no movies", remedy="Put some into it")
        self.shots = [shot for clip in clips for shot in self._shots(clip)]

    def __len__(self) -> int:
        return len(self.shots)

    def clip(self, index: int) -> Sample:
        """Sample number `index`. Raises IndexError, and Invalid where the clip has fewer pictures than masks."""
        shot = self.shots[index]
        footage, run = probe(shot.clip), (shot.start, shot.start + self.frames)
        frames = np.stack([self._cropped(to_depth(one, 8), shot) for one in islice(read_frames(footage), *run)])
        coverage = np.stack([self._cropped(one, shot) for one in islice(self._masks(footage), *run)])
        if len(frames) != len(coverage):
            raise Invalid(
                field="mask", message=f"{shot.clip} has fewer frames than masks", remedy="Give a mask a frame"
            )
        mask = (coverage > 127).astype(np.uint8)
        near = np.stack([cv2.dilate(one, np.ones((5, 5), np.uint8)) for one in mask])
        inner = np.stack([cv2.erode(one, np.ones((5, 5), np.uint8)) for one in mask])
        sketch = np.stack([self._lines(one) for one in frames]) * near
        return Sample(
            frames=frames,
            mask=mask,
            sketch=sketch,
            interior=sketch * inner,
            tracks=np.zeros((self.frames, 0, 2), np.float32),
            visible=np.zeros((self.frames, 0), bool),
            caption=self._captioner(shot.clip),
        )

    def _masks(self, footage: Footage) -> Iterator[UInt8[np.ndarray, "h w"]]:
        """255 where the instance is, else 0; masks of the movie's shape but another size are scaled."""
        width, height = footage.size.width, footage.size.height
        for mask in self._tracker(footage.path):
            if mask.shape[1] * height != mask.shape[0] * width:
                raise Invalid(
                    field="mask",
                    message=f"the masks of {footage.path} are {mask.shape[1]}x{mask.shape[0]} and it is {footage.size}",
                    remedy="Give masks of the movie's shape",
                )
            scaled = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
            yield np.where(scaled > 127, 255, 0).astype(np.uint8)

    def _shots(self, clip: Path) -> Iterator[Shot]:
        footage = probe(clip)
        start, boxes = 0, []  # of the run so far
        for number, mask in enumerate(self._masks(footage)):
            if (mask > 0).mean() < AREA:
                yield from self._cut(footage, start, boxes)
                start, boxes = number + 1, []
            else:
                boxes.append(cv2.boundingRect(mask))
        yield from self._cut(footage, start, boxes)

    def _cut(self, footage: Footage, start: int, boxes: list[Sequence[int]]) -> Iterator[Shot]:
        if len(boxes) < max(RUN, self.frames):
            return
        for first in range(0, len(boxes) - self.frames + 1, self.frames):
            x, y, w, h = np.array(boxes[first : first + self.frames]).T
            left, top, right, bottom = x.min(), y.min(), (x + w).max(), (y + h).max()
            width, height = footage.size.width, footage.size.height
            side = min(int(max(right - left, bottom - top) / (1 - 2 * MARGIN)) + 1, width, height)
            middle = (left + right) / 2, (top + bottom) / 2
            yield Shot(
                clip=footage.path,
                start=start + first,
                left=int(np.clip(middle[0] - side / 2, 0, width - side)),
                top=int(np.clip(middle[1] - side / 2, 0, height - side)),
                side=side,
            )

    def _cropped(self, picture: np.ndarray, shot: Shot) -> np.ndarray:
        cut = picture[shot.top : shot.top + shot.side, shot.left : shot.left + shot.side]
        way = cv2.INTER_AREA if shot.side >= self.size else cv2.INTER_LINEAR
        return cv2.resize(cut, (self.size, self.size), interpolation=way)


def _is_clip(path: Path) -> bool:
    return path.is_file() and ".mask" not in path.suffixes and path.suffix.lower() not in {".txt", *PICTURES}
