"""Parts counted on the bytes are the parts that the message then has."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st
from overpaint import wire
from overpaint.job import JobSpec
from overpaint.order import GuideOrder
from overpaint.v1 import guides_pb2
from overpaint_backend.parts import HOLD, has_more_parts

from tests.shared import strategies


def counted(message: Message) -> int:
    """The messages, texts and byte strings in a message that was read."""
    count = 0
    for field, value in message.ListFields():
        if field.type not in HOLD:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            # On the wire each is a message of its name and its value.
            count += sum(3 + counted(one) for one in value.values())
            continue
        for part in value if field.is_repeated else [value]:
            count += 1 + (counted(part) if isinstance(part, Message) else 0)
    return count


def agree(message: Message) -> None:
    body, count = message.SerializeToString(), counted(message)
    assert 2 * count <= len(body)
    assert not has_more_parts(body, message.DESCRIPTOR, count)
    if count:
        for fewer in (0, count // 2, count - 1):
            assert has_more_parts(body, message.DESCRIPTOR, fewer)


@given(strategies.specs)
def test_a_job_has_the_parts_that_its_bytes_say(spec: JobSpec) -> None:
    agree(wire.spec_to_wire(spec))


@given(strategies.guide_orders)
def test_an_order_has_the_parts_that_its_bytes_say(order: GuideOrder) -> None:
    agree(wire.order_to_wire(order))


@given(strategies.guide_orders, st.data())
def test_whatever_can_be_read_is_never_counted_too_low(order: GuideOrder, data: st.DataObject) -> None:
    body = bytearray(wire.order_to_wire(order).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        count = counted(guides_pb2.GuideOrder.FromString(bytes(body)))
    except DecodeError:
        return
    try:
        assert count == 0 or has_more_parts(bytes(body), guides_pb2.GuideOrder.DESCRIPTOR, count - 1)
    except DecodeError:  # groups can be read and are none of ours
        assert any(byte & 7 in (3, 4) for byte in body)


@pytest.mark.parametrize(
    "body",
    [
        b"\x1a\x08\x12\x7f" + bytes(127),  # longer than what holds it
        b"\x1a",
        b"\x1a\xff\xff\xff\xff\x7f",
        b"\xff" * 11,
        b"\x09\0\0",
        b"\x0b",
    ],
)
def test_what_is_no_message_is_said_to_be_none(body: bytes) -> None:
    body = b"\x10\x08" * 8 + body  # so that it is long enough to be looked at
    with pytest.raises(DecodeError):
        guides_pb2.GuideOrder.FromString(body)
    with pytest.raises(DecodeError):
        has_more_parts(body, guides_pb2.GuideOrder.DESCRIPTOR, 8)
