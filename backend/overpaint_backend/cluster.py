"""What a cluster offers, as its executor saw it last: workers/ray.py writes it down, the desk reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from overpaint.card import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """`devices` are there now; `obstacles` say for each engine what keeps every device from it ("": nothing)."""

    devices: tuple[Device, ...] = ()
    obstacles: Mapping[str, str] = field(default_factory=dict)


def keep_cluster(folder: Path, cluster: Cluster) -> None:
    part = _file(folder).with_suffix(".part")
    part.write_text(json.dumps(asdict(cluster)))
    part.replace(_file(folder))


def read_cluster(folder: Path) -> Cluster:
    """An empty one where none was written down yet."""
    try:
        read = json.loads(_file(folder).read_text())
    except FileNotFoundError:
        return Cluster()
    return Cluster(devices=tuple(Device(**one) for one in read["devices"]), obstacles=read["obstacles"])


def _file(folder: Path) -> Path:
    return folder / "cluster.json"
