"""The engines' weights: which there are, where they are, and how they come here whole (no torch)."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from overpaint.errors import Exhausted, Invalid, Missing

from overpaint_backend.hub import Snapshot, download, look, needed

MANIFEST = "manifest.json"
"""In every folder that came through this room: where from, under which licence, and each file's size and SHA-256."""

LICENCES = "licences.json"
"""In the root: the licences that were accepted here."""

PICKLES = "*pytorch_model*.bin"
BESIDE = ("*.json", "spiece.model", "README.md", "LICENSE*")
"""What is kept beside the tensors: widths, tokenizer, and the words they were published with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A published repository that an engine needs; it lies in the root under `name`.

    `licence` is what can be said without asking the hub. Tensors are read from the first of `places` that has any, as
    the official loaders do; `spare` are read as well, for tensors that those lack. `room` is the module that checks and
    converts them, where it is not the engine's.
    """

    name: str
    engine: str
    repository: str
    licence: str
    places: tuple[str, ...] = ("model/*", "*")
    spare: str = ""
    room: str = ""


PUBLISHED = (
    Weights(name="VIRES", engine="vires", repository="suimu/VIRES", licence="see its page"),
    Weights(
        name="VIRES_VAE",
        engine="vires",
        repository="suimu/VIRES_VAE",
        licence="see its page",
        spare="sdxlvae/diffusion_pytorch_model*",
    ),
    Weights(
        name="t5-v1_1-xxl",
        engine="vires",
        repository="DeepFloyd/t5-v1_1-xxl",
        licence="this copy states none; Google's original is Apache-2.0",
    ),
    Weights(
        name="sam2.1-hiera-small",  # masks from clicks; about 46 million numbers of 4 bytes, not verified
        engine="guides",
        repository="facebook/sam2.1-hiera-small",
        licence="Apache-2.0",
        places=("model*",),
        room="overpaint_backend.guides.sam2",
    ),
)


class State(StrEnum):
    PRESENT = "present"
    UNCHECKED = "unchecked"  # put there by hand: nothing says what should be there
    INCOMPLETE = "incomplete"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the list. `size` in bytes on disk."""

    name: str
    engine: str
    state: State
    size: int
    licence: str
    repository: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(Snapshot):
    """What a fetch would bring of a repository, said before it does."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found, in words; `well` is false where something must be done."""

    well: bool
    words: str


def named(name: str) -> tuple[str, ...]:
    """The weights called `name`, or all that the engine of that name needs. Raises Missing."""
    return tuple(one.name for one in PUBLISHED if one.engine == name) or (published(name).name,)


def published(name: str) -> Weights:
    """The weights called `name`. Raises Missing."""
    for one in PUBLISHED:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in PUBLISHED)
    raise Missing(field="name", message=f"there are no weights called {name!r}", remedy=f"Choose {known}")


def entries(root: Path) -> tuple[Entry, ...]:
    """All weights that an engine may need, and how each stands in `root`."""
    return tuple(_entry(one, root) for one in PUBLISHED)


def tensor_files(folder: Path, one: Weights) -> tuple[Path, ...]:
    """The safetensors files of `one` in `folder`; spare ones last. Raises Missing (none), Invalid (pickles)."""
    names = [name for name in _wanted(_names(folder), one) if _holds_tensors(name)]
    if not names:
        raise Missing(
            field="weights",
            message=f"{folder} holds no weights of {one.repository}",
            remedy=f"Say: overpaint weights fetch {one.name}; or, for files that are here: overpaint weights import",
        )
    for name in names:
        if not name.endswith(".safetensors"):
            raise Invalid(
                field="weights",
                message=f"{folder / name} is a pickle, and only safetensors are loaded",
                remedy=f"Move the folder away and say: overpaint weights import FOLDER --as {one.name}",
            )
    return tuple(folder / name for name in names)


def fetch(name: str, root: Path, agree: Callable[[Offer], bool], endpoint: str | None = None) -> Path:
    """Bring weights from the hub (or its mirror `endpoint`) into `root`; goes on where an earlier fetch ended.

    `agree` is shown the offer, and says whether its licence is accepted; it is not asked for one accepted before.
    Raises Missing, Invalid (not accepted), Exhausted (disk), Unavailable (network), Corrupt (checksum).
    """
    one, folder = published(name), root / name
    offer = _offer(one, endpoint)
    manifest = _manifest(folder)
    if manifest.get("revision") == offer.revision and _entry(one, root).state is State.PRESENT:
        return folder
    accepted = _read(root / LICENCES)
    if accepted.get(name, {}).get("licence") != offer.licence:
        if not agree(offer):
            raise Invalid(
                field="licence",
                message=f"the licence of {one.repository} ({offer.licence}) was not accepted",
                remedy=f"Read it at https://huggingface.co/{one.repository}, then give --accept-licence",
            )
        given = {"licence": offer.licence, "accepted": datetime.now(UTC).isoformat(timespec="seconds")}
        _write(root / LICENCES, accepted | {name: given})
    if any(file.name.endswith(".bin") for file in offer.files):
        _engine_of(one)  # it will convert them: say before the download if it cannot
    arrived = root / ".fetching" / name / offer.revision
    arrived.mkdir(parents=True, exist_ok=True)
    _make_sure_of_room(offer, arrived)
    for file in offer.files:
        download(offer, file, arrived / file.name, endpoint)
    where = {"repository": one.repository, "revision": offer.revision, "licence": offer.licence}
    _settle(one, arrived, root, where, place=_link)
    shutil.rmtree(arrived.parent)
    return folder


