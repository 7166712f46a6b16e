"""Law 3: what earlier releases wrote still reads the same.

`python -m tests.shared.test_old_bytes` writes the bytes of a new release; those of a release are never written again.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from overpaint import wire
from overpaint.chunks import split, unpack
from overpaint.codec import Codec, EncodedFrame, Limits, Prediction, digest, encode
from overpaint.v1 import frames_pb2

from tests.shared import v0_1_0

FOLDER = Path(__file__).parents[1] / "data" / "wire" / "v0.1.0"


@pytest.mark.parametrize("name", v0_1_0.VALUES)
def test_law_3_values_of_the_first_release_still_read(name: str) -> None:
    value, read, _ = v0_1_0.VALUES[name]
    assert read((FOLDER / name).read_bytes()) == value


def test_law_10_requests_of_the_first_release_can_be_made_again() -> None:
    assert wire.request_from_json((FOLDER / "request.json").read_text()) == v0_1_0.SPEC


@pytest.mark.parametrize("name", ["raw", "none", "up", "temporal", "both"])
def test_law_3_frames_of_the_first_release_still_read(name: str) -> None:
    messages = (frames_pb2.FrameChunk.FromString(base64.b64decode(line)) for line in _lines(name))
    arrived = list(unpack(map(wire.chunk_from_wire, messages), Limits()))
    expected = v0_1_0.frames()
    assert [one for one, _ in arrived] == [digest(frame) for frame in expected]
    for (_, frame), wanted in zip(arrived, expected, strict=True):
        assert frame.dtype == wanted.dtype and np.array_equal(np.squeeze(frame), np.squeeze(wanted))


def _lines(name: str) -> list[str]:
    return json.loads((FOLDER / "frames.json").read_text())[name]


def _write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=False)
    for name, (value, _, to_wire) in v0_1_0.VALUES.items():
        (FOLDER / name).write_bytes(to_wire(value).SerializeToString(deterministic=True))
    (FOLDER / "request.json").write_text(wire.request_to_json(v0_1_0.SPEC))
    streams = {"raw": _stream(Codec.RAW, Prediction.NONE)}
    for number, name in enumerate(["none", "up", "temporal", "both"]):
        streams[name] = _stream(Codec.DELTA_ZSTD, Prediction(number))
    (FOLDER / "frames.json").write_text(json.dumps(streams, indent=0))


def _stream(codec: Codec, prediction: Prediction) -> list[str]:
    encoded: list[EncodedFrame] = []
    before: np.ndarray | None = None
    for frame in v0_1_0.frames():
        follows = before is not None and before.shape == frame.shape and before.dtype == frame.dtype
        wanted = prediction if follows else prediction & ~Prediction.TEMPORAL
        encoded.append(encode(frame, codec=codec, prediction=wanted, previous=before))
        before = frame
    messages = (wire.chunk_to_wire(chunk).SerializeToString(deterministic=True) for chunk in split(encoded))
    return [base64.b64encode(body).decode() for body in messages]


if __name__ == "__main__":
    _write()
