"""The `overpaint` command: one door for people and farms; every verb is a few lines over a function elsewhere."""

from __future__ import annotations

import argparse
import errno
import importlib
import json
import logging
import os
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import overpaint
from overpaint.card import EngineCard, OptionKind, usual
from overpaint.clip import Rate
from overpaint.edit import Input, OptionValue, Task
from overpaint.errors import Cancelled, Invalid, Missing, OverpaintError, Unauthenticated, Unavailable
from overpaint.job import EventKind, JobEvent, JobSpec

if TYPE_CHECKING:
    from overpaint.order import Click, GuideProgress, LinesOrder, TrackOrder

    from overpaint_backend.weights import Offer

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


# The verbs, in the order of --help.


def serve(args: argparse.Namespace) -> int:
    from overpaint_backend.server import Server
    from overpaint_backend.settings import load_settings

    flags = {name: getattr(args, name) for name in ("listen", "folder", "weights", "token_file", "certificate", "key")}
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


def paint(args: argparse.Namespace) -> int:
    from overpaint_backend import registry
    from overpaint_backend.desk import Desk, devices
    from overpaint_backend.files import check_out, gather, write_take
    from overpaint_backend.jobs.spool import Spool
    from overpaint_backend.jobs.store import Store
    from overpaint_backend.settings import load_settings
    from overpaint_backend.workers.local import paint_claimed

    check_out(args.out)
    settings = load_settings(flags={"weights": args.weights})
    build = partial(registry.build, device=args.device or devices()[0].name, weights=settings.weights)
    with tempfile.TemporaryDirectory(prefix="overpaint-") as name:
        store, spool = Store(Path(name) / "jobs.sqlite"), Spool(Path(name) / "spool")
        desk = Desk(settings, store, spool)
        spec, notes = gather(_files(args, desk.engines()), spool)
        _say(args, notes)
        desk.open(spec)
        desk.seal(spec.id)

        def work() -> None:
            claimed = store.claim("paint", lease=1e9)
            assert claimed is not None
            try:
                paint_claimed(claimed, None, build, store, spool, "paint")
            finally:
                desk.close()  # whatever happened, nobody waits for more

        worker = threading.Thread(target=work)
        worker.start()
        try:
            _follow(args, lambda: desk.watch(spec.id, 0), lambda: desk.cancel(spec.id))
        finally:
            worker.join()
        write_take(args.out, spec, map(spool.get, spec.clip.frames), desk.take(spec.id, 0)[1])
    _done(args, spec)
    return 0


def submit(args: argparse.Namespace) -> int:
    from overpaint.client import Client

    from overpaint_backend.files import check_out, gather, write_take
    from overpaint_backend.jobs.spool import Spool

    check_out(args.out)
    with tempfile.TemporaryDirectory(prefix="overpaint-") as name, _client(args) as client:
        assert isinstance(client, Client)
        spool = Spool(Path(name) / "spool")
        files = _files(args, client.engines())  # says that nobody is there before the long read
        spec, notes = gather(files, spool)
        _say(args, notes)
        _, missing = client.open_job(spec)
        if missing:
            client.upload(spec.id, map(spool.get, missing), missing)
        client.seal_job(spec.id)
        _follow(args, lambda: client.watch(spec.id), lambda: client.cancel(spec.id))
        write_take(args.out, spec, map(spool.get, spec.clip.frames), client.fetch(spec.id))
    _done(args, spec)
    return 0


def track(args: argparse.Namespace) -> int:
    from overpaint.order import TrackOrder

    return _make_guide(args, TrackOrder(clicks=tuple(map(_click, args.click))))


def lines(args: argparse.Namespace) -> int:
    from overpaint.order import LinesOrder

    return _make_guide(args, LinesOrder())


