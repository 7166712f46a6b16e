"""Prompts to embeddings: nothing added, nothing cut, and the encoder is read only when a prompt is new."""

from __future__ import annotations

import os
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import torch  # noqa: E402
from overpaint.errors import Invalid, Missing  # noqa: E402
from overpaint_backend.engines.vires import text, weights  # noqa: E402
from overpaint_backend.engines.vires.text import TextEncoder  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from tests.small import DIT, write_small_checkpoint  # noqa: E402

PROMPT = "a red coat near the sea"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_checkpoint(tmp_path_factory.mktemp("small") / "weights", seed=1)


@pytest.fixture
def root(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "weights", ignore=shutil.ignore_patterns("cache")))


def encoder(root: Path, dtype: torch.dtype = torch.float32) -> TextEncoder:
    return weights.load_text(root, "cpu", dtype)


def read(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows whenever the encoder itself is read."""
    done: list[str] = []
    filled = weights._filled

    def counting(model, *rest):
        done.append(type(model).__name__)
        return filled(model, *rest)

    monkeypatch.setattr(weights, "_filled", counting)
    return done


def test_padding_as_the_official_code_does_gives_the_same_embeddings(root: Path) -> None:
    one = encoder(root)
    values = one.encode(PROMPT).values
    words = one._tokenizer(PROMPT, padding="max_length", max_length=DIT.caption_length, return_tensors="pt")
    with torch.inference_mode():
        padded = one._read()(**words).last_hidden_state[0]
    count = int(words["attention_mask"].sum())
    assert values.shape == (count, DIT.caption_channels) and values.dtype == torch.float32
    assert words["input_ids"][0, count - 1] == 1, "the end mark is one of them"
    assert (values - padded[:count]).abs().max() < 1e-5 and values.std() > 0.1


def test_another_prompt_is_another_embedding_and_order_counts(root: Path) -> None:
    one = encoder(root)
    first, second = one.encode("a dog near the tree").values, one.encode("the tree near a dog").values
    assert first.shape == second.shape and not torch.allclose(first, second, atol=1e-2)


def test_a_prompt_that_is_known_needs_no_encoder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = read(root, monkeypatch)
    one = encoder(root)
    assert not done, "it is read when it is needed"
    values = one.encode(PROMPT).values
    one.encode("another")
    assert done == ["T5EncoderModel"]
    one.release()
    assert torch.equal(one.encode(PROMPT).values, values) and torch.equal(encoder(root).encode(PROMPT).values, values)
    assert len(done) == 1
    one.encode("a third")
    assert len(done) == 2, "released, so it is read again"
    assert {path.suffix for path in (root / "cache" / "text").iterdir()} == {".safetensors"}


def aged(file: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(file, (then, then))


def test_the_cache_is_bounded_and_what_was_used_longest_ago_goes_first(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "MOST_KEPT", 3)
    done, folder, one = read(root, monkeypatch), root / "cache" / "text", encoder(root)
    for age, prompt in enumerate(("a", "b", "c")):
        one.encode(prompt)
        (made,) = [file for file in folder.iterdir() if file.stat().st_mtime > time.time() - 500]
        aged(made, 1000 - age)
    one.encode("a")  # used again, so that "b" is the oldest
    writing, left = folder / "tmp1.part", folder / "tmp2.part"
    for part, age in ((writing, 60), (left, 7200)):  # one process writes; another was killed when it did
        part.write_bytes(b"half")
        aged(part, age)
    one.encode("d")
    assert len(list(folder.glob("*.safetensors"))) == 3 and writing.exists() and not left.exists()
    one.release()
    for prompt in ("a", "c", "d"):
        one.encode(prompt)
    assert len(done) == 1
    one.encode("b")
    assert len(done) == 2


def test_two_at_once_bound_the_cache_and_lose_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each removes what the other is about to read or to remove."""
    monkeypatch.setattr(text, "MOST_KEPT", 2)
    folder, prompts = root / "cache" / "text", "abcde"
    right = {prompt: encoder(root).encode(prompt).values for prompt in prompts}

    def work(seed: int) -> None:
        one, order = encoder(root), random.Random(seed)
        for _ in range(40):
            prompt = order.choice(prompts)
            assert torch.equal(one.encode(prompt).values, right[prompt])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    encoder(root).encode("the last one")
    assert len(list(folder.iterdir())) == 2


def test_weights_in_a_folder_that_takes_no_files_do_as_well(root: Path) -> None:
    (root / "cache").write_text("stands for a share that is read-only: root may write anywhere")
    assert len(encoder(root).encode(PROMPT).values)


def test_other_weights_or_another_type_are_not_served_from_the_cache(root: Path, tmp_path: Path) -> None:
    values = encoder(root).encode(PROMPT).values
    rough = encoder(root, torch.bfloat16).encode(PROMPT).values
    assert rough.dtype == torch.float32 and 0 < (rough - values).abs().max() < 0.2
    file = root / "t5-v1_1-xxl" / "model-00001-of-00002.safetensors"
    save_file({name: value * 1.5 for name, value in load_file(file).items()}, file)
    assert not torch.allclose(encoder(root).encode(PROMPT).values, values, atol=1e-2)


def test_a_prompt_that_is_too_long_is_refused_and_not_cut(root: Path) -> None:
    one = encoder(root)
    with pytest.raises(
        Invalid, match=rf"the prompt has \d+ tokens, and the model reads {DIT.caption_length}"
    ) as caught:
        one.encode("a man in a red coat walks " * 9)
    assert caught.value.field == "prompt"
    assert 1 <= len(one.encode("").values) <= 2, "no words are words too"


def test_both_files_of_a_tokenizer_will_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "t5-v1_1-xxl"
    values = encoder(root).encode(PROMPT).values
    tokenizer = encoder(root)._tokenizer
    (folder / "spiece.model").unlink()
    with pytest.raises(Missing, match=r"neither tokenizer\.json nor spiece\.model"):
        encoder(root).encode("new words")
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    shutil.rmtree(root / "cache")
    done = read(root, monkeypatch)
    assert torch.equal(encoder(root).encode(PROMPT).values, values) and len(done) == 1


def test_a_whole_t5_with_its_decoder_will_do_as_well(root: Path) -> None:
    folder = root / "t5-v1_1-xxl"
    values = encoder(root).encode(PROMPT).values
    first = folder / "model-00001-of-00002.safetensors"
    for file in folder.glob("*.safetensors"):
        held = load_file(file)
        if "shared.weight" in held:
            held["encoder.embed_tokens.weight"] = held.pop("shared.weight")
        if file == first:
            held |= {"decoder.final_layer_norm.weight": torch.ones(32), "lm_head.weight": torch.ones(256, 32)}
        save_file(held, file)
    shutil.rmtree(root / "cache")
    assert torch.equal(encoder(root).encode(PROMPT).values, values)
    (folder / "config.json").unlink()
    with pytest.raises(Missing, match=r"no config\.json"):
        encoder(root).encode("new words")
