"""Serving: run the backend."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

import overpaint

from overpaint_backend.cli.arguments import Verbs, add_verb, add_weights


def add_verbs(verbs: Verbs) -> None:
    one = add_verb(verbs, "serve", serve, "run the backend")
    one.add_argument("--listen", metavar="HOST:PORT", help="127.0.0.1:8765 unless said; port 0 takes a free one")
    one.add_argument("--folder", type=Path, help="where jobs and pixels are kept")
    one.add_argument(
        "--keep-days", type=float, help="30 unless said: jobs that ended so long ago are forgotten; 0: none"
    )
    one.add_argument(
        "--quota-gb", type=float, help="of pixels and painted windows: what is needed least goes; 0: no bound"
    )
    add_weights(one)
    one.add_argument(
        "--tokens", type=Path, help="who may call, as `overpaint token` writes it; in the folder unless said"
    )
    one.add_argument("--clients", type=Path, help="authority whose certificates clients must show, PEM")
    one.add_argument("--certificate", type=Path, help="TLS certificate, PEM")
    one.add_argument("--key", type=Path, help="TLS key, PEM")
    one.add_argument("--web", metavar="HOST:PORT", help="web page, /health and /metrics; none unless said")
    one.add_argument("--log-format", choices=["text", "json"], help="one line for each event; text unless said")
    one.add_argument(
        "--drain", type=float, metavar="SECONDS", help="that running windows may take to end at a stop; 0 unless said"
    )
    one.add_argument(
        "--log-prompts",
        action="store_true",
        help="say failures in their own words in the log, prompts and paths included",
    )
    one.add_argument("--executor", metavar="local|ray[:ADDRESS]", help="who paints; this machine's devices unless said")
    one.add_argument(
        "--settings", type=Path, help="TOML file with the same names, _ for -; also max_frames and max_pixels"
    )
    one.add_argument(
        "--with-parent", action="store_true", help="stop when standard input ends, as it does with Blender"
    )


def serve(args: argparse.Namespace) -> int:
    from overpaint_backend.journal import write_log
    from overpaint_backend.memory import give_back
    from overpaint_backend.quiet import ASKED
    from overpaint_backend.server import Server
    from overpaint_backend.settings import load_settings

    give_back()
    names = ("listen", "folder", "weights", "tokens", "clients", "certificate", "key", "web", "log_format", "drain")
    names += ("keep_days", "quota_gb", "executor")
    flags = {name: getattr(args, name) for name in names}
    settings = load_settings(args.settings, flags)
    write_log(settings.log_format)
    os.umask(0o077)  # jobs and pixels are for nobody else on this machine
    if args.log_prompts:
        os.environ[ASKED] = "1"
    server = Server(settings)
    # Not an event: a handler that sets one waits for ever where the main thread is just looking at it.
    asked = SimpleQueue[None]()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: asked.put(None))
    if args.with_parent:
        threading.Thread(target=_await_the_end_of_input, args=(asked,), daemon=True).start()
    server.start()
    print(f"overpaint {overpaint.__version__} listens on {server.address}, jobs in {settings.folder}", flush=True)
    if server.web:
        print(f"the web page is at {server.web}", flush=True)
    while not _came(asked):
        pass
    if settings.drain:
        print(f"draining, {settings.drain:g} s at most; a second signal stops at once", flush=True)
        server.drain(settings.drain, lambda: _came(asked))
    print("stopping; jobs that are not finished go on at the next start", flush=True)
    server.stop()
    return 0


def _came(asked: SimpleQueue[None]) -> bool:
    """Whether we are asked to stop, once more or for the first time, within a moment.

    Not for ever: a signal that comes just before a wait would not end it.
    """
    with suppress(Empty):
        asked.get(timeout=0.1)
        return True
    return False


def _await_the_end_of_input(asked: SimpleQueue[None]) -> None:
    """Whoever started us holds the other end of standard input, and lets go of it however it ends."""
    with suppress(OSError):
        while os.read(0, 1024):  # not sys.stdin: a thread that waits in there cannot be left behind at the end
            pass
    asked.put(None)
