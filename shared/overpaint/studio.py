"""The door for pipelines: connect to a server, submit frames, follow the job, fetch the take."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from overpaint.card import EngineCard, usual
from overpaint.chunks import in_order
from overpaint.client import Client
from overpaint.clip import Clip, Depth, Rate, Size
from overpaint.codec import digest
from overpaint.colour import lay_over
from overpaint.edit import Edit, Guide, GuideKey, Input, Keyframe, OptionValue, Task, Track
from overpaint.errors import BY_STATUS, Cancelled, Invalid, OverpaintError
from overpaint.job import EventKind, JobEvent, JobSpec, JobState, JobSummary
from overpaint.residual import Pixels

Frames: TypeAlias = Sequence[Pixels] | Pixels | Callable[[], Iterable[Pixels]]
"""What can be read twice: a list of pictures, one array with time first, or a function that yields the pictures anew.

They are read once for their names and once more where the server lacks them, so a function holds no clip in memory.
Every picture is an array of its own: nothing is written into it after it was given.
"""

Pictures: TypeAlias = Frames | Mapping[int, Pixels] | Guide
"""A guide: one picture "h w" that is held over all frames, a picture for every frame, pictures by frame, or a Guide.

uint8 or bool, in the clip's size; white (or True) is what is masked or drawn.
"""

_DEPTHS: dict[str, Depth] = {"uint8": 8, "uint16": 16}


def connect(
    address: str,
    *,
    token: str = "",
    certificate: Path | str | None = None,
    fingerprint: str = "",
    patience: float = 300.0,
) -> Studio:
    """A studio's server at "host:port"; use it in a `with`. Raises Unavailable where no server answers.

    To another machine the connection is TLS, checked against `certificate` (PEM), the `fingerprint` of the server's
    (SHA-256), or the system's authorities. After a cut, what is sent, followed or fetched goes on until nothing has moved
    for `patience` seconds.
    """
    client = Client(
        address,
        token=token,
        certificate=Path(certificate) if certificate else None,
        fingerprint=fingerprint,
        patience=patience,
    )
    try:
        client.server()
    except OverpaintError:
        client.close()
        raise
    return Studio(client)


class Studio:
    """A server, as a pipeline sees it. `client` has every other call of the service. Errors are OverpaintErrors."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def engines(self) -> tuple[EngineCard, ...]:
        return self.client.engines()

    def jobs(self) -> tuple[JobSummary, ...]:
        return self.client.jobs()

    def job(self, id: str) -> Job:
        """A job that was submitted before, by whichever program. One that the server does not know is told at its first use."""
        return Job(self.client, id)

    def submit(
        self,
        frames: Frames,
        *,
        rate: Rate | Fraction | int | str,
        task: Task | str,
        mask: Pictures | None = None,
        sketch: Pictures | None = None,
        depth: Pictures | None = None,
        edge: Pictures | None = None,
        keyframes: Mapping[int, Pixels] = MappingProxyType({}),
        tracks: Sequence[Track] = (),
        prompt: str = "",
        negative_prompt: str = "",
        grow: float = 0.0,
        feather: float = 0.0,
        engine: str | None = None,
        options: Mapping[str, OptionValue] = MappingProxyType({}),
        seed: int = 0,
        priority: int = 0,
    ) -> Job:
        """Have `frames` ("h w 3" RGB, uint8 or uint16, display-referred sRGB) painted; the job is queued when this returns.

        `rate` is in frames a second, 24 or "24000/1001"; `grow` and `feather` are the mask's, in pixels; frames count from 0.
        Without `engine` the one that suits paints. `priority` is from -10 to 10. Nothing is trimmed, scaled or held
        that was not said to be; what does not fit raises Invalid, and so does what the server's card refuses.
        """
        asked = _task(task)
        clip, source = _clip(frames, _rate(rate))
        given = {Input.MASK: mask, Input.SKETCH: sketch, Input.DEPTH: depth, Input.EDGE: edge}
        named = [source]
        guides: list[Guide] = []
        for kind, pictures in given.items():
            if pictures is not None:
                guide, more = _guide(kind, pictures, clip, (grow, feather) if kind is Input.MASK else (0.0, 0.0))
                guides.append(guide)
                named += more
        finished = _name(_values(keyframes), "keyframe", (clip.size.height, clip.size.width, 3), clip.depth)
        edit = Edit(
            task=asked,
            prompt=prompt,
            negative_prompt=negative_prompt,
            seed=seed,
            guides=tuple(guides),
            tracks=tuple(tracks),
            keyframes=tuple(map(_keyframe, sorted(keyframes), finished.names)),
            options=options,
        )
        chosen = engine or usual(self.engines(), asked, edit.given()).name
        spec = JobSpec(id=uuid.uuid4().hex, engine=chosen, clip=clip, edit=edit)
        shelf = _Shelf([*named, finished])
        self.client.send(spec, shelf.read, priority)
        return Job(self.client, spec.id, spec)


