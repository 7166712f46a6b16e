"""Painting: a clip becomes a take, here or by a server."""

from __future__ import annotations

import argparse
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from overpaint.card import EngineCard, usual
from overpaint.clip import Rate
from overpaint.edit import Input, Task
from overpaint.errors import BY_STATUS, Cancelled, Internal, Invalid, Missing, OverpaintError
from overpaint.job import EventKind, JobEvent, JobSpec, JobState, windows_done

from overpaint_backend.cli.arguments import (
    Verbs,
    add_device,
    add_json,
    add_option,
    add_server,
    add_verb,
    add_weights,
    client,
    device,
    note,
    options,
    show,
)

if TYPE_CHECKING:
    from overpaint_backend.files import Files


PATIENCE = 300.0  # seconds in which something must move


def add_verbs(verbs: Verbs) -> None:
    one = add_verb(verbs, "paint", paint, "paint a clip here, without a server")
    add_request(one)
    add_weights(one)
    add_device(one)

    one = add_verb(verbs, "submit", submit, "have a server paint a clip")
    add_request(one)
    add_server(one)
    words = "go on after a cut, until nothing has moved for so long; 0: never"
    one.add_argument("--patience", type=float, default=PATIENCE, metavar="SECONDS", help=words)


def add_request(to: argparse.ArgumentParser, out: str = "folder for the take; must be new") -> None:
    """What `paint`, `submit` and `pack` take."""
    to.add_argument("--clip", type=Path, required=True, help="movie, or folder of pictures")
    to.add_argument("--mask", type=Path, help="movie, folder of pictures, or one picture for all frames")
    to.add_argument("--sketch", action="append", metavar="[FRAME=]PATH", help="for all frames, or some (repeat)")
    to.add_argument("--depth", action="append", metavar="[FRAME=]PATH", help="likewise")
    to.add_argument("--edge", action="append", metavar="[FRAME=]PATH", help="likewise")
    to.add_argument("--keyframe", action="append", metavar="FRAME=PATH", help="a finished picture (repeat)")
    words = "what to do inside the mask; repaint unless said"
    to.add_argument("--task", choices=[task.value for task in Task], default=Task.REPAINT.value, help=words)
    to.add_argument("--prompt", default="", help="what should be there, in words")
    to.add_argument("--negative-prompt", default="", help="what to keep away from, in words")
    to.add_argument("--seed", type=int, default=0, help="another one gives another take; 0 unless said")
    to.add_argument("--engine", help="the one that suits what is given, unless said; see `overpaint engines`")
    add_option(to)
    to.add_argument("--grow", type=float, default=0.0, help="widen the mask by so many pixels")
    to.add_argument("--feather", type=float, default=0.0, help="soften the mask's edge over so many pixels")
    to.add_argument("--rate", type=_rate, help="frames a second where the clip is pictures; 30000/1001 works")
    to.add_argument("--out", type=Path, required=True, help=out)
    add_json(to)


