"""The name of a painted window: a digest of everything that decides its pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from overpaint.edit import Edit

from overpaint_backend.engine import Carry, WindowInput


def window_key(cut: WindowInput, words: Edit, carry: Carry | None, painter: str) -> str:
    """The key of what `painter` makes of `cut`: 64 hex digits.

    `words` is what the engine was given to encode, `carry` what the window before hands on, and `painter` tells the
    engine, its version and weights, and the kind of device. What is equal in all of them is painted equal (law 5).
    """
    plain = {
        "painter": painter,
        "task": cut.task,
        "words": [words.task, words.prompt, words.negative_prompt, sorted(words.options.items())],
        "tracks": [asdict(track) for track in cut.tracks],
        "known": cut.known,
        "span": [cut.span.start, cut.span.stop],
        "seed": cut.seed,
    }
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    _add(digest, {"frames": cut.frames, "mask": cut.mask})
    for kind, arrays in (("guide", cut.guides), ("given", cut.given), ("keyframe", cut.keyframes), ("carry", carry)):
        _add(digest, {f"{kind} {name}": array for name, array in (arrays or {}).items()})
    return digest.hexdigest()


def _add(digest: Any, arrays: Mapping[str, np.ndarray]) -> None:
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(json.dumps([name, str(array.dtype), array.shape]).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
