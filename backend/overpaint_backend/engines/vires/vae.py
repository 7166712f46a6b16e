"""The autoencoder: a video to latents and back, frame by frame in space, chunk by chunk in time, with a sketch to help.

VIRES, arXiv 2411.16199, section 3.4; key names and numbers follow the official code (suimuc/VIRES), whose weights it takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.vae import Encoder
from einops import rearrange
from jaxtyping import Float
from overpaint.errors import Invalid
from torch import Tensor, nn

from overpaint_backend.engines.vires.config import VAEConfig

SHIFT = (-0.10, 0.34, 0.27, 0.98)
SCALE = (3.85, 2.32, 2.33, 3.06)
Taps = list[Tensor]
"""What a sketch encoder saw after each of its residual blocks, first block first; the decoders take it from the end."""


class CausalConv3d(nn.Module):
    """A convolution that sees no later frame: zeros before the first frame and around the picture."""

    def __init__(self, inside: int, outside: int, kernel: int = 3, stride: int = 1, bias: bool = True) -> None:
        super().__init__()
        around = kernel // 2
        self.conv = nn.Conv3d(inside, outside, kernel, (stride, 1, 1), padding=(0, around, around), bias=bias)
        self.front = kernel - stride

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Tensor:
        return self.conv(F.pad(x, (0, 0, 0, 0, self.front, 0)))


class ResBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inside: int, outside: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inside)
        self.conv1 = CausalConv3d(inside, outside, bias=False)
        self.norm2 = nn.GroupNorm(groups, outside)
        self.conv2 = CausalConv3d(outside, outside, bias=False)
        self.conv3 = CausalConv3d(inside, outside, kernel=1, bias=False) if inside != outside else nn.Identity()

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return self.conv3(x) + self.conv2(F.silu(self.norm2(h)))


def blocks(inside: int, outside: int, config: VAEConfig) -> nn.ModuleList:
    """One level of residual blocks."""
    widths = [inside] + [outside] * config.temporal_blocks
    return nn.ModuleList(ResBlock(first, second, config.temporal_groups) for first, second in pairwise(widths))


class TemporalEncoder(nn.Module):
    """Spatial latents to moments, with fewer frames."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = [config.temporal_width * factor for factor in config.temporal_multipliers]
        self.conv_in = CausalConv3d(config.latent_channels, widths[0], bias=False)
        self.block_res_blocks: Any = nn.ModuleList(
            blocks(inside, outside, config) for inside, outside in pairwise(widths[:1] + widths)
        )
        self.conv_blocks = nn.ModuleList(
            CausalConv3d(width, width, stride=2) if halve else nn.Identity()
            for width, halve in zip(widths[:-1], config.temporal_halves, strict=True)
        )
        self.res_blocks = blocks(widths[-1], widths[-1], config)
        self.norm1 = nn.GroupNorm(config.temporal_groups, widths[-1])
        self.conv2 = CausalConv3d(widths[-1], 2 * config.latent_channels, kernel=1)

    def features(self, x: Float[Tensor, "b c t h w"]) -> Iterator[Tensor]:
        """What is there after each residual block."""
        x = self.conv_in(x)
        for level, shorten in zip(self.block_res_blocks, [*self.conv_blocks, nn.Identity()], strict=True):
            for block in level:
                x = block(x)
                yield x
            x = shorten(x)
        for block in self.res_blocks:
            x = block(x)
            yield x

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Tensor:
        for feature in self.features(x):
            x = feature
        return self.conv2(F.silu(self.norm1(x)))


