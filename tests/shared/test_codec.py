"""The codec gives every frame back to the bit, or says that it cannot; it never gives another one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from overpaint import residual
from overpaint.codec import (
    Codec,
    EncodedFrame,
    Encoder,
    FrameHeader,
    Limits,
    Prediction,
    decode,
    digest,
    encode,
)
from overpaint.errors import Corrupt, Exhausted, Invalid, OverpaintError

from tests.shared.strategies import depths, pictures, shapes

LIMITS = Limits()
PREDICTIONS = [Prediction(number) for number in range(4)]


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal pixels; "h w" and "h w 1" are the same frame."""
    return one.dtype == other.dtype and np.array_equal(
        np.squeeze(one, axis=2) if one.ndim == 3 and one.shape[2] == 1 else one, other
    )


def moving_clip(length: int, height: int = 48, width: int = 40, channels: int = 3, depth: int = 8) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    dtype, top = (np.uint8, 255) if depth == 8 else (np.uint16, 65535)
    scene = rng.integers(0, top // 2, (height + length, width, channels))
    return [
        (scene[i : i + height] + rng.integers(0, 4, (height, width, channels))).astype(dtype) for i in range(length)
    ]


@given(st.data())
def test_law_3_every_codec_and_prediction_gives_the_frame_back(data: st.DataObject) -> None:
    shape, depth = data.draw(shapes), data.draw(depths)
    frame, before = data.draw(pictures(shape, depth)), data.draw(pictures(shape, depth))
    codec, prediction = data.draw(st.sampled_from(Codec)), data.draw(st.sampled_from(PREDICTIONS))
    encoded = encode(frame, codec=codec, prediction=prediction, previous=before)
    assert encoded.header.payload_bytes == len(encoded.payload)
    assert encoded.header.digest == digest(frame)
    assert same(frame, decode(encoded, LIMITS, before))


@given(st.data())
def test_blocks_of_any_size_give_the_frame_back(data: st.DataObject) -> None:
    """A frame of many blocks, as large frames have: rows above and pairs of samples cross no border wrongly."""
    shape, depth = data.draw(shapes), data.draw(depths)
    frame, before = data.draw(pictures(shape, depth)), data.draw(pictures(shape, depth))
    whole = encode(frame, prediction=PREDICTIONS[3], previous=before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(residual, "_BLOCK_BYTES", data.draw(st.integers(1, 2000)))
        assert encode(frame, prediction=PREDICTIONS[3], previous=before) == whole
        assert same(frame, decode(whole, LIMITS, before))


@pytest.mark.parametrize("shape", [(700, 401, 3), (401, 700, 4), (1201, 701)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_large_odd_frames(shape: tuple[int, ...], dtype: type) -> None:
    rng = np.random.default_rng(0)
    before, frame = (rng.integers(0, np.iinfo(dtype).max, shape).astype(dtype) for _ in range(2))
    for prediction in PREDICTIONS:
        assert same(frame, decode(encode(frame, prediction=prediction, previous=before), LIMITS, before))


def test_a_frame_in_foreign_byte_order_is_the_same_frame() -> None:
    frame = np.arange(60, dtype=np.uint16).reshape(4, 5, 3) * 1000
    foreign = frame.astype(">u2")
    assert digest(foreign) == digest(frame)
    assert np.array_equal(decode(encode(foreign), LIMITS), frame)


def test_the_digest_names_shape_and_depth_too() -> None:
    frame = np.zeros((4, 6, 1), np.uint8)
    others = [
        np.zeros((6, 4), np.uint8),
        np.zeros((2, 12), np.uint8),
        np.zeros((4, 3), np.uint16),
        np.zeros((2, 4, 3), np.uint8),
    ]
    assert digest(frame) == digest(frame[:, :, 0])
    assert len({digest(frame), *map(digest, others)}) == 5


def test_the_digest_is_forever() -> None:
    frame = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert digest(frame) == "c91401f6b4f10b348407a8c4a6410d569be54c820eeaaaa3409198e601822d02"


@given(st.data())
def test_a_stream_of_frames_of_changing_shapes(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.tuples(shapes, depths), min_size=1, max_size=3))
    frames = [frame for shape, depth in kinds for frame in data.draw(st.lists(pictures(shape, depth), max_size=4))]
    encoder, previous = Encoder(), None
    for frame in frames:
        previous = decode(encoder.encode(frame), LIMITS, previous)
        assert same(frame, previous)


def test_a_stream_starts_with_a_frame_that_needs_no_other_and_then_predicts() -> None:
    clip = [np.roll(frame, 0) for frame in moving_clip(1, 64, 64) * 3]
    encoder = Encoder()
    headers = [encoder.encode(frame).header for frame in [*clip, clip[0][:32]]]
    assert [Prediction.TEMPORAL in header.prediction for header in headers] == [False, True, True, False]
    assert headers[1].payload_bytes < headers[0].payload_bytes / 50


def test_the_encoder_learns_which_prediction_pays() -> None:
    """Unrelated smooth frames: the row above tells more than the frame before."""
    rng = np.random.default_rng(0)
    clip = [np.cumsum(rng.integers(0, 3, (256, 64, 3)), axis=0).astype(np.uint8) for _ in range(6)]
    encoder = Encoder()
    assert [encoder.encode(frame).header.prediction for frame in clip] == [Prediction.UP] * 6


def test_raw_is_the_pixels() -> None:
    frame = moving_clip(1, depth=16)[0]
    encoded = Encoder(Codec.RAW).encode(frame)
    assert encoded.payload == frame.tobytes()
    assert np.array_equal(decode(encoded, LIMITS), frame)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_masks_travel_as_bits_and_soft_ones_do_not(dtype: type) -> None:
    mask = np.zeros((301, 203), dtype)
    mask[100:200, 50:150] = np.iinfo(dtype).max
    hard, soft = encode(mask), encode(mask // 2)
    assert (hard.header.codec, soft.header.codec) == (Codec.BITS_ZSTD, Codec.DELTA_ZSTD)
    assert len(hard.payload) < 400
    assert np.array_equal(decode(hard, LIMITS), mask) and np.array_equal(decode(soft, LIMITS), mask // 2)


def test_what_a_take_leaves_alone_costs_next_to_nothing() -> None:
    patch = np.zeros((720, 1280, 4), np.uint8)
    patch[300:340, 600:640] = np.random.default_rng(0).integers(0, 255, (40, 40, 4))
    assert len(encode(patch).payload) < 40 * 40 * 4 + 2000


def test_decoded_frames_cannot_be_written_into() -> None:
    frames = moving_clip(3)
    encoder, previous = Encoder(), None
    for frame in frames:
        previous = decode(encoder.encode(frame), LIMITS, previous)
        with pytest.raises(ValueError, match="read-only"):
            previous[0, 0] = 0


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.int8),
        np.zeros((4, 4, 3), np.uint32),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_what_is_no_frame_is_refused_in_words(frame: np.ndarray) -> None:
    for refuse in (digest, encode, Encoder().encode):
        with pytest.raises(Invalid) as caught:
            refuse(frame)
        assert caught.value.field == "frame" and caught.value.remedy


# Bytes that lie


def tampered(encoded: EncodedFrame, **changes: object) -> EncodedFrame:
    payload = changes.pop("payload", encoded.payload)
    header = dataclasses.replace(encoded.header, **{"payload_bytes": len(payload)} | changes)  # type: ignore[arg-type]
    return EncodedFrame(header=header, payload=payload)  # type: ignore[arg-type]


@settings(max_examples=300)
@given(st.data())
def test_a_flipped_bit_is_found_or_changes_nothing(data: st.DataObject) -> None:
    frame, before = moving_clip(2, 9, 7)
    codec = data.draw(st.sampled_from(Codec))
    subject = np.where(frame[:, :, 0] > 60, 255, 0).astype(np.uint8) if codec is Codec.BITS_ZSTD else frame
    encoded = encode(subject, codec=codec, prediction=Prediction.TEMPORAL, previous=before)
    bit = data.draw(st.integers(0, len(encoded.payload) * 8 - 1))
    payload = bytearray(encoded.payload)
    payload[bit // 8] ^= 1 << bit % 8
    try:
        found = decode(tampered(encoded, payload=bytes(payload)), LIMITS, before)
    except Corrupt as error:
        assert error.field == "frame" and error.remedy
    else:
        assert np.array_equal(found, subject)  # a bit that zstd does not read


def header(**changes: object) -> FrameHeader:
    plain = encode(np.zeros((4, 6, 3), np.uint8)).header
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"width": 0}, Invalid),
        ({"height": 0}, Invalid),
        ({"channels": 2}, Invalid),
        ({"channels": 2**32 - 1}, Invalid),
        ({"depth": 12}, Invalid),
        ({"width": 2**32 - 1}, Exhausted),
        ({"height": 2**20, "width": 2**20}, Exhausted),
        ({"payload_bytes": 0}, Exhausted),
        ({"payload_bytes": 2**40}, Exhausted),
        ({"width": 5}, Corrupt),
        ({"channels": 4}, Corrupt),
        ({"depth": 16}, Corrupt),
        ({"width": 3, "height": 8}, Corrupt),
        ({"digest": "00" * 32}, Corrupt),
        ({"codec": Codec.RAW}, Corrupt),
        ({"codec": Codec.BITS_ZSTD}, Corrupt),
        ({"codec": Codec.BITS_ZSTD, "channels": 1, "prediction": Prediction.NONE}, Corrupt),
        ({"prediction": Prediction.TEMPORAL}, Corrupt),
    ],
)
def test_a_header_that_lies_is_found(changes: dict[str, object], error: type[OverpaintError]) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (4, 6, 3)).astype(np.uint8)
    with pytest.raises(error) as caught:
        decode(tampered(encode(frame), **changes), LIMITS)
    assert caught.value.message and caught.value.remedy


