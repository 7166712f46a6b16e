"""An engine that breaks: the toy, whose option says how, in its second window and the first few times that it gets there.

It is installed as a package of its own (see test_isolation.py), as anyone's engine would be.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import resource
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from overpaint.card import OptionKind, OptionSpec
from overpaint.edit import Edit
from overpaint_backend.engine import Carry, Conditioning, Progress, WindowInput, WindowOutput
from overpaint_backend.engines.toy.card import card as toy
from overpaint_backend.engines.toy.engine import ToyConditioning, ToyEngine

FAULTS = ("killed", "segfault", "CUDA error", "out of memory", "hang", "hang with the lock")
card = replace(
    toy,
    name="faulty",
    options=(
        *toy.options,
        OptionSpec(name="fault", kind=OptionKind.CHOICE, default="killed", choices=FAULTS, description="How it breaks"),
        OptionSpec(name="times", kind=OptionKind.INT, default=1, minimum=0, maximum=99, description="How often"),
    ),
)


def build(device: str, weights: Path) -> Faulty:
    return Faulty(card)


class Faulty(ToyEngine):
    def encode(self, edit: Edit) -> ToyConditioning:
        self._job = hashlib.sha256(edit.prompt.encode()).hexdigest()
        return super().encode(edit)

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        file = Path(os.environ["OVERPAINT_FAULTS"]) / self._job  # a process that dies forgets how often it did
        broken = len(file.read_bytes()) if file.exists() else 0
        if cut.span.start > 0 and broken < cond.options["times"]:
            file.write_bytes(b"." * (broken + 1))
            _break(str(cond.options["fault"]))
        return super().paint(cut, cond, carry, progress)


def _break(fault: str) -> None:
    match fault:
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            ctypes.string_at(0)
        case "CUDA error":
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with TORCH_USE_CUDA_DSA")
        case "out of memory":
            _eat()
        case "hang":
            time.sleep(1e6)
        case _:
            ctypes.PyDLL(None).sleep(1_000_000)  # as a C extension would that never gives the interpreter's lock back


def _eat() -> None:
    """Take memory until the system gives no more. Raises MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (256 << 20), before[1]))
    try:
        eaten = []
        while True:
            eaten.append(np.ones(4 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
