"""The diffusion transformer of VIRES: STDiT with a hint net, standardised self-scaling and sketch attention.

VIRES, arXiv 2411.16199, sections 3.2 to 3.4. Where paper and official code (suimuc/VIRES) differ, the code is followed,
since the published weights were trained with it; each place says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from overpaint_backend.diffusion.attention import attend, attend_with_lse, largest_logit
from overpaint_backend.diffusion.schedule import lms_sigmas
from overpaint_backend.engines.vires.config import DiTConfig
from overpaint_backend.engines.vires.hint import Begun, Box, HintNet, worked

Tokens = Float[Tensor, "b t s d"]
"""t latent frames of s tokens each, row by row."""

KeysValues = tuple[Float[Tensor, "1 heads l d"], Float[Tensor, "1 heads l d"]]


class Mlp(nn.Module):
    """Linear, GELU (tanh), Linear."""

    def __init__(self, inside: int, hidden: int, outside: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(inside, hidden), nn.Linear(hidden, outside)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class RMSNorm(nn.Module):
    """Statistics in float32; rounded to the input's type before the weight, as the official code does."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * F.rms_norm(x.float(), x.shape[-1:], eps=1e-6).to(x.dtype)


class SelfAttention(nn.Module):
    """Multi-head attention over `n` tokens, queries and keys normalised per head, optionally rotated by position."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.hidden, 3 * config.hidden)
        self.q_norm, self.k_norm = RMSNorm(config.head_width), RMSNorm(config.head_width)
        self.proj = nn.Linear(config.hidden, config.hidden)

    def forward(self, x: Float[Tensor, "b n d"], turn: Float[Tensor, "2 n dh"] | None = None) -> Tensor:
        q, k, v = rearrange(self.qkv(x), "b n (three h d) -> three b h n d", three=3, h=self.heads)
        q, k = self.q_norm(q), self.k_norm(k)
        if turn is not None:
            q, k = rotate(q, turn), rotate(k, turn)
        return self.proj(rearrange(attend(q, k, v), "b h n d -> b n (h d)"))


class CrossAttention(nn.Module):
    """Every token looks at the words of its own prompt."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_linear = nn.Linear(config.hidden, config.hidden)
        self.kv_linear = nn.Linear(config.hidden, 2 * config.hidden)
        self.proj = nn.Linear(config.hidden, config.hidden)

    def words(self, text: Float[Tensor, "1 l d"]) -> KeysValues:
        """Keys and values of a prompt: they do not depend on the step."""
        k, v = rearrange(self.kv_linear(text), "b l (two h d) -> two b h l d", two=2, h=self.heads)
        return k, v

    def forward(self, x: Tokens, words: Sequence[KeysValues]) -> Tokens:
        """`x` has one entry, or one for each of `words`."""
        q = rearrange(self.q_linear(x), "b t s (h d) -> b h (t s) d", h=self.heads)
        seen = [attend(q[i : i + 1] if len(q) > 1 else q, k, v) for i, (k, v) in enumerate(words)]
        return self.proj(rearrange(torch.cat(seen), "b h (t s) d -> b t s (h d)", t=x.shape[1]))


class SketchAttention(nn.Module):
    """Tokens look at the sketch of their own frame, and by a bonus w at the very place they stand on (paper eq. 8).

    The paper adds a 0/1 matrix to q k^T. The code adds w times the identity, w = 2 ln(1 + sigma) max(q k^T), where the
    maximum runs over frames, heads and batch, and then scales by 1/sqrt(d).
    """

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_linear, self.k_linear, self.v_linear, self.proj = (
            nn.Linear(config.hidden, config.hidden) for _ in range(4)
        )

    def forward(self, x: Tokens, hint: Hint, sigma: Float[Tensor, " b"]) -> Tokens:
        """`x` is the modulated input of the self-attention beside it."""
        q, k, v = (
            rearrange(part, "b t s (h d) -> (b t) h s d", h=self.heads)
            for part in (self.q_linear(x), hint.through(self.k_linear), hint.through(self.v_linear))
        )
        factor = (2 * torch.log1p(sigma)).expand(len(x)).repeat_interleave(x.shape[1])
        seen = _biased_plain(q, k, v, factor) if torch.is_grad_enabled() else _biased(q, k, v, factor)
        return self.proj(rearrange(seen, "(b t) h s d -> b t s (h d)", t=x.shape[1]))


