"""Training: weights of one's own."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from overpaint.errors import Missing

from overpaint_backend.cli.arguments import Verbs, add_verb, add_weights, weights_root
from overpaint_backend.cli.exits import CANCELLED


def add_verbs(verbs: Verbs) -> None:
    words = "train a VIRES of your own: a small one on drawn figures, or the published one on a data set"
    one = add_verb(verbs, "train", train, words)
    one.add_argument("--config", default="small", help="small, one of its ablations, or published")
    one.add_argument("--data", type=Path, metavar="FOLDER", help="data set to learn from, in place of drawn figures")
    out = "folder for weights and progress, out/train/CONFIG unless given; --weights takes it"
    one.add_argument("--out", type=Path, metavar="FOLDER", help=out)
    one.add_argument(
        "--steps",
        type=int,
        help="end after so many of the decoder and so many of the transformer; all unless given",
    )
    one.add_argument("--minutes", type=float, help="end after so long; --resume goes on, as it does after Ctrl-C")
    one.add_argument("--resume", action="store_true", help="go on where --out was left, however it ended")
    add_weights(one)


def train(args: argparse.Namespace) -> int:
    from overpaint_backend.train.settings import named

    settings, out = named(args.config), args.out or Path("out/train") / args.config
    try:
        room = importlib.import_module("overpaint_backend.train.run")
    except ModuleNotFoundError as error:
        what = f"{error.name} is needed, and it is not installed"
        raise Missing(field="train", message=what, remedy="Say pip install 'overpaint[engines]'") from None
    run = room.train(
        settings,
        out,
        steps=args.steps,
        minutes=args.minutes,
        resume=args.resume,
        data=args.data,
        weights=weights_root(args),
    )
    if run.first and run.stopped:
        far = f"{run.step} steps of the transformer and {run.mended} of the decoder"
        print(f"overpaint: stopped by a signal; {far} are saved in {out}. Say --resume to go on", file=sys.stderr)
    elif run.first:
        print(f"{run.step} steps in {run.seconds / 60:.0f} min; weights are in {out}")
    return CANCELLED.code if run.stopped else 0
