from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Task(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_UNSPECIFIED: _ClassVar[Task]
    TASK_REPAINT: _ClassVar[Task]
    TASK_REPLACE: _ClassVar[Task]
    TASK_ADD: _ClassVar[Task]
    TASK_REMOVE: _ClassVar[Task]
    TASK_GENERATE: _ClassVar[Task]

class Input(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INPUT_UNSPECIFIED: _ClassVar[Input]
    INPUT_MASK: _ClassVar[Input]
    INPUT_SKETCH: _ClassVar[Input]
    INPUT_DEPTH: _ClassVar[Input]
    INPUT_EDGE: _ClassVar[Input]
    INPUT_TRACK: _ClassVar[Input]
    INPUT_KEYFRAME: _ClassVar[Input]
    INPUT_PROMPT: _ClassVar[Input]
    INPUT_NEGATIVE_PROMPT: _ClassVar[Input]

class Blend(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BLEND_UNSPECIFIED: _ClassVar[Blend]
    BLEND_ADD: _ClassVar[Blend]
    BLEND_SUBTRACT: _ClassVar[Blend]
    BLEND_LIGHTEN: _ClassVar[Blend]
    BLEND_DARKEN: _ClassVar[Blend]
    BLEND_MULTIPLY: _ClassVar[Blend]
    BLEND_REPLACE: _ClassVar[Blend]
    BLEND_DIFFERENCE: _ClassVar[Blend]

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_OPEN: _ClassVar[JobState]
    JOB_STATE_QUEUED: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_CANCELLING: _ClassVar[JobState]
    JOB_STATE_FINISHED: _ClassVar[JobState]
    JOB_STATE_FAILED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]
    JOB_STATE_PAUSED: _ClassVar[JobState]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_OPENED: _ClassVar[EventKind]
    EVENT_KIND_SEALED: _ClassVar[EventKind]
    EVENT_KIND_STARTED: _ClassVar[EventKind]
    EVENT_KIND_PLANNED: _ClassVar[EventKind]
    EVENT_KIND_PROGRESS: _ClassVar[EventKind]
    EVENT_KIND_WINDOW_DONE: _ClassVar[EventKind]
    EVENT_KIND_LOST: _ClassVar[EventKind]
    EVENT_KIND_CANCEL_ASKED: _ClassVar[EventKind]
    EVENT_KIND_FINISHED: _ClassVar[EventKind]
    EVENT_KIND_FAILED: _ClassVar[EventKind]
    EVENT_KIND_CANCELLED: _ClassVar[EventKind]
    EVENT_KIND_PAUSED: _ClassVar[EventKind]
    EVENT_KIND_RESUMED: _ClassVar[EventKind]
    EVENT_KIND_MOVED_UP: _ClassVar[EventKind]
    EVENT_KIND_RETRIED: _ClassVar[EventKind]
TASK_UNSPECIFIED: Task
TASK_REPAINT: Task
TASK_REPLACE: Task
TASK_ADD: Task
TASK_REMOVE: Task
TASK_GENERATE: Task
INPUT_UNSPECIFIED: Input
INPUT_MASK: Input
INPUT_SKETCH: Input
INPUT_DEPTH: Input
INPUT_EDGE: Input
INPUT_TRACK: Input
INPUT_KEYFRAME: Input
INPUT_PROMPT: Input
INPUT_NEGATIVE_PROMPT: Input
BLEND_UNSPECIFIED: Blend
BLEND_ADD: Blend
BLEND_SUBTRACT: Blend
BLEND_LIGHTEN: Blend
BLEND_DARKEN: Blend
BLEND_MULTIPLY: Blend
BLEND_REPLACE: Blend
BLEND_DIFFERENCE: Blend
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_OPEN: JobState
JOB_STATE_QUEUED: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_CANCELLING: JobState
JOB_STATE_FINISHED: JobState
JOB_STATE_FAILED: JobState
JOB_STATE_CANCELLED: JobState
JOB_STATE_PAUSED: JobState
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_OPENED: EventKind
EVENT_KIND_SEALED: EventKind
EVENT_KIND_STARTED: EventKind
EVENT_KIND_PLANNED: EventKind
EVENT_KIND_PROGRESS: EventKind
EVENT_KIND_WINDOW_DONE: EventKind
EVENT_KIND_LOST: EventKind
EVENT_KIND_CANCEL_ASKED: EventKind
EVENT_KIND_FINISHED: EventKind
EVENT_KIND_FAILED: EventKind
EVENT_KIND_CANCELLED: EventKind
EVENT_KIND_PAUSED: EventKind
EVENT_KIND_RESUMED: EventKind
EVENT_KIND_MOVED_UP: EventKind
EVENT_KIND_RETRIED: EventKind

class Size(_message.Message):
    __slots__ = ("width", "height")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Rate(_message.Message):
    __slots__ = ("numerator", "denominator")
    NUMERATOR_FIELD_NUMBER: _ClassVar[int]
    DENOMINATOR_FIELD_NUMBER: _ClassVar[int]
    numerator: int
    denominator: int
    def __init__(self, numerator: _Optional[int] = ..., denominator: _Optional[int] = ...) -> None: ...

class Clip(_message.Message):
    __slots__ = ("size", "rate", "depth", "frames")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    size: Size
    rate: Rate
    depth: int
    frames: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, size: _Optional[_Union[Size, _Mapping]] = ..., rate: _Optional[_Union[Rate, _Mapping]] = ..., depth: _Optional[int] = ..., frames: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Point(_message.Message):
    __slots__ = ("x", "y")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ...) -> None: ...

class Knot(_message.Message):
    __slots__ = ("x", "y", "left", "right")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    left: Point
    right: Point
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ..., left: _Optional[_Union[Point, _Mapping]] = ..., right: _Optional[_Union[Point, _Mapping]] = ...) -> None: ...

