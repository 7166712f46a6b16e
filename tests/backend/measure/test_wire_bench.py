"""The benchmark measures what it says: every way brings every frame, and the clip it makes is like footage."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from overpaint.codec import Encoder
from overpaint.errors import Internal
from overpaint_backend.measure import wire
from overpaint_backend.measure.wire import bench_wire, generated_clip


def test_the_benchmark_runs_all_ways_on_one_clip() -> None:
    clip = generated_clip(12, 96, 128)
    figures = bench_wire(clip, repeats=2)
    assert (figures["clip"], figures["frames"], figures["size"], figures["depth"]) == ("given", 12, "128x96", 8)
    assert set(figures["wire_bytes"]) == {"ours", "png", "png_streamed", "png_threads"}
    assert set(figures["seconds"]) == {*figures["wire_bytes"], "naming"}
    assert all(seconds > 0 for seconds in figures["seconds"].values())
    png, ours = figures["seconds"]["png"], figures["seconds"]["ours"]
    rounded = 0.005 + 5e-5 * (png + ours) / ours**2  # of the ratio, and of the two, however fast the machine is
    assert figures["speed_ratio"] == pytest.approx(png / ours, abs=1.01 * rounded)
    pngs = sum(cv2.imencode(".png", frame)[1].size for frame in clip)
    ways = figures["wire_bytes"]
    assert pngs < ways["png"] < pngs + 12 * 200 and ways["png"] == ways["png_streamed"] == ways["png_threads"]
    encoder = Encoder()
    payloads = sum(len(encoder.encode(frame).payload) for frame in clip)
    assert payloads < ways["ours"] < payloads + 12 * 200
    assert figures["bytes_ratio"] == pytest.approx(ways["ours"] / ways["png"], abs=1e-4)


def test_a_png_that_cannot_be_read_is_no_frame() -> None:
    part = wire._part(np.zeros((4, 4, 3), np.uint8)).replace(b"IHDR", b"XXXX")
    with wire._process(wire._serve_http) as port, pytest.raises(Internal):
        wire._post(port, part, threads=1)


def test_the_generated_clip_is_always_the_same_and_packs_like_footage() -> None:
    clip, again = generated_clip(4, 256, 256), generated_clip(4, 256, 256)
    assert all(np.array_equal(one, other) for one, other in zip(clip, again, strict=True))
    raw = clip[0].nbytes
    png = raw / cv2.imencode(".png", clip[0])[1].size
    encoder = Encoder()
    ours = raw * 3 / sum([len(encoder.encode(frame).payload) for frame in clip][1:])
    assert 1.4 < png < 2.2 and 2.5 < ours < 5
