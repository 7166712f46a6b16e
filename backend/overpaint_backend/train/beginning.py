"""What a run of published widths begins with: the weights that there are, and initial values for what VIRES adds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from overpaint.errors import Invalid
from safetensors import safe_open
from torch import Tensor, nn

from overpaint_backend.engines.vires.config import VAEConfig
from overpaint_backend.engines.vires.dit import DiT
from overpaint_backend.engines.vires.vae import VideoVAE
from overpaint_backend.engines.vires.weights import DIT, VAE, files_of, modern, some

ADDED = r"hint|sketch_attn|scale_pww"
"""Parameters of the transformer that Open-Sora's does not have."""

VELOCITY = (
    4  # channels of what the last layer says about a token's pixels; the others are of a variance that nobody uses
)


def begin_dit(dit: DiT, root: Path) -> None:
    """Fill `dit` from `root`/VIRES: VIRES' own weights, or Open-Sora 1.2's, which lack what VIRES adds.

    What they lack keeps its initial values. Open-Sora's model sees four channels: the weights of the fifth, the mask, begin at 0.
    Raises Missing where there are no weights, and Invalid where they are of another model.
    """
    wanted, state = dit.state_dict(), dict(_held(root / DIT))
    channels = dit.config.latent_channels
    enter, leave = "x_embedder.proj.weight", ("final_layer.linear.weight", "final_layer.linear.bias")
    if enter in state and state[enter].shape[1] == channels:
        wide = torch.zeros_like(wanted[enter])
        wide[:, :channels] = state[enter]
        state[enter] = wide
        for name in leave:
            wide = torch.zeros_like(wanted[name])
            pixels = dit.config.patch[0] * dit.config.patch[1]
            wide.unflatten(0, (pixels, -1))[:, :VELOCITY] = state[name].unflatten(0, (pixels, -1))[:, :VELOCITY]
            state[name] = wide
    _fill(dit, state, ADDED, root / DIT)


def begin_vae(config: VAEConfig, root: Path) -> VideoVAE:
    """The autoencoder in `root`/VIRES_VAE. Without a sketch-aware encoder it gets one: both encoders once more, and taps
    that say nothing yet. Raises as `begin_dit` does.
    """
    vae, state = VideoVAE(config), dict(_held(root / VAE))
    _fill(vae, state, r"^sketch_vae\.|^shift$|^scale$", root / VAE)
    if not any(name.startswith("sketch_vae.") for name in state):
        sketch, spatial, temporal = vae.sketch_vae, vae.spatial_vae.module, vae.temporal_vae
        for new, old in (
            (sketch.encoder_2d, spatial.encoder),
            (sketch.quant_conv_2d, spatial.quant_conv),
            (sketch.encoder_3d, temporal.encoder),
            (sketch.quant_conv_3d, temporal.quant_conv),
        ):
            new.load_state_dict(old.state_dict())
        for parameter in (*sketch.zero_conv_2d.parameters(), *sketch.zero_conv_3d.parameters()):
            nn.init.zeros_(parameter)
    return vae


def _held(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """All tensors, by the names that the models here use; of several with one name that of the first file, so it is last."""
    for file in reversed(files_of(folder)):
        with safe_open(file, "pt") as tensors:
            for own in tensors.keys():  # noqa: SIM118, it is no mapping
                yield modern(own, file), tensors.get_tensor(own).float()


def _fill(model: nn.Module, state: dict[str, Tensor], lacks: str, folder: Path) -> None:
    wanted = {name: value.shape for name, value in model.state_dict().items()}
    missing = [name for name in wanted if name not in state and not re.search(lacks, name)]
    wrong = [name for name in wanted if name in state and state[name].numel() != wanted[name].numel()]
    for what, names in (("missing", missing), ("of wrong shape", wrong)):
        if names:
            raise Invalid(
                field="weights",
                message=f"{folder} cannot be begun with; {what}: {some(names)}",
                remedy="Give weights of the config's widths: --weights FOLDER",
            )
    model.load_state_dict(
        {name: state[name].reshape(shape) for name, shape in wanted.items() if name in state}, strict=False
    )
