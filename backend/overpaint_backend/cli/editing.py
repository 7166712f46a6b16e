"""Editing: jobs out of a timeline, one for each clip that is marked in it."""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from overpaint.errors import Cancelled, Conflict, OverpaintError

from overpaint_backend.cli.arguments import (
    Verbs,
    add_json,
    add_server,
    add_verb,
    add_weights,
    client,
    note,
    show,
    usable,
    weights_root,
)
from overpaint_backend.cli.farming import packed
from overpaint_backend.cli.painting import PATIENCE, done, follow

if TYPE_CHECKING:
    from overpaint.client import Client
    from overpaint.job import JobSpec

    from overpaint_backend.farm.timeline import Marked
    from overpaint_backend.jobs.spool import Spool


def add_verbs(verbs: Verbs) -> None:
    one = add_verb(verbs, "timeline", timeline, "paint the clips that are marked in an OpenTimelineIO timeline")
    one.add_argument("file", type=Path, help="the edit, .otio; see docs/timeline.md for what a marker says")
    what = one.add_mutually_exclusive_group()
    what.add_argument(
        "--submit", type=Path, metavar="FOLDER", help="have a server paint them; a take for each in FOLDER"
    )
    what.add_argument("--pack", type=Path, metavar="FOLDER", help="seal a job for each in FOLDER, for a render farm")
    add_json(one)
    add_weights(one)
    add_server(one)


def timeline(args: argparse.Namespace) -> int:
    """Without more words: say what would be painted, and do nothing."""
    if args.submit:
        return _submit(args)
    from overpaint_backend.farm.timeline import read_timeline

    marked = read_timeline(args.file, usable(args))
    if args.pack:
        return _pack(args, marked)
    for one in marked:
        files = one.files
        frames = len(files.clip) if isinstance(files.clip, tuple) else len(files.span or ())
        row = {"clip": one.name, "where": one.where, "task": files.task, "engine": files.engine, "frames": frames}
        show(args, row, f"{one.where}: {files.task} {frames} frames with {files.engine}  {files.prompt[:60]}".rstrip())
    return 0


def _pack(args: argparse.Namespace, marked: Sequence[Marked]) -> int:
    from overpaint_backend.farm import packing
    from overpaint_backend.files import check_out

    def act(number: int, folder: Path) -> None:
        sealed, notes = packing.pack(marked[number].files, folder, weights_root(args))
        note(args, [f"{marked[number].where}: {words}" for words in notes])
        packed(args, sealed)

    check_out(args.pack)
    return _each(args, marked, args.pack, act)


def _submit(args: argparse.Namespace) -> int:
    from overpaint_backend.farm.timeline import read_timeline
    from overpaint_backend.files import check_out, write_take
    from overpaint_backend.jobs.spool import Spool

    check_out(args.submit)
    with tempfile.TemporaryDirectory(prefix="overpaint-") as name, client(args, PATIENCE) as server:
        spool = Spool(Path(name) / "spool")
        marked = read_timeline(args.file, server.engines())
        queued: dict[int, JobSpec] = {}

        def queue(number: int, _: Path) -> None:
            queued[number] = _queue(args, marked[number], server, spool)

        def fetch(number: int, folder: Path) -> None:
            if number not in queued:
                return  # it could not be queued, which was said
            spec = queued[number]
            windows = follow(args, lambda: server.watch(spec.id), lambda: _cancel(server, queued.values()))
            write_take(folder, spec, map(spool.get, spec.clip.frames), server.fetch(spec.id))
            del queued[number]
            args.out = folder
            done(args, spec, windows)

        try:
            return _each(args, marked, args.submit, queue, fetch)  # all are queued first: the server is never idle
        except KeyboardInterrupt:
            _cancel(server, queued.values())
            raise


def _each(
    args: argparse.Namespace, marked: Sequence[Marked], folder: Path, *acts: Callable[[int, Path], object]
) -> int:
    """Do it for every clip, each in a folder of its own; one that fails does not keep the others from being done."""
    failed: OverpaintError | None = None
    folder.mkdir(parents=True, exist_ok=True)
    for act, (number, one) in product(acts, enumerate(marked)):
        try:
            act(number, folder / folder_name(number + 1, one))
        except Cancelled:
            raise
        except OverpaintError as error:
            failed = type(error)(field=error.field, message=f"{one.where}: {error.message}", remedy=error.remedy)
            note(args, (str(failed),))
    if failed:
        raise failed
    return 0


def _queue(args: argparse.Namespace, one: Marked, server: Client, spool: Spool) -> JobSpec:
    from overpaint_backend.files import gather

    spec, notes = gather(one.files, spool)
    note(args, [f"{one.where}: {words}" for words in notes])
    server.send(spec, spool.get)
    return spec


def _cancel(server: Client, specs: Iterable[JobSpec]) -> None:
    for spec in specs:
        with suppress(Conflict):  # it has ended already
            server.cancel(spec.id)


def folder_name(number: int, marked: Marked) -> str:
    """ "003-shot-010": in the order of the edit, and a name that every file system takes."""
    return "-".join([f"{number:03}", *re.findall(r"[a-z0-9_]+", marked.name.lower())])
