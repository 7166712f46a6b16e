"""What a render node does with a sealed folder: plan, paint, assemble, verify, estimate."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from overpaint.card import EngineCard, Estimate, check_spec
from overpaint.clip import Size
from overpaint.errors import Conflict, Corrupt, Exhausted, Internal, Invalid, Missing, OverpaintError
from overpaint.sealed import Sealed, read_sealed

from overpaint_backend import registry
from overpaint_backend.devices import devices
from overpaint_backend.engine import Engine
from overpaint_backend.farm.folder import FolderLog, Outputs, same_painter
from overpaint_backend.farm.teller import Teller
from overpaint_backend.files import take_written
from overpaint_backend.media import picture_paths, probe, read_frames
from overpaint_backend.pipeline.plan import plan_job
from overpaint_backend.pipeline.windows import Window, plan_windows
from overpaint_backend.weights import digest
from overpaint_backend.workers.local import broke_the_device
from overpaint_backend.workers.run import Reader, paint_job, paint_windows, smaller, take

LEFT_BEHIND = 3600.0  # seconds after which a window that was begun, and is not there, is a killed node's

log = logging.getLogger(__name__)

Build = Callable[[str], Engine]
"""An engine by its name, ready to paint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmTask:
    """What one node paints at a time: `windows` (numbers, a run), after the tasks `needs` are done."""

    number: int
    windows: range
    needs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmPlan:
    """How a job is cut. `chained`: every window needs the one before; else they fan out."""

    frames: int
    windows: tuple[Window, ...]
    chained: bool
    tasks: tuple[FarmTask, ...]


