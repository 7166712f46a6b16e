"""A block autoencoder for small models: principal components of small blocks, and a decoder that mends what they lose."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from overpaint.errors import Invalid
from torch import Tensor, nn

from overpaint_backend.engines.vires.config import PCAConfig


class BlockVAE(nn.Module):
    """A video to latents and back, in place of `VideoVAE` and used like it.

    A latent pixel holds the first principal components of its own block (4 x 4 pixels of 4 frames, say) and knows nothing
    of its neighbours, so nothing leaks out of a mask. `Mender` adds what it learned to the linear way back. As in the
    published autoencoder, each chunk of 17 frames stands alone and is lengthened in front; here by its first frame.
    `tile` is there for `VideoVAE`'s sake: how many frames are mended at once.
    """

    basis: Tensor
    centre: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self, config: PCAConfig) -> None:
        super().__init__()
        self.config = config
        self.tile = config.micro_batch
        self.time_factor, self.space_factor = config.time_factor, config.block
        numbers, channels = 3 * config.time_factor * config.block**2, config.latent_channels
        self.register_buffer("basis", torch.eye(channels, numbers))
        self.register_buffer("centre", torch.zeros(numbers))
        self.register_buffer("shift", torch.zeros(1, channels, 1, 1, 1))
        self.register_buffer("scale", torch.ones(1, channels, 1, 1, 1))
        self.mender = Mender(config.width)

    def latent_frames(self, frames: int) -> int:
        """How many latent frames `frames` frames make: chunks are encoded on their own, each rounded up."""
        return sum(-(-length // self.time_factor) for _, length in self.chunks(frames))

    def chunks(self, frames: int) -> list[tuple[int, int]]:
        """Start and length of each run of frames that is encoded on its own."""
        return [(start, min(self.config.chunk, frames - start)) for start in range(0, frames, self.config.chunk)]

    def encode(
        self, video: Float[Tensor, "b 3 t h w"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "b c n h/4 w/4"]:
        """Normalised latents of a video in [-1, 1], n = latent_frames(t). There is no chance in it: no `generator` counts.

        Raises Invalid where there is no frame, or a side is no multiple of the block's.
        """
        height, width = video.shape[3:]
        if video.shape[2] < 1:
            raise Invalid(field="video", message="it has no frames", remedy="Give one frame or more")
        if height % self.space_factor or width % self.space_factor:
            what = f"it is {width} x {height} pixels, and sides must be multiples of {self.space_factor}"
            raise Invalid(field="video", message=what, remedy="Crop or pad it")
        latents = (self.blocks(video.to(self.basis)) - self.centre) @ self.basis.T
        return (rearrange(latents, "b t h w c -> b c t h w") - self.shift) / self.scale

    def blocks(self, video: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b n h/4 w/4 numbers"]:
        """The pixels of each latent pixel."""
        parts = []
        for start, length in self.chunks(video.shape[2]):
            chunk = video[:, :, start : start + length]
            front = chunk[:, :, :1].expand(-1, -1, -length % self.time_factor, -1, -1)
            parts.append(torch.cat([front, chunk], 2))
        f, s = self.time_factor, self.space_factor
        return rearrange(torch.cat(parts, 2), "b c (t ft) (h fh) (w fw) -> b t h w (c ft fh fw)", ft=f, fh=s, fw=s)

    def decode(
        self,
        z: Float[Tensor, "b c n h/4 w/4"],
        frames: int,
        sketch: Float[Tensor, "b 3 t h w"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b 3 t h w"]:
        """The video of t = `frames` frames, about [-1, 1] and not clipped, with what `sketch` in [-1, 1] tells.

        Raises Invalid where lengths or sizes do not fit.
        """
        linear = self.decode_linear(z, frames)
        if sketch is not None and sketch.shape != linear.shape:
            what = f"its clips, channels, frames, height and width are {tuple(sketch.shape)}, not {tuple(linear.shape)}"
            raise Invalid(field="sketch", message=what, remedy="Give a sketch of the video's length and size")
        flat = rearrange(linear, "b c t h w -> (b t) c h w").split(self.tile)
        drawn = [None] * len(flat)
        if sketch is not None and self.config.sketch_aware:
            drawn = rearrange(sketch.to(linear), "b c t h w -> (b t) c h w").split(self.tile)
        mended = [part + self.mender(part, lines) for part, lines in zip(flat, drawn, strict=True)]
        return rearrange(torch.cat(mended), "(b t) c h w -> b c t h w", b=len(z))

    def decode_linear(self, z: Float[Tensor, "b c n h/4 w/4"], frames: int) -> Float[Tensor, "b 3 t h w"]:
        """The way back without what was learned."""
        if z.shape[2] != self.latent_frames(frames):
            what = f"{frames} frames have {self.latent_frames(frames)} latent frames, and {z.shape[2]} were given"
            raise Invalid(field="frames", message=what, remedy="Ask for as many frames as were encoded")
        latents = rearrange(z.to(self.basis) * self.scale + self.shift, "b c t h w -> b t h w c")
        f, s = self.time_factor, self.space_factor
        video = rearrange(
            latents @ self.basis + self.centre, "b t h w (c ft fh fw) -> b c (t ft) (h fh) (w fw)", ft=f, fh=s, fw=s
        )
        pieces = video.split(-(-self.config.chunk // f) * f, 2)
        ends = zip(self.chunks(frames), pieces, strict=True)
        return torch.cat([piece[:, :, piece.shape[2] - length :] for (_, length), piece in ends], 2)


class Mender(nn.Module):
    """What the components lost, frame by frame, at half and a quarter of the size; a sketch's features help at both."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(12, width, 3, padding=1)
        self.fine = nn.ModuleList(Pair(width) for _ in range(2))
        self.shrink = nn.Conv2d(4 * width, 2 * width, 1)
        self.coarse = nn.ModuleList(Pair(2 * width) for _ in range(2))
        self.grow = nn.Conv2d(2 * width, 4 * width, 1)
        self.leave = nn.Conv2d(width, 12, 3, padding=1)
        self.sketch_fine = nn.Sequential(
            nn.Conv2d(12, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)
        )
        self.sketch_coarse = nn.Conv2d(4 * width, 2 * width, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, video: Float[Tensor, "n 3 h w"], sketch: Float[Tensor, "n 3 h w"] | None) -> Tensor:
        x = self.enter(F.pixel_unshuffle(video, 2))
        lines = None if sketch is None else self.sketch_fine(F.pixel_unshuffle(sketch, 2))
        x = self.fine[0](x if lines is None else x + lines)
        deep = self.shrink(F.pixel_unshuffle(x, 2))
        if lines is not None:
            deep = deep + self.sketch_coarse(F.pixel_unshuffle(lines, 2))
        for block in self.coarse:
            deep = block(deep)
        return F.pixel_shuffle(self.leave(self.fine[1](x + F.pixel_shuffle(self.grow(deep), 2))), 2)


class Pair(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))
