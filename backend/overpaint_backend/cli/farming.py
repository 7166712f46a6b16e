"""Farming: sealed job folders, and what render nodes do with them."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from overpaint.errors import Cancelled

from overpaint_backend.cli.arguments import (
    Verbs,
    add_device,
    add_group,
    add_json,
    add_verb,
    add_weights,
    add_what,
    device,
    note,
    show,
    usable,
    weights_root,
)
from overpaint_backend.cli.exits import CANCELLED
from overpaint_backend.cli.painting import add_request, files_of

if TYPE_CHECKING:
    from threading import Event

    from overpaint.sealed import Sealed

    from overpaint_backend.farm.teller import Teller
    from overpaint_backend.farm.walk import Errand


def add_verbs(verbs: Verbs) -> None:
    one = add_verb(verbs, "pack", pack, "seal a job in a folder, for a render farm")
    add_request(one, "folder for the job; must be new")
    add_weights(one)

    one = add_verb(verbs, "plan", plan, "the windows of a sealed job, and tasks for a farm")
    _add_job(one)
    one.add_argument("--chunk", type=int, default=1, metavar="N", help="windows in a task; 1 unless said")
    add_json(one)

    one = add_verb(verbs, "run", run, "paint a sealed job, or a part of it")
    _add_run(one)

    one = add_verb(verbs, "assemble", assemble, "put a sealed job's painted windows together as a take")
    _add_job(one)
    _add_progress(one)

    one = add_verb(verbs, "verify", verify, "prove a sealed job's take: digests, frames, untouched pixels")
    _add_job(one)
    _add_progress(one)

    one = add_verb(verbs, "estimate", estimate, "what a sealed job costs")
    _add_job(one)
    add_json(one)

    group = add_group(verbs, "daemon", "keep an engine loaded between tasks, on a render node")
    one = add_what(group, "start", start, "start it; returns when it answers")
    _add_connection(one)
    add_weights(one)
    add_device(one)
    _add_path_map(one)
    one.add_argument("--foreground", action="store_true", help="be it, and return when it is stopped")
    one = add_what(group, "run", run_warm, "as `overpaint run`, by the daemon; without one where none answers")
    _add_run(one)
    _add_connection(one)
    one = add_what(group, "stop", stop, "stop it")
    _add_connection(one)


def _add_job(to: argparse.ArgumentParser) -> None:
    to.add_argument("job", type=Path, metavar="JOB", help="a folder that `overpaint pack` made")
    to.add_argument("--out", type=Path, metavar="FOLDER", help="where windows and take go; JOB/out unless said")
    _add_path_map(to)


def _add_path_map(to: argparse.ArgumentParser) -> None:
    to.add_argument("--path-map", type=Path, metavar="FILE", help="paths of other machines: OpenJD's rules, or pairs")


def _add_progress(to: argparse.ArgumentParser) -> None:
    to.add_argument("--progress", choices=("plain", "json", "openjd"), default="plain", help="how the lines look")


def _add_run(to: argparse.ArgumentParser) -> None:
    _add_job(to)
    part = to.add_mutually_exclusive_group()
    part.add_argument("--windows", type=_windows, metavar="FIRST-LAST", help="only these; counted from 0")
    part.add_argument("--task", type=int, metavar="K", help="only this task of the plan")
    to.add_argument("--chunk", type=int, default=1, metavar="N", help="windows in a task, as the plan was told")
    add_weights(to)
    add_device(to)
    _add_progress(to)


def _add_connection(to: argparse.ArgumentParser) -> None:
    to.add_argument("--connection", type=Path, required=True, metavar="FILE", help="how to reach it; keep it secret")


def _windows(text: str) -> range:
    first, _, last = text.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal() or int(last or first) < int(first):
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST-LAST: say 3-5, or 3")
    return range(int(first), int(last or first) + 1)


def pack(args: argparse.Namespace) -> int:
    from overpaint_backend.farm import packing
    from overpaint_backend.files import check_out

    check_out(args.out)
    sealed, notes = packing.pack(files_of(args, usable(args)), args.out, weights_root(args))
    note(args, notes)
    packed(args, sealed)
    return 0


def packed(args: argparse.Namespace, sealed: Sealed) -> None:
    """Say what was sealed, and where."""
    spec = sealed.spec
    result = {"job": spec.id, "out": str(sealed.folder), "frames": len(spec.clip), "weights": sealed.weights}
    show(args, result, f"{len(spec.clip)} frames for {spec.engine} are sealed in {sealed.folder}, {sealed.digest[:12]}")


def plan(args: argparse.Namespace) -> int:
    from overpaint_backend.farm import walk

    job, out = _paths(args)
    cut = walk.plan(walk.open_job(job, out), args.chunk)
    tasks = [{"number": one.number, "windows": _span(one.windows), "needs": list(one.needs)} for one in cut.tasks]
    windows = [{"number": one.index, "frames": str(one.span)} for one in cut.windows]
    order = "a chain: each needs the one before" if cut.chained else "they fan out: none needs another"
    result = {"frames": cut.frames, "chained": cut.chained, "windows": windows, "tasks": tasks}
    lines = [f"{len(windows)} windows of {cut.frames} frames in {len(tasks)} tasks, {order}"]
    lines += [f"task {one['number']}: windows {one['windows']}" for one in tasks]
    show(args, result, "\n".join(lines))
    return 0


def _span(windows: range) -> str:
    return f"{windows.start}-{windows.stop - 1}"


def run(args: argparse.Namespace) -> int:
    from overpaint_backend.farm import walk
    from overpaint_backend.farm.daemon import Warm

    def act(teller: Teller, stop: Event) -> None:
        errand = _errand(args)
        walk.run(errand, Warm(device(args), errand.weights), teller, stop)

    return _told(args, act)


def run_warm(args: argparse.Namespace) -> int:
    from overpaint_backend.farm import daemon, walk
    from overpaint_backend.farm.teller import Style

    def act(teller: Teller, stop: Event) -> None:
        errand, name = _errand(args), device(args)
        why = daemon.why_cold(args.connection, name, errand.weights)
        if not why:
            return daemon.run_warm(args.connection, errand, Style(args.progress), _print, stop)
        with teller:
            teller.say(f"{why}: this task runs without one, and loads the engine for itself")
            walk.run(errand, daemon.Warm(name, errand.weights), teller, stop)

    return _told(args, act, quiet=True)


def assemble(args: argparse.Namespace) -> int:
    from overpaint_backend.farm import walk

    def act(teller: Teller, stop: Event) -> None:
        outputs = walk.open_job(*_paths(args))
        fresh = walk.assemble(outputs, teller, stop)
        words = f"the take is in {outputs.take}" + ("" if fresh else ", as it was")
        teller.done(words, {"out": str(outputs.take), "written": fresh})

    return _told(args, act)


def verify(args: argparse.Namespace) -> int:
    from overpaint_backend.farm import walk

    def act(teller: Teller, stop: Event) -> None:
        outputs = walk.open_job(*_paths(args))
        proven = walk.verify(outputs, teller, stop)
        words = f"{proven['frames']} frames: {proven['untouched_pixels']} pixels outside the mask are the source's"
        teller.done(words, proven)

    return _told(args, act)


def estimate(args: argparse.Namespace) -> int:
    from threading import Event

    from overpaint_backend.farm import walk
    from overpaint_backend.farm.teller import Style, Teller

    job, out = _paths(args)
    found = walk.estimate(walk.open_job(job, out), Teller(Style.PLAIN, lambda words: None), Event())
    pace = "not known before a window is painted" if found.seconds is None else f"about {found.seconds:.0f} s"
    words = f"{found.frames} frames in {found.windows} windows of {found.window_size} on {found.device}: {pace}"
    show(args, {**asdict(found), "window_size": str(found.window_size)}, words)
    return 0


def start(args: argparse.Namespace) -> int:
    from overpaint_backend.farm import daemon

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    root = _here(args)(weights_root(args))
    if args.foreground:
        daemon.Daemon(device(args), root).serve(args.connection)
    print(daemon.start(args.connection, device(args), root))
    return 0


def stop(args: argparse.Namespace) -> int:
    from overpaint_backend.farm import daemon

    print(daemon.end(args.connection))
    return 0


def _here(args: argparse.Namespace) -> Callable[[Path], Path]:
    """How paths of other machines become this machine's."""
    from overpaint_backend.farm.paths import read_rules

    return read_rules(args.path_map) if args.path_map else lambda path: path


