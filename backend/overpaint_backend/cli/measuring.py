"""Measuring: how good an engine's pictures are, and how long things take."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from overpaint.errors import Invalid, Unavailable

from overpaint_backend.cli.arguments import (
    Run,
    Verbs,
    add_device,
    add_group,
    add_json,
    add_option,
    add_verb,
    add_weights,
    add_what,
    device,
    options,
    weights_root,
)

Figures: TypeAlias = dict[str, Any]


def add_verbs(verbs: Verbs) -> None:
    _add_eval(verbs)
    group = add_group(verbs, "bench", "measure time, work, bytes and memory")
    _add_wire(group)
    _add_ui(group)
    _add_flops(group)
    _add_paint(group)
    _add_shortcuts(group)
    _add_incremental(group)
    _add_load(group)
    _add_scale(group)
    _add_memory(group)


def _add_eval(verbs: Verbs) -> None:
    words = "edit clips whose true result is known, and measure how near the engine comes"
    one = add_verb(verbs, "eval", _shown(evaluate), words)
    one.add_argument(
        "--suite",
        choices=["instances", "folder"],
        default="instances",
        help="instances: drawn figures, to be repainted in other colours; folder: a data set, to be painted anew",
    )
    one.add_argument("--seed", type=int, default=0, help="of the drawn clips; each gives others")
    one.add_argument("--folder", type=Path, help="the data set")
    one.add_argument("--clips", type=int, help="how many: 100 drawn ones unless said, or all of the folder")
    one.add_argument("--engine", default="vires-small", help="vires-small unless said")
    add_option(one)
    one.add_argument("--backbone", metavar="MODULE:OBJECT", help="for frame and text consistency: CLIP, say")
    one.add_argument("--flow", metavar="MODULE:OBJECT", help="for the warp error: RAFT, say; OpenCV's DIS unless given")
    one.add_argument("--out", type=Path, help="folder for report.json, clips.csv and index.html; must be new")
    add_device(one)
    add_weights(one)
    add_json(one)


def evaluate(args: argparse.Namespace) -> Figures:
    from overpaint_backend import registry
    from overpaint_backend.measure.evaluate import run_eval

    card = registry.card(args.engine)
    return run_eval(
        suite=args.suite,
        engine=args.engine,
        device=device(args),
        weights=weights_root(args),
        seed=args.seed,
        clips=args.clips,
        folder=args.folder,
        options=options(args, card),
        backbone=args.backbone,
        flow=args.flow,
        out=args.out,
        report=lambda words: print(words, file=sys.stderr, flush=True),
    )


def _add_wire(group: Verbs) -> None:
    one = add_what(group, "wire", _shown(wire), "our stream against PNG over HTTP")
    one.add_argument("--clip", type=Path, help="movie to measure with; a generated one unless given")
    one.add_argument("--repeats", type=int, default=5, help="5 unless said; the median counts")
    add_json(one)


def wire(args: argparse.Namespace) -> Figures:
    from overpaint_backend.measure.wire import bench_wire
    from overpaint_backend.media import probe, read_frames

    return bench_wire(None if args.clip is None else list(read_frames(probe(args.clip))), args.repeats)


def _add_ui(group: Verbs) -> None:
    words = "how long the add-on holds up a real Blender while a strip is painted"
    one = add_what(group, "ui", _shown(ui), words)
    one.add_argument("--blender", type=Path, required=True, help="a Python with the bpy module")
    one.add_argument("--extension", type=Path, required=True, help="the add-on's zip")
    one.add_argument("--frames", type=int, default=300, help="of 1920x1080; 300 unless said")
    add_json(one)


def ui(args: argparse.Namespace) -> Figures:
    from overpaint_backend.measure.ui import bench_ui

    return bench_ui(args.blender, args.extension, args.frames)


def _add_memory(group: Verbs) -> None:
    words = "the most memory that server, worker and client take, for clips of several lengths"
    one = add_what(group, "memory", _shown(memory), words)
    one.add_argument(
        "--seconds",
        type=int,
        nargs="+",
        default=[10, 60, 600],
        help="of each clip, at 24 frames a second; 10 60 600 unless said",
    )
    one.add_argument("--width", type=int, default=1920, metavar="PIXELS", help="1920 unless said")
    one.add_argument("--height", type=int, default=1080, metavar="PIXELS", help="1080 unless said")
    add_json(one)


def memory(args: argparse.Namespace) -> Figures:
    from overpaint.clip import Size

    from overpaint_backend.measure.memory import bench_memory

    size = Size(width=args.width, height=args.height)
    return bench_memory(args.seconds, size, lambda words: print(words, file=sys.stderr, flush=True))


def _add_flops(group: Verbs) -> None:
    words = "the work of a clip, counted: the same on every machine"
    one = add_what(group, "flops", _shown(flops), words)
    one.add_argument("--engine", default="vires", help="vires, the only one that can be measured so")
    one.add_argument("--frames", type=int, default=51, help="of the clip; 51 unless said")
    one.add_argument("--size", type=int, default=512, metavar="PIXELS", help="of each side; 512 unless said")
    one.add_argument(
        "--mask", type=Path, help="movie or pictures: where the sketch is; it may be anywhere unless given"
    )
    one.add_argument("--text", type=int, default=150, metavar="TOKENS", help="length of the prompt; 150 unless said")
    one.add_argument("--steps", type=int, default=30, help="from noise to picture; 30 unless said")
    add_json(one)


def flops(args: argparse.Namespace) -> Figures:
    return _learned(args).bench_flops(
        frames=args.frames, size=args.size, mask=args.mask, text=args.text, steps=args.steps
    )


def _add_paint(group: Verbs) -> None:
    words = "the time of a clip on this machine, stage by stage"
    one = add_what(group, "paint", _shown(paint), words)
    _add_model(one, frames=17, size=128, steps=4)


def paint(args: argparse.Namespace) -> Figures:
    return _learned(args).bench_paint(
        weights=args.weights, frames=args.frames, size=args.size, steps=args.steps, device=args.device
    )


def _add_shortcuts(group: Verbs) -> None:
    words = "what each approximation saves, and what it costs"
    one = add_what(group, "shortcuts", _shown(shortcuts), words)
    _add_model(one, frames=17, size=64, steps=12)


def shortcuts(args: argparse.Namespace) -> Figures:
    return _learned(args).bench_shortcuts(
        weights=args.weights, frames=args.frames, size=args.size, steps=args.steps, device=args.device
    )


def _add_scale(group: Verbs) -> None:
    words = "how much more several workers paint than one, with windows that cost a fixed time"
    one = add_what(group, "scale", _shown(scale), words)
    one.add_argument(
        "--executor", choices=["local", "ray", "both"], default="both", help="who paints; both unless said"
    )
    one.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="how many; 1 2 4 unless said")
    one.add_argument("--jobs", type=int, default=4, help="that are painted together; 4 unless said")
    one.add_argument("--windows", type=int, default=4, help="of each job; 4 unless said")
    one.add_argument("--seconds", type=float, default=4.0, help="that a window takes; 4 unless said")
    add_json(one)


def scale(args: argparse.Namespace) -> Figures:
    from overpaint_backend.measure.scale import bench_scale

    return bench_scale(args.executor, args.workers, args.jobs, args.windows, args.seconds)


def _add_model(to: argparse.ArgumentParser, *, frames: int, size: int, steps: int) -> None:
    """The numbers are those of a CPU, unless others are said."""
    to.add_argument("--engine", default="vires", help="vires, the only one that can be measured so")
    to.add_argument("--weights", type=Path, help="random ones unless given; on a CPU those are of a small model")
    to.add_argument("--frames", type=int, help=f"51 unless said; {frames} on a CPU")
    to.add_argument("--size", type=int, metavar="PIXELS", help=f"of each side: 512 unless said; {size} on a CPU")
    to.add_argument("--steps", type=int, help=f"30 unless said; {steps} on a CPU")
    add_device(to)
    add_json(to)


def _add_incremental(group: Verbs) -> None:
    words = "how much is painted again after a small change of the sketch, and of a keyframe, through a server"
    one = add_what(group, "incremental", _shown(incremental), words)
    one.add_argument("--windows", type=int, default=10, help="of the clip; 10 unless said")
    add_json(one)


def incremental(args: argparse.Namespace) -> Figures:
    from overpaint_backend.measure.incremental import bench_incremental

    return bench_incremental(_at_least(args.windows, 2, "windows"))


def _add_load(group: Verbs) -> None:
    words = "many clients at once on one server: nothing lost, nothing wrong, nobody left behind"
    one = add_what(group, "load", _shown(load), words)
    one.add_argument("--clients", type=int, default=32, help="at once; 32 unless said")
    one.add_argument("--jobs", type=int, default=200, help="of all clients together; 200 unless said")
    add_json(one)


def load(args: argparse.Namespace) -> Figures:
    from overpaint_backend.measure.load import bench_load

    clients = _at_least(args.clients, 1, "clients")
    return bench_load(clients, _at_least(args.jobs, clients, "jobs"))


def _at_least(number: int, least: int, field: str) -> int:
    if number < least:
        raise Invalid(field=field, message=f"{number} are too few", remedy=f"Give {least} or more")
    return number


def _learned(args: argparse.Namespace) -> Any:
    """The module of a benchmark that computes with torch, which this room must not import. Raises in words."""
    from overpaint_backend import registry

    if registry.card(args.engine).name != "vires":
        raise Invalid(field="engine", message=f"{args.engine} cannot be measured so", remedy="Choose vires")
    try:
        return importlib.import_module(f"overpaint_backend.measure.{args.what}")
    except ModuleNotFoundError as error:
        what = f"{error.name} is needed, and it is not installed"
        raise Unavailable(field="engine", message=what, remedy="Say pip install 'overpaint[engines]'") from None


def _shown(measure: Callable[[argparse.Namespace], Figures]) -> Run:
    """The verb that shows what `measure` finds."""

    def run(args: argparse.Namespace) -> int:
        figures = measure(args)
        if args.json:
            print(json.dumps(figures))
        else:
            for name, value in _lines(figures):
                print(f"{name:40} {value}")
        return 0

    return run


def _lines(figures: Figures, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested figures as flat names and values."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