def _make_guide(args: argparse.Namespace, wanted: TrackOrder | LinesOrder) -> int:
    from overpaint_backend.desk import devices
    from overpaint_backend.files import check_out, order_of, write_guides
    from overpaint_backend.guides.make import make_guide
    from overpaint_backend.jobs.spool import Spool
    from overpaint_backend.settings import load_settings

    def say(progress: GuideProgress) -> None:
        words = f"{progress.stage} {progress.done}/{progress.total}"
        if args.json or sys.stderr.isatty():
            print(
                json.dumps(asdict(progress)) if args.json else f"\r{words} ", end="\n" if args.json else "", flush=True
            )

    check_out(args.out)
    weights = load_settings(flags={"weights": args.weights}).weights
    with tempfile.TemporaryDirectory(prefix="overpaint-") as name:
        spool = Spool(Path(name))
        order = order_of(args.clip, wanted, spool, args.mask)
        made = make_guide(order, spool.get, say, weights, args.device or devices()[0].name)
    write_guides(args.out, made, order.size)
    result = {"out": str(args.out), "frames": len(order.frames), "guides": len(made.guides), "method": made.method}
    print(json.dumps(result) if args.json else f"{len(order.frames)} frames in {args.out}, made by: {made.method}")
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


def jobs(args: argparse.Namespace) -> int:
    with _client(args) as client:
        acts = {
            "cancel": client.cancel,
            "pause": client.pause,
            "resume": client.resume,
            "front": client.move_up,
            "retry": client.retry,
        }
        asked = next((name for name in acts if getattr(args, name)), None)
        if asked:
            job = getattr(args, asked)
            print(f"{job} {acts[asked](job)}")
        elif args.delete:
            client.delete(args.delete)
        else:
            for job in client.jobs():
                words = f"{job.id} {job.state:10} {job.engine:8} {job.task:8} {job.frames:6} frames  {job.prompt[:60]}"
                print(json.dumps(asdict(job)) if args.json else words.rstrip())
    return 0


def engines(args: argparse.Namespace) -> int:
    from overpaint_backend import registry
    from overpaint_backend.desk import devices
    from overpaint_backend.settings import load_settings

    gpu = any(device.name.startswith("cuda") for device in devices())
    for card in registry.usable(load_settings(flags={"weights": args.weights}).weights, gpu=gpu):
        if args.json:
            print(json.dumps(_card_as_json(card)))
            continue
        print(f"{card.name} {card.version} ({card.licence}): {card.description}")
        if card.obstacle:
            print(f"  cannot be used here at present: {card.obstacle}")
        for rule in card.tasks:
            needs = " and ".join(" or ".join(sorted(group)) for group in rule.needs) or "nothing"
            print(f"  {rule.task}: takes {', '.join(sorted(rule.honours)) or 'nothing'}; needs {needs}")
        for option in card.options:
            print(f"  --option {option.name}={option.default}: {option.description}")
    return 0


def weights(args: argparse.Namespace) -> int:
    from overpaint_backend import weights as room
    from overpaint_backend.settings import load_settings

    root, well = load_settings(flags={"weights": args.weights}).weights, True
    if args.what == "list":
        for one in room.entries(root):
            words = f"{one.name:12} {one.engine:6} {one.state:10} {room.in_words(one.size):>9}  {one.folder}"
            words += f" ({one.repository}; licence: {one.licence})"
            print(json.dumps(asdict(one)) if args.json else words)
    elif args.what == "fetch":
        for name in (name for given in args.names for name in room.named(given)):
            folder = room.fetch(name, root, lambda offer: _agrees(args, offer), args.endpoint)
            print(json.dumps({"name": name, "folder": str(folder)}) if args.json else f"{name} is in {folder}")
    elif args.what == "import":
        folder = room.adopt(args.folder, root, args.name)
        licence = room.published(folder.name).licence
        result = {"name": folder.name, "folder": str(folder), "licence": licence}
        print(json.dumps(result) if args.json else f"{folder.name} is in {folder}; licence: {licence}")
    else:
        for name in args.names or [one.name for one in room.PUBLISHED]:
            for finding in room.verify(name, root):
                well = well and finding.well
                mark = "ok " if finding.well else "BAD"
                print(json.dumps({"name": name} | asdict(finding)) if args.json else f"{mark} {name}: {finding.words}")
    return 0 if well else 1


