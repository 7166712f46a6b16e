from overpaint.v1 import jobs_pb2 as _jobs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OptionKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPTION_KIND_UNSPECIFIED: _ClassVar[OptionKind]
    OPTION_KIND_BOOL: _ClassVar[OptionKind]
    OPTION_KIND_INT: _ClassVar[OptionKind]
    OPTION_KIND_FLOAT: _ClassVar[OptionKind]
    OPTION_KIND_CHOICE: _ClassVar[OptionKind]

class RegionRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REGION_RULE_UNSPECIFIED: _ClassVar[RegionRule]
    REGION_RULE_TRACKED: _ClassVar[RegionRule]
    REGION_RULE_UNION: _ClassVar[RegionRule]
    REGION_RULE_WHOLE: _ClassVar[RegionRule]
OPTION_KIND_UNSPECIFIED: OptionKind
OPTION_KIND_BOOL: OptionKind
OPTION_KIND_INT: OptionKind
OPTION_KIND_FLOAT: OptionKind
OPTION_KIND_CHOICE: OptionKind
REGION_RULE_UNSPECIFIED: RegionRule
REGION_RULE_TRACKED: RegionRule
REGION_RULE_UNION: RegionRule
REGION_RULE_WHOLE: RegionRule

class OptionSpec(_message.Message):
    __slots__ = ("name", "kind", "default", "description", "minimum", "maximum", "choices")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: OptionKind
    default: _jobs_pb2.OptionValue
    description: str
    minimum: float
    maximum: float
    choices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[OptionKind, str]] = ..., default: _Optional[_Union[_jobs_pb2.OptionValue, _Mapping]] = ..., description: _Optional[str] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ..., choices: _Optional[_Iterable[str]] = ...) -> None: ...

class InputGroup(_message.Message):
    __slots__ = ("any_of",)
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    any_of: _containers.RepeatedScalarFieldContainer[_jobs_pb2.Input]
    def __init__(self, any_of: _Optional[_Iterable[_Union[_jobs_pb2.Input, str]]] = ...) -> None: ...

class TaskRule(_message.Message):
    __slots__ = ("task", "honours", "needs")
    TASK_FIELD_NUMBER: _ClassVar[int]
    HONOURS_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    task: _jobs_pb2.Task
    honours: _containers.RepeatedScalarFieldContainer[_jobs_pb2.Input]
    needs: _containers.RepeatedCompositeFieldContainer[InputGroup]
    def __init__(self, task: _Optional[_Union[_jobs_pb2.Task, str]] = ..., honours: _Optional[_Iterable[_Union[_jobs_pb2.Input, str]]] = ..., needs: _Optional[_Iterable[_Union[InputGroup, _Mapping]]] = ...) -> None: ...

class EngineCard(_message.Message):
    __slots__ = ("name", "title", "description", "version", "licence", "tasks", "sparse", "region", "native_size", "size_multiple", "margin", "max_frames", "frame_step", "frame_offset", "overlap", "options", "needs_gpu", "needs_weights", "memory_bytes_per_pixel", "rank", "obstacle", "carries")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    NATIVE_SIZE_FIELD_NUMBER: _ClassVar[int]
    SIZE_MULTIPLE_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAMES_FIELD_NUMBER: _ClassVar[int]
    FRAME_STEP_FIELD_NUMBER: _ClassVar[int]
    FRAME_OFFSET_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    NEEDS_GPU_FIELD_NUMBER: _ClassVar[int]
    NEEDS_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_PER_PIXEL_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    OBSTACLE_FIELD_NUMBER: _ClassVar[int]
    CARRIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    title: str
    description: str
    version: str
    licence: str
    tasks: _containers.RepeatedCompositeFieldContainer[TaskRule]
    sparse: _containers.RepeatedScalarFieldContainer[_jobs_pb2.Input]
    region: RegionRule
    native_size: _jobs_pb2.Size
    size_multiple: int
    margin: float
    max_frames: int
    frame_step: int
    frame_offset: int
    overlap: int
    options: _containers.RepeatedCompositeFieldContainer[OptionSpec]
    needs_gpu: bool
    needs_weights: bool
    memory_bytes_per_pixel: int
    rank: int
    obstacle: str
    carries: bool
    def __init__(self, name: _Optional[str] = ..., title: _Optional[str] = ..., description: _Optional[str] = ..., version: _Optional[str] = ..., licence: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[TaskRule, _Mapping]]] = ..., sparse: _Optional[_Iterable[_Union[_jobs_pb2.Input, str]]] = ..., region: _Optional[_Union[RegionRule, str]] = ..., native_size: _Optional[_Union[_jobs_pb2.Size, _Mapping]] = ..., size_multiple: _Optional[int] = ..., margin: _Optional[float] = ..., max_frames: _Optional[int] = ..., frame_step: _Optional[int] = ..., frame_offset: _Optional[int] = ..., overlap: _Optional[int] = ..., options: _Optional[_Iterable[_Union[OptionSpec, _Mapping]]] = ..., needs_gpu: _Optional[bool] = ..., needs_weights: _Optional[bool] = ..., memory_bytes_per_pixel: _Optional[int] = ..., rank: _Optional[int] = ..., obstacle: _Optional[str] = ..., carries: _Optional[bool] = ...) -> None: ...
