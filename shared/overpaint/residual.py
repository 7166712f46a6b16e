"""The exact arithmetic of DELTA_ZSTD: a frame <-> its packed residual, in row blocks that fit the cache.

Every step is linear modulo 2**depth, so the temporal part can be put back last, and only it waits for the frame before.
codec.py tells the steps. Frames here are "h w c", C order, little-endian, of 1, 3 or 4 channels.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = np.ndarray[Any, np.dtype[Any]]

_BLOCK_BYTES = 2**20
_ORDER = {1: (0,), 3: (1, 0, 2), 4: (1, 0, 2, 3)}  # the planes' channels: green comes first
_BIAS = {1: np.uint8(0x08), 2: np.uint16(0x0880)}


class Scratch:
    """Arrays that are used again and again.

    A fresh array costs a page fault for every 4 KiB of it, which took a quarter of all encoding time.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Pixels] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Pixels:
        """An array of this shape, with whatever it held last; the next call with this name may give the same memory."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        kept = self._kept.get(name)
        if kept is None or len(kept) < size:
            kept = self._kept[name] = np.empty(size, np.uint8)
        return kept[:size].view(dtype).reshape(shape)

    def kept_bytes(self) -> int:
        return sum(map(len, self._kept.values()))


_free: list[Scratch] = []


@contextmanager
def borrowed_scratch() -> Generator[Scratch]:
    """Scratch for one thread while the block lasts. A few are kept for the next, unless they are very large."""
    scratch = _free.pop() if _free else Scratch()
    yield scratch
    if len(_free) < 4 and scratch.kept_bytes() < 2**26:
        _free.append(scratch)


def packed_bytes(shape: tuple[int, int, int], itemsize: int) -> int:
    """How many bytes the packed residual of a frame of this shape has."""
    height, width, channels = shape
    samples = height * width
    return channels * (samples * (itemsize - 1) + (samples + 1) // 2 * 2)


def pack_residual(pixels: Pixels, previous: Pixels | None, up: bool, scratch: Scratch) -> Pixels:
    """What `pixels` differ from their prediction (from `previous`, from the row above, or both), packed: uint8 "n".

    The result lies in the scratch.
    """
    height, width, channels = pixels.shape
    now = pixels.reshape(height, -1)
    before = None if previous is None else previous.reshape(height, -1)
    packed = scratch.array("packed", (packed_bytes((height, width, channels), pixels.itemsize),), np.uint8)
    rows = _block_rows(pixels.shape, pixels.itemsize)
    change = scratch.array("change", (rows + 1, width * channels), pixels.dtype)
    change[0] = 0  # its first row is the row above the block
    climb = scratch.array("climb", change.shape, pixels.dtype)
    parts = _Parts(packed, height * width, rows * width, channels, pixels.dtype, scratch)
    for top in range(0, height, rows):
        block = now[top : top + rows]
        count = len(block)
        if before is not None:
            block = np.subtract(block, before[top : top + rows], out=change[1 : count + 1])
        elif up:
            change[1 : count + 1] = block
        if up:
            block = np.subtract(change[1 : count + 1], change[:count], out=climb[:count])
            change[0] = change[count]
        _to_planes(block.reshape(-1, channels), parts.planes)
        parts.split(top * width, count * width)
    return packed


def unpack_residual(
    packed: Pixels, shape: tuple[int, int, int], dtype: np.dtype[Any], up: bool, scratch: Scratch
) -> Pixels:
    """Undo `pack_residual`, all but its temporal part: add the frame before to the result."""
    height, width, channels = shape
    pixels = np.empty(shape, dtype)
    lines = pixels.reshape(height, -1)
    rows = _block_rows(shape, dtype.itemsize)
    parts = _Parts(packed, height * width, rows * width, channels, dtype, scratch)
    for top in range(0, height, rows):
        block = lines[top : top + rows]
        parts.join(top * width, len(block) * width)
        _from_planes(parts.planes, block.reshape(-1, channels))
        if up:
            if top:
                block[0] += lines[top - 1]
            _sum_down(block)
    return pixels


def _block_rows(shape: tuple[int, ...], itemsize: int) -> int:
    """Rows of a block: an even number, so that no pair of samples is cut."""
    height, width, channels = shape
    return min(height + height % 2, max(2, _BLOCK_BYTES // (width * channels * itemsize) // 2 * 2))


class _Parts:
    """The planes of a block, and where their parts lie in the packed residual: low bytes, low and high nibbles.

    The low bytes are those of 16-bit samples. The nibbles are those of the samples' top byte, two samples to a byte.
    """

    def __init__(
        self, packed: Pixels, samples: int, block: int, channels: int, dtype: np.dtype[Any], scratch: Scratch
    ) -> None:
        deep = dtype.itemsize == 2
        lows = channels * samples if deep else 0
        self.planes = scratch.array("planes", (channels, block), dtype)
        self._lows = packed[:lows].reshape(channels, -1) if deep else None
        self._nibbles = packed[lows:].reshape(2, channels, (samples + 1) // 2)
        self._tops = scratch.array("tops", (channels, block), np.uint8) if deep else self.planes
        self._spare = scratch.array("spare", (2, channels, block // 2), np.uint16)

    def split(self, start: int, count: int) -> None:
        """`count` samples of each plane -> their parts, from sample `start` (even) on."""
        if self._lows is not None:
            samples = self.planes[:, :count]
            _narrow(samples, self._lows[:, start : start + count])
            np.right_shift(samples, 8, out=samples)
            _narrow(samples, self._tops[:, :count])
        if count % 2:
            self._tops[:, count] = _BIAS[1]
        pairs = (count + 1) // 2
        low, high = self._nibbles[:, :, start // 2 : start // 2 + pairs]
        words, nibbles, spare = self._tops.view("<u2")[:, :pairs], *self._spare[:, :, :pairs]
        np.bitwise_and(words, 0x0F0F, out=nibbles)
        _fold(nibbles, low, spare)
        np.right_shift(words, 4, out=nibbles)
        np.bitwise_and(nibbles, 0x0F0F, out=nibbles)
        _fold(nibbles, high, spare)

    def join(self, start: int, count: int) -> None:
        """Undo `split`."""
        pairs = (count + 1) // 2
        low, high = self._nibbles[:, :, start // 2 : start // 2 + pairs]
        words, nibbles, spare = self._tops.view("<u2")[:, :pairs], *self._spare[:, :, :pairs]
        _unfold(low, words, spare)
        _unfold(high, nibbles, spare)
        np.left_shift(nibbles, 4, out=nibbles)
        np.bitwise_or(words, nibbles, out=words)
        if self._lows is not None:
            samples = self.planes[:, :count]
            samples[:] = self._tops[:, :count]
            np.left_shift(samples, 8, out=samples)
            np.bitwise_or(samples, self._lows[:, start : start + count], out=samples)


def _fold(nibbles: Pixels, half: Pixels, spare: Pixels) -> None:
    """Words of two nibbles, 0x0b0a -> bytes 0xba."""
    np.right_shift(nibbles, 4, out=spare)
    np.bitwise_or(nibbles, spare, out=nibbles)
    _narrow(nibbles, half)


def _unfold(half: Pixels, nibbles: Pixels, spare: Pixels) -> None:
    """Undo `_fold`."""
    nibbles[:] = half
    np.left_shift(nibbles, 4, out=spare)
    np.bitwise_or(nibbles, spare, out=nibbles)
    np.bitwise_and(nibbles, 0x0F0F, out=nibbles)


def _narrow(words: Pixels, low_bytes: Pixels) -> None:
    np.copyto(low_bytes, words, casting="unsafe")


def _to_planes(samples: Pixels, planes: Pixels) -> None:
    """Samples "n c" -> biased planes: green, red - green, blue - green, alpha.

    Strided copies first and arithmetic on whole planes after: the other way round the arithmetic is strided, and slower.
    """
    count, channels = samples.shape
    planes = planes[:, :count]
    for plane, channel in enumerate(_ORDER[channels]):
        planes[plane] = samples[:, channel]
    if channels >= 3:
        planes[1:3] -= planes[0]
    planes += _BIAS[planes.itemsize]


def _from_planes(planes: Pixels, samples: Pixels) -> None:
    """Undo `_to_planes`; the planes are used up."""
    count, channels = samples.shape
    planes = planes[:, :count]
    planes -= _BIAS[planes.itemsize]
    if channels >= 3:
        planes[1:3] += planes[0]
    for plane, channel in enumerate(_ORDER[channels]):
        samples[:, channel] = planes[plane]


def _sum_down(lines: Pixels, group: int = 8) -> None:
    """Running sum down the rows, in place: within groups of rows first, then from group to group.

    Two passes over the pixels, but far fewer calls than one for each row: half the time for small frames.
    """
    whole = len(lines) // group
    groups = lines[: whole * group].reshape(whole, group, lines.shape[1])
    for row in range(1, group):
        groups[:, row] += groups[:, row - 1]
    for one in range(1, whole):
        groups[one] += groups[one - 1, -1]
    for row in range(max(1, whole * group), len(lines)):
        lines[row] += lines[row - 1]
