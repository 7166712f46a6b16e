"""`overpaint bench flops`: how much work a clip is, counted on shapes alone, so without weights and on any machine.

Torch counts 2 for each multiply-add of matrix products, convolutions and attention. What is done number by number
(activations, normalisation, softmax) counts nothing: it costs memory traffic, not arithmetic.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from overpaint.errors import Invalid
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import T5Config, T5EncoderModel

from overpaint_backend.engines.vires.card import card
from overpaint_backend.engines.vires.config import DiTConfig, VAEConfig
from overpaint_backend.engines.vires.dit import DiT, Ready
from overpaint_backend.engines.vires.hint import Box, worked
from overpaint_backend.engines.vires.masks import dilate
from overpaint_backend.engines.vires.vae import VideoVAE
from overpaint_backend.media import probe, read_frames

Parts = Counter[str]
"""Operations of each part."""

T5_XXL = T5Config(
    d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64, feed_forward_proj="gated-gelu", vocab_size=32128
)
"""The published text encoder, google/t5-v1_1-xxl."""

META = torch.device("meta")
WEIGHT = torch.bfloat16
BLOCK = re.compile(r".*\.(spatial|temporal)_blocks\.\d+\.(attn|sketch_attn_1|cross_attn|mlp)")
NAMES = {
    ("spatial", "attn"): "self_attention_space",
    ("temporal", "attn"): "self_attention_time",
    ("spatial", "sketch_attn_1"): "sketch_attention",
    ("spatial", "cross_attn"): "words",
    ("temporal", "cross_attn"): "words",
    ("spatial", "mlp"): "mlp",
    ("temporal", "mlp"): "mlp",
}


def bench_flops(
    *, frames: int = 51, size: int = 512, mask: Path | None = None, text: int = 150, steps: int = 30
) -> dict[str, Any]:
    """Count a clip of `size` x `size` pixels with the published widths, guidance on: both halves are in every figure.

    `mask` (movie or pictures, any size) tells where the sketch is drawn; without one it may be anywhere. `text`: tokens
    of the prompt. "plain" is the same model as it is commonly run: for both halves of guidance, in every step, everything
    from the sketch's pixels and the text's embeddings on. Raises Invalid.
    """
    config = DiTConfig()
    checked("frames", frames, 1)
    check_size(size)
    checked("steps", steps, 1)
    checked("text", text, 1, config.caption_length)
    boxes = [(0, size, 0, size)] * -(-frames // config.chunk) if mask is None else mask_boxes(mask, frames, size)
    once, step, plain = dit_parts(config, frames=frames, size=size, text=text, boxes=boxes)
    vae, features = vae_parts(VAEConfig(), frames=frames, size=size)
    clip = Counter(text_encoder=text_encoder(text)) + vae + once
    return {
        "engine": "vires",
        "frames": frames,
        "size": f"{size}x{size}",
        "steps": steps,
        "guidance": "on",
        "text_tokens": text,
        "mask": "none: the sketch may be anywhere" if mask is None else str(mask),
        "box_share": round(sum((b - t) * (r - le) for t, b, le, r in boxes) / len(boxes) / size**2, 4),
        "per_step_tflop": tera(step.total()),
        "plain_per_step_tflop": tera(plain.total()),
        "ratio": round(plain.total() / step.total(), 3),
        "per_clip_tflop": tera(clip.total() + steps * step.total()),
        "parts": {
            name: {part: tera(count) for part, count in parts.items()}
            for name, parts in (("per_clip", clip), ("per_step", step), ("plain_per_step", plain))
        },
        "sketch_features_gb": {way: round(size / 1e9, 3) for way, size in features.items()},
    }


def checked(field: str, value: int, least: int, most: int | None = None) -> None:
    """Raises Invalid unless `least` <= `value` <= `most`."""
    if value < least:
        raise Invalid(field=field, message=f"{value} is too few", remedy=f"Give {least} or more")
    if most is not None and value > most:
        raise Invalid(field=field, message=f"{value} is too many", remedy=f"Give {most} or fewer")


def check_size(size: int) -> None:
    """Raises Invalid unless `size` pixels are a side that the engine paints."""
    step = card.size_multiple
    checked("size", size, step)
    if size % step:
        raise Invalid(field="size", message=f"{size} is no multiple of {step}", remedy=f"Give {size - size % step}")


def mask_boxes(path: Path, frames: int, size: int) -> Sequence[Box]:
    """For each chunk the box that a sketch can reach: the mask scaled, and grown as for painting. Raises Invalid, Missing."""
    pictures = [
        cv2.resize(frame.max(2).astype(np.float32), (size, size)) > 0
        for frame in read_frames(probe(path, "mask"), "mask")
    ]
    if len(pictures) != frames:
        raise Invalid(
            field="mask",
            message=f"{path} has {len(pictures)} frames, and {frames} are to be counted",
            remedy=f"Say --frames {len(pictures)}, or give a mask of {frames} frames",
        )
    return worked(torch.from_numpy(dilate(np.stack(pictures)))[None, None], DiTConfig().chunk)


class Whole(nn.Module):
    """A step as one module, so that the counter tells the blocks apart by their place."""

    def __init__(self, dit: DiT) -> None:
        super().__init__()
        self.dit = dit

    def forward(self, x: Tensor, ready: Ready) -> Tensor:
        return self.dit.step(x, 500.0, ready)


def dit_parts(
    config: DiTConfig, *, frames: int, size: int, text: int, boxes: Sequence[Box]
) -> tuple[Parts, Parts, Parts]:
    """The transformer and its hint net: once a clip, in each step, and in each step of the plain way."""
    with META:
        dit = DiT(config).to(WEIGHT).requires_grad_(False)
    hint = torch.empty(1, config.hint_channels, frames, size, size, device=META, dtype=WEIGHT)
    words = torch.empty(text, config.caption_channels, device=META, dtype=WEIGHT)
    x = torch.empty(1, config.in_channels, *dit.latent_size(frames, size, size), device=META)

    def pieces(texts: Sequence[Tensor], boxes: Sequence[Box]) -> tuple[Parts, Parts]:
        prefix = total(lambda: dit.hint_net.begin(hint, boxes))
        once = total(lambda: dit.prepare(hint, texts, boxes=boxes))
        ready = dit.prepare(hint, texts, boxes=boxes)
        return Counter(hint_prefix=prefix, text_keys_values=once - prefix), step_parts(dit, x, ready)

    with torch.inference_mode():
        once, step = pieces([words, words], boxes)
    # With gradients the sketch's attention is computed as it is written down, which is the plain way.
    with torch.enable_grad():
        before, plain = pieces([words], [(0, size, 0, size)] * len(boxes))
    half = before + plain
    return once, step, half + half


def step_parts(dit: DiT, x: Tensor, ready: Ready) -> Parts:
    now = torch.empty(1, dit.config.hidden, device=META, dtype=WEIGHT)
    counter = FlopCounterMode(display=False)
    with counter:
        Whole(dit)(x, ready)
    parts = Counter(hint_tail=total(lambda: dit.hint_net.finish(ready.hint, now)))
    for place, operations in counter.get_flop_counts().items():
        if found := BLOCK.fullmatch(place):
            parts[NAMES[found[1], found[2]]] += sum(operations.values())
    parts["rest"] = counter.get_total_flops() - parts.total()
    return parts


def vae_parts(config: VAEConfig, *, frames: int, size: int) -> tuple[Parts, dict[str, int]]:
    """The autoencoder, once a clip; and the bytes of the sketch's features in space, all kept and as they are here."""
    with META:
        vae = VideoVAE(config).to(WEIGHT)
    vae.tile = frames  # the same work in fewer calls
    video = torch.empty(1, 3, frames, size, size, device=META, dtype=WEIGHT)
    side = size // vae.space_factor
    z = torch.empty(1, config.latent_channels, vae.latent_frames(frames), side, side, device=META)
    with torch.inference_mode():
        decode = total(lambda: vae.decode(z, frames))
        parts = Counter(
            vae_encode=total(lambda: vae.encode(video)),
            sketch_encoder=total(lambda: vae.decode(z, frames, video)) - decode,
            vae_decode=decode,
        )
        frame = sum(tap.nbytes for tap in vae.sketch_vae.taps_2d(video[:, :, 0]))
    return parts, {"all_frames": frame * frames, "streamed": frame * min(frames, config.chunk, config.micro_batch)}


def text_encoder(tokens: int) -> int:
    with META:
        model = T5EncoderModel(T5_XXL).eval()
        ids = torch.empty(1, tokens, dtype=torch.long)
    with torch.inference_mode():
        return total(lambda: model(input_ids=ids))


def total(work: Callable[[], object]) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        work()
    return counter.get_total_flops()


def tera(count: int) -> float:
    return round(count / 1e12, 4)