def _biased_plain(q: Tensor, k: Tensor, v: Tensor, factor: Float[Tensor, " n"]) -> Tensor:
    """softmax((q k^T + w I) / sqrt(d)) v, as it is written down. For training, and to check `_biased` against."""
    logits = (q @ k.transpose(-1, -2)).float()
    bonus = (factor * logits.max())[:, None, None, None] * torch.eye(q.shape[-2], device=q.device)
    return ((logits + bonus) * q.shape[-1] ** -0.5).softmax(-1).to(v.dtype) @ v


def _biased(q: Tensor, k: Tensor, v: Tensor, factor: Float[Tensor, " n"]) -> Tensor:
    """The same without any s x s matrix, out of plain attention o and its log-sum-exp.

    With p_i the weight that token i gives itself, and b = w / sqrt(d), the bonus multiplies p_i by exp(b). So the result is
    (1 - g_i) o_i + g_i v_i, where g_i = (exp(b) - 1) p_i / (1 + (exp(b) - 1) p_i).
    """
    scale = q.shape[-1] ** -0.5
    out, lse = attend_with_lse(q, k, v)
    b = (factor * largest_logit(q, k) * scale)[:, None, None]
    own = (q * k).sum(-1).float() * scale - lse  # log p_i
    # exp(b) overflows where b is large, so a positive b stays in the exponent: log(exp(b) - 1) = b + log(1 - exp(-b)).
    rise = torch.sigmoid(own + b + torch.log1p(-torch.exp(-b.clamp(min=0))))
    fall = torch.expm1(b.clamp(max=0)) * own.exp()
    gate = torch.where(b > 0, rise, fall / (1 + fall)).to(v.dtype)[..., None]
    return out + gate * (v - out)


