"""Hugging Face's hub, or a mirror of it: what a repository there holds, and how a file of it comes here whole."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from overpaint.errors import Corrupt, Missing, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file on the hub: `size` in bytes; `sha256` where the hub knows it (for all large files)."""

    name: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A repository at a revision; `licence` as its card states it, empty where it states none."""

    repository: str
    revision: str
    licence: str
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def look(repository: str, endpoint: str | None) -> Snapshot:
    """What `repository` holds now. Raises Missing (no such repository), Unavailable (network)."""
    hub = needed("huggingface_hub")
    # A token is for the hub alone: a mirror never sees it.
    api = hub.HfApi(endpoint=endpoint, token=False if endpoint else None)
    with _reaching(repository):
        found = api.model_info(repository, files_metadata=True, timeout=30)
    card = found.card_data or {}
    stated = [card.get(key) for key in ("license", "license_name", "license_link") if card.get(key)]
    files = tuple(
        RemoteFile(name=file.rfilename, size=file.size or 0, sha256=file.lfs.sha256 if file.lfs else None)
        for file in found.siblings or ()
    )
    return Snapshot(repository=repository, revision=found.sha, licence=", ".join(map(str, stated)), files=files)


def download(snapshot: Snapshot, file: RemoteFile, target: Path, endpoint: str | None) -> None:
    """Into target.part, from the byte where it ends; renamed when the checksum is right.

    huggingface_hub's snapshot_download throws a part away when its process ends, and these files take hours: so we
    keep the part ourselves, and have http_get do the transfer and its retries. It writes ten megabytes at a time.
    """
    if target.is_file():
        return
    hub, transfer = needed("huggingface_hub"), needed("huggingface_hub.file_download")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    part.touch()
    if part.stat().st_size > file.size:
        part.unlink()
        part.touch()
    url = hub.hf_hub_url(snapshot.repository, file.name, revision=snapshot.revision, endpoint=endpoint)
    headers = needed("huggingface_hub.utils").build_hf_headers(token=False if endpoint else None)
    with part.open("r+b") as out, _reaching(url):
        begun = out.seek(0, os.SEEK_END)
        transfer.http_get(url, out, resume_size=begun, headers=headers, expected_size=file.size)
    if file.sha256 is not None:
        _check(part, file)
    part.replace(target)


def _check(part: Path, file: RemoteFile) -> None:
    """Raises Corrupt where `part` is not what the hub has; then it is gone."""
    with part.open("rb") as whole:
        found = hashlib.file_digest(whole, "sha256").hexdigest()
    if found != file.sha256:
        part.unlink()
        raise Corrupt(
            field=file.name,
            message=f"its SHA-256 is {found}, and the hub says {file.sha256}",
            remedy="Fetch again; if it stays so, the mirror is not to be trusted",
        )


@contextmanager
def _reaching(what: str) -> Iterator[None]:
    """Says in our words what went wrong on the way to the hub."""
    errors = needed("huggingface_hub.errors")
    try:
        yield
    except (errors.HTTPError, ConnectionError, TimeoutError) as error:
        if getattr(getattr(error, "response", None), "status_code", 0) in (401, 403, 404):
            why = f"{what} is not there, or may not be seen without signing in"
            raise Missing(field="name", message=why, remedy="Check the endpoint, or say: hf auth login") from None
        words = (str(error) or repr(error)).partition("\n")[0]
        raise Unavailable(
            field="endpoint",
            message=f"{what} cannot be reached ({words})",
            remedy="Say it again, it goes on where it ended; or give a mirror with --endpoint",
        ) from None


def needed(module: str):
    """A part of the extra `engines`, when it is needed and not before. Raises Missing."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise Missing(
            field="package",
            message=f"this needs {module.partition('.')[0]}, which is not installed here",
            remedy="Say: pip install 'overpaint[engines]'",
        ) from None
