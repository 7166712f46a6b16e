"""The work of a clip: the count agrees with a formula written by hand, and keeps what docs/performance.md promises."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from overpaint.errors import Invalid, Missing
from overpaint_backend import cli
from overpaint_backend.media import write_picture

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")
pytestmark = pytest.mark.torch

from overpaint_backend.engines.vires.config import DiTConfig  # noqa: E402
from overpaint_backend.engines.vires.hint import CausalConv3d, convolve, field  # noqa: E402
from overpaint_backend.measure import flops  # noqa: E402
from overpaint_backend.measure.flops import bench_flops  # noqa: E402

TINY = DiTConfig(hidden=16, depth=3, heads=2, caption_channels=24, hint_widths=(2, 4, 6, 8, 12), hint_groups=(2, 2, 4))
FRAMES, SIZE, TEXT = 22, 32, 9
LATENT = 5 + 2  # 17 frames, and 5
CASE = {"frames": FRAMES, "size": SIZE, "text": TEXT}


def linear(rows: int, inside: int, outside: int) -> int:
    return 2 * rows * inside * outside


def convolution(frames: int, side: int, inside: int, outside: int) -> int:
    return linear(frames * side * side, 27 * inside, outside)


def hint_by_hand(config: DiTConfig) -> tuple[int, int]:
    """The hint net on whole pictures: before the diffusion time enters, and after."""
    a, b, c, d, e = config.hint_widths
    prefix = tail = 0
    for frames in (20, 8):  # padded to a multiple of 4
        half, quarter = (frames // 2, SIZE // 4), (frames // 4, SIZE // 8)
        prefix += convolution(frames, SIZE, 3, a) + convolution(frames, SIZE, a, a)
        prefix += sum(convolution(frames, SIZE // 2, *pair) for pair in ((a, b), (b, b), (b, c), (c, c), (c, c)))
        tail += convolution(frames, SIZE // 2, c, c) + convolution(*half, c, d) + 2 * convolution(*half, d, d)
        tail += convolution(*quarter, d, e) + 5 * convolution(*quarter, e, e)
        tail += linear(1, config.hidden, c + d + e)  # the time, once for each residual block
    return prefix, tail


def step_by_hand(config: DiTConfig, halves: int, *, plain: bool) -> dict[str, int]:
    """A step for so many halves of guidance at once; `plain`: sketch attention as it is written down."""
    d, tokens = config.hidden, (SIZE // 16) ** 2
    one = LATENT * tokens
    rows = halves * one
    # Before the first look at the words both halves are the same.
    spaces, times, first = config.depth - 1, config.depth, one
    space = (
        linear(1, 4 * d, d) + 4 * tokens * d
    )  # of a token: four projections, and two products with its frame's tokens
    time = linear(1, 4 * d, d) + 4 * LATENT * d
    products = 2 if plain else 3  # one more for the largest logit
    sketch = rows * (linear(1, 2 * d, d) + products * 2 * tokens * d) + one * linear(1, 2 * d, d)
    look = rows * (linear(1, 2 * d, d) + 4 * TEXT * d)
    embedders = linear(1, 256, d) + linear(1, d, d)
    patch = config.patch[0] * config.patch[1]
    return {
        "hint_tail": hint_by_hand(config)[1],
        "self_attention_space": (spaces * rows + first) * space,
        "self_attention_time": times * rows * time,
        "sketch_attention": spaces * sketch,
        "words": 2 * config.depth * look - linear(rows - one, d, d),
        "mlp": 2 * config.depth * rows * linear(1, 2 * d, 4 * d),
        "rest": 2 * (embedders + linear(1, d, 6 * d))  # now, and time 0
        + linear(one, 5 * patch, d)
        + linear(one, config.hint_widths[-1] * patch, d)
        + linear(rows, d, 10 * patch),
    }


def words_by_hand(config: DiTConfig, texts: int) -> int:
    """Captions, then keys and values of every block; and the frame rate's embedding."""
    d = config.hidden
    text = linear(TEXT, config.caption_channels, d) + linear(TEXT, d, d) + 2 * config.depth * linear(TEXT, d, 2 * d)
    return texts * text + linear(1, 256, d) + linear(1, d, d)


@pytest.mark.parametrize("heads", [2, 4], ids=["fused attention", "attention written out"])
def test_nothing_is_missed(heads: int) -> None:
    config = replace(TINY, heads=heads)
    whole = [(0, SIZE, 0, SIZE)] * 2
    once, step, plain = flops.dit_parts(config, boxes=whole, **CASE)
    prefix, _ = hint_by_hand(config)
    assert once == {"hint_prefix": prefix, "text_keys_values": words_by_hand(config, 2)}
    assert step == step_by_hand(config, 2, plain=False)
    half = {"hint_prefix": prefix, "text_keys_values": words_by_hand(config, 1)} | step_by_hand(config, 1, plain=True)
    assert plain == {part: 2 * count for part, count in half.items()}


def test_a_convolution_on_a_part_of_the_picture_counts_that_part() -> None:
    with torch.device("meta"):
        layer, chunk = CausalConv3d(3, 5), torch.empty(1, 3, 4, 32, 32)
    sparse = field(chunk, (8, 12, 6, 16))
    count = flops.total(lambda: convolve(layer, sparse))
    # A pixel more on every side of the box; and of the rest a 4x4 picture, which has every kind of pixel.
    assert count == linear(4 * (6 * 12 + 4 * 4), 27 * 3, 5)


