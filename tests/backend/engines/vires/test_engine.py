"""The engine with a small random model: what it takes into account, and what it does when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from overpaint.clip import FrameRange, Size
from overpaint.edit import Edit, Input, Task
from overpaint.errors import Cancelled, Exhausted, Missing, Unavailable
from overpaint_backend.engine import Carry, WindowInput, WindowOutput
from overpaint_backend.engines.vires import build, card

torch = pytest.importorskip("torch")

from overpaint_backend.engines.vires import engine as room  # noqa: E402
from overpaint_backend.engines.vires.engine import VIRESEngine  # noqa: E402
from overpaint_backend.engines.vires.memory import WORDS, Rung, climb_down, ran_out  # noqa: E402
from overpaint_backend.engines.vires.text import TextEncoder  # noqa: E402

from tests.small import write_small_checkpoint  # noqa: E402

pytestmark = pytest.mark.torch
SIDE = 64
INSIDE = (slice(None), slice(24, 40), slice(24, 40))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_checkpoint(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module", autouse=True)
def exactly() -> Iterator[None]:
    """On every processor in float32: two ways are the same up to its rounding."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "computes_in_bfloat16", lambda device: False)
        yield


@pytest.fixture(scope="module")
def engine(weights: Path, exactly: None) -> VIRESEngine:
    return VIRESEngine(card, "cpu", weights, cache=weights / "cache")


def window(length: int = 17, **more: Any) -> WindowInput:
    mask = np.zeros((length, SIDE, SIDE), np.float32)
    mask[:, 24:40, 24:40] = 1
    frames = np.random.default_rng(5).random((length, SIDE, SIDE, 3), dtype=np.float32)
    span = FrameRange(start=0, stop=length)
    return replace(WindowInput(task=Task.REPAINT, frames=frames, mask=mask, span=span, seed=7), **more)


def quiet(stage: str, step: int, steps: int) -> None:
    pass


def paint(
    engine: VIRESEngine,
    cut: WindowInput,
    carry: Carry | None = None,
    progress: Callable[..., None] = quiet,
    **edit: Any,
) -> WindowOutput:
    made = replace(Edit(task=cut.task, prompt="a red coat"), **edit)
    made = replace(made, options={"steps": 1, **made.options})
    return engine.paint(cut, engine.encode(made), carry, progress)


def differs(one: WindowOutput, other: WindowOutput) -> bool:
    return bool(np.abs(one.frames[INSIDE] - other.frames[INSIDE]).max() > 1e-3)


@pytest.fixture(scope="module")
def plain(engine: VIRESEngine) -> WindowOutput:
    return paint(engine, window())


def test_it_paints_near_the_mask_and_reports(engine: VIRESEngine, plain: WindowOutput) -> None:
    said: list[tuple[str, int, int]] = []
    out = paint(engine, window(), progress=lambda *words: said.append(words), options={"steps": 2})
    assert out.frames.dtype == np.float32 and out.frames.shape == (17, SIDE, SIDE, 3)
    assert out.frames.min() >= 0 and out.frames.max() <= 1
    assert (out.frames[:, :12] == window().frames[:, :12]).all()
    assert np.abs(out.frames - window().frames)[INSIDE].mean() > 0.05
    assert engine.card.native_size == Size(width=SIDE, height=SIDE)  # as the weights want it
    assert said == [("encoding", 0, 4), ("painting", 1, 4), ("painting", 2, 4), ("decoding", 3, 4)]
    assert differs(out, plain)  # steps count


@pytest.mark.parametrize("option", [{"solver": "corrected"}, {"hint_every": 2}, {"stillness": 1.0}], ids=str)
def test_a_shortcut_is_taken_where_it_is_asked_for(engine: VIRESEngine, option: dict[str, Any]) -> None:
    lines = {Input.SKETCH: np.ones((17, SIDE, SIDE), np.float32)}
    exact, short = (paint(engine, window(guides=lines), options={"steps": 3, **more}) for more in ({}, option))
    assert differs(short, exact)
    assert np.abs(short.frames - exact.frames)[INSIDE].mean() < 0.1


def test_the_seed_and_nothing_but_the_seed(engine: VIRESEngine, weights: Path, plain: WindowOutput) -> None:
    """Not the engine, nor what it painted before: so neither the order of windows nor the worker."""
    other = paint(engine, window(seed=8))
    assert differs(other, plain)
    fresh = VIRESEngine(card, "cpu", weights, cache=weights / "cache")
    assert np.array_equal(paint(fresh, window()).frames, plain.frames)
    assert np.array_equal(paint(engine, window()).frames, plain.frames)


def test_words_and_guidance_count(engine: VIRESEngine, plain: WindowOutput) -> None:
    assert differs(paint(engine, window(), prompt="two dogs"), plain)
    assert differs(paint(engine, window(), negative_prompt="two dogs"), plain)
    assert differs(paint(engine, window(), options={"guidance": 3.0}), plain)
    alone = paint(engine, window(), options={"guidance": 1.0})
    unheard = paint(engine, window(), options={"guidance": 1.0}, negative_prompt="two dogs")
    assert np.array_equal(alone.frames, unheard.frames)


@pytest.mark.parametrize("kind", [Input.SKETCH, Input.EDGE, Input.DEPTH])
def test_guides_count_inside_the_mask_only(engine: VIRESEngine, plain: WindowOutput, kind: Input) -> None:
    drawn = np.zeros((17, SIDE, SIDE), np.float32)
    drawn[5, :8, :8] = 1
    assert np.array_equal(paint(engine, window(guides={kind: drawn})).frames, plain.frames)
    drawn[5, 28:36, 28:36] = 1
    assert differs(paint(engine, window(guides={kind: drawn})), plain)


