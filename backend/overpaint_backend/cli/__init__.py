"""The `overpaint` command: one door for people and farms; every verb is a few lines over a function elsewhere."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
from collections.abc import Sequence

import overpaint
from overpaint.errors import OverpaintError

from overpaint_backend.cli import (
    editing,
    equipping,
    farming,
    guiding,
    measuring,
    painting,
    queueing,
    securing,
    serving,
    training,
    trying,
)
from overpaint_backend.cli.exits import CANCELLED, exit_code

ROOMS = (
    serving,
    securing,
    painting,
    editing,
    farming,
    guiding,
    queueing,
    equipping,
    trying,
    training,
    measuring,
)
"""Each adds its verbs; --help shows them in this order."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path that the output's encoding lacks is no reason to fail
        sys.stdout.reconfigure(errors="backslashreplace")
    previous = signal.signal(signal.SIGTERM, _stop)
    try:
        return _run(_parser().parse_args(arguments))
    finally:
        signal.signal(signal.SIGTERM, previous)


class _Stopped(KeyboardInterrupt):
    """SIGTERM: what was begun is cleared away, as it is after Ctrl-C."""


def _stop(*_: object) -> None:
    raise _Stopped


def _run(args: argparse.Namespace) -> int:
    try:
        code = args.run(args)
        sys.stdout.flush()
        return code
    except OverpaintError as error:
        if getattr(args, "json", False):
            print(json.dumps({"error": {"field": error.field, "message": error.message, "remedy": error.remedy}}))
        print(f"overpaint: {error}", file=sys.stderr)
        return exit_code(error)
    except OSError as error:  # a disk that is full, a folder that is not ours
        if isinstance(error, BrokenPipeError) and _read_enough():
            return CANCELLED.code
        print(f"overpaint: {error.filename or 'system'}: {error.strerror or error}. Give another path", file=sys.stderr)
        return exit_code(error)
    except MemoryError as error:
        print("overpaint: the memory does not hold it. Take a machine with more", file=sys.stderr)
        return exit_code(error)
    except _Stopped:
        return CANCELLED.code
    except KeyboardInterrupt:
        return 130


def _read_enough() -> bool:
    """Whether whoever read the output has gone, as `head` does; then what is left of it goes nowhere."""
    try:
        print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="overpaint", description="Repaint one thing in a video.")
    parser.add_argument("--version", action="version", version=f"overpaint {overpaint.__version__}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for room in ROOMS:
        room.add_verbs(verbs)
    return parser
