"""The transformer: published names and shapes, and each saving against the plain way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import torch  # noqa: E402
from overpaint_backend.diffusion.attention import attend_with_lse, largest_logit  # noqa: E402
from overpaint_backend.engines.vires import dit as vires  # noqa: E402
from overpaint_backend.engines.vires.config import DiTConfig  # noqa: E402
from overpaint_backend.engines.vires.dit import DiT, Hint, Shortcuts, SketchAttention  # noqa: E402

KEYS = Path(__file__).parents[4].parent / "shared" / "design" / "vires_dit_keys.txt"
SMALL = DiTConfig(
    hidden=24,
    heads=2,
    depth=3,
    caption_channels=8,
    caption_length=6,
    hint_widths=(4, 4, 8, 8, 8),
    hint_groups=(2, 4, 4),
)


@pytest.fixture(scope="module")
def dit() -> DiT:
    torch.manual_seed(0)
    made = DiT(SMALL).eval()
    for name, parameter in made.named_parameters():
        if name.endswith(("scale_pww", "scale_shift_table")):
            torch.nn.init.normal_(parameter, std=0.5)
    return made


@pytest.fixture
def clip() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    hint = torch.zeros(1, 3, 20, 48, 64)
    hint[..., 10:30, 20:50] = torch.rand(1, 3, 20, 20, 30, generator=draw)
    return {
        "x": torch.randn(1, 5, 6, 6, 8, generator=draw),
        "hint": hint,
        "wanted": torch.randn(4, 8, generator=draw),
        "unwanted": torch.randn(6, 8, generator=draw),
    }


def near(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).abs().max() <= 1e-5 * b.abs().max().clamp(min=1))


@pytest.mark.skipif(not KEYS.exists(), reason="the list of published names is not here")
def test_names_and_shapes_are_the_published_ones() -> None:
    published = dict(line.split("\t") for line in KEYS.read_text().splitlines() if line)
    with torch.device("meta"):
        ours = {name: tuple(tensor.shape) for name, tensor in DiT(DiTConfig()).state_dict().items()}
    assert ours == {name: ast.literal_eval(shape) for name, shape in published.items()}


@torch.inference_mode()
def test_both_halves_of_guidance_cost_one_hint_and_give_the_same(dit: DiT, clip: dict[str, torch.Tensor]) -> None:
    texts = [clip["wanted"], clip["unwanted"]]
    once = dit.step(clip["x"], 492.3, dit.prepare(clip["hint"], texts))
    twice = dit.prepare(clip["hint"].expand(2, -1, -1, -1, -1), texts)
    assert near(once, dit.step(clip["x"].expand(2, -1, -1, -1, -1), torch.full((2,), 492.3), twice))
    for i, text in enumerate(texts):
        # Alone, but for the sketch's bonus, which follows the largest logit of both: at t = 1000 there is none.
        both = dit.step(clip["x"], 1000.0, dit.prepare(clip["hint"], texts))[i]
        assert near(dit.step(clip["x"], 1000.0, dit.prepare(clip["hint"], [text]))[0], both)


@torch.inference_mode()
def test_a_clip_that_was_prepared_once_serves_every_step(dit: DiT, clip: dict[str, torch.Tensor]) -> None:
    ready = dit.prepare(clip["hint"], [clip["wanted"]])
    steps = [dit.step(clip["x"], t, ready) for t in (900.0, 300.0, 900.0)]
    assert torch.equal(steps[0], steps[2]) and not torch.equal(steps[0], steps[1])
    assert torch.equal(steps[1], dit.step(clip["x"], 300.0, dit.prepare(clip["hint"], [clip["wanted"]])))


@torch.inference_mode()
def test_the_time_of_a_known_frame_does_not_matter_to_it(dit: DiT, clip: dict[str, torch.Tensor]) -> None:
    """The one table of modulation against what it stands for: block for block, known frames as at time 0."""
    now, clean = (dit.t_embedder(torch.tensor([t])) for t in (700.0, 0.0))
    known = torch.tensor([[False, False, True, True, True, True]])
    table = dit._table(now, clean, known)
    for frame in range(6):
        wanted = dit.t_block(now if known[0, frame] else clean).view(6, -1)
        assert near(table[0, frame], wanted)
    ready = dit.prepare(clip["hint"], [clip["wanted"]])
    all_new = dit.step(clip["x"], 700.0, ready, torch.ones(1, 6, dtype=torch.bool))
    assert near(all_new, dit.step(clip["x"], 700.0, ready))
    assert not near(all_new, dit.step(clip["x"], 700.0, ready, known))


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
@torch.inference_mode()
def test_a_latent_that_does_not_divide_is_painted_whole(dit: DiT, size: tuple[int, int]) -> None:
    hint = torch.zeros(1, 3, 17, 8 * size[0], 8 * size[1])
    out = dit.step(torch.randn(1, 5, 5, *size), 500.0, dit.prepare(hint, [torch.randn(3, 8)]))
    assert out.shape == (1, 10, 5, *size) and bool(out.isfinite().all())


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("sigma", [0.0, 0.03, 1.6, 14.6])
def test_fused_sketch_attention_is_the_plain_one(scale: float, sigma: float) -> None:
    draw = torch.Generator().manual_seed(int(scale * 10))
    q, k, v = (scale**0.5 * torch.randn(6, 2, 50, 12, generator=draw, dtype=torch.float64) for _ in range(3))
    factor = 2 * torch.log1p(torch.tensor([sigma, sigma, 0.5, 0.5, 3.0, 0.0], dtype=torch.float64))
    plain = vires._biased_plain(q, k, v, factor)
    assert near(vires._biased(q.float(), k.float(), v.float(), factor.float()), plain)


def test_a_bonus_below_nothing_is_right_too() -> None:
    """Where every logit is negative, so is the largest, and the bonus turns into a malus."""
    q = torch.rand(2, 2, 30, 12) + 0.1
    k, v, factor = -q - torch.rand(2, 2, 30, 12), torch.randn(2, 2, 30, 12), torch.tensor([1.6, 0.3])
    assert largest_logit(q, k) < 0
    assert near(vires._biased(q, k, v, factor), vires._biased_plain(q, k, v, factor))


def test_log_sum_exp_and_largest_logit() -> None:
    q, k, v = torch.randn(2, 3, 20, 16), torch.randn(2, 3, 33, 16), torch.randn(2, 3, 33, 16)
    logits = q @ k.transpose(-1, -2)
    out, lse = attend_with_lse(q, k, v)
    assert near(lse, (logits / 4).logsumexp(-1)) and near(out, (logits / 4).softmax(-1) @ v)
    assert near(largest_logit(q, k), logits.max())


def test_gradients_reach_every_trained_layer(dit: DiT, clip: dict[str, torch.Tensor]) -> None:
    """Training goes through the plain sketch attention, which is the same function."""
    with torch.inference_mode():
        fused = dit.step(clip["x"], 300.0, dit.prepare(clip["hint"], [clip["wanted"]]))
    plain = dit.step(clip["x"], 300.0, dit.prepare(clip["hint"], [clip["wanted"]]))
    assert near(plain.detach(), fused)
    plain[:, :4].square().mean().backward()
    trained = [name for name, _ in dit.named_parameters() if "sketch" in name or "hint" in name or "pww" in name]
    slopes = {name: dit.get_parameter(name).grad for name in trained}
    without = [name for name, slope in slopes.items() if slope is None or not slope.abs().sum() > 0]
    dit.zero_grad()
    # A key's bias shifts all logits of a query alike, so only the maximum feels it.
    assert len(trained) > 40 and without == []


def test_one_linear_layer_serves_both_halves() -> None:
    layer = torch.nn.Linear(12, 12)
    hint = Hint(tokens=torch.randn(1, 2, 5, 12), level=torch.tensor([0.3, -2.0]))
    assert near(hint.through(layer), layer(hint.tokens + hint.level[:, None, None, None]))
    attention = SketchAttention(DiTConfig(hidden=12, heads=2))
    x, sigma = torch.randn(2, 2, 5, 12), torch.tensor([1.0])
    whole = Hint(tokens=hint.tokens + hint.level[:, None, None, None], level=torch.zeros(2))
    assert near(attention(x, hint, sigma), attention(x, whole, sigma))


@torch.inference_mode()
def test_shortcuts_leave_work_out_and_stay_near(dit: DiT, clip: dict[str, torch.Tensor]) -> None:
    ready = dit.prepare(clip["hint"], [clip["wanted"]])
    steps = [(clip["x"], 500.0), (clip["x"], 495.0), (clip["x"], 490.0), (-clip["x"], 100.0)]
    exact = [dit.step(x, t, ready) for x, t in steps]
    for shortcuts in (Shortcuts(hint_every=3), Shortcuts(stillness=0.2)):
        short = [dit.step(x, t, ready, shortcuts=shortcuts) for x, t in steps]
        assert torch.equal(short[0], exact[0])  # nothing to take over yet
        assert not torch.equal(short[1], exact[1])
        assert (short[1] - exact[1]).norm() < 0.2 * exact[1].norm()
        # Every third hint is new, and where so much has moved the blocks are computed.
        assert torch.equal(short[3], exact[3])


@torch.inference_mode()
def test_without_shortcuts_nothing_is_taken_over(dit: DiT, clip: dict[str, torch.Tensor]) -> None:
    ready, none = dit.prepare(clip["hint"], [clip["wanted"]]), Shortcuts()
    for t in (500.0, 499.0):
        assert torch.equal(dit.step(clip["x"], t, ready, shortcuts=none), dit.step(clip["x"], t, ready))
