"""What our VIRES makes of the inputs in each file of the official code's numbers: a function a file, named like it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from overpaint.errors import Missing
from overpaint_backend import media
from overpaint_backend.diffusion import schedule
from overpaint_backend.diffusion.attention import attend, largest_logit
from overpaint_backend.engines.vires import dit as vires
from overpaint_backend.engines.vires import masks, training
from overpaint_backend.engines.vires.config import DiTConfig, VAEConfig
from overpaint_backend.engines.vires.dit import DiT, Hint, Ready, SketchAttention, self_scale
from overpaint_backend.engines.vires.sampling import sample
from overpaint_backend.engines.vires.vae import VideoVAE
from safetensors.torch import load_file
from torch import Tensor, nn


class Numbers(dict[str, Tensor]):
    """A file's tensors; remembers which were asked for."""

    def __init__(self, tensors: Iterable[tuple[str, Tensor]]) -> None:
        super().__init__(tensors)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.asked.add(name)
        return super().__getitem__(name)


Cases = Iterator[tuple[str, Tensor]]
"""Name of a case, and what our code makes of the file's inputs."""

TINY = DiTConfig(hidden=72, heads=4, depth=3, caption_channels=32, caption_length=12, hint_widths=(18, 36, 72, 72, 72))
TINY_VAE = VAEConfig(spatial_widths=(8, 16, 16, 16), spatial_groups=4, temporal_width=8, temporal_groups=4)
DEMO_MASK = Path(__file__).parents[2].parent / "shared" / "assets" / "clothes_mask.avi"


def read(folder: Path, name: str) -> Numbers:
    """A file's tensors, half precision widened. Raises Missing."""
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise Missing(field=path.name, message=f"is not in {folder}", remedy="Put it beside the others")
    tensors = load_file(path).items()
    return Numbers((key, value.float() if value.is_floating_point() else value) for key, value in tensors)


class Outputs(dict[str, Tensor]):
    """What modules gave back the first time they ran, by names of our choice."""

    def __init__(self) -> None:
        super().__init__()
        self.hooks = ExitStack()

    def watch(
        self, module: nn.Module, name: str, of: Callable[[tuple[Any, ...], Any], Tensor] = lambda i, o: o
    ) -> None:
        """Keep `of(inputs, output)` of the module's first run as `name`."""

        def keep(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            self.setdefault(name, of(inputs, output))

        self.hooks.enter_context(module.register_forward_hook(keep))

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *exit: object) -> None:
        self.hooks.close()


# The transformer


def tiny_dit(folder: Path, *, parity: bool = False) -> DiT:
    dit = DiT(TINY, parity=parity).eval()
    dit.load_state_dict(read(folder, "dit_tiny_weights"))
    return dit


def texts(numbers: Numbers) -> list[Tensor]:
    """Each prompt's embeddings without its padding; all of it where there is no mask."""
    if "in.y_mask" not in numbers:
        return [y[0] for y in numbers["in.y"]]
    return [y[0, : int(mask.sum())] for y, mask in zip(numbers["in.y"], numbers["in.y_mask"], strict=True)]


def prepared(dit: DiT, numbers: Numbers) -> Ready:
    return dit.prepare(numbers["in.hint"], texts(numbers), fps=numbers["in.fps"])


def watch_blocks(dit: DiT, seen: Outputs, case: str) -> None:
    for kind, blocks in (("spatial", dit.spatial_blocks), ("temporal", dit.temporal_blocks)):
        for i, block in enumerate(blocks):
            seen.watch(block, f"{case}.x_after_{kind}_{i}", lambda _, out: out.flatten(1, 2))


