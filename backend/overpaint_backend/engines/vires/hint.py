"""The hint net ("Sequential ControlNet"): a sketch in pixels to features on the latent grid, only where a sketch reaches.

VIRES, arXiv 2411.16199, section 3.2; the layers follow the official code (suimuc/VIRES), whose weights they must take: it
is the paper's variant 1, its strided convolutions have no normalisation, and its last convolutions normalise after SiLU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from overpaint_backend.engines.vires.config import DiTConfig

Box = tuple[int, int, int, int]
"""top, bottom, left, right; bottom and right are the first outside."""

REACH = 32  # pixels: about what the layers with most work have widened a box by
MOST = 0.75  # of the picture: a box that has grown larger, and the border beside it, cost as much as the picture


class CausalConv3d(nn.Module):
    """A 3x3x3 convolution that sees no later frame: zeros before the first frame and around the picture."""

    def __init__(self, inside: int, outside: int, stride: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inside, outside, 3, stride=(stride[0], stride[1], stride[1]), padding=(0, 1, 1))
        self.stride = stride

    def forward(self, x: Float[Tensor, "b c f h w"]) -> Tensor:
        return self.conv(self.wait(x))

    def inner(self, x: Float[Tensor, "b c f h w"]) -> Tensor:
        """Without zeros around the picture: `x` brings one pixel more than the result on every side."""
        stride = (self.stride[0], self.stride[1], self.stride[1])
        return F.conv3d(self.wait(x), self.conv.weight, self.conv.bias, stride=stride)

    def wait(self, x: Tensor) -> Tensor:
        """Zeros in front, so that a frame's result depends on it and what came before."""
        return F.pad(x, (0, 0, 0, 0, 3 - self.stride[0], 0))