def doctor(args: argparse.Namespace) -> int:
    from overpaint_backend.doctor import examine

    findings = examine(args.folder, (lambda: _client(args)) if args.server else None)
    for finding in findings:
        mark = "ok " if finding.well else "BAD"
        remedy = "" if finding.well else f". {finding.remedy}"
        print(json.dumps(asdict(finding)) if args.json else f"{mark} {finding.part}: {finding.words}{remedy}")
    return 0 if all(finding.well for finding in findings) else 1


def demo(args: argparse.Namespace) -> int:
    from overpaint_backend.demo.walk import run_demo

    return run_demo(args.out, blender=args.blender, extension=args.extension, cache=args.cache)


def train(args: argparse.Namespace) -> int:
    from overpaint_backend.settings import load_settings
    from overpaint_backend.train.settings import named

    settings = named(args.config)
    try:
        room = importlib.import_module("overpaint_backend.train.run")
    except ModuleNotFoundError as error:
        what = f"{error.name} is needed, and it is not installed"
        raise Unavailable(field="train", message=what, remedy="Say pip install 'overpaint[engines]'") from None
    run = room.train(
        settings,
        args.out,
        steps=args.steps,
        minutes=args.minutes,
        resume=args.resume,
        data=args.data,
        weights=load_settings(flags={"weights": args.weights}).weights,
    )
    if run.first:
        print(f"{run.step} steps in {run.seconds / 60:.0f} min; weights are in {args.out}")
    return 0


def eval(args: argparse.Namespace) -> int:
    from overpaint_backend import registry
    from overpaint_backend.desk import devices
    from overpaint_backend.measure.evaluate import run_eval
    from overpaint_backend.settings import load_settings

    card = registry.card(args.engine)
    figures = run_eval(
        suite=args.suite,
        engine=args.engine,
        device=args.device or devices()[0].name,
        weights=load_settings(flags={"weights": args.weights}).weights,
        seed=args.seed,
        clips=args.clips,
        folder=args.folder,
        options=dict(_option(text, card) for text in args.option),
        backbone=args.backbone,
        flow=args.flow,
        out=args.out,
        report=lambda words: print(words, file=sys.stderr, flush=True),
    )
    _show_figures(args, figures)
    return 0


def bench(args: argparse.Namespace) -> int:
    figures = args.measure(args)
    _show_figures(args, figures)
    return 0


def _bench_wire(args: argparse.Namespace) -> dict[str, Any]:
    from overpaint_backend.measure.wire import bench_wire
    from overpaint_backend.media import probe, read_frames

    return bench_wire(None if args.clip is None else list(read_frames(probe(args.clip))), args.repeats)


def _bench_ui(args: argparse.Namespace) -> dict[str, Any]:
    from overpaint_backend.measure.ui import bench_ui

    return bench_ui(args.blender, args.extension, args.frames)


def _bench_flops(args: argparse.Namespace) -> dict[str, Any]:
    return _learned(args).bench_flops(
        frames=args.frames, size=args.size, mask=args.mask, text=args.text, steps=args.steps
    )


def _bench_paint(args: argparse.Namespace) -> dict[str, Any]:
    return _learned(args).bench_paint(
        weights=args.weights, frames=args.frames, size=args.size, steps=args.steps, device=args.device
    )


def _bench_shortcuts(args: argparse.Namespace) -> dict[str, Any]:
    return _learned(args).bench_shortcuts(
        weights=args.weights, frames=args.frames, size=args.size, steps=args.steps, device=args.device
    )


def _learned(args: argparse.Namespace) -> Any:
    """The module of a benchmark that computes with torch, which this file must not import. Raises in words."""
    from overpaint_backend import registry

    if registry.card(args.engine).name != "vires":
        raise Invalid(field="engine", message=f"{args.engine} cannot be measured so", remedy="Choose vires")
    try:
        return importlib.import_module(f"overpaint_backend.measure.{args.what}")
    except ModuleNotFoundError as error:
        what = f"{error.name} is needed, and it is not installed"
        raise Unavailable(field="engine", message=what, remedy="Say pip install 'overpaint[engines]'") from None