class TemporalDecoder(nn.Module):
    """The way back; a sketch's features are added after every residual block."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = [config.temporal_width * factor for factor in config.temporal_multipliers]
        self.conv1 = CausalConv3d(config.latent_channels, widths[-1])
        self.res_blocks = blocks(widths[-1], widths[-1], config)
        self.block_res_blocks: Any = nn.ModuleList(
            blocks(inside, outside, config) for inside, outside in zip(widths[1:] + widths[-1:], widths, strict=True)
        )
        self.conv_blocks = nn.ModuleList(
            CausalConv3d(width, 2 * width) if double else nn.Identity()
            for width, double in zip(widths[1:], config.temporal_halves, strict=True)
        )
        self.norm1 = nn.GroupNorm(config.temporal_groups, widths[0])
        self.conv_out = CausalConv3d(widths[0], config.latent_channels)

    def forward(self, x: Float[Tensor, "b c t h w"], taps: Taps) -> Tensor:
        """Uses up `taps`: none, or one for every residual block."""
        x = through(self.res_blocks, self.conv1(x), taps)
        for level, lengthen in zip(reversed(self.block_res_blocks), [*reversed(self.conv_blocks), None], strict=True):
            x = through(level, x, taps)
            if isinstance(lengthen, CausalConv3d):
                x = rearrange(lengthen(x), "b (c s) t h w -> b c (t s) h w", s=2)
        return self.conv_out(F.silu(self.norm1(x)))


def through(level: Iterable[nn.Module], x: Tensor, taps: Taps, *rest: None) -> Tensor:
    """Each block in turn, and the tap that belongs to it, while there are any; diffusers' blocks want a `rest` of None."""
    for block in level:
        x = block(x, *rest)
        if taps:
            x = x + taps.pop()
    return x


class SpatialVAE(nn.Module):
    """Diffusers' autoencoder of single pictures."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths: dict[str, Any] = {  # diffusers' signature says that each is of one level
            "down_block_types": ("DownEncoderBlock2D",) * len(config.spatial_widths),
            "up_block_types": ("UpDecoderBlock2D",) * len(config.spatial_widths),
            "block_out_channels": config.spatial_widths,
        }
        self.module: Any = AutoencoderKL(
            layers_per_block=config.spatial_layers,
            latent_channels=config.latent_channels,
            norm_num_groups=config.spatial_groups,
            **widths,
        )

    def encode(self, x: Float[Tensor, "n 3 h w"]) -> Tensor:
        return self.module.quant_conv(self.module.encoder(x))

    def decode(self, z: Float[Tensor, "n c h w"], taps: Taps) -> Float[Tensor, "n 3 h w"]:
        """Uses up `taps`: none, or one for every residual block of the encoder; the last of a level here gets none."""
        decoder = self.module.decoder
        x = decoder.conv_in(self.module.post_quant_conv(z))
        first, second = decoder.mid_block.resnets
        x = through([first], x, taps, None)
        x = decoder.mid_block.attentions[0](x)
        x = through([second], x, taps, None)
        for level in decoder.up_blocks:
            x = through(level.resnets[:-1], x, taps, None)
            x = level.resnets[-1](x, None)
            for enlarge in level.upsamplers or ():
                x = enlarge(x)
        return decoder.conv_out(F.silu(decoder.conv_norm_out(x)))


class TemporalVAE(nn.Module):
    """The causal autoencoder over time; `x` is a chunk of latents whose length is a multiple of the time factor."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        channels = config.latent_channels
        self.encoder = TemporalEncoder(config)
        self.quant_conv = CausalConv3d(2 * channels, 2 * channels, kernel=1)
        self.post_quant_conv = CausalConv3d(channels, channels, kernel=1)
        self.decoder = TemporalDecoder(config)

    def encode(self, x: Float[Tensor, "b c t h w"]) -> Tensor:
        return self.quant_conv(self.encoder(x))

    def decode(self, z: Float[Tensor, "b c t h w"], taps: Taps) -> Tensor:
        return self.decoder(self.post_quant_conv(z), taps)


