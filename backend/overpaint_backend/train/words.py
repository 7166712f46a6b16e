"""A small text encoder that learns together with the model: T5's encoder over the words of the captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from overpaint_backend.train.figures import COLOURS, PATTERNS, PLAIN_WORDINGS, SHAPES, SIZES, WORDINGS

SPECIAL = ("<pad>", "</s>", "<unk>", ",")  # the first three as T5 has them


def vocabulary() -> list[str]:
    """Every word of every caption, marked as SentencePiece marks the beginning of a word."""
    parts = [*WORDINGS, *PLAIN_WORDINGS, *COLOURS, *SIZES, *PATTERNS, *PATTERNS.values(), *SHAPES]
    found = {word.strip(",") for part in parts for word in part.split() if "{" not in word}
    return [*SPECIAL, *(f"▁{word}" for word in sorted(found))]


class Words(nn.Module):
    """Captions to embeddings, with gradients."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        words = vocabulary()
        self.tokenizer = T5Tokenizer(vocab=[(word, -1.0) for word in words], extra_ids=0)
        self.model = T5EncoderModel(
            T5Config(
                vocab_size=len(words), d_model=width, d_kv=width // 4, d_ff=2 * width, num_layers=layers,
                num_heads=4, feed_forward_proj="gated-gelu", dropout_rate=0.0,
            )
        )  # fmt: skip

    def forward(self, captions: Sequence[str]) -> list[Float[Tensor, "l c"]]:
        """One for each caption: as many rows as it has words, and one for its end."""
        ids: list[list[int]] = self.tokenizer(list(captions))["input_ids"]  # pyright: ignore[reportAssignmentType]
        longest = max(map(len, ids))
        device = self.model.device
        padded = torch.tensor([one + [0] * (longest - len(one)) for one in ids], device=device)
        there = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in ids], device=device)
        out = self.model(input_ids=padded, attention_mask=there).last_hidden_state
        return [values[: len(one)] for values, one in zip(out, ids, strict=True)]

    def describe(self, folder: Path) -> None:
        """What stands beside the weights in the published layout: the widths, and the words."""
        self.model.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