class ResBlock(nn.Module):
    """Two convolutions; the diffusion time enters between them, as one number a channel."""

    def __init__(self, width: int, time: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, width, eps=1e-6)
        self.time_emb_proj = nn.Linear(time, width)
        self.conv1 = CausalConv3d(width, width)
        self.norm2 = nn.GroupNorm(groups, width, eps=1e-6)
        self.conv2 = CausalConv3d(width, width)

    def before_time(self, x: Field) -> Field:
        return convolve(self.conv1, normalise(self.norm1, x).map(F.silu))

    def after_time(self, x: Field, h: Field, t: Float[Tensor, "b d"]) -> Field:
        shift = self.time_emb_proj(F.silu(t))[:, :, None, None, None]
        h = normalise(self.norm2, h.map(lambda part: part + shift)).map(F.silu)
        return convolve(self.conv2, h).plus(x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Activations of a chunk, stored only where they differ.

    A sketch is 0 outside its mask. There, and `band` pixels away from the picture's border, a stack of convolutions gives
    one number for each channel and frame. So `patch` "b c f h w" is kept inside `box`, and `rest` outside of it: the whole
    picture of `size` (height, width) as it would be without a sketch, its constant middle rows and columns left out.
    `rest` is None where the box is the whole picture.
    """

    size: tuple[int, int]
    box: Box
    patch: Float[Tensor, "b c f ph pw"]
    rest: Float[Tensor, "b c f rh rw"] | None = None
    band: int = 0

    def map(self, change: Callable[[Tensor], Tensor]) -> Field:
        """Change every number on its own."""
        return replace(self, patch=change(self.patch), rest=None if self.rest is None else change(self.rest))

    def plus(self, other: Field) -> Field:
        """Add a field whose box lies inside this one's."""
        patch = self.patch + other.window(self.box)
        if self.rest is None:
            return replace(self, patch=patch)
        return replace(self, patch=patch, rest=self.rest + other.stretched(*self.rest.shape[-2:]))

    def window(self, box: Box) -> Tensor:
        """The numbers inside `box`, which may reach over the picture's border: there they are 0."""
        if self.box == box:
            return self.patch
        top, bottom, left, right = box
        inside = max(top, 0), min(bottom, self.size[0]), max(left, 0), min(right, self.size[1])
        if self.rest is None:
            found = self.patch[..., inside[0] : inside[1], inside[2] : inside[3]]
        else:
            rows = _kept(torch.arange(inside[0], inside[1]), self.size[0], self.rest.shape[-2])
            columns = _kept(torch.arange(inside[2], inside[3]), self.size[1], self.rest.shape[-1])
            device = self.rest.device
            found = self.rest.index_select(-2, rows.to(device)).index_select(-1, columns.to(device))
            t, b, le, r = (
                max(self.box[0], top),
                min(self.box[1], bottom),
                max(self.box[2], left),
                min(self.box[3], right),
            )
            if t < b and le < r:
                found[..., t - inside[0] : b - inside[0], le - inside[2] : r - inside[2]] = self.patch[
                    ..., t - self.box[0] : b - self.box[0], le - self.box[2] : r - self.box[2]
                ]
        return F.pad(found, (inside[2] - left, right - inside[3], inside[0] - top, bottom - inside[1]))

    def dense(self) -> Float[Tensor, "b c f h w"]:
        return self.window((0, self.size[0], 0, self.size[1]))

    def stretched(self, rows: int, columns: int) -> Tensor:
        """`rest` with its constant middle repeated, so that it has so many rows and columns."""
        assert self.rest is not None
        height, width = self.rest.shape[-2:]
        if (height, width) == (rows, columns):
            return self.rest
        device = self.rest.device
        return self.rest.index_select(-2, _kept(torch.arange(rows), rows, height).to(device)).index_select(
            -1, _kept(torch.arange(columns), columns, width).to(device)
        )


def _kept(index: Int[Tensor, " n"], full: int, kept: int) -> Int[Tensor, " n"]:
    """Where rows (or columns) of a side of `full` pixels are found when only the outer `kept` are stored."""
    half = kept // 2
    return torch.where(index < half, index, torch.where(index >= full - half, index - (full - kept), half))


def convolve(layer: CausalConv3d, x: Field) -> Field:
    """The layer on a field: the box grows by a pixel on every side, and so does the border band."""
    step = layer.stride[1]
    size = (x.size[0] // step, x.size[1] // step)
    if x.rest is None:
        return Field(size=size, box=(0, size[0], 0, size[1]), patch=layer(x.patch))
    band = x.band // step + 1
    # The result's halves must hold its band and one constant pixel.
    enough = 2 * step * (band + 1)
    rest = layer(
        x.stretched(*(max(min(full, enough), kept) for full, kept in zip(x.size, x.rest.shape[-2:], strict=True)))
    )
    top, bottom, left, right = x.box
    if step == 1:
        grown = top - 1, bottom + 1, left - 1, right + 1
    else:
        grown = top // 2, bottom // 2 + 1, left // 2, right // 2 + 1
    box = max(grown[0], 0), min(grown[1], size[0]), max(grown[2], 0), min(grown[3], size[1])
    reads = step * box[0] - 1, step * (box[1] - 1) + 2, step * box[2] - 1, step * (box[3] - 1) + 2
    patch = layer.inner(x.window(reads))
    if box == (0, size[0], 0, size[1]):
        return Field(size=size, box=box, patch=patch)
    return Field(size=size, box=box, patch=patch, rest=rest, band=band)


def normalise(layer: nn.GroupNorm, x: Field) -> Field:
    """GroupNorm over the whole picture: every number of `rest` counts as often as it stands outside the box."""
    if x.rest is None:
        return replace(x, patch=layer(x.patch))
    count = _times(x).to(x.rest.device)
    rest, patch = (part.float().unflatten(1, (layer.num_groups, -1)) for part in (x.rest, x.patch))
    dims = (2, 3, 4, 5)
    numbers = rest[0, 0, :, :, 0, 0].numel() * x.size[0] * x.size[1]
    mean = ((rest * count).sum(dims, keepdim=True) + patch.sum(dims, keepdim=True)) / numbers
    spread = ((rest - mean).square() * count).sum(dims, keepdim=True) + (patch - mean).square().sum(dims, keepdim=True)
    scale = (spread / numbers + layer.eps).rsqrt()
    weight, bias = (part.float().view(layer.num_groups, -1, 1, 1, 1) for part in (layer.weight, layer.bias))
    slope, height = scale * weight, bias - mean * scale * weight

    def change(part: Tensor) -> Tensor:
        b, c = part.shape[:2]
        return torch.addcmul(
            height.expand(b, -1, -1, -1, -1, -1).reshape(b, c, 1, 1, 1),
            part.float(),
            slope.expand(b, -1, -1, -1, -1, -1).reshape(b, c, 1, 1, 1),
        ).to(part.dtype)

    return x.map(change)


def _times(x: Field) -> Float[Tensor, "rh rw"]:
    """How many pixels of the picture, outside the box, each pixel of `rest` stands for."""
    assert x.rest is not None
    sides: list[tuple[Tensor, Tensor]] = []
    for full, kept, first, last in zip(x.size, x.rest.shape[-2:], x.box[::2], x.box[1::2], strict=True):
        where = _kept(torch.arange(full), full, kept)
        sides.append((where.bincount(minlength=kept), where[first:last].bincount(minlength=kept)))
    (rows, own_rows), (columns, own_columns) = sides
    return (rows[:, None] * columns - own_rows[:, None] * own_columns).float()


def run(layers: Iterable[nn.Module], x: Field) -> Field:
    """Plain layers, one after the other."""
    for layer in layers:
        if isinstance(layer, CausalConv3d):
            x = convolve(layer, x)
        elif isinstance(layer, nn.GroupNorm):
            x = normalise(layer, x)
        else:
            x = x.map(layer)
    return x


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a chunk's hint is before the diffusion time enters: the first block's input, and its first convolution."""

    x: Field
    h: Field


class HintNet:
    """The hint net over the layers of a model: they are the model's own, since their published names have no prefix."""

    def __init__(self, config: DiTConfig) -> None:
        a, b, c, d, e = config.hint_widths
        stem, block, last = config.hint_groups
        shrink = config.space_factor // 4  # stem and first deep block make it 4 times smaller, the second does the rest
        plan = ((config.hint_channels, a, 1), (a, a, 1), (a, b, 2), (b, b, 1), (b, c, 1), (c, c, 1))
        self.chunk, self.time_factor = config.chunk, config.time_factor
        self.stem = nn.Sequential()
        for inside, outside, step in plan:
            self.stem.extend([CausalConv3d(inside, outside, (1, step)), nn.GroupNorm(stem, outside), nn.SiLU()])
        self.blocks = nn.ModuleList(
            [
                ResBlock(c, config.hidden, block),
                CausalConv3d(c, d, (2, 2)),
                ResBlock(d, config.hidden, block),
                CausalConv3d(d, e, (2, shrink)),
                ResBlock(e, config.hidden, block),
            ]
        )
        self.last = nn.Sequential()
        for _ in range(2):
            self.last.extend([CausalConv3d(e, e), nn.SiLU(), nn.GroupNorm(last, e)])
        self.last.append(CausalConv3d(e, e))

    def begin(self, hint: Float[Tensor, "b c f h w"], boxes: Sequence[Box] | None = None) -> tuple[Begun, ...]:
        """All of the net that does not depend on the diffusion time, for each chunk of 17 frames. Once a clip.

        `hint` is in [0, 1], its sides multiples of 8, and 0 outside of each chunk's box; None: nothing is left out.
        """
        chunks = hint.split(self.chunk, dim=2)
        whole = [(0, hint.shape[3], 0, hint.shape[4])] * len(chunks)
        return tuple(self._begin(chunk, box) for chunk, box in zip(chunks, boxes or whole, strict=True))

    def _begin(self, chunk: Tensor, box: Box) -> Begun:
        first = self.blocks[0]
        assert isinstance(first, ResBlock)
        chunk = F.pad(chunk, (0, 0, 0, 0, -chunk.shape[2] % self.time_factor, 0))
        x = run(self.stem, field(chunk, box))
        return Begun(x=x, h=first.before_time(x))

    def finish(self, begun: tuple[Begun, ...], t: Float[Tensor, "b d"]) -> Float[Tensor, "b c t h w"]:
        """The features on the latent grid at the diffusion time whose embedding is `t`."""
        return torch.cat([self._finish(one, t) for one in begun], dim=2)

    def _finish(self, begun: Begun, t: Float[Tensor, "b d"]) -> Tensor:
        first, *others = self.blocks
        assert isinstance(first, ResBlock)
        x = first.after_time(begun.x, begun.h, t)
        for block in others:
            x = block.after_time(x, block.before_time(x), t) if isinstance(block, ResBlock) else run([block], x)
        return run(self.last, x).dense()


def drawn(hint: Float[Tensor, "b c f h w"], chunk: int) -> tuple[Box, ...]:
    """For each chunk of so many frames the smallest box around all that is drawn in it; one pixel where nothing is."""
    boxes: list[Box] = []
    for part in hint.split(chunk, dim=2):
        lines = part.ne(0).flatten(0, 2).any(0)
        rows, columns = (lines.any(side).nonzero().flatten().tolist() for side in (1, 0))
        boxes.append((rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) if rows else (0, 1, 0, 1))
    return tuple(boxes)


def worked(hint: Float[Tensor, "b c f h w"], chunk: int) -> tuple[Box, ...]:
    """As `drawn`, but the whole picture where little would be left out: layers widen a box, up to 67 pixels on every side."""
    height, width = hint.shape[3:]

    def pays(box: Box) -> bool:
        tall, broad = (
            min(after - before + 2 * REACH, full)
            for before, after, full in ((box[0], box[1], height), (box[2], box[3], width))
        )
        return tall * broad < MOST * height * width

    return tuple(box if pays(box) else (0, height, 0, width) for box in drawn(hint, chunk))


def field(chunk: Float[Tensor, "b c f h w"], box: Box) -> Field:
    """The chunk as a field of this box; outside of it nothing is drawn."""
    size, (top, bottom, left, right) = (chunk.shape[-2], chunk.shape[-1]), box
    if box == (0, size[0], 0, size[1]):
        return Field(size=size, box=box, patch=chunk)
    rest = chunk.new_zeros((*chunk.shape[:3], 2, 2))
    return Field(size=size, box=box, patch=chunk[..., top:bottom, left:right], rest=rest)