def test_a_temporal_frame_needs_the_right_frame_before_it() -> None:
    before, frame = moving_clip(2)
    encoded = encode(frame, prediction=Prediction.TEMPORAL, previous=before)
    for wrong in (None, before[:-2], before[:, :, :1], before.astype(np.uint16), frame):
        with pytest.raises(Corrupt):
            decode(encoded, LIMITS, wrong)


def test_a_bomb_does_not_go_off() -> None:
    """A small payload that would unpack to a quarter of a gigabyte, that hides its size, or that brings more than one frame."""
    encoded = encode(np.zeros((4, 6, 3), np.uint8))
    packed = zstandard.decompress(encoded.payload)
    hiding = zstandard.ZstdCompressor(write_content_size=False).compress(packed)
    for payload in (zstandard.compress(bytes(2**28)), hiding, encoded.payload + b"more", encoded.payload * 2, b"junk"):
        with pytest.raises((Corrupt, Exhausted)):
            decode(tampered(encoded, payload=payload), LIMITS)


def test_the_callers_limits_count() -> None:
    encoded = encode(np.zeros((10, 11, 3), np.uint8))
    assert decode(encoded, Limits(max_pixels=110)).shape == (10, 11, 3)
    with pytest.raises(Exhausted):
        decode(encoded, Limits(max_pixels=109))
