"""Random messages: built from the contract's descriptors, valid ones that were changed, and bytes that are none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.corpus.conftest import JOBS, LIMITS, Stage, check_words
from tests.corpus.play import METHODS, Entry, digest, message_class, messages, play, request

# More are asked for with OVERPAINT_RANDOM=200: the examples of each call.
EXAMPLES = int(os.environ.get("OVERPAINT_RANDOM", "25"))
TEXTS = ("", "toy", "flow", "vires", "../../etc/passwd", "\x00", "\u202e", "steps", "pattern", *JOBS.values())
BYTES = (b"", b"\0" * 31, b"\0" * 33, *(bytes.fromhex(digest(name)) for name in ("a", "b", "c", "wide")))
NUMBERS = (0.0, -0.0, 0.5, -1.0, 1e-308, 2.0**31, 1e308, -1e308, float("nan"), float("inf"), float("-inf"))


SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)  # on a busy machine


def whole(bits: int, signed: bool) -> SearchStrategy[int]:
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    edges = [number for number in (0, 1, 2, 3, 8, 16, 24, 32, 1 << 31, 1 << 63, least, most) if least <= number <= most]
    return st.sampled_from(edges) | st.integers(least, most)


WHOLE = {
    FieldDescriptor.TYPE_UINT32: whole(32, False),
    FieldDescriptor.TYPE_UINT64: whole(64, False),
    FieldDescriptor.TYPE_SINT32: whole(32, True),
    FieldDescriptor.TYPE_SINT64: whole(64, True),
    FieldDescriptor.TYPE_ENUM: whole(32, True),
}


def scalar(field: FieldDescriptor) -> SearchStrategy[Any]:
    """Any value of a field that is no message."""
    match field.type:
        case FieldDescriptor.TYPE_DOUBLE:
            return st.sampled_from(NUMBERS) | st.floats()
        case FieldDescriptor.TYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.TYPE_STRING:
            return st.sampled_from(TEXTS) | st.text(max_size=40)
        case FieldDescriptor.TYPE_BYTES:
            return st.sampled_from(BYTES) | st.binary(max_size=40)
        case _:
            return WHOLE[field.type]  # a KeyError here: the contract has a new type of field


@cache
def built(kind: Descriptor) -> SearchStrategy[Message]:
    """Any message of this kind: each of its fields is there or not, each of a repeated field's up to three times."""
    fields: dict[str, SearchStrategy[Any]] = {}
    for field in kind.fields:
        if field.message_type and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields
            fields[field.name] = st.dictionaries(scalar(key), built(value.message_type), max_size=2)
        else:
            one = built(field.message_type) if field.message_type else scalar(field)
            fields[field.name] = st.lists(one, max_size=3) if field.is_repeated else one
    made = message_factory.GetMessageClass(kind)
    return st.fixed_dictionaries({}, optional=fields).map(lambda values: made(**values))


def leaves(message: Any) -> Iterator[tuple[Any, FieldDescriptor, int | None]]:
    """Every scalar that the message holds: the message it is in, its field, its place where that is repeated."""
    for field, value in message.ListFields():
        if field.message_type and field.message_type.GetOptions().map_entry:
            for one in value.values():
                yield from leaves(one)
        elif field.message_type:
            for one in value if field.is_repeated else (value,):
                yield from leaves(one)
        elif field.is_repeated:
            yield from ((message, field, place) for place in range(len(value)))
        else:
            yield message, field, None


@st.composite
def changed(draw: st.DrawFn, call: str) -> list[bytes]:
    """The base request, or the base stream, with some of its values changed."""
    frames = ["a", "b"] if METHODS[call].client_streaming else []
    sent = [
        message_class(call).FromString(one)
        for one in messages(Entry(name="", call=call, status="", frames=frames), JOBS)
    ]
    for _ in range(draw(st.integers(1, 3))):
        found = [leaf for one in sent for leaf in leaves(one)]
        if not found:
            break
        holder, field, place = draw(st.sampled_from(found))
        value = draw(scalar(field))
        if place is None:
            setattr(holder, field.name, value)
        else:
            getattr(holder, field.name)[place] = value
    return [one.SerializeToString() for one in sent]


@st.composite
def broken(draw: st.DrawFn, call: str) -> list[bytes]:
    """The base request's bytes, cut, or with some of them changed."""
    body = bytearray(request(call, {}, JOBS).SerializeToString())
    for _ in range(draw(st.integers(1, 4)) if body else 0):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return [bytes(body[: draw(st.integers(0, len(body)))])]


def sendings(call: str) -> SearchStrategy[list[bytes]]:
    most = 4 if METHODS[call].client_streaming else 1
    any_built = st.lists(
        built(METHODS[call].input_type).map(lambda one: one.SerializeToString()), min_size=1, max_size=most
    )
    raw = st.lists(st.binary(max_size=60), max_size=most)
    return any_built | changed(call) | broken(call) | raw


@pytest.mark.parametrize("call", METHODS)
def test_whatever_comes_the_server_answers_in_words_and_stays_well(stage: Stage, call: str) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=SLOW, database=None)
    @given(sendings(call))
    def answered(sent: list[bytes]) -> None:
        # A connection of its own: gRPC never lets go of a call that brought no message, and takes so many of one connection.
        with grpc.insecure_channel(stage.address, (*LIMITS, ("grpc.use_local_subchannel_pool", 1))) as channel:
            outcome = play(channel, call, sent, seconds=0.5 if call == "WatchJob" else 90)
        if outcome.detail is not None:
            assert outcome.status not in ("OK", "INTERNAL", "UNKNOWN"), outcome
            check_words(outcome, stage)
        else:
            left = call == "WatchJob" and outcome.status == "DEADLINE_EXCEEDED"  # a watch goes on until it is left
            assert left or (outcome.status, outcome.details) in BY_GRPC, outcome
        assert stage.ask("GetServer").status == "OK"

    answered()


# What gRPC itself says: of a good call, and where no message came.
BY_GRPC = {
    ("OK", ""),
    ("UNIMPLEMENTED", "\"b''\" requires exactly one request message."),
}
