"""Equipping: which engines there are, and what they have learned."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from overpaint.card import EngineCard

from overpaint_backend.cli.arguments import (
    Verbs,
    add_group,
    add_json,
    add_verb,
    add_weights,
    add_what,
    show,
    usable,
    weights_root,
)

if TYPE_CHECKING:
    from overpaint_backend.weights import Offer


def add_verbs(verbs: Verbs) -> None:
    one = add_verb(verbs, "engines", engines, "list the engines and what they take")
    add_json(one)
    add_weights(one)

    group = add_group(verbs, "weights", "list, fetch, import or verify what the engines have learned")
    one = add_what(group, "list", list_weights, "which weights there are, and which of them are here")
    add_json(one)
    add_weights(one)
    one = add_what(group, "fetch", fetch_weights, "download from Hugging Face; goes on where it was interrupted")
    one.add_argument("names", nargs="+", metavar="NAME", help="of an engine, or of one of the weights that are listed")
    one.add_argument("--endpoint", metavar="URL", help="a mirror of huggingface.co")
    one.add_argument("--accept-licence", action="store_true", help="you have read the licence and accept it")
    add_json(one)
    add_weights(one)
    one = add_what(group, "import", import_weights, "copy what was downloaded by other means; works offline")
    one.add_argument("folder", type=Path, help="a snapshot of the hub's cache, or a git clone; it is not changed")
    one.add_argument("--as", dest="name", metavar="NAME", help="which weights they are, where the path does not tell")
    add_json(one)
    add_weights(one)
    words = "compare checksums, and every tensor's name and shape with the model's"
    one = add_what(group, "verify", verify_weights, words)
    one.add_argument("names", nargs="*", metavar="NAME", help="all unless given")
    add_json(one)
    add_weights(one)


def engines(args: argparse.Namespace) -> int:
    for card in usable(args):
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


def _card_as_json(card: EngineCard) -> dict[str, object]:
    from overpaint import wire

    return wire.message_to_dict(wire.card_to_wire(card))


def list_weights(args: argparse.Namespace) -> int:
    from overpaint_backend import weights

    for one in weights.entries(weights_root(args)):
        words = f"{one.name:12} {one.engine:6} {one.state:10} {weights.in_words(one.size):>9}  {one.folder}"
        show(args, asdict(one), f"{words} ({one.repository}; licence: {one.licence})")
    return 0


def fetch_weights(args: argparse.Namespace) -> int:
    from overpaint_backend import weights

    root = weights_root(args)
    for name in (name for given in args.names for name in weights.named(given)):
        folder = weights.fetch(name, root, lambda offer: _agrees(args, offer), args.endpoint)
        show(args, {"name": name, "folder": str(folder)}, f"{name} is in {folder}")
    return 0


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


def import_weights(args: argparse.Namespace) -> int:
    from overpaint_backend import weights

    folder = weights.adopt(args.folder, weights_root(args), args.name)
    licence = weights.published(folder.name).licence
    result = {"name": folder.name, "folder": str(folder), "licence": licence}
    show(args, result, f"{folder.name} is in {folder}; licence: {licence}")
    return 0


def verify_weights(args: argparse.Namespace) -> int:
    from overpaint_backend import weights

    root, well = weights_root(args), True
    for name in args.names or [one.name for one in weights.PUBLISHED]:
        for finding in weights.verify(name, root):
            well = well and finding.well
            mark = "ok " if finding.well else "BAD"
            show(args, {"name": name} | asdict(finding), f"{mark} {name}: {finding.words}")
    return 0 if well else 1
