"""`overpaint bench paint`: how long a clip takes on this machine and how much memory, stage by stage.

The weights are random where none are given: their values do not change what is computed. On a CPU the random model is a
small one, which says how the parts compare and nothing about the published model's speed.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
from overpaint.errors import Exhausted, Unavailable
from torch import Tensor, nn
from transformers import T5Config, T5EncoderModel

from overpaint_backend.diffusion.schedule import bend, lms_sigmas, times
from overpaint_backend.engines.vires.config import DiTConfig, VAEConfig
from overpaint_backend.engines.vires.dit import DiT, Ready
from overpaint_backend.engines.vires.engine import computes_in_bfloat16
from overpaint_backend.engines.vires.hint import Box
from overpaint_backend.engines.vires.masks import down_sample_mask
from overpaint_backend.engines.vires.memory import ran_out
from overpaint_backend.engines.vires.pca import BlockVAE
from overpaint_backend.engines.vires.sampling import sample
from overpaint_backend.engines.vires.vae import VideoVAE
from overpaint_backend.engines.vires.weights import load_dit, load_vae
from overpaint_backend.measure.flops import T5_XXL, check_size, checked

M = TypeVar("M", bound=nn.Module)

SMALL_DIT = DiTConfig(
    hidden=144, depth=4, heads=2, caption_channels=64, hint_widths=(8, 16, 36, 72, 144), hint_groups=(2, 36, 8)
)
SMALL_VAE = VAEConfig(
    spatial_widths=(16, 32, 64, 64), spatial_groups=8, temporal_width=16, temporal_blocks=1, temporal_groups=8
)
SMALL_TEXT = T5Config(
    d_model=64, d_kv=16, d_ff=160, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu", vocab_size=1000
)

REPEATS = 3
TOKENS = 150  # of the prompt
GUIDANCE = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """What is painted: noise for a picture, and a sketch that fills a box as large as one person's."""

    video: Tensor
    hint: Tensor
    mask: Tensor
    texts: Sequence[Tensor]
    start: Tensor
    steps: int


def bench_paint(
    *,
    weights: Path | None = None,
    frames: int | None = None,
    size: int | None = None,
    steps: int | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """Time a clip of `size` x `size` pixels, guidance on; a graphics card's defaults are the published 51, 512 and 30.

    Seconds are medians after a warm-up. `weights` is a root of weights as the engine wants it. A step is timed in three
    ways on the same input, in turns: as it is, with a hint net that does not leave out where nothing is drawn (dense), and
    with everything from the sketch's pixels on in every step for each half of guidance (plain; its attention is fused
    as well). Raises Invalid, Missing, Unavailable and Exhausted.
    """
    place = chosen(device)
    cuda = place.type == "cuda"
    frames, size, steps = workload(place, (frames, size, steps), (17, 128, 4))
    checked("steps", steps, 1)
    dtype = torch.bfloat16 if computes_in_bfloat16(place) else torch.float32
    try:
        with torch.inference_mode():
            text, text_memory = time_text(place, dtype)
            dit, vae = models(weights, place, dtype)
            clip = sample_clip(dit, frames, size, steps)
            stages, paint_memory = time_stages(dit, vae, clip)
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        what = f"its memory does not hold {frames} frames of {size}x{size}"
        raise Exhausted(field="device", message=what, remedy="Say fewer --frames or a smaller --size") from None
    seconds = {"text": text} | stages | {"total": text + stages["paint"]}
    return {
        "engine": "vires",
        "device": torch.cuda.get_device_name(place) if cuda else f"cpu, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "dtype": str(dtype).removeprefix("torch."),
        "weights": "random" if weights is None else str(weights),
        "widths": f"as in {weights}" if weights is not None else "published" if cuda else "small",
        "text_widths": "published" if cuda else "small",
        "frames": frames,
        "size": f"{size}x{size}",
        "steps": steps,
        "guidance": "on",
        "text_tokens": len(clip.texts[0]),
        "box_share": round(clip.hint[0, 0, 0].mean().item(), 4),
        "repeats": REPEATS,
        "seconds": {stage: round(taken, 4) for stage, taken in seconds.items()},
        "step_ratio_dense": round(seconds["step_dense"] / seconds["step"], 3),
        "step_ratio_plain": round(seconds["step_plain"] / seconds["step"], 3),
        "peak_memory_gb": {"text": round(text_memory / 1e9, 3), "paint": round(paint_memory / 1e9, 3)},
        "memory": "torch.cuda.max_memory_allocated" if cuda else "peak RSS of the process",
    }


def workload(
    device: torch.device, given: tuple[int | None, int | None, int | None], on_a_cpu: tuple[int, int, int]
) -> tuple[int, int, int]:
    """Frames, size and steps: what is given, else the published ones, else on a CPU what it can bear. Raises Invalid."""
    usual = (51, 512, 30) if device.type == "cuda" else on_a_cpu
    frames, size, steps = (first if first is not None else second for first, second in zip(given, usual, strict=True))
    checked("frames", frames, 1)
    check_size(size)
    return frames, size, steps


def chosen(device: str | None) -> torch.device:
    """The device, or the first graphics card, or the CPU. Raises Unavailable."""
    name = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError):  # torch says it in both ways
        place = torch.device("meta")
    if place.type not in ("cpu", "cuda"):
        raise Unavailable(
            field="device", message=f"{name} is not here, or cannot be timed", remedy="Choose another device, cpu say"
        )
    return place


