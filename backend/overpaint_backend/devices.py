"""What this machine computes on."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache

from overpaint.card import Device


@cache
def devices() -> tuple[Device, ...]:
    """What this machine computes on, a worker for each: its graphics cards, or the CPU where it has none."""
    return _graphics_cards() or (_cpu(),)


def _graphics_cards() -> tuple[Device, ...]:
    """NVIDIA's cards, those that CUDA_VISIBLE_DEVICES leaves, numbered as torch will number them.

    Asked of the driver's own tool: torch would take seconds, and the server does without it.
    """
    query = ["nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = [line.split(", ") for line in said.splitlines()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        named = {name: row for row in found for name in row[:2]}
        found = [named[name] for name in map(str.strip, visible.split(",")) if name in named]
    return tuple(
        Device(name=f"cuda:{number}", title=title, memory_bytes=int(mebibytes) << 20 if mebibytes.isdigit() else 0)
        for number, (_, _, title, mebibytes) in enumerate(found)
    )


def _cpu() -> Device:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    title = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    return Device(name="cpu", title=title, memory_bytes=memory)
