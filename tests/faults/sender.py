"""A client in a process of its own, to be killed: sends, watches, fetches, and goes on where it was when it is started again.

python -m tests.faults.sender ADDRESS ENGINE SEED DELAY FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from overpaint.client import Client
from overpaint.job import EventKind

from tests.faults import subject


def main(address: str, engine: str, seed: int, delay: float, folder: Path) -> None:
    frames = subject.clip(seed)
    spec = subject.job(engine, seed, frames, delay=delay)
    with Client(address, patience=60) as client:
        client.send(spec, subject.pixels(spec, frames).__getitem__)
        print("sent", flush=True)
        for event in client.watch(spec.id):
            if event.kind is EventKind.WINDOW_DONE:
                print("window", event.window, flush=True)
        there = len(list(folder.glob("*.npy")))
        for number, patch in enumerate(client.fetch(spec.id, there), there):
            part = folder / "part"
            with part.open("wb") as file:
                np.save(file, patch)
            part.rename(folder / f"{number:05}.npy")
            print("frame", number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[5]))
