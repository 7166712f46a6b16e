"""A small VIRES with random weights, in the layout of the published one: python -m tests.small FOLDER [SEED]."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import sentencepiece
import torch
from overpaint_backend.engines.vires import config
from overpaint_backend.engines.vires.dit import DiT
from overpaint_backend.engines.vires.vae import VideoVAE
from safetensors.torch import save_file
from torch import nn
from transformers import T5Config, T5EncoderModel

DIT = config.DiTConfig(
    hidden=72,
    depth=2,
    heads=4,
    caption_channels=32,
    caption_length=24,
    hint_widths=(18, 36, 72, 72, 72),
    position_size=64,
)
VAE = config.VAEConfig(spatial_widths=(8, 16, 16, 16), spatial_groups=4, temporal_width=8, temporal_groups=4)
WORDS = (
    "a man in a red coat walks on a street",
    "two dogs run over the grass near a tree",
    "the woman wears a blue dress and carries a black bag",
    "an empty background with sky, sea and a white boat",
)


def write_small_checkpoint(root: Path, seed: int = 0) -> Path:
    """VIRES/, VIRES_VAE/ and t5-v1_1-xxl/ under `root`, a few megabytes; equal seeds give equal bytes. Returns `root`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, widths, model in (("VIRES", DIT, DiT(DIT)), ("VIRES_VAE", VAE, VideoVAE(VAE))):
            folder = root / name
            folder.mkdir(parents=True)
            _liven(model)
            if isinstance(model, VideoVAE):
                _calm(model)
            save_file(
                {key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors"
            )
            config.write(widths, folder)
        _write_text(root / "t5-v1_1-xxl")
    return root


def _liven(model: nn.Module) -> None:
    """Nothing that is trained is zero, or a test would not see whether it counts."""
    for name, value in model.named_parameters():
        if value.requires_grad and not value.detach().any():
            nn.init.normal_(value, std=0.02)
        elif "norm" in name and name.endswith("weight"):
            value.data += 0.02 * torch.randn_like(value)


def _calm(vae: VideoVAE) -> None:
    """A decoded video stays about within [-1, 1]: the sketch adds a little to it, and the last layer is narrow."""
    for convolution in (*vae.sketch_vae.zero_conv_2d, *vae.sketch_vae.zero_conv_3d):
        for value in convolution.parameters():
            value.data *= 0.1
    vae.spatial_vae.module.decoder.conv_out.weight.data *= 0.4


def _write_text(folder: Path) -> None:
    """Like the published one: config.json, the encoder in two files, and SentencePiece's own model of the words."""
    folder.mkdir(parents=True)
    words = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(WORDS * 20),
        model_writer=words,
        model_type="unigram",
        vocab_size=64,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    (folder / "spiece.model").write_bytes(words.getvalue())
    shape = T5Config(
        vocab_size=256, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu"
    )
    shape.save_pretrained(folder)
    model = T5EncoderModel(shape)
    tensors = {key: value for key, value in model.state_dict().items() if key != "encoder.embed_tokens.weight"}
    names = sorted(tensors)
    for number, half in enumerate((names[::2], names[1::2]), 1):
        save_file({key: tensors[key] for key in half}, folder / f"model-0000{number}-of-00002.safetensors")


if __name__ == "__main__":
    write_small_checkpoint(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