def _show_figures(args: argparse.Namespace, figures: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps(figures))
        return
    for name, value in _lines(figures):
        print(f"{name:40} {value}")


def _lines(figures: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested figures as flat names and values."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


# What the verbs share.


def _files(args: argparse.Namespace, cards: Sequence[EngineCard]):
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
        _say(args, (f"the engine {card.name} paints",))
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
        options=dict(_option(text, card) for text in args.option),
        rate=args.rate,
    )


def _by_frame(given: list[str], field: str) -> Path | dict[int, Path]:
    """["PATH"] or ["FRAME=PATH", ...]."""
    pairs = [text.partition("=") for text in given]
    if len(given) == 1 and not (pairs[0][1] and pairs[0][0].isdigit()):
        return Path(given[0])
    for frame, equals, _ in pairs:
        if not equals or not frame.isdigit():
            raise Invalid(field=field, message=f"{frame!r} is not FRAME=PATH", remedy="Say 0=first.png, say")
    return {int(frame): Path(path) for frame, _, path in pairs}


def _option(text: str, card: EngineCard) -> tuple[str, OptionValue]:
    """NAME=VALUE, read as the card's option wants it."""
    name, equals, value = text.partition("=")
    option = card.option(name)
    if not equals:
        raise Invalid(field="option", message=f"{text!r} is not NAME=VALUE", remedy="Say steps=30, say")
    if option is None:
        known = ", ".join(one.name for one in card.options) or "none"
        raise Invalid(
            field=f"options.{name}",
            message=f"the engine {card.name} has no option {name}",
            remedy=f"Its options are: {known}",
        )
    words: dict[str, OptionValue] = {"on": True, "off": False, "true": True, "false": False}
    read: dict[OptionKind, Callable[[str], OptionValue]] = {
        OptionKind.BOOL: lambda word: words[word.lower()],
        OptionKind.INT: int,
        OptionKind.FLOAT: float,
        OptionKind.CHOICE: str,
    }
    try:
        return name, read[option.kind](value)
    except (KeyError, ValueError):
        why = f"{value!r} cannot be taken"
        raise Invalid(field=f"options.{name}", message=why, remedy=f"{name} {option.problem('')}") from None


def _client(args: argparse.Namespace):
    from overpaint.client import Client

    from overpaint_backend.settings import read_token

    token = os.environ.get("OVERPAINT_TOKEN", "") if args.token_file is None else read_token(args.token_file)
    return Client(args.server, token=token, certificate=args.certificate)


def _say(args: argparse.Namespace, notes: Sequence[str]) -> None:
    for note in notes:
        print(json.dumps({"note": note}) if args.json else note, file=sys.stdout if args.json else sys.stderr)


def _follow(args: argparse.Namespace, watch: Callable[[], Iterator[JobEvent]], cancel: Callable[[], object]) -> None:
    """Show the job's events until it has ended; Ctrl-C and SIGTERM cancel it. Raises what it failed with."""
    from overpaint_backend.progress import show

    previous = signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    last: JobEvent | None = None
    try:
        last = _last(show(watch(), as_json=args.json))
    except KeyboardInterrupt:
        cancel()
        with suppress(KeyboardInterrupt):
            last = _last(watch())
    finally:
        signal.signal(signal.SIGTERM, previous)
    if last is None or last.kind is EventKind.CANCELLED:
        raise Cancelled(field="job", message="the job was cancelled")
    if last.kind is EventKind.FAILED:
        raise Invalid(field=last.field, message=last.message, remedy=last.remedy)


def _last(events: Iterator[JobEvent]) -> JobEvent | None:
    return next(iter(deque(events, maxlen=1)), None)


def _done(args: argparse.Namespace, spec: JobSpec) -> None:
    result = {"job": spec.id, "out": str(args.out), "frames": len(spec.clip), "size": str(spec.clip.size)}
    print(json.dumps(result) if args.json else f"{len(spec.clip)} frames of {spec.clip.size} in {args.out}")