def open_job(folder: Path, out: Path | None) -> Outputs:
    """The sealed folder, and where its outputs are: below it, unless `out` says elsewhere. Nothing is painted, made or read
    but the request.

    Raises Missing, Corrupt, and Invalid where it asks for what its engine cannot do.
    """
    sealed = read_sealed(folder)
    for problem in check_spec(sealed.spec, registry.card(sealed.spec.engine)):
        raise Invalid(field=problem.field, message=problem.message, remedy=problem.remedy)
    return Outputs(sealed, out or folder / "out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What one call is to do: the `windows` of a job, or its task `task` of `chunk` windows, or all of it where both are None.

    `weights` is the folder of everybody's weights.
    """

    job: Path
    out: Path | None
    weights: Path
    windows: range | None = None
    task: int | None = None
    chunk: int = 1


def run(errand: Errand, build: Build, teller: Teller, stop: Event) -> None:
    """Paint what is wanted and unfinished; a whole job is assembled and verified as well.

    Raises OverpaintErrors only, whatever it was that went wrong.
    """
    try:
        outputs = open_job(errand.job, errand.out)
        words = check_weights(outputs.sealed, errand.weights)
        if words:
            teller.say(words)
        wanted = errand.windows if errand.task is None else _windows_of(plan(outputs, errand.chunk), errand.task)
        painted = paint(outputs, build, wanted, teller, stop)
        if wanted is not None:
            words = f"windows {wanted.start}-{wanted.stop - 1} are painted, {painted} of them just now"
            teller.done(words, {"windows": [wanted.start, wanted.stop - 1], "painted": painted})
            return
        assemble(outputs, teller, stop)
        proven = verify(outputs, teller, stop)
        words = f"{proven['frames']} frames in {outputs.take}, {painted} windows painted just now; all is verified"
        teller.done(words, {"out": str(outputs.take), "painted": painted, **proven})
    except OverpaintError:
        raise
    except MemoryError as error:
        what = f"the memory does not hold it ({error or 'it ran out'})"
        raise Exhausted(field="device", message=what, remedy="Take a node with more memory") from error
    except OSError as error:
        what = f"{error.filename or errand.job} cannot be read or written ({error.strerror or error})"
        raise Exhausted(field="disk", message=what, remedy="Look at the free space and the rights") from error
    except Exception as error:
        log.error("the job failed\n%s", traceback.format_exc())
        field = "device" if broke_the_device(error) else "engine"
        what = f"the {field} failed: {type(error).__name__}: {error}"
        raise Internal(field=field, message=what, remedy="The lines above have the details") from error


def _windows_of(cut: FarmPlan, task: int) -> range:
    if not 0 <= task < len(cut.tasks):
        what = f"the job has the tasks 0 to {len(cut.tasks) - 1}"
        raise Invalid(field="task", message=what, remedy="See overpaint plan, and give it the same --chunk")
    return cut.tasks[task].windows


def plan(outputs: Outputs, chunk: int = 1) -> FarmPlan:
    """The windows of the job, and tasks of `chunk` windows each."""
    if chunk < 1:
        raise Invalid(field="chunk", message=f"{chunk} windows are no task", remedy="Give 1 or more")
    card = smaller(registry.card(outputs.sealed.spec.engine), outputs.shrunk)
    windows = plan_windows(len(outputs.sealed.spec.clip), card)
    starts = range(0, len(windows), chunk)
    tasks = tuple(
        FarmTask(
            number=number,
            windows=range(start, min(start + chunk, len(windows))),
            needs=(number - 1,) if card.chained and number else (),
        )
        for number, start in enumerate(starts)
    )
    return FarmPlan(frames=len(outputs.sealed.spec.clip), windows=windows, chained=card.chained, tasks=tasks)


def check_weights(sealed: Sealed, weights: Path) -> str:
    """Words where nothing says which weights are to paint the job. Raises Missing, and Conflict where it is others than these."""
    found = registry.fingerprint(sealed.spec.engine, weights)
    if sealed.weights and found != sealed.weights:
        what = f"the job was packed for the weights {sealed.weights}, and those in {weights} are {found or 'none'}"
        raise Conflict(field="weights", message=what, remedy="Give --weights with those that it was packed for")
    return f"the job does not say which weights; these are {found}" if found and not sealed.weights else ""


def paint(outputs: Outputs, build: Build, wanted: range | None, teller: Teller, stop: Event) -> int:
    """Paint the `wanted` windows (None: all) that are not painted yet; returns how many that were.

    All of them are painted in smaller windows where memory runs out. A part of them is not, since other nodes count on
    the same windows: then OutOfMemory is raised. Raises Cancelled at the next step after `stop` was set.
    """
    spec = outputs.sealed.spec
    count = len(plan(outputs).windows)
    chosen = range(count) if wanted is None else wanted
    if not chosen or chosen.start < 0 or chosen.stop > count:
        what = f"the job has the windows 0 to {count - 1}"
        raise Invalid(field="windows", message=what, remedy="See overpaint plan")
    reader = Reader(spec, outputs.spool)
    notes = FolderLog(outputs, teller, stop, chosen, chained=registry.card(spec.engine).chained)
    boxes = outputs.boxes(notes)
    teller.begin(f"the engine {spec.engine} gets ready")
    engine = build(spec.engine)
    notes.native_size = engine.card.native_size
    notes.check()
    if chosen == range(count):
        paint_job(reader, engine, boxes, notes)
    else:
        cut = plan_job(boxes, spec.clip.size, smaller(engine.card, outputs.shrunk))
        paint_windows(cut, engine, reader, notes, cut.windows[chosen.start : chosen.stop])
    return notes.painted


def assemble(outputs: Outputs, teller: Teller, stop: Event) -> bool:
    """Put the painted windows together as a take below the outputs; returns whether it was not there already.

    Raises Missing where windows are, Corrupt where one is not what it was, Conflict where they do not belong together.
    """
    found = _painted(outputs)
    outputs.spool.drop_parts(time.time() - LEFT_BEHIND)
    if _take_is_whole(outputs, found):
        return False
    spec = outputs.sealed.spec
    card = _card_of(registry.card(spec.engine), outputs, found[0])
    reader = Reader(spec, outputs.spool)
    notes = FolderLog(outputs, teller, stop, range(len(found)), chained=card.chained)
    cut = plan_job(outputs.boxes(notes), spec.clip.size, card)
    keys = {number: str(note["key"]) for number, note in found.items()}

    def sources() -> Iterator[np.ndarray]:
        for frame in range(len(spec.clip)):
            notes("assembling", frame, len(spec.clip))
            yield reader.source(frame)

    if outputs.take.exists() and outputs.kept_take() is None:
        what = f"{outputs.take} is there already, and is no take of this job"
        raise Invalid(field="out", message=what, remedy="Move it away, or give --out")
    with take_written(outputs.take, spec, sources(), take(cut, reader, keys)) as part:
        files = {path.relative_to(part).as_posix(): path for path in sorted(part.rglob("*")) if path.is_file()}
        for path in files.values():
            _sync(path)
        # The note first: a take without one could be anybody's, and is never replaced.
        outputs.keep_take({name: digest(path) for name, path in files.items()}, made_of=_names(found))
        shutil.rmtree(outputs.take, ignore_errors=True)
        part.rename(outputs.take)
    return True


def verify(outputs: Outputs, teller: Teller, stop: Event) -> Mapping[str, Any]:
    """Prove the whole job, and say what was proven: every digest, the number of frames, and that outside the feathered mask
    every byte of the take is the source's (law 1).

    Raises Missing where something is not there, Corrupt where something is not what it must be.
    """
    spec = outputs.sealed.spec
    teller.begin("comparing files with their checksums")
    inputs = outputs.sealed.check()
    windows = _painted(outputs)
    kept = outputs.kept_take()
    if kept is None or not outputs.take.is_dir():
        raise Missing(field="take", message=f"there is no take in {outputs.folder}", remedy="Say overpaint assemble")
    if kept["made_of"] != _names(windows):
        what = "the take was made of other windows than these"
        raise Corrupt(field="take", message=what, remedy="Say overpaint assemble")
    files = kept["files"]
    if files.keys() != _take_names(outputs):
        what = f"{outputs.take_note} does not name the files of this take"
        raise Corrupt(field="take", message=what, remedy="Say overpaint assemble")
    for name, expected in files.items():
        path = outputs.take / name
        if not path.is_file():
            raise Missing(field="take", message=f"{path} is not there", remedy="Say overpaint assemble")
        if digest(path) != expected:
            raise Corrupt(field="take", message=f"{path} is not what was written", remedy="Say overpaint assemble")
    pictures = picture_paths(outputs.take / "frames", "take")
    if len(pictures) != len(spec.clip):
        what = f"the take has {len(pictures)} frames, and the clip {len(spec.clip)}"
        raise Corrupt(field="take", message=what, remedy="Say overpaint assemble")
    notes = FolderLog(outputs, teller, stop, range(len(windows)), chained=False)
    untouched = _prove_untouched(Reader(spec, outputs.spool), outputs, notes)
    return {
        "frames": len(spec.clip),
        "windows": len(windows),
        "input_files": inputs,
        "take_files": len(files),
        "untouched_pixels": untouched,
        "painted_by": windows[0]["by"],
    }


def _prove_untouched(reader: Reader, outputs: Outputs, notes: FolderLog) -> int:
    """How many pixels lie outside the feathered mask, all of them the source's; the movie shows what the pictures show."""
    spec, untouched = reader.spec, 0
    shown = read_frames(probe(outputs.take / "frames", "take"), "take")
    moving = read_frames(probe(outputs.take / "take.mkv", "take"), "take")
    count = 0
    for frame, (picture, movie) in enumerate(zip(shown, moving, strict=False)):
        notes("verifying", frame, len(spec.clip))
        source, outside = reader.source(frame), reader.weight(frame) == 0
        if picture.shape != source.shape or picture.dtype != source.dtype or not np.array_equal(picture, movie):
            what = f"frame {frame} of the take has another shape or depth, or the movie shows something else"
            raise Corrupt(field="take", message=what, remedy="Say overpaint assemble")
        wrong = int((picture[outside] != source[outside]).any(axis=1).sum())
        if wrong:
            what = f"frame {frame} of the take differs from its source in {wrong} pixels outside the mask"
            raise Corrupt(field="take", message=what, remedy="Do not use it; paint it again")
        untouched += int(outside.sum())
        count += 1
    if count != len(spec.clip) or next(moving, None) is not None:
        what = f"the movie has another number of frames than the clip's {len(spec.clip)}"
        raise Corrupt(field="take", message=what, remedy="Say overpaint assemble")
    return untouched


def estimate(outputs: Outputs, teller: Teller, stop: Event) -> Estimate:
    """What the job costs; `seconds` from the pace of the windows that are painted here already, else None."""
    spec, cut = outputs.sealed.spec, plan(outputs)
    card = _card_of(registry.card(spec.engine), outputs, outputs.note(0) or {})
    notes = FolderLog(outputs, teller, stop, range(len(cut.windows)), chained=False)
    found = plan_job(outputs.boxes(notes), spec.clip.size, card)
    paces = [note["seconds"] for window in cut.windows if (note := outputs.note(window.index))]
    return Estimate(
        frames=cut.frames,
        windows=len(cut.windows),
        window_size=found.region.size,
        pixel_bytes=cut.frames * spec.clip.size.pixels * 3 * spec.clip.depth // 8,
        seconds=sum(paces) / len(paces) * len(cut.windows) if paces else None,
        device=devices()[0].name,
    )


def _painted(outputs: Outputs) -> dict[int, Mapping[str, Any]]:
    """The note of every window. Raises Missing, Corrupt, or Conflict where they do not belong together."""
    found: dict[int, Mapping[str, Any]] = {}
    for window in plan(outputs).windows:
        note = outputs.note(window.index)
        if note is None:
            what = f"the window {window.index} is not painted yet"
            raise Missing(field="windows", message=what, remedy="Say overpaint run")
        if not outputs.whole(note):
            what = f"the window {window.index} is not what was painted"
            raise Corrupt(field="windows", message=what, remedy="Say overpaint run: it is painted again")
        if note.get("before") and note.get("before") != found[window.index - 1]["sha256"]:
            what = f"the window {window.index} begins with another window {window.index - 1} than the one that is there"
            raise Corrupt(field="windows", message=what, remedy="Say overpaint run: it is painted again")
        found[window.index] = note
    same_painter(found)
    return found


def _card_of(card: EngineCard, outputs: Outputs, note: Mapping[str, Any]) -> EngineCard:
    """The card that the windows were planned by: an engine's own may have another native size than its package's."""
    size = note.get("native_size")
    own = replace(card, native_size=Size(width=size[0], height=size[1])) if size else card
    return smaller(own, outputs.shrunk)


def _take_is_whole(outputs: Outputs, windows: Mapping[int, Mapping[str, Any]]) -> bool:
    kept = outputs.kept_take()
    return (
        kept is not None
        and kept["made_of"] == _names(windows)
        and kept["files"].keys() == _take_names(outputs)
        and all(
            (outputs.take / name).is_file() and digest(outputs.take / name) == expected
            for name, expected in kept["files"].items()
        )
    )


def _take_names(outputs: Outputs) -> set[str]:
    """The files that a take of this job has."""
    pictures = (f"frames/{number:05}.png" for number in range(1, len(outputs.sealed.spec.clip) + 1))
    return {"take.mkv", "request.json", *pictures}


def _names(windows: Mapping[int, Mapping[str, Any]]) -> str:
    """One digest for the files of all windows."""
    return hashlib.sha256("".join(windows[number]["sha256"] for number in sorted(windows)).encode()).hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
