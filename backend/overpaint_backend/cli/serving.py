"""Serving: run the backend."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import overpaint

from overpaint_backend.cli.arguments import Verbs, add_verb, add_weights


def add_verbs(verbs: Verbs) -> None:
    one = add_verb(verbs, "serve", serve, "run the backend")
    one.add_argument("--listen", metavar="HOST:PORT", help="127.0.0.1:8765 unless said; port 0 takes a free one")
    one.add_argument("--folder", type=Path, help="where jobs and pixels are kept")
    add_weights(one)
    one.add_argument(
        "--tokens", type=Path, help="who may call, as `overpaint token` writes it; in the folder unless said"
    )
    one.add_argument("--clients", type=Path, help="authority whose certificates clients must show, PEM")
    one.add_argument("--certificate", type=Path, help="TLS certificate, PEM")
    one.add_argument("--key", type=Path, help="TLS key, PEM")
    one.add_argument("--settings", type=Path, help="TOML file with the same names")
    one.add_argument(
        "--with-parent", action="store_true", help="stop when standard input ends, as it does with Blender"
    )


def serve(args: argparse.Namespace) -> int:
    from overpaint_backend.memory import give_back
    from overpaint_backend.server import Server
    from overpaint_backend.settings import load_settings

    give_back()
    names = ("listen", "folder", "weights", "tokens", "clients", "certificate", "key")
    flags = {name: getattr(args, name) for name in names}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = load_settings(args.settings, flags)
    server = Server(settings)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    if args.with_parent:
        threading.Thread(target=_await_the_end_of_input, args=(stop,), daemon=True).start()
    server.start()
    print(f"overpaint {overpaint.__version__} listens on {server.address}, jobs in {settings.folder}", flush=True)
    while not stop.wait(0.2):  # not for ever: a signal that comes just before a wait would not end it
        pass
    print("stopping; jobs that are not finished go on at the next start", flush=True)
    server.stop()
    return 0


def _await_the_end_of_input(stop: threading.Event) -> None:
    """Whoever started us holds the other end of standard input, and lets go of it however it ends."""
    with suppress(OSError):
        while os.read(0, 1024):  # not sys.stdin: a thread that waits in there cannot be left behind at the end
            pass
    stop.set()
