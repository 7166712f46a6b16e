"""Guiding: guides made of a clip, here."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from overpaint.errors import Invalid

from overpaint_backend.cli.arguments import (
    Verbs,
    add_device,
    add_json,
    add_verb,
    add_weights,
    device,
    show,
    weights_root,
)

if TYPE_CHECKING:
    from overpaint.order import Click, GuideProgress, LinesOrder, TrackOrder


def add_verbs(verbs: Verbs) -> None:
    one = add_verb(verbs, "track", track, "make masks from clicks, here")
    _add_clip(one)
    one.add_argument(
        "--click",
        action="append",
        required=True,
        metavar="[OBJECT:]FRAME,X,Y[,-]",
        help="a point of the thing, frames from 0, pixels; with - one that is not part of it (repeat)",
    )
    _add_result(one)

    one = add_verb(verbs, "lines", lines, "draw the lines of a clip, here")
    _add_clip(one)
    one.add_argument("--mask", type=Path, help="only inside; movie, pictures, or one picture for all frames")
    _add_result(one)


def _add_clip(to: argparse.ArgumentParser) -> None:
    to.add_argument("--clip", type=Path, required=True, help="movie, or folder of pictures")


def _add_result(to: argparse.ArgumentParser) -> None:
    to.add_argument("--out", type=Path, required=True, help="folder for the pictures; must be new")
    add_device(to)
    add_json(to)
    add_weights(to)


def track(args: argparse.Namespace) -> int:
    from overpaint.order import TrackOrder

    return _make_guide(args, TrackOrder(clicks=tuple(map(_click, args.click))), None)


def lines(args: argparse.Namespace) -> int:
    from overpaint.order import LinesOrder

    return _make_guide(args, LinesOrder(), args.mask)


def _make_guide(args: argparse.Namespace, wanted: TrackOrder | LinesOrder, mask: Path | None) -> int:
    from overpaint_backend.files import check_out, order_of, write_guides
    from overpaint_backend.guides.make import make_guide
    from overpaint_backend.jobs.spool import Spool

    def say(progress: GuideProgress) -> None:
        words = f"{progress.stage} {progress.done}/{progress.total}"
        if args.json or sys.stderr.isatty():
            print(
                json.dumps(asdict(progress)) if args.json else f"\r{words} ", end="\n" if args.json else "", flush=True
            )

    check_out(args.out)
    weights = weights_root(args)
    with tempfile.TemporaryDirectory(prefix="overpaint-") as name:
        spool = Spool(Path(name))
        order = order_of(args.clip, wanted, spool, mask)
        parts = make_guide(order, spool.get, say, weights, device(args))
        objects, method = write_guides(args.out, parts, order.size)
    result = {"out": str(args.out), "frames": len(order.frames), "guides": objects, "method": method}
    show(args, result, f"{len(order.frames)} frames in {args.out}, made by: {method}")
    return 0


def _click(text: str) -> Click:
    """[OBJECT:]FRAME,X,Y[,-]"""
    from overpaint.order import Click

    number, _, rest = text.rpartition(":")
    parts = rest.split(",")
    try:
        if parts[3:] not in ([], ["-"]):
            raise ValueError
        frame, x, y = int(parts[0]), float(parts[1]), float(parts[2])
        return Click(object=int(number or 1), frame=frame, x=x, y=y, positive=not parts[3:])
    except (ValueError, IndexError):
        what = f"{text!r} is not [OBJECT:]FRAME,X,Y[,-]"
        raise Invalid(
            field="click", message=what, remedy="Say 0,320,180 say; with ,- behind it for what is not part of it"
        ) from None
