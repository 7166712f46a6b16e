"""The published weights of VIRES: read into its models without a second copy, checked by name and shape, converted."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from overpaint.errors import Invalid
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from overpaint_backend.diffusion.schedule import lms_sigmas
from overpaint_backend.engines.vires import WEIGHTS, config
from overpaint_backend.engines.vires.dit import DiT
from overpaint_backend.engines.vires.pca import BlockVAE
from overpaint_backend.engines.vires.text import TextEncoder, empty_encoder
from overpaint_backend.engines.vires.vae import VideoVAE
from overpaint_backend.weights import Finding, published, tensor_files

DIT, VAE, TEXT = WEIGHTS

COMPUTED = ("pos_embed.inv_freq", "rope.cached_freqs", "rope.cached_scales", "rope.dummy")
"""Tables that the official classes compute themselves; some versions write them into a checkpoint."""

OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Diffusers' names of the autoencoder's attention before 0.15, and since."""

SHOWN = 5  # names of tensors in one message

log = logging.getLogger(__name__)
Model = TypeVar("Model", bound=nn.Module)
Shape = tuple[int, ...]


def load_dit(root: Path, device: torch.device | str, dtype: torch.dtype, parity: bool = False) -> DiT:
    """The diffusion transformer in `root`/VIRES, ready to paint. `parity`: round where the official code does.

    Raises Missing where there are no weights, and Invalid where they are not those of this model.
    """
    with torch.device("meta"):
        model = DiT(config.read(config.DiTConfig, root / DIT), parity=parity)
    model.sigmas = lms_sigmas().to(device)  # a table, so in no checkpoint
    return _filled(model, files_of(root / DIT), device, dtype)


def load_vae(root: Path, device: torch.device | str, dtype: torch.dtype) -> VideoVAE | BlockVAE:
    """The autoencoder in `root`/VIRES_VAE, of the kind that its overpaint.json names. Raises as `load_dit` does."""
    model = _empty_vae(root / VAE)
    return _filled(model, files_of(root / VAE), device, dtype)


def load_text(
    root: Path, device: torch.device | str, dtype: torch.dtype = torch.float32, cache: Path | None = None
) -> TextEncoder:
    """The text encoder in `root`/t5-v1_1-xxl; the model itself is read when a prompt is new. Raises Missing.

    Embeddings are kept in `cache`, in the root unless said. float32 is what the official code computes in, on the graphics card too. There bfloat16 takes half the memory.
    """
    files = files_of(root / TEXT)
    return TextEncoder(
        root / TEXT,
        cache or root / "cache" / "text",
        files=files,
        read=lambda: _filled(empty_encoder(root / TEXT), files, device, dtype),
        device=torch.device(device),
        dtype=dtype,
        length=config.read(config.DiTConfig, root / DIT).caption_length,
    )


def check(name: str, folder: Path) -> Iterator[Finding]:
    """Whether the tensors in `folder` are those that the model wants, by name and shape. Reads headers only."""
    with torch.device("meta"):
        if name == DIT:
            model = DiT(config.read(config.DiTConfig, folder))
        elif name == VAE:
            model = _empty_vae(folder)
        else:
            model = empty_encoder(folder)
    survey = _survey(model, files_of(folder))
    for words in survey.problems():
        yield Finding(well=False, words=words)
    if survey.extra:
        yield Finding(well=True, words=f"not needed: {some(survey.extra)}")
    if not survey.missing and not survey.wrong:
        yield Finding(well=True, words=f"{len(survey.found)} tensors have the names and shapes that the model wants")


def _empty_vae(folder: Path) -> VideoVAE | BlockVAE:
    """The autoencoder that `folder` describes, without values."""
    kind = config.read_vae(folder)
    with torch.device("meta"):
        return BlockVAE(kind) if isinstance(kind, config.PCAConfig) else VideoVAE(kind)


