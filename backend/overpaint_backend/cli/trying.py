"""Trying: whether it works on this machine."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from overpaint_backend.cli.arguments import Verbs, add_json, add_server, add_verb, client, show


def add_verbs(verbs: Verbs) -> None:
    one = add_verb(verbs, "doctor", doctor, "check this machine")
    one.add_argument("--folder", type=Path, help="where jobs and pixels are kept")
    add_json(one)
    add_server(one, default=None)

    one = add_verb(verbs, "demo", demo, "run the main job in a real Blender, and show what came of it")
    one.add_argument("--blender", type=Path, required=True, help="a Python with the bpy module")
    one.add_argument("--extension", type=Path, required=True, help="the add-on's zip")
    one.add_argument("--cache", type=Path, default=Path(".cache/clips"), help="where the clip is kept")
    one.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for what comes of it")


def doctor(args: argparse.Namespace) -> int:
    from overpaint_backend.doctor import examine

    findings = examine(args.folder, (lambda: client(args)) if args.server else None)
    for finding in findings:
        mark = "ok " if finding.well else "BAD"
        remedy = "" if finding.well else f". {finding.remedy}"
        show(args, asdict(finding), f"{mark} {finding.part}: {finding.words}{remedy}")
    return 0 if all(finding.well for finding in findings) else 1


def demo(args: argparse.Namespace) -> int:
    from overpaint_backend.demo.walk import run_demo

    return run_demo(args.out, blender=args.blender, extension=args.extension, cache=args.cache)
