"""How a verb is added, and the arguments that several verbs take, each beside what comes of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from overpaint.card import EngineCard, OptionKind
from overpaint.edit import OptionValue
from overpaint.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from overpaint.client import Client

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Run: TypeAlias = Callable[[argparse.Namespace], int]


def add_verb(verbs: Verbs, name: str, run: Run, words: str) -> argparse.ArgumentParser:
    """`overpaint NAME`; `run` returns the exit code, and imports inside itself what it needs."""
    made = verbs.add_parser(name, help=words, description=words)
    made.set_defaults(run=run)
    return made


def add_group(verbs: Verbs, name: str, words: str) -> Verbs:
    """`overpaint NAME WHAT`; `args.what` says which."""
    return verbs.add_parser(name, help=words, description=words).add_subparsers(
        required=True, metavar="WHAT", dest="what"
    )


def add_what(group: Verbs, name: str, run: Run, words: str) -> argparse.ArgumentParser:
    """One verb of a group."""
    made = group.add_parser(name, help=words, description=words)
    made.set_defaults(run=run)
    return made


def add_json(to: argparse.ArgumentParser) -> None:
    to.add_argument("--json", action="store_true", help="JSON lines instead of words")


def show(args: argparse.Namespace, result: Mapping[str, object], words: str) -> None:
    """What came of it; what others wrote, a prompt say, must not write to a terminal as it likes."""
    print(
        json.dumps(result) if args.json else "".join(one if one.isprintable() or one == "\n" else "?" for one in words)
    )


def note(args: argparse.Namespace, notes: Sequence[str]) -> None:
    """What is worth knowing beside the result: it does not mix with a result in words."""
    for words in notes:
        print(json.dumps({"note": words}) if args.json else words, file=sys.stdout if args.json else sys.stderr)


def add_server(to: argparse.ArgumentParser, default: str | None = "127.0.0.1:8765") -> None:
    words = f"{default or 'none'} unless said (or OVERPAINT_SERVER says it)"
    to.add_argument("--server", default=os.environ.get("OVERPAINT_SERVER", default), metavar="HOST:PORT", help=words)
    to.add_argument("--token-file", type=Path, help="holds the server's token (or OVERPAINT_TOKEN does)")
    for name, kind, words in (
        ("certificate", Path, "PEM that the server's TLS certificate is checked against"),
        ("fingerprint", str, "SHA-256 of the server's certificate: no other is trusted"),
        ("client-certificate", Path, "PEM that is shown to a server that asks for one"),
        ("client-key", Path, "its key, PEM"),
    ):
        variable = f"OVERPAINT_{name.upper().replace('-', '_')}"
        to.add_argument(
            f"--{name}", type=kind, default=os.environ.get(variable) or None, help=f"{words} (or {variable})"
        )


def client(args: argparse.Namespace, patience: float = 0.0) -> Client:
    from overpaint.client import Client

    from overpaint_backend.settings import read_token

    token = os.environ.get("OVERPAINT_TOKEN", "") if args.token_file is None else read_token(args.token_file)
    return Client(
        args.server,
        token=token,
        certificate=args.certificate,
        fingerprint=args.fingerprint or "",
        client_certificate=args.client_certificate,
        client_key=args.client_key,
        patience=patience,
    )


def add_weights(to: argparse.ArgumentParser) -> None:
    to.add_argument("--weights", type=Path, help="where the engines' weights are")


def weights_root(args: argparse.Namespace) -> Path:
    from overpaint_backend.settings import read_settings

    return read_settings(flags={"weights": args.weights}).weights


def usable(args: argparse.Namespace) -> tuple[EngineCard, ...]:
    """The engines here, each with what keeps it from being used."""
    from overpaint_backend import registry
    from overpaint_backend.devices import devices

    return registry.usable(weights_root(args), gpu=any(one.name.startswith("cuda") for one in devices()))


def add_device(to: argparse.ArgumentParser) -> None:
    to.add_argument("--device", help="cpu, cuda:0, ...; the first graphics card unless said, else the CPU")


def device(args: argparse.Namespace) -> str:
    from overpaint_backend.devices import devices

    names = [one.name for one in devices()]
    if args.device and args.device.startswith("cuda:") and args.device not in names:
        raise Unavailable(
            field="device", message=f"there is no {args.device} here", remedy=f"Choose {', '.join(names)} or cpu"
        )
    return args.device or names[0]


def add_option(to: argparse.ArgumentParser) -> None:
    to.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="see `overpaint engines`")


def options(args: argparse.Namespace, card: EngineCard) -> dict[str, OptionValue]:
    return dict(_option(text, card) for text in args.option)


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
