"""How many parts a message will have, counted on its bytes: before it is read, and each becomes far larger in memory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

Kinds = Mapping[int, Any]
"""Descriptors, by the numbers of fields: two classes of protobuf have that name."""
HOLD = (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def has_more_parts(body: bytes, kind: Any, most: int) -> bool:
    """Whether `body`, a message of this kind (its Descriptor), has more than `most` messages, texts and byte strings in it, however deep.

    Raises DecodeError where it is no message; most of what can be wrong with it is found only when it is read.
    """
    if len(body) <= 2 * most:  # the smallest part has two bytes: which field, and that it is empty
        return False
    outer: list[tuple[int, Kinds]] = []
    at, end, count, inner = 0, len(body), 0, _inner(kind)
    try:
        while True:
            while at == end:
                if not outer:
                    return False
                end, inner = outer.pop()
            tag, at = _number(body, at)
            if tag & 7 == 2:
                count += 1
                if count > most:
                    return True
                size, at = _number(body, at)
                found = inner.get(tag >> 3)
                if found is None:
                    at += size
                else:
                    outer.append((end, inner))
                    _check(at + size <= end)
                    end, inner = at + size, _inner(found)
            elif tag & 7 == 0:
                _, at = _number(body, at)
            else:  # 8 or 4 bytes; the other kinds are groups, which no version of ours has
                _check(tag & 7 in (1, 5))
                at += 8 if tag & 7 == 1 else 4
            _check(at <= end)
    except IndexError:
        raise DecodeError("the message ends in the middle") from None


def _check(fits: bool) -> None:
    if not fits:
        raise DecodeError("a part does not fit into what holds it")


def _number(body: bytes, at: int) -> tuple[int, int]:
    """The number there, seven bits a byte from the lowest on, and where it ends."""
    number = body[at]
    if number < 128:  # nearly always, and there are millions
        return number, at + 1
    number &= 127
    for place in range(1, 10):
        byte = body[at + place]
        number |= (byte & 127) << 7 * place
        if byte < 128:
            return number, at + place + 1
    raise DecodeError("a number has no end")


@cache
def _inner(kind: Any) -> Kinds:
    """The kinds of messages that hold parts themselves, by the fields of `kind` that they are in."""
    held = {field.number: field.message_type for field in kind.fields if field.type == FieldDescriptor.TYPE_MESSAGE}
    return {number: one for number, one in held.items() if any(field.type in HOLD for field in one.fields)}
