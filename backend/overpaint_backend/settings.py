"""Settings: everything the server can be told, from defaults < file < environment < flags."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from overpaint.address import host_of, is_here
from overpaint.errors import Invalid

from overpaint_backend.access import callers, check_private
from overpaint_backend.journal import FORMATS

PREFIX = "OVERPAINT_"


def _default_folder() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".local" / "share") / "overpaint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the server can be told.

    `listen` is host:port (port 0: a free one). `folder` holds jobs and pixels, `weights` those of the engines (in `folder`
    unless said). `tokens` lists who may call (`overpaint token` writes it; in `folder` unless said), `clients` is the PEM of
    the authority whose certificates clients must show. Any host but loopback needs one of both, and `certificate` and `key`.
    `max_frames` and `max_pixels` (of one frame) bound a job. `web` is host:port of the web page ("": there is none), under the
    same law as `listen`. `log_format` is text or json. `drain` is how many seconds running windows may take to end at a stop.
    A job that ended, or was never sealed, is forgotten after `keep_days` (0: never). Above `quota_gb` gigabytes (10**9
    bytes; 0: no bound) of pixels and painted windows what is needed least goes, but nothing of a job that has not ended.
    `executor` says who paints: `local`, the devices of this
    machine, or `ray` or `ray:ADDRESS`, those of a Ray cluster (the one that this machine belongs to unless said).
    """

    listen: str = "127.0.0.1:8765"
    folder: Path
    weights: Path
    tokens: Path
    clients: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    max_frames: int = 20_000
    max_pixels: int = 8192 * 4320
    web: str = ""
    log_format: str = "text"
    drain: float = 0.0
    keep_days: float = 30.0
    quota_gb: float = 0.0
    executor: str = "local"

    @property
    def ray(self) -> str | None:
        """The address of the Ray cluster that paints ("auto": the one that this machine belongs to), or None."""
        kind, _, address = self.executor.partition(":")
        return address or "auto" if kind == "ray" else None

    @property
    def here(self) -> bool:
        """Whether only this very machine can reach the server."""
        return is_here(host_of(self.listen, "listen"))


def read_token(file: Path) -> str:
    """The token in `file`. Raises Invalid where it cannot be read, others can read it, or it is empty."""
    try:
        check_private(file, "token_file")
        token = file.read_text().strip()
    except OSError as error:
        why = f"{file} cannot be read ({error.strerror})"
        raise Invalid(field="token_file", message=why, remedy="Check the path") from None
    if not token:
        raise Invalid(field="token_file", message=f"{file} is empty", remedy="Write the token into it")
    return token


def load_settings(file: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """`read_settings`, for a server: raises Invalid also where one may not listen so."""
    settings = read_settings(file, flags)
    _check(settings)
    return settings


def read_settings(file: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Settings from the TOML `file`, then OVERPAINT_* in the environment, then `flags` that are not None.

    Raises Invalid. Whether a server may listen so is not asked: who makes its first token, or paints here, is none.
    """
    values: dict[str, Any] = {"folder": _default_folder()}
    if file is not None:
        try:
            values |= tomllib.loads(file.read_text("utf-8"))
        except (OSError, ValueError) as error:  # TOML is UTF-8, and bytes that are none are no TOML
            raise Invalid(field="settings", message=f"{file} cannot be read: {error}", remedy="Mend the file") from None
    known = {field.name for field in fields(Settings)}
    values |= {name: os.environ[PREFIX + name.upper()] for name in known if PREFIX + name.upper() in os.environ}
    values |= {name: value for name, value in (flags or {}).items() if value is not None}
    unknown = sorted(set(values) - known)
    if unknown:
        raise Invalid(
            field=unknown[0], message="there is no such setting", remedy=f"Known are: {', '.join(sorted(known))}"
        )
    parsed = {name: _parse(name, value) for name, value in values.items()}
    folder = parsed["folder"]
    return Settings(**{"weights": folder / "weights", "tokens": folder / "tokens.json"} | parsed)


def _parse(name: str, value: Any) -> Any:
    if name in ("max_frames", "max_pixels"):
        return _count(name, value)
    if name in ("drain", "keep_days", "quota_gb"):
        return _amount(name, value)
    if not isinstance(value, str | Path):
        raise Invalid(field=name, message=f"{value!r} is no text", remedy="Put it into quotes")
    return value if name in ("listen", "web", "log_format", "executor") else Path(value).expanduser().absolute()


def _count(name: str, value: Any) -> int:
    try:
        count = int(str(value))  # not int(value): 1.5 is no number of frames, and neither is true
    except ValueError:
        raise Invalid(field=name, message=f"{value!r} is no whole number", remedy="Give a number") from None
    if count < 1:
        raise Invalid(field=name, message=f"{count} would take no job at all", remedy="Give 1 or more")
    return count


def _amount(name: str, value: Any) -> float:
    try:
        if 0 <= (amount := float(str(value))) < math.inf:
            return amount
    except ValueError:
        pass
    raise Invalid(field=name, message=f"{value!r} is no amount", remedy="Give 0 or more")


def _check(settings: Settings) -> None:
    here = settings.here
    if settings.executor != "local" and settings.ray is None:
        what = f"{settings.executor!r} is no executor"
        raise Invalid(field="executor", message=what, remedy="Choose local, ray or ray:ADDRESS")
    if (settings.certificate is None) != (settings.key is None):
        raise Invalid(
            field="certificate", message="a certificate and its key go together", remedy="Give both or neither"
        )
    if settings.clients is not None and settings.certificate is None:
        what = "certificates of clients are checked by TLS, and there is no certificate for the server"
        raise Invalid(field="clients", message=what, remedy="Give certificate and key as well")
    if not here and (settings.certificate is None or not (settings.clients or callers(settings.tokens))):
        raise Invalid(
            field="listen",
            message=f"{settings.listen} can be reached from other machines",
            remedy="Give certificate and key (overpaint cert), and make a token (overpaint token add); or listen on 127.0.0.1",
        )
    _check_web(settings)
    if settings.log_format not in FORMATS:
        what = f"{settings.log_format!r} is no format of the log"
        raise Invalid(field="log_format", message=what, remedy=f"Choose {' or '.join(FORMATS)}")


def _check_web(settings: Settings) -> None:
    """The law of the gRPC port, without certificates of clients: the page has no way to show one."""
    open_to_others = settings.web and not is_here(host_of(settings.web, "web"))
    if open_to_others and (settings.certificate is None or not callers(settings.tokens)):
        raise Invalid(
            field="web",
            message=f"{settings.web} can be reached from other machines",
            remedy="Give certificate and key (overpaint cert), and make a token (overpaint token add); or 127.0.0.1",
        )
