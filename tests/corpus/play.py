"""How an entry of the corpus is read, made into messages and played against a live server."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field as default
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from overpaint import chunks, codec, wire
from overpaint.v1 import service_pb2

FOLDER = Path(__file__).parent
SERVICE = service_pb2.DESCRIPTOR.services_by_name["OverpaintService"]
METHODS: Mapping[str, MethodDescriptor] = SERVICE.methods_by_name
BASE: dict[str, Any] = json.loads((FOLDER / "base.json").read_text())
THEMES = sorted(path for path in FOLDER.glob("*.json") if path.name != "base.json")
SECRET = "a canary that nobody may hear of"  # the prompt of every base request: no error may repeat it
SHAPES = {"grey": (24, 32, 1), "wide": (24, 40, 3)}  # of pictures; all others are the job's


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A bad input and the error that it must produce: gRPC status, the `field` that it names, and some of its `words`.

    `change` sets values of the call's request in base.json by path (null takes away, "-" appends to a list); `repeat`
    fills the repeated field at a path with its first message. `frames` are the pictures that follow as chunks, and
    `steps` (see STEPS) what then befalls the stream. `raw` are the messages' bytes in hex, in the place of all that.
    `caller` shows their token ("": none), `kept` are the pictures that rightly stay in the spool, and an error
    `by_grpc` is one that the call never reached us to make.
    """

    name: str
    call: str
    status: str
    caller: str = "anna"
    field: str = ""
    words: str = ""
    by_grpc: bool = False
    change: dict[str, Any] = default(default_factory=dict)
    repeat: dict[str, Any] = default(default_factory=dict)
    raw: list[str] | None = None
    frames: list[str] = default(default_factory=list)
    steps: list[dict[str, Any]] = default(default_factory=list)
    kept: list[str] = default(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call came to: `detail` are the server's words, None where it sent none."""

    status: str
    details: str
    detail: service_pb2.ErrorDetail | None
    answers: tuple[Message, ...]


def entries() -> list[Entry]:
    return [Entry(**one) for path in THEMES for one in json.loads(path.read_text())]


@cache
def picture(name: str) -> np.ndarray:
    """The pixels that an entry calls `name`: noise, the same at every run."""
    rng = np.random.default_rng(list(name.encode()))
    if name == "deep":
        return rng.integers(0, 2**16, (24, 32, 3), np.uint16)
    return rng.integers(0, 256, SHAPES.get(name, (24, 32, 3)), np.uint8)


def digest(name: str) -> str:
    return codec.digest(picture(name))


def message_class(call: str) -> type[Message]:
    return message_factory.GetMessageClass(METHODS[call].input_type)


def request(call: str, change: Mapping[str, Any], names: Mapping[str, str]) -> Message:
    """The base request of `call` with what `change` says at its paths; `names` are the jobs by what entries call them."""
    tree = copy.deepcopy(BASE[call])
    for path, value in change.items():
        _put(tree, path.split("."), value)
    return json_format.ParseDict(_filled(tree, names), message_class(call)())


def messages(entry: Entry, names: Mapping[str, str]) -> list[bytes]:
    """What travels."""
    if entry.raw is not None:
        return [bytes.fromhex(one) for one in entry.raw]
    first = request(entry.call, entry.change, names)
    for path, how in entry.repeat.items():
        _repeat(first, path, **how)
    if entry.call == "UploadFrames":
        made = [_with_chunk(copy.deepcopy(first), one) for one in _chunks(entry.frames)]
    else:
        made = [first, *(_with_chunk(message_class(entry.call)(), one) for one in _chunks(entry.frames))]
    for step in entry.steps:
        ((verb, how),) = step.items()
        made = STEPS[verb](made, how)
    return [one.SerializeToString() for one in made]


def token(caller: str) -> str:
    return f"{caller} may come in"


def play(
    channel: grpc.Channel, call: str, sent: Sequence[bytes], *, caller: str = "anna", seconds: float = 90.0
) -> Outcome:
    """Send the messages as they are; to gRPC every call is a stream of messages each way. "" shows no token."""
    answer_class = message_factory.GetMessageClass(METHODS[call].output_type)
    ask = channel.stream_stream(
        f"/{SERVICE.full_name}/{call}", request_serializer=bytes, response_deserializer=answer_class.FromString
    )
    shown = (("authorization", f"Bearer {token(caller)}"),) if caller else ()
    stream, answers = ask(iter(sent), timeout=seconds, metadata=shown), list[Message]()
    with suppress(grpc.RpcError):
        answers.extend(stream)
    trailing: dict[str, Any] = dict(stream.trailing_metadata() or ())
    words = trailing.get("overpaint-error-bin")
    return Outcome(
        status=stream.code().name,
        details=stream.details() or "",
        detail=None if words is None else service_pb2.ErrorDetail.FromString(words),
        answers=tuple(answers),
    )


# Values and paths


def _put(tree: Any, path: Sequence[str], value: Any) -> None:
    """Set, or with None take away, what is at `path`: names of fields, and places in lists ("-" for one more)."""
    *way, last = path
    for step in way:
        tree = tree[int(step)] if isinstance(tree, list) else tree.setdefault(step, {})
    if isinstance(tree, list):
        tree[len(tree) if last == "-" else int(last) : None if last == "-" else int(last) + 1] = [value]
    elif value is None:
        tree.pop(last, None)
    else:
        tree[last] = value


def _filled(tree: Any, names: Mapping[str, str]) -> Any:
    """`tree` with digests, bytes, long texts and jobs in the place of what stands for them."""
    match tree:
        case {"$digest": name}:
            return base64.b64encode(bytes.fromhex(digest(name))).decode()
        case {"$bytes": pattern, "times": times}:
            return base64.b64encode(bytes.fromhex(pattern) * times).decode()
        case {"$text": text, "times": times}:
            return text * times
        case dict():
            return {_filled(name, names): _filled(value, names) for name, value in tree.items()}
        case list():
            return [_filled(value, names) for value in tree]
        case str() if tree.startswith("$"):
            return SECRET if tree == "$prompt" else names[tree[1:]]
        case _:
            return tree


def _repeat(message: Any, path: str, times: int, counting: str = "") -> None:
    """Make the one message in the repeated field at `path` `times`; the field `counting` of each tells its place."""
    for step in path.split("."):
        message = message[int(step)] if step.isdigit() else getattr(message, step)
    message.extend([message[0]] * (times - 1))
    for number, one in enumerate(message if counting else ()):
        setattr(one, counting, number)


# Streams of chunks


def _chunks(names: Sequence[str]) -> Iterator[chunks.Chunk]:
    return chunks.pack([picture(name) for name in names])


def _with_chunk(message: Any, chunk: chunks.Chunk) -> Any:
    wire.chunk_to_wire(chunk, message.chunk)
    return message


def _cut(made: list[Any], how: list[int]) -> list[Any]:
    """The chunk of a message in two: [message, bytes of the first]."""
    place, size = how
    first, second = made[place], copy.deepcopy(made[place])
    second.chunk.ClearField("header")
    first.chunk.payload, second.chunk.payload = first.chunk.payload[:size], second.chunk.payload[size:]
    return _numbered([*made[: place + 1], second, *made[place + 1 :]])


def _numbered(made: list[Any]) -> list[Any]:
    for number, one in enumerate(one for one in made if one.HasField("chunk")):
        one.chunk.number = number
    return made


def _swapped(made: list[Any], how: list[int]) -> list[Any]:
    a, b = how
    made[a], made[b] = made[b], made[a]
    return made


def _set(made: list[Any], how: dict[str, Any]) -> list[Any]:
    """Change fields of messages by path; the first step is the message's place."""
    trees = [json_format.MessageToDict(one, preserving_proto_field_name=True) for one in made]
    for path, value in how.items():
        _put(trees, path.split("."), value)
    return [json_format.ParseDict(_filled(tree, {}), type(made[0])()) for tree in trees]


def _payload(made: list[Any], how: dict[str, Any]) -> list[Any]:
    """Another payload for a message's chunk: {"of": place, "bytes": [pattern, times]} or {"of": place, "bomb": {...}}."""
    chunk = made[how["of"]].chunk
    if "bomb" in how:
        chunk.payload = bomb(**how["bomb"])
    else:
        pattern, times = how["bytes"]
        chunk.payload = bytes.fromhex(pattern) * times
    if how.get("announced", True):
        chunk.header.payload_bytes = len(chunk.payload)
    return made


def _flip(made: list[Any], how: list[int]) -> list[Any]:
    place, byte = how
    payload = bytearray(made[place].chunk.payload)
    payload[byte] ^= 0x55
    made[place].chunk.payload = bytes(payload)
    return made


STEPS: dict[str, Callable[[list[Any], Any], list[Any]]] = {
    "drop": lambda made, how: made[:how] + made[how + 1 :],
    "only": lambda made, how: made[:how],
    "again": lambda made, how: [*made, copy.deepcopy(made[how])],
    "numbered": lambda made, how: _numbered(made),
    "swap": _swapped,
    "cut": _cut,
    "flip": _flip,
    "set": _set,
    "payload": _payload,
}


def bomb(says: int | None, holds: int) -> bytes:
    """A zstd frame of a few bytes that says it unpacks to `says` bytes (None: it says nothing) and holds `holds` zeros.

    RFC 8878: magic; a descriptor, then the window or (single segment) the content's size; blocks "one byte, so often".
    """
    block = 128 << 10
    head = b"\x28\xb5\x2f\xfd" + (b"\x00\x58" if says is None else b"\xe0" + says.to_bytes(8, "little"))
    sizes = [block] * (holds // block) + [holds % block]
    return head + b"".join(
        ((size << 3) | 2 | (number == len(sizes) - 1)).to_bytes(3, "little") + b"\x00"
        for number, size in enumerate(sizes)
    )
