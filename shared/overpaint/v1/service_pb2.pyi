from overpaint.v1 import engines_pb2 as _engines_pb2
from overpaint.v1 import frames_pb2 as _frames_pb2
from overpaint.v1 import guides_pb2 as _guides_pb2
from overpaint.v1 import jobs_pb2 as _jobs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Device(_message.Message):
    __slots__ = ("name", "title", "memory_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    title: str
    memory_bytes: int
    def __init__(self, name: _Optional[str] = ..., title: _Optional[str] = ..., memory_bytes: _Optional[int] = ...) -> None: ...

class GetServerResponse(_message.Message):
    __slots__ = ("version", "codecs", "devices", "max_frames", "max_pixels", "now")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CODECS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAMES_FIELD_NUMBER: _ClassVar[int]
    MAX_PIXELS_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    version: str
    codecs: _containers.RepeatedScalarFieldContainer[_frames_pb2.Codec]
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    max_frames: int
    max_pixels: int
    now: float
    def __init__(self, version: _Optional[str] = ..., codecs: _Optional[_Iterable[_Union[_frames_pb2.Codec, str]]] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., max_frames: _Optional[int] = ..., max_pixels: _Optional[int] = ..., now: _Optional[float] = ...) -> None: ...

class ListEnginesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListEnginesResponse(_message.Message):
    __slots__ = ("engines",)
    ENGINES_FIELD_NUMBER: _ClassVar[int]
    engines: _containers.RepeatedCompositeFieldContainer[_engines_pb2.EngineCard]
    def __init__(self, engines: _Optional[_Iterable[_Union[_engines_pb2.EngineCard, _Mapping]]] = ...) -> None: ...

class EstimateJobRequest(_message.Message):
    __slots__ = ("engine", "size", "depth", "length", "edit")
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    EDIT_FIELD_NUMBER: _ClassVar[int]
    engine: str
    size: _jobs_pb2.Size
    depth: int
    length: int
    edit: _jobs_pb2.Edit
    def __init__(self, engine: _Optional[str] = ..., size: _Optional[_Union[_jobs_pb2.Size, _Mapping]] = ..., depth: _Optional[int] = ..., length: _Optional[int] = ..., edit: _Optional[_Union[_jobs_pb2.Edit, _Mapping]] = ...) -> None: ...

class EstimateJobResponse(_message.Message):
    __slots__ = ("frames", "windows", "window_size", "pixel_bytes", "seconds", "device")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_SIZE_FIELD_NUMBER: _ClassVar[int]
    PIXEL_BYTES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    frames: int
    windows: int
    window_size: _jobs_pb2.Size
    pixel_bytes: int
    seconds: float
    device: str
    def __init__(self, frames: _Optional[int] = ..., windows: _Optional[int] = ..., window_size: _Optional[_Union[_jobs_pb2.Size, _Mapping]] = ..., pixel_bytes: _Optional[int] = ..., seconds: _Optional[float] = ..., device: _Optional[str] = ...) -> None: ...

class OpenJobRequest(_message.Message):
    __slots__ = ("spec", "priority")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    spec: _jobs_pb2.JobSpec
    priority: int
    def __init__(self, spec: _Optional[_Union[_jobs_pb2.JobSpec, _Mapping]] = ..., priority: _Optional[int] = ...) -> None: ...

class OpenJobResponse(_message.Message):
    __slots__ = ("state", "missing")
    STATE_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    state: _jobs_pb2.JobState
    missing: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, state: _Optional[_Union[_jobs_pb2.JobState, str]] = ..., missing: _Optional[_Iterable[bytes]] = ...) -> None: ...

class UploadFramesRequest(_message.Message):
    __slots__ = ("job_id", "chunk")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    chunk: _frames_pb2.FrameChunk
    def __init__(self, job_id: _Optional[str] = ..., chunk: _Optional[_Union[_frames_pb2.FrameChunk, _Mapping]] = ...) -> None: ...