class Block(nn.Module):
    """A block over space or time: self-attention (and sketch attention), words, MLP; the time modulates the first and last."""

    def __init__(self, config: DiTConfig, *, temporal: bool = False, sketch: bool = False) -> None:
        super().__init__()
        width = config.hidden
        self.temporal = temporal
        self.scale_shift_table = nn.Parameter(torch.randn(6, width) / width**0.5)
        self.attn, self.cross_attn = SelfAttention(config), CrossAttention(config)
        self.mlp = Mlp(width, int(width * config.mlp_ratio), width)
        if sketch:
            self.scale_pww = nn.Parameter(torch.randn(1) / width**0.5)
            self.sketch_attn_1 = SketchAttention(config)

    def forward(self, x: Tokens, step: Step, words: Sequence[KeysValues], hint: Hint | None = None) -> Tokens:
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = (
            part[:, :, None] for part in (self.scale_shift_table + step.table).unbind(2)
        )
        h = modulate(x, shift, scale)
        x = x + gate * self._look(h, step, hint)
        x = x + self.cross_attn(x, words)
        return x + gate_mlp * self.mlp(modulate(x, shift_mlp, scale_mlp))

    def _look(self, h: Tokens, step: Step, hint: Hint | None) -> Tokens:
        b, t = h.shape[:2]
        if self.temporal:
            # Contiguous: in bfloat16 on the CPU a linear layer copies its weight for every row of a strided view.
            rows = rearrange(h, "b t s d -> (b s) t d").contiguous()
            return rearrange(self.attn(rows, step.turn), "(b s) t d -> b t s d", b=b)
        seen = rearrange(self.attn(h.flatten(0, 1)), "(b t) s d -> b t s d", t=t)
        return seen if hint is None else seen + self.scale_pww * self.sketch_attn_1(h, hint, step.sigma)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What all blocks share in one step: the modulation of each frame, the sketch's noise level, the positions in time."""

    table: Float[Tensor, "b t six d"]
    sigma: Float[Tensor, " b"]
    turn: Float[Tensor, "2 t dh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """The sketch's tokens after standardised self-scaling: `tokens`, and one number to be added for each entry of the batch.

    The halves of guidance differ in that number only, so a linear layer is computed once for both.
    """

    tokens: Tokens
    level: Float[Tensor, " b"]

    def through(self, layer: nn.Linear) -> Tokens:
        return layer(self.tokens) + self.level[:, None, None, None] * layer.weight.sum(1)


def self_scale(x: Tokens, hint: Tokens, entry: str = "self-scaled") -> tuple[Tokens, Hint]:
    """Standardised self-scaling (paper eq. 6 and 7): how the sketch enters the latent.

    Statistics are single numbers over all tokens and channels. The code takes the mean of the hint where the paper takes
    that of the scaled hint. In its place, for ablations, the hint is only "standardised", or "added" as it is.
    """
    if entry == "added":
        return x + hint, Hint(tokens=hint, level=hint.new_zeros(len(x)))
    mean = hint.float().mean((1, 2, 3), keepdim=True)
    spread = hint.float().std((1, 2, 3), keepdim=True)
    if entry == "standardised":
        scaled = ((hint - mean) / (spread + 1e-12)).to(x.dtype)
    else:
        scaled = ((hint - mean) * (hint / (spread + 1e-12)) - mean).to(x.dtype)
    level = x.float().mean((1, 2, 3)).to(x.dtype)
    return x + scaled + level[:, None, None, None], Hint(tokens=scaled, level=level)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


def rotate(x: Float[Tensor, "b h n d"], turn: Float[Tensor, "2 n d"]) -> Tensor:
    """Rotary position embedding of neighbouring pairs of channels (RoFormer, arXiv 2104.09864)."""
    even, odd = x[..., ::2], x[..., 1::2]
    return x * turn[0] + torch.stack([-odd, even], -1).flatten(-2) * turn[1]


class Sinusoid(nn.Module):
    """A number to an embedding: 256 cosines and sines, then two layers."""

    WIDTH = 256

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(self.WIDTH, hidden), nn.SiLU(), nn.Linear(hidden, hidden))

    def forward(self, value: Float[Tensor, " b"]) -> Float[Tensor, "b d"]:
        half = self.WIDTH // 2
        frequencies = torch.exp(-math.log(10_000) * torch.arange(half, device=value.device) / half)
        angle = value.float()[:, None] * frequencies
        return self.mlp(torch.cat([angle.cos(), angle.sin()], -1).to(next(self.parameters()).dtype))


class Patches(nn.Module):
    """Patches of a frame to tokens; zeros on the right and below where the frame does not divide."""

    def __init__(self, inside: int, hidden: int, patch: tuple[int, int]) -> None:
        super().__init__()
        self.proj = nn.Conv3d(inside, hidden, (1, *patch), stride=(1, *patch))
        self.patch = patch

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Tokens:
        x = F.pad(x, (0, -x.shape[4] % self.patch[1], 0, -x.shape[3] % self.patch[0]))
        return rearrange(self.proj(x), "b d t h w -> b t (h w) d")


class Blocks(nn.Module):
    """The lines of each token's own pixels to a token: not in the published model, see `DiTConfig.direct_sketch`."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        height, width = (side * config.space_factor for side in config.patch)
        size = (config.time_factor, height, width)
        self.proj = nn.Conv3d(config.hint_channels, config.hidden, size, stride=size)
        self.chunk, self.size = config.chunk, size

    def forward(self, hint: Float[Tensor, "b c f h w"]) -> Tokens:
        """Frames fall into latent frames as in the hint net: each chunk is lengthened in front."""
        ft, fh, fw = self.size
        around = (0, -hint.shape[4] % fw, 0, -hint.shape[3] % fh)
        parts = [self.proj(F.pad(one, (*around, -one.shape[2] % ft, 0))) for one in hint.split(self.chunk, 2)]
        return rearrange(torch.cat(parts, 2), "b d t h w -> b t (h w) d")


class Captions(nn.Module):
    """Text embeddings to tokens; `y_embedding` is the text of "no text"."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.y_proj = Mlp(config.caption_channels, config.hidden, config.hidden)
        self.register_buffer(
            "y_embedding", torch.randn(config.caption_length, config.caption_channels) / config.caption_channels**0.5
        )


class Positions(nn.Module):
    """The frequencies of time's rotary embedding: not trained, but in the published weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.freqs = nn.Parameter(_frequencies(width, torch.device("cpu")), requires_grad=False)


class Final(nn.Module):
    """Tokens to the velocity (and a variance that nobody uses)."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.scale_shift_table = nn.Parameter(torch.randn(2, config.hidden) / config.hidden**0.5)
        self.linear = nn.Linear(config.hidden, config.patch[0] * config.patch[1] * 2 * config.in_channels)

    def forward(self, x: Tokens, t: Tensor, t0: Tensor, frames: Bool[Tensor, "b t"] | None) -> Tensor:
        shift, scale = (self.scale_shift_table + t[:, None])[:, :, None, None].unbind(1)
        out = modulate(x, shift, scale)
        if frames is not None:  # the code modulates known frames twice; what comes out of them is thrown away
            shift, scale = (self.scale_shift_table + t0[:, None])[:, :, None, None].unbind(1)
            out = torch.where(frames[:, :, None, None], out, modulate(out, shift, scale))
        return self.linear(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """All of a clip that does not depend on the step.

    hint     the hint net up to where the diffusion time enters
    words    for each block the keys and values of each prompt
    where    position embedding of a frame's tokens, "s d"
    turn     rotary embedding of the frames, "2 t dh"
    fps      its embedding, "1 d"
    drawn    what the lines of a token's own pixels add to it, where the model wants that
    """

    hint: tuple[Begun, ...]
    words: tuple[tuple[KeysValues, ...], ...]
    where: Float[Tensor, "s d"]
    turn: Float[Tensor, "2 t dh"]
    fps: Float[Tensor, "1 d"]
    drawn: Tokens | None = None


class Shortcuts:
    """What a step may take over from the steps before it: approximate, for one walk from noise to picture.

    `hint_every`: the hint net's tail is computed on every so many steps. `stillness`: the blocks are left out, and add what
    they added last, while the input of the first has moved by less than this since, relative to its size, summed over
    steps (after TeaCache, arXiv 2411.19108, without its fitted polynomial).
    """

    def __init__(self, *, hint_every: int = 1, stillness: float = 0.0) -> None:
        self._hint_every, self._stillness = hint_every, stillness
        self._age = 0
        self._tokens: Tokens | None = None
        self._input: Tensor | None = None
        self._added: Tensor | None = None
        self._moved = math.inf

    def hint(self, compute: Callable[[], Tokens]) -> Tokens:
        if self._tokens is None or self._age % self._hint_every == 0:
            self._tokens = compute()
        self._age += 1
        return self._tokens

    def still(self, x: Tokens, step: Step) -> bool:
        """Whether the blocks may be left out for the tokens `x`."""
        if self._stillness == 0:
            return False
        shift, scale = step.table[:, :, None, :2].unbind(3)
        x = modulate(x, shift, scale)
        if self._input is not None:
            self._moved += float((x - self._input).abs().mean() / self._input.abs().mean())
        self._input = x
        return self._moved < self._stillness

    def ahead(self, x: Tokens) -> Tokens:
        """What the blocks would make of `x`, if they added what they added last."""
        assert self._added is not None
        return x + self._added

    def keep(self, added: Tokens) -> None:
        if self._stillness > 0:
            self._moved, self._added = 0.0, added


class DiT(nn.Module):
    """The model. Names and shapes of its parameters are the published ones.

    `parity` repeats what rounding the official code does in bfloat16 before it computes (timesteps, positions); without it
    those are exact.
    """

    sigmas: Tensor

    def __init__(self, config: DiTConfig, *, parity: bool = False) -> None:
        super().__init__()
        self.config, self.parity = config, parity
        width = config.hidden
        self.rope = Positions(config.head_width)
        self.x_embedder = Patches(config.in_channels, width, config.patch)
        self.t_embedder, self.fps_embedder = Sinusoid(width), Sinusoid(width)
        self.t_block = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.y_embedder = Captions(config)
        self.hint_embedder = Patches(config.hint_widths[-1], width, config.patch)
        if config.direct_sketch:
            self.sketch_embedder = Blocks(config)
        self.hint_net = HintNet(config)
        self.input_hint_block, self.hint_blocks, self.hint_mid_convs = (
            self.hint_net.stem,
            self.hint_net.blocks,
            self.hint_net.last,
        )
        self.spatial_blocks = nn.ModuleList([Block(config, sketch=i > 0) for i in range(config.depth)])
        self.temporal_blocks = nn.ModuleList([Block(config, temporal=True) for _ in range(config.depth)])
        self.final_layer = Final(config)
        self.register_buffer("sigmas", lms_sigmas(), persistent=False)

    @property
    def dtype(self) -> torch.dtype:
        return self.x_embedder.proj.weight.dtype

    def prepare(
        self,
        hint: Float[Tensor, "b 3 f h w"],
        texts: Sequence[Float[Tensor, "l c"]],
        *,
        fps: float | Tensor = 25.0,
        boxes: Sequence[Box] | None = None,
    ) -> Ready:
        """Do once what a clip needs once.

        `hint` are the sketch's lines in [0, 1], 0 where nothing is drawn, in pixels; sides are multiples of 8. One entry, or
        as many as `texts`. `texts` are the embeddings of the prompts, the one to paint and then, for guidance, the one to
        avoid. `boxes`: where the hint is drawn in each chunk, if that is known already.
        """
        hint = hint.to(self.x_embedder.proj.weight)
        t, h, w = self.latent_size(*hint.shape[2:])
        tokens = [self.y_embedder.y_proj(text.to(hint)[None]) for text in texts]
        blocks = [block for pair in self._pairs() for block in pair]
        ph, pw = self.config.patch
        return Ready(
            hint=self.hint_net.begin(hint, boxes or worked(hint, self.config.chunk)),
            words=tuple(tuple(block.cross_attn.words(text) for text in tokens) for block in blocks),
            where=self._where(-(-h // ph), -(-w // pw), math.sqrt(hint.shape[3] * hint.shape[4])),
            turn=self._turn(t),
            fps=self.fps_embedder(torch.as_tensor(fps, device=hint.device).reshape(-1).to(hint.dtype)),
            drawn=self.sketch_embedder(hint) if self.config.direct_sketch else None,
        )

    def step(
        self,
        x: Float[Tensor, "b 5 t h w"],
        t: float | Float[Tensor, " b"],
        ready: Ready,
        frames: Bool[Tensor, "b t"] | None = None,
        shortcuts: Shortcuts | None = None,
    ) -> Float[Tensor, "n 10 t h w"]:
        """The velocity (first four channels) at the time `t` in [0, 1000] for each of the n prompts.

        `x` is the latent with its mask as the fifth channel. `frames` is true on frames that are being denoised; a known
        frame is clean, and is treated as at time 0. `shortcuts` belong to one walk from noise to picture.
        """
        x = x.to(self.dtype)
        size = x.shape[2:]
        when = torch.as_tensor(t, device=x.device, dtype=torch.float32).reshape(-1)
        when = when.to(self.dtype).float() if self.parity else when
        now, clean = self.t_embedder(when) + ready.fps, self.t_embedder(torch.zeros_like(when)) + ready.fps
        x = self.x_embedder(x) + ready.where
        if ready.drawn is not None:
            x = x + ready.drawn
        step = Step(
            table=self._table(now, clean, frames),
            sigma=self.sigmas[when.long().to(self.sigmas.device)],
            turn=ready.turn,
        )
        shortcuts = shortcuts or Shortcuts()
        if shortcuts.still(x, step):
            x = shortcuts.ahead(x)
        else:
            start = x
            x = self._blocks(x, step, ready, lambda: shortcuts.hint(lambda: self._hint(ready, now)))
            shortcuts.keep(x - start)
        return self._frames(self.final_layer(x, now, clean, frames), size).float()

    def _hint(self, ready: Ready, now: Float[Tensor, "b d"]) -> Tokens:
        """The sketch's tokens. Where one hint serves all prompts, one time does too."""
        return self.hint_embedder(self.hint_net.finish(ready.hint, now[: len(ready.hint[0].x.patch)]))

    def _blocks(self, x: Tokens, step: Step, ready: Ready, hint: Callable[[], Tokens]) -> Tokens:
        guide: Hint | None = None
        words = iter(ready.words)
        for spatial, temporal in self._pairs():
            x = spatial(x, step, next(words), guide)
            x = temporal(x, step, next(words))
            if guide is None:
                x, guide = self_scale(x, hint(), self.config.entry)
        return x

    def _pairs(self) -> Iterator[tuple[Block, Block]]:
        """A block over space, then one over time, as often as the model is deep."""
        return cast(Iterator[tuple[Block, Block]], zip(self.spatial_blocks, self.temporal_blocks, strict=True))

    def latent_size(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Frames, height and width of the latent of a clip in pixels."""
        whole, rest = divmod(frames, self.config.chunk)
        factor = self.config.time_factor
        t = whole * -(-self.config.chunk // factor) + -(-rest // factor)
        return t, height // self.config.space_factor, width // self.config.space_factor

    def _table(self, now: Tensor, clean: Tensor, frames: Tensor | None) -> Float[Tensor, "b t six d"]:
        """The six modulation vectors of each frame, known frames as at time 0: one table instead of two passes."""
        table, still = (self.t_block(one).unflatten(1, (6, -1))[:, None] for one in (now, clean))
        return table if frames is None else torch.where(frames[:, :, None, None], table, still)

    def _where(self, rows: int, columns: int, pixels: float) -> Float[Tensor, "s d"]:
        """Sines and cosines of column, then row, stretched so that a frame always spans the same range."""
        weight = self.x_embedder.proj.weight
        quarter = self.config.hidden // 4
        frequency = 10_000 ** (-torch.arange(quarter, device=weight.device, dtype=torch.float32) / quarter)
        if self.parity:
            frequency = frequency.to(weight.dtype).float()
        scale, base = pixels / self.config.position_size, round(math.sqrt(rows * columns))
        parts: list[Tensor] = []
        for axis, full in ((1, columns), (0, rows)):
            place = torch.arange(full, device=weight.device, dtype=torch.float32) / scale * base / full
            angle = (place[None, :] if axis else place[:, None]).expand(rows, columns).flatten()[:, None] * frequency
            parts += [angle.sin(), angle.cos()]
        return torch.cat(parts, -1).to(weight.dtype)

    def _turn(self, frames: int) -> Float[Tensor, "2 t dh"]:
        weight = self.x_embedder.proj.weight
        frequency = self.rope.freqs if self.parity else _frequencies(self.config.head_width, weight.device)
        angle = torch.arange(frames, device=weight.device, dtype=frequency.dtype)[:, None] * frequency
        angle = angle.repeat_interleave(2, -1)
        return torch.stack([angle.cos(), angle.sin()]).to(weight.dtype)

    def _frames(self, x: Tensor, size: torch.Size) -> Float[Tensor, "b c t h w"]:
        ph, pw = self.config.patch
        rows = -(-size[1] // ph)
        x = rearrange(x, "b t (h w) (ph pw c) -> b c t (h ph) (w pw)", h=rows, ph=ph, pw=pw)
        return x[..., : size[1], : size[2]]


def _frequencies(width: int, device: torch.device) -> Float[Tensor, " half"]:
    return 10_000 ** (-torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
