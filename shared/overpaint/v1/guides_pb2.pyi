from overpaint.v1 import frames_pb2 as _frames_pb2
from overpaint.v1 import jobs_pb2 as _jobs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Click(_message.Message):
    __slots__ = ("object", "frame", "x", "y", "negative")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    object: int
    frame: int
    x: float
    y: float
    negative: bool
    def __init__(self, object: _Optional[int] = ..., frame: _Optional[int] = ..., x: _Optional[float] = ..., y: _Optional[float] = ..., negative: _Optional[bool] = ...) -> None: ...

class GuideFrame(_message.Message):
    __slots__ = ("frame", "pixels")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    frame: int
    pixels: bytes
    def __init__(self, frame: _Optional[int] = ..., pixels: _Optional[bytes] = ...) -> None: ...

class TrackOrder(_message.Message):
    __slots__ = ("clicks",)
    CLICKS_FIELD_NUMBER: _ClassVar[int]
    clicks: _containers.RepeatedCompositeFieldContainer[Click]
    def __init__(self, clicks: _Optional[_Iterable[_Union[Click, _Mapping]]] = ...) -> None: ...

class LinesOrder(_message.Message):
    __slots__ = ("mask",)
    MASK_FIELD_NUMBER: _ClassVar[int]
    mask: _jobs_pb2.Guide
    def __init__(self, mask: _Optional[_Union[_jobs_pb2.Guide, _Mapping]] = ...) -> None: ...

class GuideOrder(_message.Message):
    __slots__ = ("size", "depth", "frames", "track", "lines")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    size: _jobs_pb2.Size
    depth: int
    frames: _containers.RepeatedCompositeFieldContainer[GuideFrame]
    track: TrackOrder
    lines: LinesOrder
    def __init__(self, size: _Optional[_Union[_jobs_pb2.Size, _Mapping]] = ..., depth: _Optional[int] = ..., frames: _Optional[_Iterable[_Union[GuideFrame, _Mapping]]] = ..., track: _Optional[_Union[TrackOrder, _Mapping]] = ..., lines: _Optional[_Union[LinesOrder, _Mapping]] = ...) -> None: ...

class MissingPixels(_message.Message):
    __slots__ = ("digests",)
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, digests: _Optional[_Iterable[bytes]] = ...) -> None: ...

class GuideProgress(_message.Message):
    __slots__ = ("stage", "done", "total")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    stage: str
    done: int
    total: int
    def __init__(self, stage: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class ObjectGuide(_message.Message):
    __slots__ = ("object", "guide")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    GUIDE_FIELD_NUMBER: _ClassVar[int]
    object: int
    guide: _jobs_pb2.Guide
    def __init__(self, object: _Optional[int] = ..., guide: _Optional[_Union[_jobs_pb2.Guide, _Mapping]] = ...) -> None: ...

class MadeGuide(_message.Message):
    __slots__ = ("guides", "method")
    GUIDES_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    guides: _containers.RepeatedCompositeFieldContainer[ObjectGuide]
    method: str
    def __init__(self, guides: _Optional[_Iterable[_Union[ObjectGuide, _Mapping]]] = ..., method: _Optional[str] = ...) -> None: ...

class MakeGuideRequest(_message.Message):
    __slots__ = ("order", "chunk", "in_parts")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    IN_PARTS_FIELD_NUMBER: _ClassVar[int]
    order: GuideOrder
    chunk: _frames_pb2.FrameChunk
    in_parts: bool
    def __init__(self, order: _Optional[_Union[GuideOrder, _Mapping]] = ..., chunk: _Optional[_Union[_frames_pb2.FrameChunk, _Mapping]] = ..., in_parts: _Optional[bool] = ...) -> None: ...

class MakeGuideResponse(_message.Message):
    __slots__ = ("missing", "progress", "made")
    MISSING_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    MADE_FIELD_NUMBER: _ClassVar[int]
    missing: MissingPixels
    progress: GuideProgress
    made: MadeGuide
    def __init__(self, missing: _Optional[_Union[MissingPixels, _Mapping]] = ..., progress: _Optional[_Union[GuideProgress, _Mapping]] = ..., made: _Optional[_Union[MadeGuide, _Mapping]] = ...) -> None: ...