def _agrees(args: argparse.Namespace, offer: Offer) -> bool:
    """Show what would come and under which licence; whether that is accepted, by the flag or by whoever sits there."""
    from overpaint_backend.weights import in_words

    if args.json:
        print(json.dumps({"offer": asdict(offer), "size": offer.size}))
    else:
        print(f"{offer.name}: {in_words(offer.size)} from {offer.repository} at {offer.revision}")
        for file in offer.files:
            print(f"  {in_words(file.size):>10}  {file.name}")
        print(f"licence: {offer.licence}; https://huggingface.co/{offer.repository}", flush=True)
    if args.accept_licence or not sys.stdin.isatty():
        return args.accept_licence
    return input("Do you accept the licence? [y/N] ").strip().lower() in ("y", "yes")


def _card_as_json(card: EngineCard) -> dict[str, object]:
    from overpaint import wire

    return wire.message_to_dict(wire.card_to_wire(card))


def _rate(text: str) -> Rate:
    return Rate.of(Fraction(text))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="overpaint", description="Repaint one thing in a video.")
    parser.add_argument("--version", action="version", version=f"overpaint {overpaint.__version__}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(run: Callable[[argparse.Namespace], int], words: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(run.__name__, help=words, description=words)
        made.set_defaults(run=run)
        return made

    def add_json(to: argparse.ArgumentParser) -> None:
        to.add_argument("--json", action="store_true", help="JSON lines instead of words")

    def add_weights(to: argparse.ArgumentParser) -> None:
        to.add_argument("--weights", type=Path, help="where the engines' weights are")

    def add_server(to: argparse.ArgumentParser, default: str | None = "127.0.0.1:8765") -> None:
        to.add_argument("--server", default=os.environ.get("OVERPAINT_SERVER", default), metavar="HOST:PORT")
        to.add_argument("--token-file", type=Path, help="holds the server's token (or OVERPAINT_TOKEN does)")
        to.add_argument("--certificate", type=Path, help="PEM that the server's TLS certificate is checked against")

    one = verb(serve, "run the backend")
    one.add_argument("--listen", metavar="HOST:PORT", help="127.0.0.1:8765 unless said; port 0 takes a free one")
    one.add_argument("--folder", type=Path, help="where jobs and pixels are kept")
    add_weights(one)
    one.add_argument("--token-file", type=Path, help="holds the token that clients must show")
    one.add_argument("--certificate", type=Path, help="TLS certificate, PEM")
    one.add_argument("--key", type=Path, help="TLS key, PEM")
    one.add_argument("--settings", type=Path, help="TOML file with the same names")
    one.add_argument(
        "--with-parent", action="store_true", help="stop when standard input ends, as it does with Blender"
    )

    for run, words in ((paint, "paint a clip here, without a server"), (submit, "have a server paint a clip")):
        one = verb(run, words)
        one.add_argument("--clip", type=Path, required=True, help="movie, or folder of pictures")
        one.add_argument("--mask", type=Path, help="movie, folder of pictures, or one picture for all frames")
        one.add_argument("--sketch", action="append", metavar="[FRAME=]PATH", help="for all frames, or some (repeat)")
        one.add_argument("--depth", action="append", metavar="[FRAME=]PATH", help="likewise")
        one.add_argument("--edge", action="append", metavar="[FRAME=]PATH", help="likewise")
        one.add_argument("--keyframe", action="append", metavar="FRAME=PATH", help="a finished picture (repeat)")
        one.add_argument("--task", choices=[task.value for task in Task], default=Task.REPAINT.value)
        one.add_argument("--prompt", default="")
        one.add_argument("--negative-prompt", default="")
        one.add_argument("--seed", type=int, default=0)
        one.add_argument("--engine", help="the one that suits what is given, unless said; see `overpaint engines`")
        one.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="see `overpaint engines`")
        one.add_argument("--grow", type=float, default=0.0, help="widen the mask by so many pixels")
        one.add_argument("--feather", type=float, default=0.0, help="soften the mask's edge over so many pixels")
        one.add_argument("--rate", type=_rate, help="frames a second where the clip is pictures; 30000/1001 works")
        one.add_argument("--out", type=Path, required=True, help="folder for the take; must be new")
        add_json(one)
        if run is submit:
            add_server(one)
        else:
            add_weights(one)
            one.add_argument("--device", help="cpu, cuda:0, ...; the first graphics card unless said, else the CPU")

    for run, words in ((track, "make masks from clicks, here"), (lines, "draw the lines of a clip, here")):
        one = verb(run, words)
        one.add_argument("--clip", type=Path, required=True, help="movie, or folder of pictures")
        if run is track:
            one.add_argument(
                "--click",
                action="append",
                required=True,
                metavar="[OBJECT:]FRAME,X,Y[,-]",
                help="a point of the thing, frames from 0, pixels; with - one that is not part of it (repeat)",
            )
            one.set_defaults(mask=None)
        else:
            one.add_argument("--mask", type=Path, help="only inside; movie, pictures, or one picture for all frames")
        one.add_argument("--out", type=Path, required=True, help="folder for the pictures; must be new")
        one.add_argument("--device", help="cpu, cuda:0, ...; the first graphics card unless said, else the CPU")
        add_json(one)
        add_weights(one)

    one = verb(jobs, "list a server's jobs, or do something to one")
    which = one.add_mutually_exclusive_group()
    which.add_argument("--cancel", metavar="ID", help="stop it; what is painted of it stays")
    which.add_argument("--pause", metavar="ID", help="let no worker have it until it is resumed")
    which.add_argument("--resume", metavar="ID", help="a paused one goes back to its place in the queue")
    which.add_argument("--front", metavar="ID", help="a waiting one becomes the next")
    which.add_argument("--retry", metavar="ID", help="queue a failed or cancelled one again; nothing is sent again")
    which.add_argument("--delete", metavar="ID", help="forget an ended one, and its pixels")
    add_json(one)
    add_server(one)

    one = verb(engines, "list the engines and what they take")
    add_json(one)
    add_weights(one)

    acts = verb(weights, "list, fetch, import or verify what the engines have learned").add_subparsers(
        required=True, metavar="WHAT", dest="what"
    )
    one = acts.add_parser("list", help="which weights there are, and which of them are here")
    add_json(one)
    add_weights(one)
    one = acts.add_parser("fetch", help="download from Hugging Face; goes on where it was interrupted")
    one.add_argument("names", nargs="+", metavar="NAME", help="of an engine, or of one of the weights that are listed")
    one.add_argument("--endpoint", metavar="URL", help="a mirror of huggingface.co")
    one.add_argument("--accept-licence", action="store_true", help="you have read the licence and accept it")
    add_json(one)
    add_weights(one)
    one = acts.add_parser("import", help="copy what was downloaded by other means; works offline")
    one.add_argument("folder", type=Path, help="a snapshot of the hub's cache, or a git clone; it is not changed")
    one.add_argument("--as", dest="name", metavar="NAME", help="which weights they are, where the path does not tell")
    add_json(one)
    add_weights(one)
    one = acts.add_parser("verify", help="compare checksums, and every tensor's name and shape with the model's")
    one.add_argument("names", nargs="*", metavar="NAME", help="all unless given")
    add_json(one)
    add_weights(one)

    one = verb(doctor, "check this machine")
    one.add_argument("--folder", type=Path, help="where jobs and pixels are kept")
    add_json(one)
    add_server(one, default=None)

    one = verb(demo, "run the main job in a real Blender, and show what came of it")
    one.add_argument("--blender", type=Path, required=True, help="a Python with the bpy module")
    one.add_argument("--extension", type=Path, required=True, help="the add-on's zip")
    one.add_argument("--cache", type=Path, default=Path(".cache/clips"), help="where the clip is kept")
    one.add_argument("--out", type=Path, default=Path("out/demo"))

    one = verb(train, "train a VIRES of your own: a small one on drawn figures, or the published one on a data set")
    one.add_argument("--config", default="small", help="small, one of its ablations, or published")
    one.add_argument("--data", type=Path, metavar="FOLDER", help="data set to learn from, in place of drawn figures")
    one.add_argument("--out", type=Path, required=True, help="folder for weights and progress; --weights takes it")
    one.add_argument("--steps", type=int, help="end after so many; the config's number unless given")
    one.add_argument("--minutes", type=float, help="end after so long; --resume goes on")
    one.add_argument("--resume", action="store_true", help="go on where --out was left, however it ended")
    add_weights(one)

    one = verb(eval, "edit clips whose true result is known, and measure how near the engine comes")
    one.add_argument(
        "--suite",
        choices=["instances", "folder"],
        default="instances",
        help="instances: drawn figures, to be repainted in other colours; folder: a data set, to be painted anew",
    )
    one.add_argument("--seed", type=int, default=0, help="of the drawn clips; each gives others")
    one.add_argument("--folder", type=Path, help="the data set")
    one.add_argument("--clips", type=int, help="how many: 100 drawn ones unless said, or all of the folder")
    one.add_argument("--engine", default="vires-small")
    one.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="see `overpaint engines`")
    one.add_argument("--backbone", metavar="MODULE:OBJECT", help="for frame and text consistency: CLIP, say")
    one.add_argument("--flow", metavar="MODULE:OBJECT", help="for the warp error: RAFT, say; OpenCV's DIS unless given")
    one.add_argument("--out", type=Path, help="folder for report.json, clips.csv and index.html; must be new")
    one.add_argument("--device", help="cpu, cuda:0, ...; the first graphics card unless said, else the CPU")
    add_weights(one)
    add_json(one)

    kinds = verb(bench, "measure").add_subparsers(required=True, metavar="WHAT", dest="what")
    one = kinds.add_parser("wire", help="our stream against PNG over HTTP")
    one.set_defaults(measure=_bench_wire)
    one.add_argument("--clip", type=Path, help="movie to measure with; a generated one unless given")
    one.add_argument("--repeats", type=int, default=5)
    add_json(one)
    one = kinds.add_parser("ui", help="how long the add-on holds up a real Blender while a strip is painted")
    one.set_defaults(measure=_bench_ui)
    one.add_argument("--blender", type=Path, required=True, help="a Python with the bpy module")
    one.add_argument("--extension", type=Path, required=True, help="the add-on's zip")
    one.add_argument("--frames", type=int, default=300, help="of 1920x1080")
    add_json(one)
    one = kinds.add_parser("flops", help="the work of a clip, counted: the same on every machine")
    one.set_defaults(measure=_bench_flops)
    one.add_argument("--engine", default="vires")
    one.add_argument("--frames", type=int, default=51)
    one.add_argument("--size", type=int, default=512, metavar="PIXELS", help="of each side")
    one.add_argument(
        "--mask", type=Path, help="movie or pictures: where the sketch is; it may be anywhere unless given"
    )
    one.add_argument("--text", type=int, default=150, metavar="TOKENS", help="length of the prompt")
    one.add_argument("--steps", type=int, default=30)
    add_json(one)
    for name, run, words, small in (
        ("paint", _bench_paint, "the time of a clip on this machine, stage by stage", (17, 128, 4)),
        ("shortcuts", _bench_shortcuts, "what each approximation saves, and what it costs", (17, 64, 12)),
    ):
        one = kinds.add_parser(name, help=words)
        one.set_defaults(measure=run)
        one.add_argument("--engine", default="vires")
        one.add_argument("--weights", type=Path, help="random ones unless given; on a CPU those are of a small model")
        one.add_argument("--frames", type=int, help=f"51 unless said; {small[0]} on a CPU")
        one.add_argument(
            "--size", type=int, metavar="PIXELS", help=f"of each side: 512 unless said; {small[1]} on a CPU"
        )
        one.add_argument("--steps", type=int, help=f"30 unless said; {small[2]} on a CPU")
        one.add_argument("--device", help="cpu, cuda:0, ...; the first graphics card unless said, else the CPU")
        add_json(one)
    return parser


if __name__ == "__main__":
    sys.exit(main())