def convert(pickle: Path, target: Path) -> None:
    """A pickle of tensors to safetensors. Nothing in it is run: what is not a tensor is refused. Raises Invalid."""
    try:
        held = torch.load(pickle, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(pickle))
    except Exception as error:  # torch says it in many ways
        raise Invalid(
            field="weights",
            message=f"{pickle} is refused: it holds more than tensors, or is damaged ({str(error).splitlines()[0]})",
            remedy="Get safetensors from who published it",
        ) from None
    while isinstance(held, Mapping) and set(held) == {"state_dict"}:
        held = held["state_dict"]
    if not isinstance(held, Mapping) or not all(isinstance(value, Tensor) for value in held.values()):
        raise Invalid(
            field="weights",
            message=f"{pickle} is refused: it is not a table of names and tensors",
            remedy="Get safetensors from who published it",
        )
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in held.items():  # safetensors takes no two tensors out of one piece of memory
        tensors[name] = value.clone() if value.untyped_storage().data_ptr() in seen else value.contiguous()
        seen.add(value.untyped_storage().data_ptr())
    save_file(tensors, target, metadata={"format": "pt"})
    target.chmod(0o644)  # save_file makes it for its owner only


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a tensor lies: in `file`, under its own `name`, in its own `shape`."""

    file: Path
    name: str
    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The tensors of a checkpoint against those of a model: `wrong` are expected and found shape."""

    found: Mapping[str, Place]
    missing: Sequence[str]
    wrong: Mapping[str, tuple[Shape, Shape]]
    extra: Sequence[str]

    def problems(self) -> Iterator[str]:
        if self.missing:
            yield f"missing: {some(self.missing)}"
        if self.wrong:
            yield "wrong shape: " + some([f"{n} is {found}, not {wanted}" for n, (wanted, found) in self.wrong.items()])


def some(names: Sequence[str]) -> str:
    """The first of many names, for a message."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def files_of(folder: Path) -> tuple[Path, ...]:
    """The tensor files in a folder that is called as its weights are. Raises Missing, Invalid."""
    return tensor_files(folder, published(folder.name))


def _survey(model: nn.Module, files: Iterable[Path]) -> Survey:
    """Look for every tensor of `model` in the headers of `files`; the first file that has one counts.

    The spare files come last, so a tensor that was trained on counts, and not the one it began as.
    """
    same = _same(model)
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items() if name not in same}
    found: dict[str, Place] = {}
    wrong: dict[str, tuple[Shape, Shape]] = {}
    extra: list[str] = []
    for file in files:
        for own, shape in _header(file):
            name = modern(own, file)
            name = same.get(name, name)
            if name not in wanted:
                if own not in COMPUTED:
                    extra.append(own)
            elif name in found or name in wrong:
                continue
            elif wanted[name] == shape or (wanted[name] == shape[:2] and set(shape[2:]) == {1}):
                found[name] = Place(file=file, name=own, shape=shape)
            else:
                wrong[name] = (wanted[name], shape)
    missing = [name for name in wanted if name not in found and name not in wrong]
    return Survey(found=found, missing=missing, wrong=wrong, extra=extra)


def _same(model: nn.Module) -> dict[str, str]:
    """Further names of a tensor -> its first: T5's embedding has two, and files hold either or both."""
    first: dict[int, str] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        first.setdefault(id(value), name)
    names = model.state_dict(keep_vars=True).items()
    return {name: first[id(value)] for name, value in names if first[id(value)] != name}


def _header(file: Path) -> Iterator[tuple[str, Shape]]:
    try:
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118, it is no mapping
                yield name, tuple(tensors.get_slice(name).get_shape())
    except SafetensorError as error:
        remedy = f"Say: overpaint weights fetch {file.parent.name}, or import the folder again"
        raise Invalid(field="weights", message=f"{file} cannot be read: {error}", remedy=remedy) from None


def modern(name: str, file: Path) -> str:
    """The name that the models here use."""
    if file.parent.name == "sdxlvae":
        name = f"spatial_vae.module.{name}"
    return re.sub(
        r"(\.attentions\.\d+\.)(query|key|value|proj_attn)\.", lambda m: f"{m[1]}{OLD_ATTENTION[m[2]]}.", name
    )


def _filled(model: Model, files: Sequence[Path], device: torch.device | str, dtype: torch.dtype) -> Model:
    """`model` with its tensors, which take the place of the empty ones one by one: nothing is there twice."""
    survey = _survey(model, files)
    for words in survey.problems():
        folder = files[0].parent
        raise Invalid(
            field="weights",
            message=f"{folder} does not hold the weights of {type(model).__name__}; {words}",
            remedy="Say: overpaint weights verify; then fetch or import them again. Other widths go into overpaint.json",
        )
    if survey.extra:
        log.warning("%s: tensors that nothing needs: %s", files[0].parent, some(survey.extra))
    wanted = model.state_dict()
    state: dict[str, Tensor] = {}
    for file in files:
        with safe_open(file, "pt", device=str(device)) as tensors:
            for name, place in survey.found.items():
                if place.file == file:
                    state[name] = tensors.get_tensor(place.name).to(dtype).reshape(wanted[name].shape)
    model.load_state_dict(state | {name: state[first] for name, first in _same(model).items()}, assign=True)
    return model.eval().requires_grad_(False)