def _rate(text: str) -> Rate:
    try:
        return Rate.of(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: say 24, or 24000/1001") from None


def paint(args: argparse.Namespace) -> int:
    from overpaint_backend import registry
    from overpaint_backend.access import ANYONE
    from overpaint_backend.desk import Desk
    from overpaint_backend.files import check_out, gather, write_take
    from overpaint_backend.jobs.room import has_room
    from overpaint_backend.jobs.spool import Spool
    from overpaint_backend.jobs.store import Store
    from overpaint_backend.settings import read_settings
    from overpaint_backend.workers.local import DeviceFault, Loaded, paint_claimed

    check_out(args.out)
    settings = read_settings(flags={"weights": args.weights})
    loaded = Loaded(partial(registry.build, device=device(args), weights=settings.weights))
    with tempfile.TemporaryDirectory(prefix="overpaint-") as name:
        store, spool = Store(Path(name) / "jobs.sqlite"), Spool(Path(name) / "spool")
        desk = Desk(settings, store, spool)
        spec, notes = gather(files_of(args, desk.engines()), spool)
        note(args, notes)
        for digest in spec.digests():
            store.holdings.prove(ANYONE.name, digest)  # they were read here
        desk.open(ANYONE, spec)
        desk.seal(ANYONE, spec.id)

        broken = threading.Event()

        def work() -> None:
            try:
                while (claimed := store.claim("paint", lease=1e9)) is not None:
                    paint_claimed(claimed, loaded, store, spool, "paint")
                    while store.state(spec.id) is JobState.QUEUED and not has_room(spool.folder, 2):
                        time.sleep(1.0)  # the disk was full
            except DeviceFault:
                broken.set()
            finally:
                desk.close()  # whatever happened, nobody waits for more

        worker = threading.Thread(target=work)
        worker.start()
        try:
            windows = follow(args, lambda: desk.watch(ANYONE, spec.id, 0), lambda: desk.cancel(ANYONE, spec.id))
        finally:
            worker.join()
            if broken.is_set():
                raise Internal(
                    field="device", message="the device failed", remedy="Try again: only a new process can go on"
                )
        write_take(args.out, spec, map(spool.get, spec.clip.frames), desk.take(ANYONE, spec.id, 0)[1])
    done(args, spec, windows)
    return 0


def submit(args: argparse.Namespace) -> int:
    from overpaint_backend.files import check_out, gather, write_take
    from overpaint_backend.jobs.spool import Spool
    from overpaint_backend.memory import give_back

    check_out(args.out)
    give_back()
    with tempfile.TemporaryDirectory(prefix="overpaint-") as name, client(args, args.patience) as server:
        spool = Spool(Path(name) / "spool")
        files = files_of(args, server.engines())  # says that nobody is there before the long read
        spec, notes = gather(files, spool)
        note(args, notes)

        def cut(error: OverpaintError | None) -> None:
            note(args, (f"{error}; trying again" if error else "going on",))

        server.send(spec, spool.get, cut=cut)
        windows = follow(args, lambda: server.watch(spec.id, cut=cut), lambda: server.cancel(spec.id))
        write_take(args.out, spec, map(spool.get, spec.clip.frames), server.fetch(spec.id, cut=cut))
    done(args, spec, windows)
    return 0


def files_of(args: argparse.Namespace, cards: Sequence[EngineCard]) -> Files:
    """The edit by paths; an engine that is unknown, or cannot be found, is said before anything is read."""
    from overpaint_backend.files import Files

    guides: dict[Input, Path | dict[int, Path]] = {}
    for kind, given in ((Input.SKETCH, args.sketch), (Input.DEPTH, args.depth), (Input.EDGE, args.edge)):
        if given:
            guides[kind] = _by_frame(given, kind)
    keyframes = _by_frame(args.keyframe, "keyframe") if args.keyframe else {}
    if isinstance(keyframes, Path):
        raise Invalid(field="keyframe", message=f"{keyframes} has no frame", remedy="Say FRAME=PATH, 0=first.png say")
    words = {Input.MASK: args.mask, Input.PROMPT: args.prompt, Input.NEGATIVE_PROMPT: args.negative_prompt}
    given = {*guides, *(kind for kind, value in words.items() if value), *([Input.KEYFRAME] if keyframes else [])}
    task = Task(args.task)
    if args.engine:
        card = next((card for card in cards if card.name == args.engine), None)
        if card is None:
            known = ", ".join(card.name for card in cards)
            raise Missing(field="engine", message=f"there is no engine {args.engine!r}", remedy=f"Choose {known}")
    else:
        card = usual(cards, task, frozenset(given))
        note(args, (f"the engine {card.name} paints",))
    return Files(
        clip=args.clip,
        engine=card.name,
        task=task,
        mask=args.mask,
        guides=guides,
        keyframes=keyframes,
        prompt=args.prompt,
        negative_prompt=args.negative_prompt,
        seed=args.seed,
        grow=args.grow,
        feather=args.feather,
        options=options(args, card),
        rate=args.rate,
    )


def _by_frame(given: list[str], field: str) -> Path | dict[int, Path]:
    """["PATH"] or ["FRAME=PATH", ...]."""
    pairs = [text.partition("=") for text in given]
    if len(given) == 1 and not (pairs[0][1] and pairs[0][0].isdecimal()):
        return Path(given[0])
    for frame, equals, _ in pairs:
        if not equals or not frame.isdecimal():
            raise Invalid(field=field, message=f"{frame!r} is not FRAME=PATH", remedy="Say 0=first.png, say")
    return {int(frame): Path(path) for frame, _, path in pairs}


def follow(
    args: argparse.Namespace, watch: Callable[[], Iterator[JobEvent]], cancel: Callable[[], object]
) -> tuple[int, int]:
    """Show the job's events until it has ended; Ctrl-C and SIGTERM cancel it. Raises what it failed with.

    Returns how many windows were painted, and how many reused.
    """
    from overpaint_backend.progress import show

    previous = signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    events: list[JobEvent] = []
    try:
        for event in show(watch(), as_json=args.json):
            events.append(replace(event, picture=None))
    except KeyboardInterrupt:
        cancel()
        with suppress(KeyboardInterrupt):
            events += watch()
    finally:
        signal.signal(signal.SIGTERM, previous)
    last = events[-1] if events else None
    if last is None or last.kind is EventKind.CANCELLED:
        raise Cancelled(field="job", message="the job was cancelled")
    if last.kind is EventKind.FAILED:
        kind = BY_STATUS.get(last.status, Invalid)
        raise kind(field=last.field, message=last.message, remedy=last.remedy)
    return windows_done(events)


def done(args: argparse.Namespace, spec: JobSpec, windows: tuple[int, int]) -> None:
    painted, reused = windows
    result = {"job": spec.id, "out": str(args.out), "frames": len(spec.clip), "size": str(spec.clip.size)}
    result |= {"windows_painted": painted, "windows_reused": reused}
    words = f"{len(spec.clip)} frames of {spec.clip.size} in {args.out}; {painted} windows painted, {reused} reused"
    show(args, result, words)