@cache
def published() -> dict[str, Any]:
    return bench_flops()


def test_the_published_model_takes_less_than_half_of_the_plain_way() -> None:
    figures = published()
    assert 140 < figures["per_step_tflop"] <= 146
    # The official code, counted by the same counter with 150 tokens: 320.5.
    assert figures["plain_per_step_tflop"] == pytest.approx(320.5, abs=0.05)
    assert figures["ratio"] == pytest.approx(figures["plain_per_step_tflop"] / figures["per_step_tflop"], abs=1e-3)


def test_the_parts_make_the_whole() -> None:
    figures = json.loads(json.dumps(published()))
    clip, step, plain = (figures["parts"][name] for name in ("per_clip", "per_step", "plain_per_step"))
    assert set(clip) == {
        "text_encoder", "vae_encode", "sketch_encoder", "vae_decode", "hint_prefix", "text_keys_values"
    }  # fmt: skip
    assert sum(step.values()) == pytest.approx(figures["per_step_tflop"], abs=1e-3)
    assert sum(plain.values()) == pytest.approx(figures["plain_per_step_tflop"], abs=1e-3)
    assert sum(clip.values()) + 30 * figures["per_step_tflop"] == pytest.approx(figures["per_clip_tflop"], abs=0.01)
    assert plain["hint_prefix"] == pytest.approx(2 * clip["hint_prefix"], abs=1e-3)
    assert plain["hint_tail"] == pytest.approx(2 * step["hint_tail"], abs=1e-3)
    # The autoencoder's own work, without a sketch, by the layers' shapes.
    assert (clip["vae_encode"], clip["vae_decode"]) == pytest.approx((82.86, 157.66), abs=0.01)


def test_the_sketch_features_of_four_frames_are_kept_and_not_of_all() -> None:
    kept = published()["sketch_features_gb"]
    assert kept["all_frames"] == pytest.approx(12.8, abs=0.05)
    assert kept["streamed"] == pytest.approx(kept["all_frames"] * 4 / 51, abs=1e-3)


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """17 pictures of 96x96 with a square that moves, a third of the picture wide."""
    folder = tmp_path / "mask"
    folder.mkdir()
    for index in range(17):
        picture = np.zeros((96, 96), np.uint8)
        picture[32:64, 24 + index : 56 + index] = 255
        write_picture(folder / f"{index:03}.png", picture)
    return folder


def test_a_mask_leaves_out_where_nothing_can_be_drawn(mask: Path) -> None:
    boxes = flops.mask_boxes(mask, 17, 256)
    case: dict[str, Any] = {"frames": 17, "size": 256, "text": TEXT}
    (top, bottom, left, right), *more = boxes
    assert not more
    # The square's way in 256 pixels, and about two cells of the 64 that a side has more.
    assert (top, bottom) == pytest.approx((85 - 8, 171 + 8), abs=6)
    assert (left, right) == pytest.approx((64 - 8, 192 + 8), abs=6)
    once, step, plain = flops.dit_parts(TINY, boxes=boxes, **case)
    dense_once, dense_step, dense_plain = flops.dit_parts(TINY, boxes=[(0, 256, 0, 256)], **case)
    assert once["hint_prefix"] < 0.5 * dense_once["hint_prefix"]
    assert step["hint_tail"] < 0.7 * dense_step["hint_tail"]
    assert {**step, "hint_tail": 0} == {**dense_step, "hint_tail": 0}  # all else sees the whole picture
    assert plain == dense_plain


def test_the_command_says_the_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mask: Path
) -> None:
    monkeypatch.setattr(flops, "DiTConfig", lambda: TINY)
    command = ["bench", "flops", "--frames", "17", "--size", "256", "--text", "9", "--steps", "2", "--mask", str(mask)]
    assert cli.main([*command, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["frames"], figures["size"], figures["steps"], figures["text_tokens"]) == (17, "256x256", 2, 9)
    assert figures["mask"] == str(mask) and 0 < figures["box_share"] < 1
    assert cli.main(command) == 0
    words = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert float(words["per_step_tflop"]) == figures["per_step_tflop"]
    assert float(words["parts.per_step.mlp"]) == figures["parts"]["per_step"]["mlp"]


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("frames", {"frames": 0}),
        ("size", {"size": 0}),
        ("size", {"size": 500}),
        ("text", {"text": 0}),
        ("text", {"text": 301}),
        ("steps", {"steps": 0}),
    ],
)
def test_what_cannot_be_counted_is_refused(field: str, given: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        bench_flops(**given)
    assert caught.value.field == field and caught.value.remedy


def test_a_mask_of_another_length_is_refused(mask: Path) -> None:
    with pytest.raises(Invalid, match="17 frames, and 51"):
        bench_flops(mask=mask)
    with pytest.raises(Missing):
        bench_flops(mask=mask / "nothing")


def test_another_engine_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "flops", "--engine", "flow"]) == 10
    assert "Choose vires" in capsys.readouterr().err
