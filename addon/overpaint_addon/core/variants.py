"""Variants: the takes of a strip that an artist chooses among."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from overpaint.colour import to_depth
from overpaint.edit import Input
from overpaint.errors import Invalid
from overpaint.job import JobSpec

MOST = 8  # takes of one press
SEEDS = 2**32
THUMBNAIL = 128  # pixels of its longer side


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A finished job's result; `request` is the whole of it as JSON.

    Takes of one `edit` are of the same frames under the same mask: at most one of them is shown.
    """

    job_id: str
    name: str
    request: str
    edit: str
    seed: int
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A take that its source remembers.

    It is `length` frames long and begins `offset` frames after the source's first picture, wherever that is moved to.
    `folder` holds its files, absolute; `beside` is the same folder from the .blend's, or "". `percentage` is that of the
    render which it was painted for, or 0 where that was not kept.
    """

    take: Take
    folder: str
    beside: str
    offset: int
    length: int
    percentage: int = 0

    @property
    def job_id(self) -> str:
        return self.take.job_id


def edit_of(spec: JobSpec) -> str:
    """The name of the edit that a request is for: its frames and its mask."""
    mask = spec.edit.guide(Input.MASK)
    place = repr((spec.clip.frames, mask.keys if mask else ()))
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def successor(variants: Sequence[Variant], job_id: str) -> Variant | None:
    """Which take is shown when that one is discarded: the next of the same edit, else the one before, else none."""
    edit = next(one.take.edit for one in variants if one.job_id == job_id)
    same = [one for one in variants if one.take.edit == edit]
    at = next(number for number, one in enumerate(same) if one.job_id == job_id)
    rest = same[at + 1 :] + same[:at][::-1]
    return rest[0] if rest else None


def seeds(first: int, count: int) -> tuple[int, ...]:
    """The seeds of `count` takes: first, first + 1 and so on; after the largest comes 0. Raises Invalid beyond 1..8."""
    if not 1 <= count <= MOST:
        raise Invalid(field="takes", message=f"{count} takes at once", remedy=f"Ask for 1 to {MOST}")
    return tuple(number % SEEDS for number in range(first, first + count))


def thumbnail(patches: Iterable[np.ndarray]) -> np.ndarray:
    """What the first patch ("h w 4", uint8 or uint16) that shows anything shows, small: RGBA uint8, at most 128 long."""
    patch = next((one for one in patches if one[..., 3].any()), None)
    if patch is None:
        return np.zeros((1, 1, 4), np.uint8)
    rows, columns = (np.flatnonzero(patch[..., 3].any(axis=axis)) for axis in (1, 0))
    cut = patch[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    step = -(-max(cut.shape[:2]) // THUMBNAIL)
    return to_depth(np.ascontiguousarray(cut[::step, ::step]), 8)