class Stroke(_message.Message):
    __slots__ = ("knots", "width", "closed", "opacity", "layer", "blend", "invert")
    KNOTS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    OPACITY_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    BLEND_FIELD_NUMBER: _ClassVar[int]
    INVERT_FIELD_NUMBER: _ClassVar[int]
    knots: _containers.RepeatedCompositeFieldContainer[Knot]
    width: float
    closed: bool
    opacity: float
    layer: int
    blend: Blend
    invert: bool
    def __init__(self, knots: _Optional[_Iterable[_Union[Knot, _Mapping]]] = ..., width: _Optional[float] = ..., closed: _Optional[bool] = ..., opacity: _Optional[float] = ..., layer: _Optional[int] = ..., blend: _Optional[_Union[Blend, str]] = ..., invert: _Optional[bool] = ...) -> None: ...

class GuideKey(_message.Message):
    __slots__ = ("frame", "pixels", "strokes")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    STROKES_FIELD_NUMBER: _ClassVar[int]
    frame: int
    pixels: bytes
    strokes: _containers.RepeatedCompositeFieldContainer[Stroke]
    def __init__(self, frame: _Optional[int] = ..., pixels: _Optional[bytes] = ..., strokes: _Optional[_Iterable[_Union[Stroke, _Mapping]]] = ...) -> None: ...

class Guide(_message.Message):
    __slots__ = ("kind", "keys", "hold", "grow", "feather")
    KIND_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    GROW_FIELD_NUMBER: _ClassVar[int]
    FEATHER_FIELD_NUMBER: _ClassVar[int]
    kind: Input
    keys: _containers.RepeatedCompositeFieldContainer[GuideKey]
    hold: bool
    grow: float
    feather: float
    def __init__(self, kind: _Optional[_Union[Input, str]] = ..., keys: _Optional[_Iterable[_Union[GuideKey, _Mapping]]] = ..., hold: _Optional[bool] = ..., grow: _Optional[float] = ..., feather: _Optional[float] = ...) -> None: ...

class TrackPoint(_message.Message):
    __slots__ = ("frame", "x", "y")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    frame: int
    x: float
    y: float
    def __init__(self, frame: _Optional[int] = ..., x: _Optional[float] = ..., y: _Optional[float] = ...) -> None: ...

class Track(_message.Message):
    __slots__ = ("points",)
    POINTS_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[TrackPoint]
    def __init__(self, points: _Optional[_Iterable[_Union[TrackPoint, _Mapping]]] = ...) -> None: ...