def test_every_task_of_the_card(engine: VIRESEngine, plain: WindowOutput) -> None:
    everywhere = np.ones((17, SIDE, SIDE), np.float32)
    assert np.abs(paint(engine, window(task=Task.GENERATE, mask=everywhere)).frames - window().frames).mean() > 0.05
    for task in (Task.ADD, Task.REPLACE):  # what they need differs, not what they do
        assert np.array_equal(paint(engine, window(task=task)).frames, plain.frames)
    removed = paint(engine, window(task=Task.REMOVE), prompt="")
    assert np.array_equal(paint(engine, window(), prompt=room.BACKGROUND).frames, removed.frames)
    assert differs(paint(engine, window(), prompt=""), removed)


def test_known_frames_come_back_as_they_are_and_are_gone_on_from(engine: VIRESEngine) -> None:
    def after(value: float) -> WindowOutput:
        known = {frame: np.full((SIDE, SIDE, 3), value, np.float32) for frame in range(17)}
        out = paint(engine, window(34, keyframes=known, known=17))
        assert all((out.frames[frame] == picture).all() for frame, picture in known.items())
        return out

    assert np.abs(after(0.2).frames - after(0.8).frames)[17:, 24:40, 24:40].max() > 1e-3


def test_a_keyframe_is_met_and_its_neighbours_follow(engine: VIRESEngine, plain: WindowOutput) -> None:
    picture = np.full((SIDE, SIDE, 3), 0.3, np.float32)
    out = paint(engine, window(keyframes={6: picture}))
    assert (out.frames[6] == picture).all()
    others = [frame for frame in range(17) if frame not in range(5, 9)]
    changed = np.abs(out.frames - plain.frames)[INSIDE].max((1, 2, 3))
    assert (changed[others] > 1e-4).all()


def test_a_cancelled_window_ends_within_a_step(engine: VIRESEngine, plain: WindowOutput) -> None:
    def stop(stage: str, step: int, steps: int) -> None:
        if step == 2:
            raise Cancelled(field="job", message="enough")

    with pytest.raises(Cancelled):
        paint(engine, window(), progress=stop, options={"steps": 50})
    assert np.array_equal(paint(engine, window()).frames, plain.frames)


def test_a_device_and_weights_that_are_not_there_are_said(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot compute on cuda:99"):
        build("cuda:99", weights)
    with pytest.raises(Missing, match="no weights in") as refused:
        build("cpu", tmp_path)
    assert refused.value.remedy == "Say overpaint weights fetch vires"


def out_of_memory() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 12 GiB\nand more")


def test_frame_by_frame_gives_the_same_picture(
    engine: VIRESEngine, plain: WindowOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault put in: a card that holds one frame in the autoencoder's decoder, and no more."""
    decode = engine._vae.decode
    tries: list[int] = []

    def small(*given):
        tries.append(engine._vae.tile)
        if engine._vae.tile > 1:
            raise out_of_memory()
        return decode(*given)

    monkeypatch.setattr(engine._vae, "decode", small)
    said: list[str] = []
    out = paint(engine, window(), progress=lambda stage, *_: said.append(stage))
    assert WORDS[Rung.FRAMES] in said and np.allclose(out.frames, plain.frames, atol=1e-4)
    assert out.carry is not None and out.carry["rung"] == Rung.FRAMES and tries == [4, 1]
    paint(engine, window(), carry=out.carry)  # the next window, or a resumed job, does not try what failed
    assert tries == [4, 1, 1]


def test_a_window_in_pieces_continues_what_it_painted(engine: VIRESEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    step = engine._dit.step

    def small(x, *given):
        if x.shape[2] > 10:
            raise out_of_memory()
        return step(x, *given)

    monkeypatch.setattr(engine._dit, "step", small)
    said: list[tuple[str, int, int]] = []
    out = paint(engine, window(51), progress=lambda *words: said.append(words))
    assert out.carry is not None and out.carry["rung"] == Rung.SHORT
    assert [words for words in said[-6:]] == [
        *(("encoding", 0, 6), ("painting", 1, 6), ("decoding", 2, 6)),
        *(("encoding", 3, 6), ("painting", 4, 6), ("decoding", 5, 6)),
    ]
    monkeypatch.undo()
    first = paint(engine, window(34, frames=window(51).frames[:34]))
    assert np.allclose(out.frames[:34], first.frames, atol=1e-4)
    known = dict(enumerate(out.frames[17:34]))
    second = paint(engine, window(34, frames=window(51).frames[17:], keyframes=known, known=17, seed=7 + 17))
    assert np.allclose(out.frames[17:], second.frames, atol=1e-4)


def test_the_last_rung_ends_in_words_and_other_errors_pass() -> None:
    said: list[str] = []
    tried: list[Rung] = []

    def never(rung: Rung) -> None:
        tried.append(rung)
        raise out_of_memory() if rung else RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")

    with pytest.raises(Exhausted, match="not even a short one") as refused:
        climb_down(Rung.WHOLE, never, said.append)
    assert tried == [*Rung] and said == [*WORDS.values()] and refused.value.remedy

    given = (MemoryError(), RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), RuntimeError("not enough memory"))
    assert all(map(ran_out, given))

    def wrong(rung: Rung) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        climb_down(Rung.WHOLE, wrong, said.append)


def test_a_text_encoder_that_does_not_fit_runs_on_the_cpu(engine: VIRESEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = TextEncoder.encode

    def small(self: TextEncoder, prompt: str):
        if self._device.type == "meta":  # stands for a full graphics card
            raise out_of_memory()
        return encode(self, prompt)

    monkeypatch.setattr(TextEncoder, "encode", small)
    (near,) = engine._embed(["a red coat"], torch.device("cpu"))
    (far,) = engine._embed(["a red coat"], torch.device("meta"))
    assert torch.equal(near, far)
