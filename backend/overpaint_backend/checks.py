"""What the doctor looks at outside this process: driver and torch, mounts, installed versions."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "sshfs",
    "9p",
    "afs",
    "ceph",
    "gluster",
    "lustre",
    "beegfs",
    "gpfs",
    "davfs",
    "s3fs",
    "ncpfs",
)
"""How the names of file systems begin, or go on after "fuse.", that several machines share."""

# In a process of its own: torch takes seconds to load, and may end its process where a driver is broken.
ASK_TORCH = """
import json, torch
found = {"version": torch.__version__, "built_for": torch.version.cuda or "", "cards": 0, "unfit": [], "why": ""}
try:
    if torch.version.cuda:
        torch.cuda.init()
        kinds = torch.cuda.get_arch_list()
        found["cards"] = torch.cuda.device_count()
        for number in range(found["cards"]):
            major, minor = torch.cuda.get_device_capability(number)
            has = any(kind in (f"sm_{major}{minor}", f"compute_{major}{minor}") or kind.startswith(f"sm_{major}")
                      for kind in kinds)
            if not has:
                found["unfit"].append(f"{torch.cuda.get_device_name(number)} (sm_{major}{minor})")
except Exception as error:
    found["why"] = ": " + str(error).partition("\\n")[0]
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Torch:
    """What torch says of itself: the CUDA it was built for ("": none), how many cards it sees, and those it has no code for."""

    version: str
    built_for: str
    cards: int
    unfit: tuple[str, ...]
    why: str


def driver_and_torch() -> tuple[str | None, Torch | None]:
    """The NVIDIA driver's version, and torch; None for what is not there. Torch is asked only where there is a driver."""
    driver = _said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    if not driver:
        return None, None
    said = _said(sys.executable, "-c", ASK_TORCH)
    if not said:
        return driver.splitlines()[0], None
    found = json.loads(said.splitlines()[-1])
    return driver.splitlines()[0], Torch(**{**found, "unfit": tuple(found["unfit"])})


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def network_mount(folder: Path, mounts: Path = MOUNTS) -> str:
    """The kind of file system that several machines share and `folder` is on, or "". Known on Linux only."""
    if not mounts.exists():
        return ""
    where, kind = Path("/"), ""
    for line in mounts.read_text(errors="replace").splitlines():
        _, place, found, *_ = line.split(" ")
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place))
        if folder.resolve().is_relative_to(point) and len(point.parts) >= len(where.parts):
            where, kind = point, found  # the later one lies over the earlier
    return kind if kind.removeprefix("fuse.").startswith(NETWORK) else ""


def required(package: str) -> Iterator[tuple[str, str, bool]]:
    """What an installed package asks for: name, range, and whether only an extra asks for it."""
    for line in metadata.requires(package) or ():
        wanted, _, condition = line.partition(";")
        found = re.fullmatch(r"\s*([\w.-]+)\s*([<>=!~].*?)?\s*", re.sub(r"\[.*?\]|[()]", "", wanted))
        if found and "extra == 'dev'" not in condition.replace('"', "'"):
            yield found[1], (found[2] or "").replace(" ", ""), "extra" in condition


def outside(version: str, wanted: str) -> bool:
    """Whether `version` is not in a range like ">=1.2,<2", the only kind that our own package writes."""

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(number) for number in re.match(r"\d+(?:\.\d+)*", text)[0].split("."))  # type: ignore[index]

    for bound in filter(None, wanted.split(",")):
        how, limit = re.fullmatch(r"(>=|<)(.*)", bound).groups()  # type: ignore[union-attr]
        if (numbers(version) < numbers(limit)) is (how == ">="):
            return True
    return False
