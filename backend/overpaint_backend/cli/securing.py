"""Securing: who may call the server, and how it proves who it is."""

from __future__ import annotations

import argparse
from dataclasses import asdict, fields
from pathlib import Path

from overpaint.errors import Invalid

from overpaint_backend.access import Allowance, Scope, add_token, callers, remove_token
from overpaint_backend.cli.arguments import Verbs, add_group, add_json, add_verb, add_what, show

LIMITS = {
    "frames": "of one clip",
    "pixels": "of one frame",
    "bytes": "of uncompressed pixels in all its jobs that are kept, and in its guides of a day",
    "jobs": "that have not ended",
}


def add_verbs(verbs: Verbs) -> None:
    group = add_group(verbs, "token", "make, list or remove the tokens that callers show")
    add = add_what(group, "add", _add, "make a token and show it, once: the server keeps only its hash")
    add.add_argument("name", help="whose it is: jobs and pixels belong to this name")
    add.add_argument("--admin", action="store_true", help="may also see, stop and remove everybody's jobs")
    for field in fields(Allowance):
        add.add_argument(f"--max-{field.name}", type=int, default=0, metavar="N", help=LIMITS[field.name])
    listing = add_what(group, "list", _list, "who has one, and what it is good for")
    remove = add_what(group, "remove", _remove, "from the next call on it is worth nothing; its jobs stay")
    remove.add_argument("name", help="as `overpaint token list` shows it")
    for one in (add, listing, remove):
        one.add_argument("--folder", type=Path, help="the server's, where jobs and pixels are kept")
        add_json(one)

    one = add_verb(verbs, "cert", cert, "make a TLS certificate for a server, or one that a client shows")
    one.add_argument("--out", type=Path, required=True, help="folder for cert.pem and key.pem; neither is written over")
    one.add_argument("--host", action="append", default=[], metavar="NAME_OR_IP", help="how clients call it (repeat)")
    one.add_argument("--days", type=int, default=365, help="that it is good for; 365 unless said")
    one.add_argument("--client", metavar="NAME", help="for a client instead, who is then known by this name")
    one.add_argument("--authority", type=Path, help="folder of what signs clients' certificates; made where it is none")
    add_json(one)


def cert(args: argparse.Namespace) -> int:
    from overpaint_backend.certificates import AUTHORITY, client_pair, server_pair

    if bool(args.client) == bool(args.host) or bool(args.client) != bool(args.authority):
        what = "a certificate is for a server, or for a client"
        raise Invalid(field="host", message=what, remedy="Give --host, or --client and --authority")
    if args.client:
        made = client_pair(args.out, args.client, args.authority, args.days)
        uses = [
            f"the server takes it with: overpaint serve --clients {args.authority / AUTHORITY} ...",
            f"the client shows it with: --client-certificate {made.certificate} --client-key {made.key}",
        ]
    else:
        made = server_pair(args.out, args.host, args.days)
        uses = [
            f"the server shows it with: overpaint serve --certificate {made.certificate} --key {made.key} ...",
            f"a client knows it by:     --fingerprint {made.fingerprint}",
        ]
    result = {"certificate": str(made.certificate), "key": str(made.key), "fingerprint": made.fingerprint}
    show(args, result, "\n".join((f"{made.certificate}, SHA-256 {made.fingerprint}", *uses)))
    return 0


def _add(args: argparse.Namespace) -> int:
    scopes = frozenset(Scope) if args.admin else frozenset({Scope.PAINT})
    allowance = Allowance(**{field.name: getattr(args, f"max_{field.name}") for field in fields(Allowance)})
    token = add_token(_file(args), args.name, scopes, allowance)
    show(args, {"name": args.name, "token": token}, token)
    return 0


def _list(args: argparse.Namespace) -> int:
    for one in callers(_file(args)):
        limits = {name: most for name, most in asdict(one.allowance).items() if most}
        words = [f"{one.name:20} {' and '.join(sorted(one.scopes)):16}", *(f"{k} <= {v}" for k, v in limits.items())]
        show(args, {"name": one.name, "scopes": sorted(one.scopes), **limits}, "  ".join(words).rstrip())
    return 0


def _remove(args: argparse.Namespace) -> int:
    remove_token(_file(args), args.name)
    return 0


def _file(args: argparse.Namespace) -> Path:
    from overpaint_backend.settings import read_settings

    return read_settings(flags={"folder": args.folder}).tokens