def _paths(args: argparse.Namespace) -> tuple[Path, Path | None]:
    """The job, and where its outputs go."""
    here = _here(args)
    return here(args.job), args.out and here(args.out)


def _errand(args: argparse.Namespace) -> Errand:
    from overpaint_backend.farm.walk import Errand

    job, out = _paths(args)
    root = _here(args)(weights_root(args))
    return Errand(job=job, out=out, weights=root, windows=args.windows, task=args.task, chunk=args.chunk)


def _told(args: argparse.Namespace, act: Callable[[Teller, Event], None], *, quiet: bool = False) -> int:
    """Do it with lines about it, until a signal. `quiet`: somebody else tells."""
    from overpaint_backend.farm.stopping import stoppable
    from overpaint_backend.farm.teller import Style, Teller

    args.json = args.progress == "json"  # how an error is told
    teller = Teller(Style(args.progress), _print)
    try:
        if quiet:
            stoppable(partial(act, teller), CANCELLED.code, teller.say)
        else:
            with teller:
                stoppable(partial(act, teller), CANCELLED.code, teller.say)
    except Exception as error:
        teller.fail(str(error) or type(error).__name__)
        raise
    return 0


def _print(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        what = "whoever read its lines is gone"
        raise Cancelled(field="job", message=what, remedy="Run it again: it goes on where it stopped") from None