def dit_tiny_io(folder: Path, theirs: Numbers) -> Cases:
    dit = tiny_dit(folder)
    with Outputs() as seen:
        watch_blocks(dit, seen, "nomask")
        for name, module in (("t_embed", dit.t_embedder), ("fps_embed", dit.fps_embedder), ("t_mlp", dit.t_block)):
            seen.watch(module, f"nomask.{name}")
        tokens = partial(lambda _, out: out.flatten(1, 2))
        seen.watch(dit.x_embedder, "nomask.x_embed_tokens", tokens)
        seen.watch(dit.hint_embedder, "nomask.hint_feat", lambda inputs, _: inputs[0])
        seen.watch(dit.hint_embedder, "nomask.hint_tokens_pre_sss", tokens)
        second: Any = dit.spatial_blocks[1]
        seen.watch(second, "nomask.x_in_spatial_1", lambda inputs, _: inputs[0].flatten(1, 2))
        seen.watch(second, "nomask.hint_tokens_post_sss", lambda inputs, _: whole(inputs[3]).flatten(1, 2))
        for i, block in enumerate(list[Any](dit.spatial_blocks)[1:], 1):
            seen.watch(block.sketch_attn_1, f"nomask.sketch_out_{i}", lambda _, out: out.flatten(0, 1))
        ready = prepared(dit, theirs)
        yield "nomask.out", dit.step(theirs["in.x"], theirs["in.timestep"], ready)
    yield from seen.items()
    yield "nomask.y_proj", dit.y_embedder.y_proj(theirs["in.y"])
    if "xmask.out" in theirs:
        with Outputs() as seen:
            watch_blocks(dit, seen, "xmask")
            yield "xmask.out", dit.step(theirs["in.x"], theirs["in.timestep"], ready, theirs["in.x_mask"])
        yield from seen.items()
    yield "pos_emb", ready.where[None]
    if "cfg.out" in theirs:
        text = texts(theirs)[0]
        null: Any = dit.y_embedder.y_embedding
        guided = dit.prepare(theirs["in.hint"][:1], [text, null[: len(text)]], fps=theirs["in.fps"][:1])
        every = torch.ones_like(theirs["in.x_mask"][:1])
        yield "cfg.out", dit.step(theirs["in.x"][:1], float(theirs["cfg.timestep"][0]), guided, every)
        now = dit.t_embedder(theirs["cfg.timestep"]) + guided.fps
        halves = dit.hint_net.finish(guided.hint, now)
        yield "cfg.hint_feat_diff_between_halves", (halves[0] - halves[1]).abs().max()[None]


def whole(hint: Hint) -> Tensor:
    return hint.tokens + hint.level[:, None, None, None]


def dit_tiny_odd(folder: Path, theirs: Numbers) -> Cases:
    others = {"in.y", "in.timestep", "in.fps"} - set(theirs)  # where they are not its own they are those of dit_tiny_io
    if others:
        numbers, batch = read(folder, "dit_tiny_io"), len(theirs["in.x"])
        theirs.update({name: numbers[name][:batch] for name in others})
    dit = tiny_dit(folder)
    out = dit.step(theirs["in.x"], theirs["in.timestep"], prepared(dit, theirs))
    yield from ((name, out) for name in theirs if name.rpartition(".")[2] == "out")


def dit_tiny_bf16(folder: Path, theirs: Numbers) -> Cases:
    numbers = read(folder, "dit_tiny_io")
    dit = tiny_dit(folder, parity=True)
    sigmas = dit.sigmas.clone()
    dit.to(torch.bfloat16)
    dit.sigmas = sigmas  # the official table is no part of the model, and stays as it is
    ready = prepared(dit, numbers)
    yield "bf16.pos_emb", ready.where[None]
    with Outputs() as seen:
        seen.watch(dit.t_embedder, "bf16.timestep_seen", lambda inputs, _: inputs[0])
        out = dit.step(numbers["in.x"], numbers["in.timestep"], ready)
    yield from seen.items()
    yield "bf16.pww_index", seen["bf16.timestep_seen"].long()
    yield "bf16.out", out


def hint_path(folder: Path, theirs: Numbers) -> Cases:
    dit = tiny_dit(folder)
    stem, blocks, last = dit.input_hint_block, dit.hint_blocks, dit.hint_mid_convs
    with Outputs() as seen:
        for i in (0, 2, 5, 8):
            seen.watch(stem[i], f"input_hint_block.{i}.slice_last2frames", lambda _, out: out[:, :, -2:])
        seen.watch(stem[-1], "after_input_hint_block")
        seen.watch(blocks[1], "after_hint_blocks.0.slice_last2frames", lambda inputs, _: inputs[0][:, :, -2:])
        seen.watch(blocks[1], "after_hint_blocks.1")
        seen.watch(blocks[3], "after_hint_blocks.2", lambda inputs, _: inputs[0])
        seen.watch(blocks[3], "after_hint_blocks.3")
        seen.watch(last[0], "after_hint_blocks.4", lambda inputs, _: inputs[0])
        yield "after_hint_mid_convs", dit.hint_net.finish(dit.hint_net.begin(theirs["in.hint"]), theirs["in.t"])
    yield from seen.items()


