"""Queueing: what a server has to do and has done, in which order, and what it keeps of it."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from overpaint.job import EventKind, JobEvent, JobRecord, windows_done

from overpaint_backend.cli.arguments import Verbs, add_group, add_json, add_server, add_what, client, show

if TYPE_CHECKING:
    from overpaint.client import Client

ACTS = {
    "cancel": ("cancel", "stop it; what is painted of it stays"),
    "pause": ("pause", "let no worker have it until it is resumed"),
    "resume": ("resume", "a paused one goes back to its place in the queue"),
    "front": ("move_up", "a waiting one becomes the next of its owner"),
    "retry": ("retry", "queue a failed or cancelled one again; nothing is sent again"),
}
"""Verb -> the client's method, and what it does."""


def add_verbs(verbs: Verbs) -> None:
    group = add_group(verbs, "jobs", "list a server's jobs, show what became of one, or do something to it")
    made = [add_what(group, "list", list_jobs, "the newest first")]
    one = add_what(group, "show", show_job, "everything that happened to it, what was asked, and what it holds")
    made.append(one)
    one.add_argument("id", metavar="ID", help="as `overpaint jobs list` shows it")
    for name, (_, words) in ACTS.items():
        one = add_what(group, name, partial(_act, name), words)
        made.append(one)
        one.add_argument("id", metavar="ID", help="as `overpaint jobs list` shows it")
    one = add_what(group, "delete", delete, "forget an ended one, and its pixels")
    made.append(one)
    one.add_argument("id", metavar="ID", help="as `overpaint jobs list` shows it")
    one = add_what(group, "export", export, "write its take as `submit` would")
    made.append(one)
    one.add_argument("id", metavar="ID", help="as `overpaint jobs list` shows it")
    one.add_argument("--out", type=Path, required=True, help="folder for the take; must be new")
    one = add_what(group, "prune", prune, "forget everybody's jobs that ended long ago, and files that nobody needs")
    made.append(one)
    one.add_argument("--older-than", type=float, metavar="DAYS", help="as the server is set unless given; 0: all")
    one.add_argument("--dry-run", action="store_true", help="only tell what would go")
    for one in made:
        add_json(one)
        add_server(one)


def list_jobs(args: argparse.Namespace) -> int:
    with client(args) as server:
        for job in server.jobs():
            words = f"{job.id} {job.state:10} {job.engine:8} {job.task:8} {job.frames:6} frames  {job.prompt[:60]}"
            show(args, asdict(job), words.rstrip())
    return 0


def show_job(args: argparse.Namespace) -> int:
    with client(args) as server:
        record = server.job(args.id)
        events = list(_events(server, record))
    painted, reused = windows_done(events)
    holds = {"frames": record.frames, "windows": record.windows, "bytes": record.bytes}
    if args.json:
        from overpaint import wire

        result = {
            "job": asdict(record.summary),
            "request": json.loads(wire.request_to_json(record.spec)),
            "events": [asdict(replace(event, picture=None)) for event in events],
            "windows_painted": painted,
            "windows_reused": reused,
            "holds": holds,
        }
        print(json.dumps(result))
        return 0
    for name, words in _in_words(record):
        print(f"{name:10} {words}")
    print(f"{'windows':10} {painted} painted, {reused} reused")
    print(f"{'holds':10} {record.frames} frames and {record.windows} windows in {record.bytes / 1e6:.1f} MB")
    for event in events:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
        print(f"{at} {event.number:5} {_happened(event)}")
    return 0


def _events(server: Client, record: JobRecord) -> Iterator[JobEvent]:
    """Those that happened so far: of a job that lives, there will be more."""
    watch = server.watch(record.summary.id)
    yield from islice(watch, record.summary.events)


def _in_words(record: JobRecord) -> Iterator[tuple[str, str]]:
    job, clip, edit = record.summary, record.spec.clip, record.spec.edit
    yield "job", f"{job.id}, {job.state}" + (f", of {job.owner}" if job.owner else "")
    yield "engine", f"{job.engine}, to {edit.task}; priority {job.priority}"
    yield "clip", f"{len(clip)} frames of {clip.size}, {clip.depth} bits, {clip.rate} a second"
    if edit.prompt:
        yield "prompt", edit.prompt
    if edit.negative_prompt:
        yield "not", edit.negative_prompt
    yield "seed", str(edit.seed)
    for guide in edit.guides:
        soft = f", grown by {guide.grow}, feathered over {guide.feather}" if guide.grow or guide.feather else ""
        yield guide.kind, f"{'held from' if guide.hold else 'on'} {len(guide.keys)} frames{soft}"
    if edit.tracks:
        yield "tracks", str(len(edit.tracks))
    if edit.keyframes:
        yield "keyframes", ", ".join(str(one.frame) for one in edit.keyframes)
    for name, value in sorted(edit.options.items()):
        yield "option", f"{name}={value}"


def _happened(event: JobEvent) -> str:
    """The event in words; nothing that it tells is left out but its picture and its estimate."""
    of = f"window {event.window + 1} of {event.windows}"
    words = event.kind.replace("_", " ")
    match event.kind:
        case EventKind.PROGRESS:
            where = f", {of}" if event.window < event.windows else ""
            return f"{event.stage} {event.step}/{event.steps}{where}"
        case EventKind.WINDOW_DONE:
            return f"{of} {'reused' if event.reused else 'painted'}"
        case EventKind.PLANNED:
            words += f" in {event.windows} windows"
        case _:
            pass
    if event.queue_place:
        words += f", place {event.queue_place} in the queue"
    if event.message:
        words += f": {event.field}: {event.message}" + (f". {event.remedy}" if event.remedy else "")
    return words + (f" ({event.stage})" if event.stage else "")


def _act(name: str, args: argparse.Namespace) -> int:
    with client(args) as server:
        state = getattr(server, ACTS[name][0])(args.id)
    show(args, {"job": args.id, "state": state}, f"{args.id} {state}")
    return 0


def delete(args: argparse.Namespace) -> int:
    with client(args) as server:
        server.delete(args.id)
    show(args, {"job": args.id, "deleted": True}, f"{args.id} deleted")
    return 0


def export(args: argparse.Namespace) -> int:
    from overpaint_backend.files import check_out, write_take

    check_out(args.out)
    with client(args) as server:
        spec = server.job(args.id).spec
        write_take(args.out, spec, server.fetch(args.id, source=True), server.fetch(args.id))
    result = {"job": args.id, "out": str(args.out), "frames": len(spec.clip), "size": str(spec.clip.size)}
    show(args, result, f"{len(spec.clip)} frames of {spec.clip.size} in {args.out}")
    return 0


def prune(args: argparse.Namespace) -> int:
    with client(args) as server:
        gone = server.prune(args.older_than, dry_run=args.dry_run)
    what = f"{gone.jobs} jobs, {gone.frames} frames and {gone.windows} windows, {gone.bytes / 1e6:.1f} MB"
    show(args, asdict(gone) | {"dry_run": args.dry_run}, f"{what} {'would go' if args.dry_run else 'went'}")
    return 0