def models(weights: Path | None, device: torch.device, dtype: torch.dtype) -> tuple[DiT, VideoVAE | BlockVAE]:
    if weights is not None:
        return load_dit(weights, device, dtype), load_vae(weights, device, dtype)
    small = device.type == "cpu"
    dit = filled(lambda: DiT(SMALL_DIT if small else DiTConfig()), device, dtype)
    dit.sigmas = lms_sigmas().to(device)
    return dit, filled(lambda: VideoVAE(SMALL_VAE if small else VAEConfig()), device, dtype)


def filled(build: Callable[[], M], device: torch.device, dtype: torch.dtype) -> M:
    """A model of random weights, made where and as it is wanted: never in float32 first, never on the CPU first."""
    with torch.device("meta"):
        model = build()
    model = model.to(dtype).to_empty(device=device).eval().requires_grad_(False)
    for weight in model.parameters():
        weight.normal_(std=0.02)
    for table in model.buffers():
        table.fill_(1)
    return model


def time_text(device: torch.device, dtype: torch.dtype) -> tuple[float, int]:
    """Seconds and bytes of a prompt through a text encoder of random weights; it leaves the device again, as in a job."""
    model = filled(lambda: T5EncoderModel(SMALL_TEXT if device.type == "cpu" else T5_XXL), device, dtype)
    ids = torch.ones(1, TOKENS, dtype=torch.long, device=device)
    works = {"text": lambda: model(input_ids=ids)}
    return medians(device, works)["text"], peak_memory(device, works["text"])


def sample_clip(dit: DiT, frames: int, size: int, steps: int) -> Clip:
    weight, config = dit.x_embedder.proj.weight, dit.config
    draw = torch.Generator(weight.device).manual_seed(7)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, device=weight.device)

    hint = torch.zeros(1, 3, frames, size, size).to(weight)
    top, bottom, left, right = box(size)
    hint[..., top:bottom, left:right] = 1
    return Clip(
        video=noise(1, 3, frames, size, size).clamp(-1, 1).to(weight),
        hint=hint,
        mask=down_sample_mask(hint[:, :1].float(), config.space_factor),
        texts=[noise(min(TOKENS, config.caption_length), config.caption_channels) for _ in range(2)],
        start=noise(1, config.latent_channels, *dit.latent_size(frames, size, size)),
        steps=steps,
    )


def box(size: int) -> Box:
    """Half as high as the picture and 2/5 as wide: a person, grown as a mask is before it is painted."""
    return size // 16, size * 9 // 16, size // 8, size * 17 // 32


def time_stages(dit: DiT, vae: VideoVAE | BlockVAE, clip: Clip) -> tuple[dict[str, float], int]:
    """Seconds of each stage and of the clip as a whole, for which the text is encoded already, and its bytes."""
    length, size = clip.hint.shape[2], clip.hint.shape[3]
    whole = [(0, size, 0, size)] * -(-length // dit.config.chunk)
    x = torch.cat([clip.start, clip.mask.to(clip.start)], 1)
    sketch = clip.hint * 2 - 1

    def prepare(texts: Sequence[Tensor] = clip.texts, boxes: Sequence[Box] | None = None) -> Ready:
        return dit.prepare(clip.hint, texts, boxes=boxes)

    def plain() -> None:
        for text in clip.texts:
            dit.step(x, 500.0, prepare([text], whole))

    def paint() -> None:
        clean = vae.encode(clip.video).float()
        once = prepare()

        def velocity(x: Tensor, t: float, moving: Tensor | None) -> tuple[Tensor, Tensor]:
            wanted, unwanted = dit.step(x, t, once, moving).split(1)
            return wanted, unwanted

        start = torch.lerp(clean, clip.start, clip.mask)
        moments = times(clip.steps, dit.config.time_ratio or bend(size, size, length))
        latent = sample(velocity, start, clip.mask, times=moments, guidance=GUIDANCE)
        vae.decode(latent, length, sketch)

    memory = peak_memory(clip.hint.device, paint)  # first, while nothing else is kept
    ready, dense = prepare(), prepare(boxes=whole)
    seconds = medians(
        clip.hint.device,
        {
            "encode": lambda: vae.encode(clip.video),
            "prepare": prepare,
            "step": lambda: dit.step(x, 500.0, ready),
            "step_dense": lambda: dit.step(x, 500.0, dense),
            "step_plain": plain,
            "decode": lambda: vae.decode(clip.start, length, sketch),
            "paint": paint,
        },
    )
    return seconds, memory


def medians(device: torch.device, works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of each of the works, which take turns, so that a busy moment of the machine hits all; warmed up first."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(1 + REPEATS):
        for name, work in works.items():
            taken[name].append(clocked(device, work))
    return {name: median(seconds[1:]) for name, seconds in taken.items()}


def clocked(device: torch.device, work: Callable[[], object]) -> float:
    if device.type == "cpu":
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    with torch.cuda.device(device):
        begin.record()
        work()
        end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000


def peak_memory(device: torch.device, work: Callable[[], object]) -> int:
    """The most bytes during the work: of the device's tensors; where that is the CPU, of the process since it began."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    work()
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # kilobytes, but for macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