def sketch_attention(folder: Path, theirs: Numbers) -> Cases:
    attention = SketchAttention(DiTConfig(hidden=72, heads=4))
    attention.load_state_dict({key[2:]: value for key, value in theirs.items() if key.startswith("w.")})
    x, tokens, sigma = theirs["in.x"][:, None], theirs["in.hint"][:, None], theirs["in.sigma"]
    hint = Hint(tokens=tokens, level=torch.zeros(len(x)))
    yield "out", attention(x, hint, sigma)[:, 0]
    yield "out_sigma_none", attention(x, hint, torch.zeros_like(sigma))[:, 0]
    q, k = (
        layer(part[:, 0]).unflatten(-1, (4, -1)).transpose(1, 2)
        for layer, part in ((attention.q_linear, x), (attention.k_linear, tokens))
    )
    yield "logits_global_max", largest_logit(q, k)
    # With one-hot values attention gives its weights: of its own token p without the bonus, (1 - g) p + g with it.
    one_hot = torch.eye(q.shape[2]).expand(*q.shape[:2], -1, -1)
    with_bonus, without = (
        weights.diagonal(dim1=-2, dim2=-1)
        for weights in (
            padded_values(partial(vires._biased, factor=2 * torch.log1p(sigma)), q, k, one_hot),
            padded_values(attend, q, k, one_hot),
        )
    )
    gate = (with_bonus - without) / (1 - without)
    means = (gate.mean(1), gate.mean((1, 2)), gate.mean(2), gate.mean())
    wanted = theirs["gate_mean"].numel()
    yield from (("gate_mean", mean) for mean in means if mean.numel() == wanted)


def padded_values(look: Callable[..., Tensor], q: Tensor, k: Tensor, values: Tensor) -> Tensor:
    """Attention whose values are wider than its keys, a key's width at a time."""
    width = q.shape[-1]
    parts = [look(q, k, F.pad(part, (0, width - part.shape[-1]))) for part in values.split(width, -1)]
    return torch.cat(parts, -1)[..., : values.shape[-1]]


def sss(folder: Path, theirs: Numbers) -> Cases:
    x, hint = self_scale(theirs["in.x"][:, None], theirs["in.hint"][:, None])
    yield "out.x", x[:, 0]
    yield "out.hint", whole(hint)[:, 0]


# The autoencoder


def vae_tiny_io(folder: Path, theirs: Numbers) -> Cases:
    vae = VideoVAE(TINY_VAE).eval()
    vae.load_state_dict(read(folder, "vae_tiny_weights"))
    video, sketch = theirs["in.video"], theirs["in.sketch"]
    frames, chunk = video.shape[2], TINY_VAE.chunk
    yield "spatial_moments_first4frames", vae.spatial_vae.encode(video[0].transpose(0, 1)[:4])
    flat = vae.encode_frames(vae.spatial_vae, video, None)
    yield "spatial_latent_x0.18215_mode", flat
    for i, part in enumerate(flat.split(chunk, 2)):
        yield f"temporal_moments_chunk{i}", vae.temporal_vae.encode(vae.lengthen(part))
    yield "encode", vae.encode(video)
    z = theirs["encode"]
    pieces = (z * vae.scale + vae.shift).split(vae.latent_frames(chunk), 2)
    lengths = [length for _, length in vae.chunks(frames)]
    parts = [vae.temporal_vae.decode(piece, [])[:, :, -n:] for piece, n in zip(pieces, lengths, strict=True)]
    yield "decode_temporal_only", torch.cat(parts, 2)
    yield "decode_plain", vae.decode(z, frames)
    for i, tap in enumerate(vae.sketch_vae.taps_2d(sketch[0].transpose(0, 1)[:4])):
        yield f"tap2d.batch0.{i}", tap[:2]
    lines = vae.encode_frames(vae.sketch_vae, sketch, None)
    for i, tap in enumerate(vae.sketch_vae.taps_3d(vae.lengthen(lines[:, :, chunk:]))):
        yield f"tap3d.chunk1.{i}", tap
    yield "decode_with_sketch", vae.decode(z, frames, sketch)


# Sampling and training


def toy_model(theirs: Numbers, x: Tensor, t: Tensor, y: Tensor, text_mask: Tensor, frames: Tensor | None) -> Tensor:
    """What stands for the model in scheduler.safetensors."""
    words = (y[:, 0] * text_mask[..., None]).sum(1) / text_mask.sum(1, keepdim=True)
    hint = F.adaptive_avg_pool3d(theirs["in.hint"], (x.shape[2], x.shape[3], x.shape[4]))
    level = theirs["toy.c"] * t[:, None] / schedule.END + words @ theirs["toy.d"].T
    out = torch.einsum("oc,bcthw->bothw", theirs["toy.A"], x) + level[:, :, None, None, None]
    out = out + torch.einsum("oc,bcthw->bothw", theirs["toy.B"], hint)
    return out if frames is None else out + theirs["toy.x_mask_weight"] * frames[:, None, :, None, None]