class Job:
    """A job on the server. `spec` is the whole request, where this program submitted it."""

    def __init__(self, client: Client, id: str, spec: JobSpec | None = None) -> None:
        self.id = id
        self.spec = spec
        self._client = client

    def follow(self, after: int = 0) -> Iterator[JobEvent]:
        """The events after number `after`, as they happen, until the job has ended; then raises what it failed with."""
        last: JobEvent | None = None
        for last in self._client.watch(self.id, after):  # one that failed may have been tried again: the end counts
            yield last
        if last is None and after:  # it had ended by then, which is no less true
            last = next(self._client.watch(self.id, after - 1), None)
        if last is not None and last.kind is EventKind.CANCELLED:
            raise Cancelled(field="job", message="the job was cancelled")
        if last is not None and last.kind is EventKind.FAILED:
            raise BY_STATUS.get(last.status, Invalid)(field=last.field, message=last.message, remedy=last.remedy)

    def fetch(self, start: int = 0) -> Iterator[Pixels]:
        """The take from frame `start` on: a patch "h w 4" for each frame, alpha 0 where the source shows through."""
        return self._client.fetch(self.id, start)

    def take(self, frames: Frames) -> Iterator[Pixels]:
        """The finished frames "h w 3": the take laid over `frames`, those that were submitted. Outside the mask nothing differs."""
        for frame, patch in zip_longest(_again(frames, "frames")(), self.fetch()):
            if frame is None or patch is None:
                raise Invalid(
                    field="frames",
                    message=f"the take has {'fewer' if patch is None else 'more'} frames than these",
                    remedy="Give the frames that were submitted",
                )
            yield lay_over(frame, patch)

    def cancel(self) -> JobState:
        """It stops at its next step; what is painted of it stays."""
        return self._client.cancel(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """Pictures that can be read again, and the name of each."""

    read: Callable[[], Iterator[Pixels]]
    names: tuple[str, ...]


class _Shelf:
    """Pictures by their names, read again from where they came from."""

    def __init__(self, named: Sequence[_Named]) -> None:
        self._places = {
            name: (one.read, index) for one in reversed(named) for index, name in reversed([*enumerate(one.names)])
        }
        self._source: Callable[[], Iterator[Pixels]] | None = None
        self._pictures: Iterator[Pixels] = iter(())
        self._next = 0

    def read(self, name: str) -> Pixels:
        """Goes on from the picture before where it can, since a function yields its pictures in order only."""
        if name not in self._places:
            raise Invalid(
                field="guides",
                message=f"the server lacks the picture {name[:12]}, which a Guide names",
                remedy="Give the picture itself",
            )
        source, index = self._places[name]
        if source is not self._source or index < self._next:
            self._source, self._pictures, self._next = source, source(), 0
        picture = next(islice(self._pictures, index - self._next, None), None)
        self._next = index + 1
        if picture is None:
            raise Invalid(
                field="frames",
                message="there were more pictures at first than when they were to be sent",
                remedy="Give a function that yields the same pictures every time",
            )
        return picture


def _again(frames: Frames, field: str) -> Callable[[], Iterator[Pixels]]:
    """The pictures from the first on, at every call. Raises Invalid for what can be read only once."""
    if callable(frames):
        return lambda: iter(frames())
    if isinstance(frames, Iterator):
        raise Invalid(
            field=field,
            message="these can be read only once, and they are needed twice: for their names, and to be sent",
            remedy="Give a list, an array, or the function itself that yields them",
        )
    return lambda: iter(frames)


def _name(read: Callable[[], Iterator[Pixels]], field: str, shape: tuple[int, ...], depth: int) -> _Named:
    """Name every picture; all must have this shape and depth. Raises Invalid."""

    def checked() -> Iterator[Pixels]:
        for number, picture in enumerate(read()):
            if picture.shape != shape or picture.dtype.kind != "u" or picture.itemsize * 8 != depth:
                raise Invalid(
                    field=field,
                    message=f"picture {number} is {_words(picture)}, and {' x '.join(map(str, shape))} uint{depth} was due",
                    remedy="Give pictures of the clip's height and width",
                )
            yield picture

    return _Named(read=read, names=tuple(in_order(partial(digest, picture) for picture in checked())))


def _clip(frames: Frames, rate: Rate) -> tuple[Clip, _Named]:
    read = _again(frames, "frames")
    first = next(read(), None)
    if first is None:
        raise Invalid(field="frames", message="there are none", remedy="Give at least one frame")
    depth = _DEPTHS.get(str(first.dtype))
    if first.ndim != 3 or first.shape[2] != 3 or depth is None:
        raise Invalid(
            field="frames",
            message=f"a frame is {_words(first)}",
            remedy="Give RGB pixels, height x width x 3, as uint8 or uint16",
        )
    named = _name(read, "frames", first.shape, depth)
    size = Size(width=first.shape[1], height=first.shape[0])
    return Clip(size=size, rate=rate, depth=depth, frames=named.names), named


def _guide(kind: Input, pictures: Pictures, clip: Clip, soft: tuple[float, float]) -> tuple[Guide, list[_Named]]:
    """The guide, and its pictures. A Guide is as it is, with its own growth and feather."""
    if isinstance(pictures, Guide):
        return pictures, []
    frames: Sequence[int] = range(len(clip))
    held = False
    if callable(pictures):
        read = _again(pictures, kind)
    elif isinstance(pictures, Mapping):
        frames, read = sorted(pictures), _values(pictures)
    elif isinstance(pictures, np.ndarray) and pictures.ndim == 2:
        held, frames, read = True, range(1), _again((pictures,), kind)
    else:
        read = _again(pictures, kind)
    named = _name(lambda: map(_gray, read()), kind, (clip.size.height, clip.size.width), 8)
    if len(named.names) != len(frames):
        raise Invalid(
            field=kind,
            message=f"there are {len(named.names)} pictures and the clip has {len(clip)} frames",
            remedy="Give one for every frame, one picture for all, or pictures by frame",
        )
    keys = tuple(GuideKey(frame=frame, pixels=name) for frame, name in zip(frames, named.names, strict=True))
    return Guide(kind=kind, keys=keys, hold=held, grow=soft[0], feather=soft[1]), [named]


def _gray(picture: Pixels) -> Pixels:
    return picture.astype(np.uint8) * np.uint8(255) if picture.dtype == bool else picture


def _values(pictures: Mapping[int, Pixels]) -> Callable[[], Iterator[Pixels]]:
    return lambda: (pictures[frame] for frame in sorted(pictures))


def _keyframe(frame: int, name: str) -> Keyframe:
    return Keyframe(frame=frame, pixels=name)


def _rate(rate: Rate | Fraction | int | str) -> Rate:
    try:
        if isinstance(rate, float):  # 23.976 would become a fraction that nobody means
            raise ValueError
        return rate if isinstance(rate, Rate) else Rate.of(Fraction(rate))
    except (ValueError, ZeroDivisionError):
        raise Invalid(field="rate", message=f"{rate!r} is no rate", remedy='Say 24 or "24000/1001"') from None


def _task(task: Task | str) -> Task:
    try:
        return Task(task)
    except ValueError:
        raise Invalid(field="task", message=f"{task!r} is no task", remedy=f"Choose {', '.join(Task)}") from None


def _words(picture: Pixels) -> str:
    return f"{' x '.join(map(str, picture.shape))} {picture.dtype}"
