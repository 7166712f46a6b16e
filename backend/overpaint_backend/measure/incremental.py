"""How much of a clip is painted again after a small change: through a real server, beside what a fresh one paints."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.colour import from_float, to_float
from overpaint.edit import Edit, Guide, GuideKey, Input, Keyframe, Knot, Stroke, Task
from overpaint.errors import Internal
from overpaint.job import EventKind, JobSpec, windows_done

from overpaint_backend.engine import Carry, Engine
from overpaint_backend.engines.toy.engine import ToyEngine
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.measure.served import served
from overpaint_backend.pipeline.plan import Plan, plan_job
from overpaint_backend.workers.run import Reader, mask_boxes

WIDTH, HEIGHT = 96, 64
EVERY = 10  # frames between two keys of the sketch
Pixels = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """One window as it was painted: its frames as the spool keeps them, and what it hands on."""

    frames: np.ndarray
    carry: Carry | None


def bench_incremental(windows: int = 10) -> dict[str, Any]:
    """A clip of exactly so many windows of the toy with a sketch on every tenth frame, of which one key, and one keyframe, changes.

    `windows_painted` is what a server painted that had painted the clip before the change. `windows_reachable` is counted
    without it, from the plan: windows that see the changed frame, and windows whose known frames or carry are others than
    before; for this the clip is painted here, window by window, with no spool between. `equal_bytes`: whether the take is,
    frame by frame, that of a server which sees the clip for the first time.
    """
    engine = ToyEngine()
    before, pixels = _request(engine, windows)
    middle = len(before.clip) // 2
    sketch = next(guide for guide in before.edit.guides if guide.kind is Input.SKETCH)
    key = min(sketch.keys, key=lambda key: abs(key.frame - middle))
    moved = replace(
        sketch, keys=tuple(replace(one, strokes=(_line(30.0),)) if one is key else one for one in sketch.keys)
    )
    guides = tuple(moved if guide is sketch else guide for guide in before.edit.guides)
    (keyframe,) = before.edit.keyframes
    other = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
    pixels = {**pixels, digest(other): other}
    changes = {
        "sketch": (key.frame, replace(before.edit, guides=guides)),
        "keyframe": (keyframe.frame, replace(before.edit, keyframes=(replace(keyframe, pixels=digest(other)),))),
    }
    return {
        "windows": windows,
        "frames": len(before.clip),
        "size": str(before.clip.size),
        **{name: _measure(engine, before, edit, frame, pixels) for name, (frame, edit) in changes.items()},
    }


def _measure(engine: Engine, before: JobSpec, edit: Edit, frame: int, pixels: Pixels) -> dict[str, Any]:
    after = replace(before, id=uuid.uuid4().hex, edit=edit)
    with served() as used, Client(used.address, token=used.tokens[0]) as client:
        _, first, _ = _paint(client, before, pixels)
        take, again, seconds = _paint(client, after, pixels)
    with served() as new, Client(new.address, token=new.tokens[0]) as client:
        fresh, whole, fresh_seconds = _paint(client, after, pixels)
    if first[1] or whole[1]:
        raise Internal(field="bench", message="a server that had painted nothing reused a window")
    return {
        "frame": frame,
        "windows": sum(again),
        "windows_painted": again[0],
        "windows_reachable": _reachable(engine, before, after, frame, pixels),
        "equal_bytes": take == fresh,
        "seconds": round(seconds, 3),
        "seconds_fresh": round(fresh_seconds, 3),
    }


def _paint(client: Client, spec: JobSpec, pixels: Pixels) -> tuple[list[str], tuple[int, int], float]:
    """The digests of the take, windows painted and reused, and the seconds from the announcement to the last frame."""
    began = time.perf_counter()
    client.send(spec, pixels.__getitem__)
    events = list(client.watch(spec.id))
    if events[-1].kind is not EventKind.FINISHED:
        raise Internal(field="bench", message=f"the job ended with {events[-1].kind}: {events[-1].message}")
    take = [digest(patch) for patch in client.fetch(spec.id)]
    return take, windows_done(events), time.perf_counter() - began


def _reachable(engine: Engine, before: JobSpec, after: JobSpec, frame: int, pixels: Pixels) -> int:
    """Windows that see `frame`, and those that are handed something else by the window before."""
    with TemporaryDirectory(prefix="overpaint-") as name:
        spool = Spool(Path(name))
        for one in pixels.values():
            spool.put(one)
        plan, old = _walk(engine, Reader(before, spool))
        _, new = _walk(engine, Reader(after, spool))
    found = 0
    for window in plan.windows:
        was, now = (painted[window.index - 1] if window.index else None for painted in (old, new))
        found += frame in window.span or (was is not None and now is not None and _differ(was, now, window.known))
    return found


def _differ(was: Painted, now: Painted, known: int) -> bool:
    """Whether the next window sees another end of this one."""
    frames = known > 0 and not np.array_equal(was.frames[-known:], now.frames[-known:])
    one, other = was.carry or {}, now.carry or {}
    return frames or one.keys() != other.keys() or any(not np.array_equal(one[name], other[name]) for name in one)


def _walk(engine: Engine, reader: Reader) -> tuple[Plan, Sequence[Painted]]:
    """Every window painted after the other."""
    plan = plan_job(mask_boxes(reader, _silent), reader.spec.clip.size, engine.card)
    cond = engine.encode(reader.spec.edit)
    painted: list[Painted] = []
    for window in plan.windows:
        last = painted[-1] if painted else None
        known = None if last is None or not window.known else to_float(last.frames[-window.known :])
        cut = reader.cut(window, plan, known)
        out = engine.paint(cut, cond, None if last is None else last.carry, _silent)
        painted.append(Painted(frames=from_float(out.frames[: len(window.span)], 16), carry=out.carry))
    return plan, painted


def _silent(stage: str, step: int, steps: int) -> None:
    """Nobody listens."""


def _request(engine: Engine, windows: int) -> tuple[JobSpec, Pixels]:
    """A clip of noise that fills so many windows to the last frame, a mask, a sparse sketch, a keyframe."""
    card = engine.card
    length = card.max_frames + (windows - 1) * (card.max_frames - card.overlap)
    frames = list(np.random.default_rng(1).integers(0, 256, (length, HEIGHT, WIDTH, 3), np.uint8))
    corners = ((20, 10), (70, 10), (70, 50), (20, 50))
    area = Stroke(knots=tuple(Knot(x=x, y=y) for x, y in corners), closed=True)
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(area,)),), hold=True)
    keys = tuple(GuideKey(frame=frame, strokes=(_line(20.0),)) for frame in range(0, length, EVERY))
    picture = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    edit = Edit(
        task=Task.REPAINT,
        prompt="a coat",
        guides=(mask, Guide(kind=Input.SKETCH, keys=keys)),
        keyframes=(Keyframe(frame=length // 3, pixels=digest(picture)),),
        options={"strength": 0.5},
    )
    pixels = {digest(one): one for one in (*frames, picture)}
    clip = Clip(
        size=Size(width=WIDTH, height=HEIGHT),
        rate=Rate(numerator=24),
        depth=8,
        frames=tuple(digest(one) for one in frames),
    )
    return JobSpec(id=uuid.uuid4().hex, engine=card.name, clip=clip, edit=edit), pixels


def _line(y: float) -> Stroke:
    return Stroke(knots=(Knot(x=25, y=y), Knot(x=65, y=y)), width=2.0)
