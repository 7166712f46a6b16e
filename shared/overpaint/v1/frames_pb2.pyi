from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Codec(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CODEC_UNSPECIFIED: _ClassVar[Codec]
    CODEC_RAW: _ClassVar[Codec]
    CODEC_DELTA_ZSTD: _ClassVar[Codec]
    CODEC_BITS_ZSTD: _ClassVar[Codec]
CODEC_UNSPECIFIED: Codec
CODEC_RAW: Codec
CODEC_DELTA_ZSTD: Codec
CODEC_BITS_ZSTD: Codec

class FrameHeader(_message.Message):
    __slots__ = ("digest", "width", "height", "channels", "depth", "codec", "prediction", "payload_bytes")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    width: int
    height: int
    channels: int
    depth: int
    codec: Codec
    prediction: int
    payload_bytes: int
    def __init__(self, digest: _Optional[bytes] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., channels: _Optional[int] = ..., depth: _Optional[int] = ..., codec: _Optional[_Union[Codec, str]] = ..., prediction: _Optional[int] = ..., payload_bytes: _Optional[int] = ...) -> None: ...

class FrameChunk(_message.Message):
    __slots__ = ("number", "header", "payload")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    number: int
    header: FrameHeader
    payload: bytes
    def __init__(self, number: _Optional[int] = ..., header: _Optional[_Union[FrameHeader, _Mapping]] = ..., payload: _Optional[bytes] = ...) -> None: ...
