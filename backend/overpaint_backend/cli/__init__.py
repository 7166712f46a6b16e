"""The `overpaint` command: one door for people and farms; every verb is a few lines over a function elsewhere."""

from __future__ import annotations

import argparse
import errno
import json
import sys
from collections.abc import Sequence

import overpaint
from overpaint.errors import Cancelled, Invalid, Missing, OverpaintError, Unauthenticated, Unavailable

from overpaint_backend.cli import (
    editing,
    equipping,
    guiding,
    measuring,
    painting,
    queueing,
    securing,
    serving,
    training,
    trying,
)

ROOMS = (serving, securing, painting, editing, guiding, queueing, equipping, trying, training, measuring)
"""Each adds its verbs; --help shows them in this order."""

EXIT_CODES: dict[type[OverpaintError], int] = {
    Invalid: 10,
    Missing: 11,
    Cancelled: 40,
    Unauthenticated: 77,
    Unavailable: 75,
}
"""How a command ends when it cannot do what it should; 1 for any other error, 2 for wrong usage."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    args = _parser().parse_args(arguments)
    try:
        return args.run(args)
    except OverpaintError as error:
        if getattr(args, "json", False):
            print(json.dumps({"error": {"field": error.field, "message": error.message, "remedy": error.remedy}}))
        print(f"overpaint: {error}", file=sys.stderr)
        return EXIT_CODES.get(type(error), 1)
    except OSError as error:  # a disk that is full, a folder that is not ours
        print(f"overpaint: {error.filename or 'system'}: {error.strerror or error}. Give another path", file=sys.stderr)
        return 50 if error.errno == errno.ENOSPC else 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="overpaint", description="Repaint one thing in a video.")
    parser.add_argument("--version", action="version", version=f"overpaint {overpaint.__version__}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for room in ROOMS:
        room.add_verbs(verbs)
    return parser
