"""Queueing: what a server has to do, and in which order."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from overpaint_backend.cli.arguments import Verbs, add_json, add_server, add_verb, client, show


def add_verbs(verbs: Verbs) -> None:
    one = add_verb(verbs, "jobs", jobs, "list a server's jobs, or do something to one")
    which = one.add_mutually_exclusive_group()
    which.add_argument("--cancel", metavar="ID", help="stop it; what is painted of it stays")
    which.add_argument("--pause", metavar="ID", help="let no worker have it until it is resumed")
    which.add_argument("--resume", metavar="ID", help="a paused one goes back to its place in the queue")
    which.add_argument("--front", metavar="ID", help="a waiting one becomes the next")
    which.add_argument("--retry", metavar="ID", help="queue a failed or cancelled one again; nothing is sent again")
    which.add_argument("--delete", metavar="ID", help="forget an ended one, and its pixels")
    add_json(one)
    add_server(one)


def jobs(args: argparse.Namespace) -> int:
    with client(args) as server:
        acts = {
            "cancel": server.cancel,
            "pause": server.pause,
            "resume": server.resume,
            "front": server.move_up,
            "retry": server.retry,
        }
        asked = next((name for name in acts if getattr(args, name)), None)
        if asked:
            job = getattr(args, asked)
            print(f"{job} {acts[asked](job)}")
        elif args.delete:
            server.delete(args.delete)
        else:
            for job in server.jobs():
                words = f"{job.id} {job.state:10} {job.engine:8} {job.task:8} {job.frames:6} frames  {job.prompt[:60]}"
                show(args, asdict(job), words.rstrip())
    return 0
