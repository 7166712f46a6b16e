"""A prompt to the embeddings that the model reads: T5 v1.1 XXL's encoder, and a cache so that it is seldom needed."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float32
from overpaint.errors import Invalid, Missing
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel, T5Tokenizer

from overpaint_backend.weights import MANIFEST

MOST_KEPT = 1000  # prompts; one of 20 words takes about 400 KB, the longest 5 MB
STALLED = 3600.0  # seconds after which a file that was begun will never be whole


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tokens:
    """A prompt's embeddings, on the CPU: one for each of its tokens, the end mark included, no padding."""

    values: Float32[Tensor, "l c"]


class TextEncoder:
    """Encodes prompts as they are: nothing is cleaned, added or cut off (as the official inference does, but for the cut).

    The official code pads to `length` tokens and masks the padding away; a token's embedding does not depend on it.
    """

    def __init__(
        self,
        folder: Path,
        cache: Path,
        *,
        files: Sequence[Path],
        read: Callable[[], T5EncoderModel],
        device: torch.device,
        dtype: torch.dtype,
        length: int,
    ) -> None:
        """`read` gives the model with the weights in `files`; it is called when a prompt is not in the cache."""
        self._folder, self._cache, self._files, self._read = folder, cache, files, read
        self._device, self._dtype, self._length = device, dtype, length
        self._model: T5EncoderModel | None = None

    def encode(self, prompt: str) -> Tokens:
        """The embeddings of `prompt`. Raises Invalid where it is longer than the model reads, Missing without tokenizer."""
        kept = self._cache / f"{self._digest(prompt)}.safetensors"
        if (known := _kept(kept)) is not None:
            return Tokens(values=known)
        ids: list[int] = self._tokenizer(prompt, verbose=False)["input_ids"]  # pyright: ignore[reportAssignmentType]
        if len(ids) > self._length:
            raise Invalid(
                field="prompt",
                message=f"the prompt has {len(ids)} tokens, and the model reads {self._length}",
                remedy="Shorten it",
            )
        if self._model is None:
            self._model = self._read()
        with torch.inference_mode():
            out = self._model(input_ids=torch.tensor([ids], device=self._device)).last_hidden_state
        values = out[0].float().cpu().clone()
        _keep(values, kept)
        return Tokens(values=values)

    def release(self) -> None:
        """Give back the memory; the next prompt that is new reads the model again."""
        self._model = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerFast:
        if not any((self._folder / name).is_file() for name in ("tokenizer.json", "spiece.model")):
            raise Missing(
                field="weights",
                message=f"{self._folder} holds neither tokenizer.json nor spiece.model",
                remedy=f"Fetch {self._folder.name} again",
            )
        return T5Tokenizer.from_pretrained(self._folder, local_files_only=True)

    @cached_property
    def _identity(self) -> str:
        """Which encoder this is: the manifest tells, or else names, sizes and times."""
        manifest = self._folder / MANIFEST
        if manifest.is_file():
            return manifest.read_text()
        stats = [(file.name, file.stat()) for file in self._files]
        return repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])

    def _digest(self, prompt: str) -> str:
        parts = (prompt, self._identity, str(self._dtype), str(self._length))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def empty_encoder(folder: Path) -> T5EncoderModel:
    """The encoder that `folder`'s config.json describes, without values. Raises Missing."""
    if not (folder / "config.json").is_file():
        raise Missing(
            field="weights",
            message=f"{folder} holds no config.json",
            remedy=f"Say: overpaint weights fetch {folder.name}",
        )
    with torch.device("meta"):
        model = T5EncoderModel(T5Config.from_pretrained(folder, local_files_only=True))
    return model


def _kept(path: Path) -> Float32[Tensor, "l c"] | None:
    """What was kept there, if it still is: another process may remove it at any moment. It was used now."""
    try:
        # A copy: in the file the numbers lie as they come, and on the CPU a product's last digits hang on the alignment.
        values = load_file(path)["values"].clone()
    except (FileNotFoundError, NotADirectoryError):
        return None
    with suppress(OSError):  # read-only, or removed since
        os.utime(path)
    return values


def _keep(values: Float32[Tensor, "l c"], path: Path) -> None:
    """Write it whole or not at all: another process may be looking for it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    except OSError:  # weights may lie on a share that is read-only: then the prompt is encoded anew each time
        return
    os.close(handle)
    save_file({"values": values}, name)
    Path(name).replace(path)
    _bound(path.parent)


def _bound(folder: Path) -> None:
    """All but the MOST_KEPT that were used last go, and what was begun long ago. What others write and remove is left to them."""
    used: list[tuple[float, str]] = []
    for file in os.scandir(folder):
        with suppress(OSError):  # another process was faster; on Windows, reads it
            at = file.stat().st_mtime
            if file.name.endswith(".safetensors"):
                used.append((at, file.path))
            elif at < time.time() - STALLED:
                Path(file).unlink()
    for _, file in sorted(used, reverse=True)[MOST_KEPT:]:
        with suppress(OSError):
            Path(file).unlink()