def scheduler(folder: Path, theirs: Numbers) -> Cases:
    yield "lms_sigmas_1001", schedule.lms_sigmas()
    for kind in ("bf16", "fp32"):
        for steps in (int(name.split("_")[2]) for name in theirs if re.fullmatch(rf"timesteps_{kind}_\d+", name)):
            times = torch.tensor(schedule.times(steps, schedule.bend(512, 512, 51, parity=kind == "bf16")))
            yield f"timesteps_{kind}_{steps}", times
            index = (times.bfloat16() if kind == "bf16" else times).long()
            yield f"pww_index_{kind}_{steps}", index
            yield f"pww_sigma_{kind}_{steps}", schedule.lms_sigmas()[index]
    for case in ("allones", "known2", "edit04", "none"):
        if f"{case}.out" in theirs:
            yield from sampled(theirs, case)
    if "train.loss" in theirs:
        yield from trained(theirs)


def sampled(theirs: Numbers, case: str) -> Cases:
    states: list[Tensor] = []
    active: list[Tensor] = []
    times = schedule.times(8, schedule.bend(48, 64, 34))

    def velocity(x: Tensor, t: float, frames: Tensor | None) -> tuple[Tensor, Tensor]:
        states.append(x[0, :4])
        active.extend([] if frames is None else [frames[0]])
        wanted, unwanted = (
            toy_model(theirs, x, torch.tensor([t]), theirs[y], theirs["in.text_mask"], frames)
            for y in ("in.y", "in.y_null")
        )
        return wanted, unwanted

    frames = None if case == "none" else theirs[f"{case}.mask"]
    noise = theirs["in.noise_like"]
    yield (
        f"{case}.out",
        sample(
            velocity,
            theirs["in.z"],
            theirs["in.video_mask"],
            times=times,
            guidance=7.0,
            frames=frames,
            noise=lambda step: noise,
        ),
    )
    yield f"{case}.z_before_each_step", torch.stack(states)
    yield f"{case}.timesteps", torch.tensor(times)[:, None].expand(-1, 2)
    if active:
        yield f"{case}.x_mask", torch.stack(active)


def trained(theirs: Numbers) -> Cases:
    clean, noise, mask, t, frames = (
        theirs[f"train.{name}"] for name in ("x0", "noise", "video_mask", "t", "frame_mask")
    )
    x = training.noised(clean, noise, mask, t, frames)
    yield "train.model_input", x
    text = torch.cat([theirs["in.y"], theirs["in.y_null"]])
    velocity = toy_model(theirs, x, t, text, theirs["in.text_mask"].expand(2, -1), frames)
    yield "train.loss", training.loss(velocity, clean, noise, mask, frames)


# Masks


def mask(folder: Path, theirs: Numbers) -> Cases:
    for case in ("rand", "rand22"):
        if f"{case}.mask" in theirs:
            yield f"{case}.latent_mask", masks.down_sample_mask(theirs[f"{case}.mask"].float())
    if DEMO_MASK.is_file() and "demo.latent_mask" in theirs:
        frames = [frame[..., 0] for frame in media.read_frames(media.probe(DEMO_MASK))]
        drawn = np.stack([to_512(frame) for frame in frames])
        wide = np.stack([to_512(masks.dilate(frame[None])[0]) for frame in frames])
        for name, one in (("original", drawn), ("dilated", wide)):
            yield f"demo.{name}_pixels_per_frame", torch.from_numpy(one.sum((1, 2)))
            yield f"demo.{name}_frames_0_25_50_packed", torch.from_numpy(np.packbits(one[[0, 25, 50]], axis=-1))
        yield "demo.latent_mask", masks.down_sample_mask(torch.from_numpy(wide)[None, None].float())


def to_512(frame: np.ndarray) -> np.ndarray:
    """As the official script resizes: bytes, so that less than half a grey level is nothing."""
    grey = torch.from_numpy((frame > 0).astype(np.uint8) * 255)[None, None]
    return (F.interpolate(grey, (512, 512), mode="bilinear") > 0)[0, 0].numpy()
