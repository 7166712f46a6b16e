"""The widths of a VIRES: the defaults are the published model's, and every other one is the same code made smaller."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from overpaint.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class DiTConfig:
    """The diffusion transformer and its hint net.

    `hint_widths` are the channels of the hint net's five stages: three of its stem, then those of the two deeper blocks.
    `hint_groups` are the GroupNorm groups of stem, residual blocks and last convolutions. `chunk` is how many frames the
    hint net takes at once, `time_factor` how many of them make a latent frame, `space_factor` how many pixels (of a side)
    a latent pixel. Three things the published model does not have: `direct_sketch` adds the lines of each token's own
    pixels to the token, through one linear layer; `time_ratio` is how far times move towards the noise (None: as the
    clip's size asks, see `schedule.bend`); `entry` is how the sketch's tokens enter the latent's, see `dit.self_scale`,
    for ablations.
    """

    latent_channels: int = 4
    patch: tuple[int, int] = (2, 2)
    hidden: int = 1152
    depth: int = 28
    heads: int = 16
    mlp_ratio: float = 4.0
    caption_channels: int = 4096
    caption_length: int = 300
    position_size: int = 512
    hint_channels: int = 3
    hint_widths: tuple[int, int, int, int, int] = (72, 144, 288, 576, 1152)
    hint_groups: tuple[int, int, int] = (2, 36, 8)
    chunk: int = 17
    time_factor: int = 4
    space_factor: int = 8
    direct_sketch: bool = False
    time_ratio: float | None = None
    entry: Literal["self-scaled", "standardised", "added"] = "self-scaled"

    @property
    def in_channels(self) -> int:
        """Latent channels and the mask."""
        return self.latent_channels + 1

    @property
    def head_width(self) -> int:
        return self.hidden // self.heads


@dataclass(frozen=True, slots=True, kw_only=True)
class VAEConfig:
    """The autoencoder: a spatial one (diffusers' AutoencoderKL), a temporal one over it, and the sketch-aware encoder."""

    latent_channels: int = 4
    spatial_widths: tuple[int, ...] = (128, 256, 512, 512)
    spatial_layers: int = 2
    spatial_groups: int = 32
    spatial_scale: float = 0.18215
    temporal_width: int = 128
    temporal_multipliers: tuple[int, ...] = (1, 2, 2, 4)
    temporal_blocks: int = 4
    temporal_groups: int = 32
    temporal_halves: tuple[bool, ...] = (False, True, True)
    chunk: int = 17
    micro_batch: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PCAConfig:
    """A block autoencoder in place of the published one: principal components of blocks, and a decoder that mends them.

    A block is `block` pixels (of a side) by `time_factor` frames. `width` are the channels of the residual decoder at half
    the size; it sees the sketch where it is `sketch_aware`.
    """

    kind: str = "pca"
    latent_channels: int = 16
    block: int = 4
    time_factor: int = 4
    width: int = 32
    chunk: int = 17
    micro_batch: int = 17
    sketch_aware: bool = True


C = TypeVar("C", DiTConfig, VAEConfig, PCAConfig)
FILE = "overpaint.json"


def read(kind: type[C], folder: Path) -> C:
    """The widths that `folder`'s overpaint.json names; the published ones where it names none. Raises Invalid."""
    path = folder / FILE
    if not path.is_file():
        return kind()
    try:
        given: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Invalid(field="weights", message=f"{path} cannot be read: {error}", remedy="Mend the file") from None
    unknown = sorted(set(given) - {field.name for field in fields(kind)})
    if unknown:
        raise Invalid(field="weights", message=f"{path} names {unknown[0]!r}, which is no width", remedy="Take it out")
    widths: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return kind(**widths)


def read_vae(folder: Path) -> VAEConfig | PCAConfig:
    """As `read`, of either autoencoder: its `kind` tells which. Raises Invalid."""
    path = folder / FILE
    named = path.is_file() and '"kind"' in path.read_text()
    return read(PCAConfig, folder) if named else read(VAEConfig, folder)


def write(config: DiTConfig | VAEConfig | PCAConfig, folder: Path) -> None:
    """Put the widths beside the weights."""
    (folder / FILE).write_text(json.dumps(asdict(config), indent=2) + "\n")