class Keyframe(_message.Message):
    __slots__ = ("frame", "pixels")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    frame: int
    pixels: bytes
    def __init__(self, frame: _Optional[int] = ..., pixels: _Optional[bytes] = ...) -> None: ...

class OptionValue(_message.Message):
    __slots__ = ("flag", "whole", "number", "word")
    FLAG_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    WORD_FIELD_NUMBER: _ClassVar[int]
    flag: bool
    whole: int
    number: float
    word: str
    def __init__(self, flag: _Optional[bool] = ..., whole: _Optional[int] = ..., number: _Optional[float] = ..., word: _Optional[str] = ...) -> None: ...

class Edit(_message.Message):
    __slots__ = ("task", "prompt", "negative_prompt", "seed", "guides", "tracks", "keyframes", "options")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: OptionValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[OptionValue, _Mapping]] = ...) -> None: ...
    TASK_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    GUIDES_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    KEYFRAMES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    task: Task
    prompt: str
    negative_prompt: str
    seed: int
    guides: _containers.RepeatedCompositeFieldContainer[Guide]
    tracks: _containers.RepeatedCompositeFieldContainer[Track]
    keyframes: _containers.RepeatedCompositeFieldContainer[Keyframe]
    options: _containers.MessageMap[str, OptionValue]
    def __init__(self, task: _Optional[_Union[Task, str]] = ..., prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ..., seed: _Optional[int] = ..., guides: _Optional[_Iterable[_Union[Guide, _Mapping]]] = ..., tracks: _Optional[_Iterable[_Union[Track, _Mapping]]] = ..., keyframes: _Optional[_Iterable[_Union[Keyframe, _Mapping]]] = ..., options: _Optional[_Mapping[str, OptionValue]] = ...) -> None: ...

class JobSpec(_message.Message):
    __slots__ = ("id", "engine", "clip", "edit")
    ID_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    CLIP_FIELD_NUMBER: _ClassVar[int]
    EDIT_FIELD_NUMBER: _ClassVar[int]
    id: str
    engine: str
    clip: Clip
    edit: Edit
    def __init__(self, id: _Optional[str] = ..., engine: _Optional[str] = ..., clip: _Optional[_Union[Clip, _Mapping]] = ..., edit: _Optional[_Union[Edit, _Mapping]] = ...) -> None: ...

class Picture(_message.Message):
    __slots__ = ("width", "height", "rgb")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RGB_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    rgb: bytes
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., rgb: _Optional[bytes] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("number", "kind", "at", "stage", "step", "steps", "window", "windows", "seconds_left", "queue_place", "field", "message", "remedy", "picture", "reused", "status")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_LEFT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_PLACE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    REUSED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    number: int
    kind: EventKind
    at: float
    stage: str
    step: int
    steps: int
    window: int
    windows: int
    seconds_left: float
    queue_place: int
    field: str
    message: str
    remedy: str
    picture: Picture
    reused: bool
    status: str
    def __init__(self, number: _Optional[int] = ..., kind: _Optional[_Union[EventKind, str]] = ..., at: _Optional[float] = ..., stage: _Optional[str] = ..., step: _Optional[int] = ..., steps: _Optional[int] = ..., window: _Optional[int] = ..., windows: _Optional[int] = ..., seconds_left: _Optional[float] = ..., queue_place: _Optional[int] = ..., field: _Optional[str] = ..., message: _Optional[str] = ..., remedy: _Optional[str] = ..., picture: _Optional[_Union[Picture, _Mapping]] = ..., reused: _Optional[bool] = ..., status: _Optional[str] = ...) -> None: ...

class JobSummary(_message.Message):
    __slots__ = ("id", "engine", "state", "task", "prompt", "frames", "opened_at", "events", "owner", "priority")
    ID_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    id: str
    engine: str
    state: JobState
    task: Task
    prompt: str
    frames: int
    opened_at: float
    events: int
    owner: str
    priority: int
    def __init__(self, id: _Optional[str] = ..., engine: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., task: _Optional[_Union[Task, str]] = ..., prompt: _Optional[str] = ..., frames: _Optional[int] = ..., opened_at: _Optional[float] = ..., events: _Optional[int] = ..., owner: _Optional[str] = ..., priority: _Optional[int] = ...) -> None: ...
