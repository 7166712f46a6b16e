"""The autoencoder's training: components fitted to blocks, then the decoder that mends what they lose."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from overpaint_backend.engines.vires.config import PCAConfig
from overpaint_backend.engines.vires.masks import down_sample_mask
from overpaint_backend.engines.vires.pca import BlockVAE
from overpaint_backend.train.batches import Batch
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
    z = z + 0.1 * torch.randn(z.shape, generator=generator)
    sketch = None if float(torch.rand((), generator=generator)) < 0.3 else batch.hint() * 2 - 1
    apart = vae.decode(z, video.shape[2], sketch) - video
    return ((apart.abs() + 2 * apart.square()) * (1 + 2 * batch.painted())).mean()


class Mending:
    """The decoder that learns what the components lose; the components stay as they are."""

    def __init__(self, settings: Settings, vae: BlockVAE) -> None:
        self.settings, self.vae = settings, vae
        self.optimizer = torch.optim.AdamW(vae.mender.parameters(), lr=settings.rate, fused=True)

    def learn(self, batch: Batch, step: int) -> float:
        """One step; gives the loss before it."""
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate * min(1.0, 2 * (1 - step / settings.vae_steps) + 0.01)
        loss = mending_loss(self.vae, batch, torch.Generator().manual_seed(settings.seed * 2**32 + step))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def state_dict(self) -> dict[str, Any]:
        return {"vae": self.vae.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.vae.load_state_dict(state["vae"])
        self.optimizer.load_state_dict(state["optimizer"])