def adopt(source: Path, root: Path, name: str | None = None) -> Path:
    """Copy weights that were downloaded by other means (a snapshot of the hub's cache, a git clone) into `root`.

    `source` is never changed. Without `name`, its path must tell. Pickles are converted, if they hold tensors only.
    Raises Missing, Invalid.
    """
    if not source.is_dir():
        raise Missing(field="folder", message=f"{source} is no folder", remedy="Give the folder of the download")
    one = published(name) if name else _told_by(source)
    if source.resolve() == (root / one.name).resolve():
        raise Invalid(field="folder", message=f"{source} is where they go", remedy="Move it elsewhere first")
    where = {"repository": one.repository, "source": str(source.resolve()), "licence": one.licence}
    return _settle(one, source, root, where, place=shutil.copyfile)


def verify(name: str, root: Path) -> Iterator[Finding]:
    """Every file against its SHA-256 of when it came, then the tensors against the engine's model."""
    one, folder = published(name), root / name
    if not folder.is_dir():
        yield Finding(well=False, words=f"not in {root}. Say: overpaint weights fetch {name}")
        return
    files: Mapping[str, Any] = _manifest(folder).get("files", {})
    if not files:
        yield Finding(well=False, words=f"has no {MANIFEST}: it was put there by hand, so nothing tells a damaged file")
    for file, known in files.items():
        if not (folder / file).is_file():
            yield Finding(well=False, words=f"{file} is gone")
        elif (found := digest(folder / file)) != known["sha256"]:
            yield Finding(well=False, words=f"{file} is damaged: its SHA-256 is {found}, and was {known['sha256']}")
    if files:
        yield Finding(well=True, words=f"{len(files)} files were compared with their SHA-256")
    try:
        yield from _engine_of(one).check(name, folder)
    except (Missing, Invalid) as error:
        yield Finding(well=False, words=str(error))


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(folders: Iterable[Path]) -> str:
    """A digest of all tensors in `folders`, 16 hex digits: other weights, another fingerprint.

    Files that a manifest describes are taken at its word; any others are read once in this process.
    """
    found = hashlib.sha256()
    for folder in folders:
        known: Mapping[str, Any] = _manifest(folder).get("files", {})
        for name in sorted(name for name in _names(folder) if _holds_tensors(name)):
            path, was = folder / name, known.get(name, {})
            same = was.get("size") == _size(path)
            found.update(f"{folder.name}/{name} {was['sha256'] if same else _read_through(path, path.stat())}".encode())
    return found.hexdigest()[:16]


@cache
def _read_through(path: Path, _as_it_is: os.stat_result) -> str:
    return digest(path)


# What is there.


def _entry(one: Weights, root: Path) -> Entry:
    folder = root / one.name
    manifest = _manifest(folder)
    files: Mapping[str, Any] = manifest.get("files", {})
    if files:
        whole = all((folder / name).is_file() and _size(folder / name) == was["size"] for name, was in files.items())
        state = State.PRESENT if whole else State.INCOMPLETE
    elif any(map(_holds_tensors, _wanted(_names(folder), one))):
        state = State.UNCHECKED
    else:
        state = State.INCOMPLETE if (root / ".fetching" / one.name).exists() else State.MISSING
    return Entry(
        name=one.name,
        engine=one.engine,
        state=state,
        size=sum(_size(folder / name) for name in _names(folder)),
        licence=manifest.get("licence", one.licence),
        repository=one.repository,
        folder=str(folder),
    )


def _wanted(names: Iterable[str], one: Weights) -> list[str]:
    """Those of a repository's files that the engine reads: safetensors, or pickles where a place has no safetensors."""
    here = sorted(name for name in names if "\\" not in name)  # a mirror's name must not climb out of the folder

    def matching(pattern: str) -> list[str]:
        return [name for name in here if fnmatch(name, pattern) and name.count("/") == pattern.count("/")]

    def tensors(place: str) -> list[str]:
        pickles = [name for name in matching(f"{place}.bin") if fnmatch(name.rpartition("/")[2], PICKLES)]
        return matching(f"{place}.safetensors") or pickles

    chosen = next(filter(None, map(tensors, one.places)), [])
    chosen += tensors(one.spare) if one.spare else []
    beside = [name for pattern in BESIDE for name in matching(pattern)]
    return chosen + [name for name in beside if not name.endswith(".index.json") and name != MANIFEST]


