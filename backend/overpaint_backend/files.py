"""A request made of files, and a take written back to files: what `paint` and `submit` have in common."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from overpaint import wire
from overpaint.chunks import in_order
from overpaint.clip import Clip, FrameRange, Rate, Size
from overpaint.colour import lay_over, to_depth
from overpaint.edit import Edit, Guide, GuideKey, Input, Keyframe, OptionValue, Task
from overpaint.errors import Invalid
from overpaint.job import JobSpec
from overpaint.order import GuideFrame, GuideOrder, LinesOrder, MadeGuide, TrackOrder

from overpaint_backend.guides.raster import rasterise
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.media import Footage, movie_writer, probe, probe_pictures, read_frames, write_picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """An edit of a clip, by paths.

    The clip is a movie, a folder of pictures, or pictures that are named one by one; of a movie or folder only `span` is
    meant where that is given. A guide is one path (a movie or folder with a picture for each frame of the clip, or one
    picture), or pictures by frame (counted from 0, the first of the span): then it is sparse. `rate` is needed where the
    clip is pictures.
    """

    clip: Path | tuple[Path, ...]
    engine: str
    task: Task
    mask: Path | None = None
    guides: dict[Input, Path | dict[int, Path]] = field(default_factory=dict)
    keyframes: dict[int, Path] = field(default_factory=dict)
    prompt: str = ""
    negative_prompt: str = ""
    seed: int = 0
    grow: float = 0.0
    feather: float = 0.0
    options: dict[str, OptionValue] = field(default_factory=dict)
    rate: Rate | None = None
    span: FrameRange | None = None


class Keeping(Protocol):
    """Where pixels go as they are read: a spool, or a folder that is being sealed."""

    def put(self, frame: np.ndarray) -> str: ...


def gather(files: Files, spool: Keeping) -> tuple[JobSpec, tuple[str, ...]]:
    """Read everything into `spool`; returns the request, and in words what had to be done to fit the guides.

    Raises Missing or Invalid naming the field. Guides of another size but the clip's shape are scaled (and it is said);
    nothing is trimmed, repeated or stretched.
    """
    footage = probe(files.clip) if isinstance(files.clip, Path) else probe_pictures(files.clip)
    rate = footage.rate or files.rate
    if rate is None:
        raise Invalid(
            field="rate", message=f"{footage.path} is pictures, which have no rate", remedy="Give one, --rate 24 say"
        )
    if files.rate not in (None, rate):
        raise Invalid(
            field="rate",
            message=f"{footage.path} has {rate} frames a second, not {files.rate}",
            remedy="Leave the rate out: nothing is resampled",
        )
    given: dict[Input, Path | dict[int, Path]] = ({Input.MASK: files.mask} if files.mask else {}) | files.guides
    sources = {kind: _look(kind, what, footage) for kind, what in given.items()}  # complain before the long read
    frames = tuple(spool.put(frame) for frame in read_frames(footage, span=files.span))
    if files.span and len(frames) != len(files.span):
        raise Invalid(
            field="clip",
            message=f"{footage.path} ends before its frame {files.span.stop - 1}, counted from 0",
            remedy="Give the media that holds these frames",
        )
    clip = Clip(size=footage.size, rate=rate, depth=footage.depth, frames=frames)
    notes: list[str] = []
    guides = []
    for kind, source in sources.items():
        keys, hold = _read_guide(kind, source, footage, clip, spool, notes)
        soft = {"grow": files.grow, "feather": files.feather} if kind is Input.MASK else {}
        guides.append(Guide(kind=kind, keys=keys, hold=hold, **soft))
    edit = Edit(
        task=files.task,
        prompt=files.prompt,
        negative_prompt=files.negative_prompt,
        seed=files.seed,
        guides=tuple(guides),
        keyframes=tuple(_read_keyframes(files.keyframes, clip, spool)),
        options=files.options,
    )
    return JobSpec(id=uuid.uuid4().hex, engine=files.engine, clip=clip, edit=edit), tuple(notes)


def _look(kind: Input, what: Path | dict[int, Path], clip: Footage) -> dict[int | None, Footage]:
    """Every file of a guide, by frame (None: not one frame's), its shape checked."""
    paths: dict[int | None, Path] = {None: what} if isinstance(what, Path) else dict(what.items())
    found = {frame: probe(path, kind) for frame, path in paths.items()}
    for one in found.values():
        if one.size.width * clip.size.height != one.size.height * clip.size.width:
            raise Invalid(
                field=kind,
                message=f"{one.path} is {one.size} and the clip {clip.size}: the shapes differ",
                remedy=f"Give the {kind} in the clip's shape",
            )
    return found


def _read_guide(
    kind: Input, source: dict[int | None, Footage], footage: Footage, clip: Clip, spool: Keeping, notes: list[str]
) -> tuple[tuple[GuideKey, ...], bool]:
    notes += dict.fromkeys(note for one in source.values() for note in _differences(kind, one, footage))
    whole = source.get(None)
    if whole is not None:
        pictures = enumerate(read_frames(whole, kind))
    else:
        single = {frame: one for frame, one in source.items() if frame is not None}
        pictures = ((frame, next(read_frames(single[frame], kind))) for frame in sorted(single))
    digests = [(frame, spool.put(_fit(_gray(picture), clip.size))) for frame, picture in pictures]
    hold = whole is not None and len(digests) == 1 and not whole.is_movie
    if hold and len(clip) > 1:
        notes.append(f"{kind}: one picture, held over all {len(clip)} frames")
    if whole is not None and not hold and len(digests) != len(clip):
        raise Invalid(
            field=kind,
            message=f"{whole.path} has {len(digests)} frames and the clip has {len(clip)}",
            remedy=f"Give a {kind} for every frame, or one picture for all",
        )
    return tuple(GuideKey(frame=frame, pixels=digest) for frame, digest in digests), hold


def _differences(kind: Input, guide: Footage, clip: Footage) -> Iterator[str]:
    """In words, what is done where the guide is not like the clip."""
    if guide.size != clip.size:
        yield f"{kind}: scaled from {guide.size} to the clip's {clip.size}, averaging areas"
    if guide.rate is not None and clip.rate is not None and guide.rate != clip.rate:
        yield f"{kind}: says {guide.rate} frames a second, the clip {clip.rate}: matched frame by frame, not by time"


def _gray(picture: np.ndarray) -> np.ndarray:
    """uint8 "h w" of a picture in any layout and depth."""
    picture = to_depth(picture, 8)
    return picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _fit(guide: np.ndarray, size: Size) -> np.ndarray:
    if guide.shape[:2] != (size.height, size.width):
        guide = cv2.resize(guide, (size.width, size.height), interpolation=cv2.INTER_AREA)
    return guide


def _read_keyframes(paths: dict[int, Path], clip: Clip, spool: Keeping) -> Iterable[Keyframe]:
    for frame, path in sorted(paths.items()):
        picture = next(read_frames(probe(path, "keyframe"), "keyframe"))
        shape, depth = (clip.size.height, clip.size.width, 3), picture.dtype.itemsize * 8
        if picture.shape != shape or depth != clip.depth:
            raise Invalid(
                field="keyframe",
                message=f"{path} is {picture.shape[1]}x{picture.shape[0]} with {depth} bits, the clip {clip.size} with {clip.depth}",
                remedy="Give keyframes in the clip's size and depth",
            )
        yield Keyframe(frame=frame, pixels=spool.put(picture))


def _finish(path: Path, source: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """Write one frame of a take as a picture; returns the frame."""
    frame = lay_over(source, patch)
    write_picture(path, frame)
    return frame


def check_out(folder: Path) -> None:
    """Raises Invalid where a take must not be written to `folder`."""
    if folder.name in ("", ".."):  # it is written beside it, under another name, and renamed
        raise Invalid(field="out", message=f"{folder} is no new folder", remedy="Name a new folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Invalid(field="out", message=f"{folder} is there already and not empty", remedy="Name a new folder")


def write_take(folder: Path, spec: JobSpec, sources: Iterator[np.ndarray], patches: Iterator[np.ndarray]) -> None:
    """Write the take whole or not at all: PNGs, a lossless movie, and the request."""
    check_out(folder)
    with take_written(folder, spec, sources, patches) as part:
        if folder.exists():
            folder.rmdir()
        part.rename(folder)


@contextmanager
def take_written(
    folder: Path, spec: JobSpec, sources: Iterator[np.ndarray], patches: Iterator[np.ndarray]
) -> Generator[Path, None, None]:
    """The files of a take in a folder beside `folder`, to be renamed to it; gone afterwards if they were not."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "frames").mkdir(parents=True)
    try:
        with movie_writer(part / "take.mkv", spec.clip.size, spec.clip.rate, spec.clip.depth) as write:
            pairs = enumerate(zip(sources, patches, strict=True), start=1)
            pictures = (partial(_finish, part / "frames" / f"{number:05}.png", *pair) for number, pair in pairs)
            for frame in in_order(pictures):  # packing PNGs is most of the work, so several threads do it
                write(frame)
        (part / "request.json").write_text(wire.request_to_json(spec))
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def order_of(clip: Path, wanted: TrackOrder | LinesOrder, spool: Spool, mask: Path | None = None) -> GuideOrder:
    """Read a clip into `spool`, and the mask that lines are to stay in. Raises Missing or Invalid naming the field."""
    footage = probe(clip)
    source = _look(Input.MASK, mask, footage) if mask else None
    digests = tuple(spool.put(frame) for frame in read_frames(footage))
    if source:
        whole = Clip(size=footage.size, rate=Rate(numerator=24), depth=footage.depth, frames=digests)
        keys, hold = _read_guide(Input.MASK, source, footage, whole, spool, [])
        wanted = LinesOrder(mask=Guide(kind=Input.MASK, keys=keys, hold=hold))
    frames = tuple(GuideFrame(frame=number, pixels=name) for number, name in enumerate(digests))
    return GuideOrder(size=footage.size, depth=footage.depth, frames=frames, wanted=wanted)


def write_guides(folder: Path, parts: Iterable[MadeGuide], size: Size) -> tuple[int, str]:
    """A PNG for every frame, white on black, whole or not at all; in a folder for each object, where there are several.

    `parts` are the guide of each frame. Returns the number of objects, and by which method they were made.
    """
    check_out(folder)
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    objects, method = 0, ""
    try:
        for made in parts:
            objects, method = len(made.guides), made.method
            for one in made.guides:
                place = part / str(one.object) if objects > 1 else part
                place.mkdir(parents=True, exist_ok=True)
                (key,) = one.guide.keys
                drawn = rasterise(one.guide, key.frame, size)
                assert drawn is not None
                write_picture(place / f"{key.frame + 1:05}.png", drawn)
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return objects, method