class SketchVAE(nn.Module):
    """The sketch-aware encoder: both encoders once more, for what they see on their way rather than for their end.

    The end of the 3D one (norm1, conv2, quant_conv_3d) is in the published weights, and nothing asks for it.
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        channels, widths = 2 * config.latent_channels, config.spatial_widths
        self.encoder_2d: Any = Encoder(
            out_channels=config.latent_channels,
            down_block_types=("DownEncoderBlock2D",) * len(widths),
            block_out_channels=widths,
            layers_per_block=config.spatial_layers,
            norm_num_groups=config.spatial_groups,
        )
        self.quant_conv_2d = nn.Conv2d(channels, channels, 1)
        self.encoder_3d = TemporalEncoder(config)
        self.quant_conv_3d = CausalConv3d(channels, channels, kernel=1)
        flat = [width for width in widths for _ in range(config.spatial_layers)] + [widths[-1]] * 2
        self.zero_conv_2d = nn.ModuleList(nn.Conv2d(width, width, 1) for width in flat)
        factors = [*config.temporal_multipliers, config.temporal_multipliers[-1]]
        deep = [config.temporal_width * factor for factor in factors for _ in range(config.temporal_blocks)]
        self.zero_conv_3d = nn.ModuleList(nn.Conv3d(width, width, 1) for width in deep)

    def encode(self, x: Float[Tensor, "n 3 h w"]) -> Tensor:
        return self.quant_conv_2d(self.encoder_2d(x))

    def taps_2d(self, x: Float[Tensor, "n 3 h w"]) -> Taps:
        return [conv(seen) for conv, seen in zip(self.zero_conv_2d, self.features_2d(x), strict=True)]

    def taps_3d(self, x: Float[Tensor, "b c t h w"]) -> Taps:
        return [conv(seen) for conv, seen in zip(self.zero_conv_3d, self.encoder_3d.features(x), strict=True)]

    def features_2d(self, x: Float[Tensor, "n 3 h w"]) -> Iterator[Tensor]:
        """What is there after each residual block."""
        x = self.encoder_2d.conv_in(x)
        for level in self.encoder_2d.down_blocks:
            for block in level.resnets:
                x = block(x, None)
                yield x
            for shrink in level.downsamplers or ():
                x = shrink(x)
        first, second = self.encoder_2d.mid_block.resnets
        x = first(x, None)
        yield x
        yield second(self.encoder_2d.mid_block.attentions[0](x), None)


class VideoVAE(nn.Module):
    """A video to latents and back.

    `tile` is how many frames go through the parts in space at once: they do not see each other there, so it changes the
    memory it takes and no result. It starts as the config's `micro_batch`.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.tile = config.micro_batch
        self.time_factor = 2 ** sum(config.temporal_halves)
        self.space_factor = 2 ** (len(config.spatial_widths) - 1)
        self.spatial_vae = SpatialVAE(config)
        self.temporal_vae = TemporalVAE(config)
        self.sketch_vae = SketchVAE(config)
        self.register_buffer("shift", torch.tensor(SHIFT)[None, :, None, None, None])
        self.register_buffer("scale", torch.tensor(SCALE)[None, :, None, None, None])

    def latent_frames(self, frames: int) -> int:
        """How many latent frames `frames` frames make: chunks are encoded on their own, each rounded up."""
        return sum(-(-length // self.time_factor) for _, length in self.chunks(frames))

    def encode(
        self, video: Float[Tensor, "b 3 t h w"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "b c n h/8 w/8"]:
        """Normalised latents of a video in [-1, 1], n = latent_frames(t), in the weights' type and on their device.

        With a `generator` (on the CPU, so that every device draws the same) both posteriors are sampled, without one
        their means are taken. Raises Invalid where there is no frame or a side is no multiple of 8.
        """
        self.check_size(video)
        latents = []
        for start, length in self.chunks(video.shape[2]):
            flat = self.encode_frames(self.spatial_vae, video[:, :, start : start + length], generator)
            latents.append(draw(self.temporal_vae.encode(self.lengthen(flat)), generator))
        return (torch.cat(latents, 2) - self.shift) / self.scale

    def decode(
        self,
        z: Float[Tensor, "b c n h/8 w/8"],
        frames: int,
        sketch: Float[Tensor, "b 3 t h w"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b 3 t h w"]:
        """The video of t = `frames` frames, about [-1, 1] and not clipped, with what `sketch` in [-1, 1] tells.

        `generator` samples the sketch's latent as in `encode`. Raises Invalid where lengths or sizes do not fit.
        """
        expected = self.latent_frames(frames)
        if z.shape[2] != expected:
            what = f"{frames} frames have {expected} latent frames, and {z.shape[2]} were given"
            raise Invalid(field="frames", message=what, remedy="Ask for as many frames as were encoded")
        if sketch is not None:
            size = (len(z), 3, frames, z.shape[3] * self.space_factor, z.shape[4] * self.space_factor)
            if tuple(sketch.shape) != size:
                what = f"its clips, channels, frames, height and width are {tuple(sketch.shape)}, the video's {size}"
                raise Invalid(field="sketch", message=what, remedy="Give a sketch of the video's length and size")
        z = z.to(self.shift) * self.scale + self.shift
        pieces = z.split(-(-self.config.chunk // self.time_factor), 2)
        videos = []
        for (start, length), piece in zip(self.chunks(frames), pieces, strict=True):
            lines = None if sketch is None else sketch[:, :, start : start + length]
            videos.append(self.decode_chunk(piece, length, lines, generator))
        return torch.cat(videos, 2)

    def decode_chunk(self, z: Tensor, length: int, sketch: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """A chunk in time, then its frames.

        Temporal decoding needs the sketch's latents of the whole chunk before the first frame can be decoded in space. So
        the 2D encoder sees a sketch twice: for its latents, and again, without its end, for the taps of the few frames
        at hand. For 51 frames of 512 x 512 that is 57 of 301 TFLOP, less than half a sampling step. To keep the taps
        instead, 126 million numbers a frame, would take 4.3 GB a chunk in bf16; those of four frames take 1.0 GB.
        """
        taps, drawn = [], None
        if sketch is not None:
            drawn = rearrange(sketch, "b c t h w -> (b t) c h w").split(self.tile)
            lines = self.encode_frames(self.sketch_vae, sketch, generator)
            taps = self.sketch_vae.taps_3d(self.lengthen(lines))
        flat = self.temporal_vae.decode(z, taps)[:, :, -length:] / self.config.spatial_scale
        flat = rearrange(flat, "b c t h w -> (b t) c h w")
        pictures = []
        for at, part in enumerate(flat.split(self.tile)):
            if drawn is not None:
                taps = self.sketch_vae.taps_2d(drawn[at].to(part))
            pictures.append(self.spatial_vae.decode(part, taps))
        return rearrange(torch.cat(pictures), "(b t) c h w -> b c t h w", b=len(z))

    def encode_frames(
        self, encoder: SpatialVAE | SketchVAE, video: Tensor, generator: torch.Generator | None
    ) -> Float[Tensor, "b c t h/8 w/8"]:
        """Every frame on its own."""
        flat = rearrange(video, "b c t h w -> (b t) c h w")
        moments = torch.cat([encoder.encode(part.to(self.shift)) for part in flat.split(self.tile)])
        latents = draw(rearrange(moments, "(b t) c h w -> b c t h w", b=len(video)), generator)
        return latents * self.config.spatial_scale

    def lengthen(self, flat: Float[Tensor, "b c t h w"]) -> Tensor:
        """Zeros in front, to a multiple of the time factor."""
        return F.pad(flat, (0, 0, 0, 0, -flat.shape[2] % self.time_factor, 0))

    def chunks(self, frames: int) -> list[tuple[int, int]]:
        """Start and length of each run of frames that is encoded on its own."""
        return [(start, min(self.config.chunk, frames - start)) for start in range(0, frames, self.config.chunk)]

    def check_size(self, video: Tensor) -> None:
        height, width = video.shape[3:]
        if video.shape[2] < 1:
            raise Invalid(field="video", message="it has no frames", remedy="Give one frame or more")
        if height % self.space_factor or width % self.space_factor:
            what = f"it is {width} x {height} pixels, and sides must be multiples of {self.space_factor}"
            raise Invalid(field="video", message=what, remedy="Crop or pad it")


def draw(moments: Float[Tensor, "b 2c t h w"], generator: torch.Generator | None) -> Float[Tensor, "b c t h w"]:
    """A sample of the posterior; its mean without a generator."""
    mean, log_variance = moments.chunk(2, 1)
    if generator is None:
        return mean
    noise = torch.randn(mean.shape, generator=generator).to(mean)
    return mean + torch.exp(0.5 * log_variance.clamp(-30, 20)) * noise
