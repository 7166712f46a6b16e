"""Prompts to embeddings: nothing added, nothing cut, and the encoder is read only when a prompt is new."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import torch  # noqa: E402
from overpaint.errors import Invalid, Missing  # noqa: E402
from overpaint_backend.engines.vires import weights  # noqa: E402
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
