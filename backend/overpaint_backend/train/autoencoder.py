"""The autoencoder's training: components fitted to blocks, then the decoder that mends what they lose."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from overpaint_backend.engines.vires.config import PCAConfig
from overpaint_backend.engines.vires.masks import down_sample_mask
from overpaint_backend.engines.vires.pca import BlockVAE
from overpaint_backend.engines.vires.vae import VideoVAE
from overpaint_backend.train.batches import Batch
from overpaint_backend.train.devices import average_gradients, own_device, shared_mean
from overpaint_backend.train.settings import Settings

EVENING = 0.5
"""How far the latents' spreads are evened: 1 would give all channels the same, and details as much weight as colour."""


def fit(config: PCAConfig, batches: list[Batch]) -> BlockVAE:
    """An autoencoder that knows the principal components of the batches' blocks, and nothing else yet.

    Blocks in the masks count as much as all others together. Mean and spread are those in the masks: there the noise is.
    """
    vae = BlockVAE(config)
    videos = [(vae.blocks(batch.video()), _blocks(batch, config)) for batch in batches]
    inside = torch.cat([blocks[mask] for blocks, mask in videos])
    outside = torch.cat([blocks[~mask] for blocks, mask in videos])
    halves = [(inside, inside.mean(0)), (outside, outside.mean(0))]
    vae.centre.copy_((halves[0][1] + halves[1][1]) / 2)
    spread = torch.stack([(part - vae.centre).T @ (part - vae.centre) / len(part) for part, _ in halves]).mean(0)
    vae.basis.copy_(torch.linalg.eigh(spread.double())[1].flip(1)[:, : config.latent_channels].T)
    latents = (inside - vae.centre) @ vae.basis.T
    deviation = latents.std(0)
    evened = deviation**EVENING * (deviation ** (2 - 2 * EVENING)).mean().sqrt()
    vae.shift.copy_(latents.mean(0)[None, :, None, None, None])
    vae.scale.copy_(evened[None, :, None, None, None])
    return vae


def _blocks(batch: Batch, config: PCAConfig) -> Tensor:
    return down_sample_mask(batch.painted(), config.block, blocks=True)[:, 0] > 0


def mending_loss(vae: BlockVAE, batch: Batch, generator: torch.Generator) -> Float[Tensor, ""]:
    """How far the decoded frames are from the true ones: |d| + 2 d^2, in the mask three times as much.

    Latents are a little noisy, as what the diffusion paints is; in three of ten cases there is no sketch.
    """
    video = batch.video()
    z = vae.encode(video)
    z = z + 0.1 * batch.noise(z.shape, generator).to(z)
    sketch = None if float(torch.rand((), generator=generator)) < 0.3 else batch.hint() * 2 - 1
    apart = vae.decode(z, video.shape[2], sketch) - video
    return ((apart.abs() + 2 * apart.square()) * (1 + 2 * batch.painted())).mean()


def sketch_loss(vae: VideoVAE, batch: Batch) -> Float[Tensor, ""]:
    """What the sketch-aware encoder is judged by: 1 - SSIM + |d| + 1e-6 KL (arXiv 2411.16199, section 3.4, without LPIPS).

    KL is how far the latents of the sketch's frames are from a normal distribution, summed over a frame.
    """
    video, sketch = batch.video(), batch.hint() * 2 - 1
    with torch.no_grad():
        z = vae.encode(video)
    decoded = vae.decode(z, video.shape[2], sketch)
    frames, made, drawn = (rearrange(one, "b c t h w -> (b t) c h w") for one in (video, decoded, sketch))
    moments = torch.cat([vae.sketch_vae.encode(part) for part in drawn.split(vae.tile)])
    mean, log_variance = moments.chunk(2, 1)
    log_variance = log_variance.clamp(-30, 20)
    divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / 2 / len(drawn)
    return 1 - ssim(made, frames) + (made - frames).abs().mean() + 1e-6 * divergence


def ssim(one: Float[Tensor, "n c h w"], other: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Structural similarity of pictures in [-1, 1] (Wang et al. 2004: Gaussian window 11 x 11, sigma 1.5), mean over all."""
    line = torch.exp(-(torch.arange(-5, 6, device=one.device) ** 2) / (2 * 1.5**2))
    line = line / line.sum()
    window = torch.outer(line, line).expand(one.shape[1], 1, 11, 11)

    def mean(values: Tensor) -> Tensor:
        return F.conv2d(values, window, groups=values.shape[1])

    x, y = (one + 1) / 2, (other + 1) / 2
    mx, my = mean(x), mean(y)
    xx, yy, xy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * mx * my + c1) * (2 * xy + c2) / ((mx * mx + my * my + c1) * (xx + yy + c2))).mean()


class Mending:
    """The part of the decoder that learns: the mender of the components' losses, or the sketch-aware encoder. All else stays."""

    def __init__(self, settings: Settings, vae: BlockVAE | VideoVAE) -> None:
        self.settings, self.vae = settings, vae.to(own_device()).requires_grad_(False)
        part = vae.mender if isinstance(vae, BlockVAE) else vae.sketch_vae
        self.trained = list(part.requires_grad_().parameters())
        self.optimizer = torch.optim.AdamW(self.trained, lr=settings.rate, fused=True)

    def learn(self, batch: Batch, step: int) -> float:
        """One step; gives the loss before it."""
        settings, batch = self.settings, batch.to(own_device())
        if isinstance(self.vae, BlockVAE):
            share = min(1.0, 2 * (1 - step / settings.vae_steps) + 0.01)
            loss = mending_loss(self.vae, batch, torch.Generator().manual_seed(settings.seed * 2**32 + step))
        else:
            share, loss = min(1.0, (step + 1) / settings.warm), sketch_loss(self.vae, batch)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate * share
        self.optimizer.zero_grad()
        loss.backward()
        average_gradients(self.trained)
        self.optimizer.step()
        return float(shared_mean(loss.detach()))

    def state_dict(self) -> dict[str, Any]:
        return {"vae": self.vae.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.vae.load_state_dict(state["vae"])
        self.optimizer.load_state_dict(state["optimizer"])