class UploadFramesResponse(_message.Message):
    __slots__ = ("frames", "bytes")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    frames: int
    bytes: int
    def __init__(self, frames: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class SealJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class SealJobResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _jobs_pb2.JobState
    def __init__(self, state: _Optional[_Union[_jobs_pb2.JobState, str]] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("job_id", "after_event", "beat_seconds")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_EVENT_FIELD_NUMBER: _ClassVar[int]
    BEAT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    after_event: int
    beat_seconds: int
    def __init__(self, job_id: _Optional[str] = ..., after_event: _Optional[int] = ..., beat_seconds: _Optional[int] = ...) -> None: ...

class WatchJobResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: _jobs_pb2.JobEvent
    def __init__(self, event: _Optional[_Union[_jobs_pb2.JobEvent, _Mapping]] = ...) -> None: ...

class FetchFramesRequest(_message.Message):
    __slots__ = ("job_id", "from_frame", "codec", "source")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FRAME_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    from_frame: int
    codec: _frames_pb2.Codec
    source: bool
    def __init__(self, job_id: _Optional[str] = ..., from_frame: _Optional[int] = ..., codec: _Optional[_Union[_frames_pb2.Codec, str]] = ..., source: _Optional[bool] = ...) -> None: ...

class FetchFramesResponse(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: _frames_pb2.FrameChunk
    def __init__(self, chunk: _Optional[_Union[_frames_pb2.FrameChunk, _Mapping]] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class CancelJobResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _jobs_pb2.JobState
    def __init__(self, state: _Optional[_Union[_jobs_pb2.JobState, str]] = ...) -> None: ...

class PauseJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class PauseJobResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _jobs_pb2.JobState
    def __init__(self, state: _Optional[_Union[_jobs_pb2.JobState, str]] = ...) -> None: ...

class ResumeJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class ResumeJobResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _jobs_pb2.JobState
    def __init__(self, state: _Optional[_Union[_jobs_pb2.JobState, str]] = ...) -> None: ...

class MoveJobUpRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class MoveJobUpResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _jobs_pb2.JobState
    def __init__(self, state: _Optional[_Union[_jobs_pb2.JobState, str]] = ...) -> None: ...

class RetryJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class RetryJobResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _jobs_pb2.JobState
    def __init__(self, state: _Optional[_Union[_jobs_pb2.JobState, str]] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[_jobs_pb2.JobSummary]
    def __init__(self, jobs: _Optional[_Iterable[_Union[_jobs_pb2.JobSummary, _Mapping]]] = ...) -> None: ...

class DeleteJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class DeleteJobResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job", "spec", "frames", "windows", "bytes")
    JOB_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    job: _jobs_pb2.JobSummary
    spec: _jobs_pb2.JobSpec
    frames: int
    windows: int
    bytes: int
    def __init__(self, job: _Optional[_Union[_jobs_pb2.JobSummary, _Mapping]] = ..., spec: _Optional[_Union[_jobs_pb2.JobSpec, _Mapping]] = ..., frames: _Optional[int] = ..., windows: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class PruneJobsRequest(_message.Message):
    __slots__ = ("older_than_days", "dry_run")
    OLDER_THAN_DAYS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    older_than_days: float
    dry_run: bool
    def __init__(self, older_than_days: _Optional[float] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class PruneJobsResponse(_message.Message):
    __slots__ = ("jobs", "frames", "windows", "bytes")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    jobs: int
    frames: int
    windows: int
    bytes: int
    def __init__(self, jobs: _Optional[int] = ..., frames: _Optional[int] = ..., windows: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class ErrorDetail(_message.Message):
    __slots__ = ("field", "message", "remedy")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    field: str
    message: str
    remedy: str
    def __init__(self, field: _Optional[str] = ..., message: _Optional[str] = ..., remedy: _Optional[str] = ...) -> None: ...