def _holds_tensors(name: str) -> bool:
    return name.endswith((".safetensors", ".bin"))


def _names(folder: Path) -> list[str]:
    """All files in `folder`, relative to it, with forward slashes."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _size(path: Path) -> int:
    return path.stat().st_size


def _told_by(source: Path) -> Weights:
    """Which weights `source` holds, told by its path: .../VIRES, or .../models--suimu--VIRES/snapshots/..."""
    for part in reversed(source.resolve().parts):
        for one in PUBLISHED:
            if part in (one.name, "models--" + one.repository.replace("/", "--")):
                return one
    known = ", ".join(one.name for one in PUBLISHED)
    raise Invalid(
        field="as", message=f"{source} does not tell which weights it holds", remedy=f"Say --as NAME, one of {known}"
    )


def _manifest(folder: Path) -> dict[str, Any]:
    return _read(folder / MANIFEST)


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Invalid(field="weights", message=f"{path} cannot be read: {error}", remedy="Take it away") from None


def _write(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(values, indent=2) + "\n")
    draft.replace(path)


# How weights come.


def _offer(one: Weights, endpoint: str | None) -> Offer:
    """What the engine reads of the repository. Raises Missing, Unavailable."""
    found = look(one.repository, endpoint)
    wanted = _wanted([file.name for file in found.files], one)
    if not any(map(_holds_tensors, wanted)):
        raise Missing(field="name", message=f"{one.repository} holds no weights", remedy="Check the endpoint")
    files = {file.name: file for file in found.files}
    return Offer(
        name=one.name,
        repository=one.repository,
        revision=found.revision,
        licence=found.licence or one.licence,
        files=tuple(files[name] for name in wanted),
    )


def _make_sure_of_room(offer: Offer, folder: Path) -> None:
    """Pickles are there twice for a while: as they came, and converted."""
    there = sum(_size(folder / name) for name in _names(folder))
    twice = sum(file.size for file in offer.files if file.name.endswith(".bin"))
    needed, free = offer.size - there + twice, shutil.disk_usage(folder).free
    if needed > free:
        raise Exhausted(
            field="weights",
            message=f"{offer.name} needs {in_words(needed)} more, and {folder} has {in_words(free)}",
            remedy="Free some, or give another folder with --weights",
        )


def _settle(
    one: Weights, source: Path, root: Path, where: Mapping[str, str], place: Callable[[Path, Path], object]
) -> Path:
    """Put what is wanted of `source` into the root, whole or not at all, with its manifest."""
    names = _wanted(_names(source), one)
    if not any(map(_holds_tensors, names)):
        raise Invalid(
            field="folder",
            message=f"{source} holds neither *.safetensors nor {PICKLES.lstrip('*')}",
            remedy=f"Give the folder that was downloaded from {one.repository}",
        )
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{one.name}-", dir=root))
    before = draft.with_name(draft.name + "-before")
    try:
        files: dict[str, dict[str, Any]] = {}
        for name in names:
            target = draft / (Path(name).with_suffix(".safetensors") if name.endswith(".bin") else name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith(".bin"):
                _engine_of(one).convert(source / name, target)
            else:
                place(source / name, target)
            if target.suffix == ".safetensors":
                _check_whole(target, source / name)
            relative = target.relative_to(draft).as_posix()
            files[relative] = {"size": _size(target), "sha256": digest(target)}
        came = datetime.now(UTC).isoformat(timespec="seconds")
        _write(draft / MANIFEST, {**where, "came": came, "files": files})
        draft.chmod(0o755)  # mkdtemp's is for its owner only
        folder = root / one.name
        if folder.exists():
            folder.rename(before)
        try:
            draft.rename(folder)
        except OSError:
            before.rename(folder)
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(before, ignore_errors=True)
    return folder


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _check_whole(path: Path, came_from: Path) -> None:
    """The header agrees with the file's length. Raises Invalid."""
    library = needed("safetensors")
    try:
        with library.safe_open(path, framework="np"):
            pass
    except library.SafetensorError as error:
        pointer = path.read_bytes()[:40] if _size(path) < 1024 else b""
        lfs = pointer.startswith(b"version https://git-lfs")
        why = "only stands for the file (git lfs)" if lfs else f"is no whole safetensors file ({error})"
        raise Invalid(
            field="weights",
            message=f"{came_from} {why}",
            remedy="Say: git lfs pull" if lfs else "Download it again",
        ) from None


def _engine_of(one: Weights):
    """The engine's own room for weights: `check(name, folder)`, `convert(pickle, target)`. Raises Missing."""
    needed("torch")
    return importlib.import_module(one.room or f"overpaint_backend.engines.{one.engine}.weights")


def in_words(size: int) -> str:
    """Bytes for people, in powers of ten as the hub shows them: 19.1 GB."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"
