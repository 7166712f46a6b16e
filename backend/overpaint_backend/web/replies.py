"""A request of the web as our functions see it, and what they answer; headers that every answer carries."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from overpaint.address import is_here
from overpaint.errors import OverpaintError

STATUS: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "FAILED_PRECONDITION": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
}
"""The HTTP status that an error's gRPC status becomes; 500 for the others."""

# Nothing is loaded from elsewhere, nothing written into the page runs, nobody frames it. Pictures are fetched with the
# token and shown as blobs.
GUARDS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`token` is what the header Authorization shows after "Bearer"; `ours` whether the page's own header is there."""

    method: str
    path: str
    host: str = ""
    token: str = ""
    ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """`kind` is the body's media type; `kept` whether the browser may keep it for good."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    kept: bool = False
    more: tuple[tuple[str, str], ...] = field(default=())

    @property
    def line(self) -> str:
        return f"{self.status} {HTTPStatus(self.status).phrase}"

    @property
    def headers(self) -> list[tuple[str, str]]:
        keep = "private, max-age=86400, immutable" if self.kept else "no-store"
        plain = [("Content-Type", self.kind), ("Content-Length", str(len(self.body))), ("Cache-Control", keep)]
        return [*plain, *GUARDS, *self.more]


def as_json(value: Any, status: int = 200) -> Response:
    return Response(status=status, body=json.dumps(value, ensure_ascii=False).encode())


def in_words(error: OverpaintError) -> Response:
    """The error's field, message and remedy, under the status that fits it."""
    words = {"field": error.field, "message": error.message, "remedy": error.remedy}
    return as_json({"error": words}, STATUS.get(error.status, 500))


def request_of(environ: Mapping[str, Any]) -> Request:
    """What a WSGI server was asked."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return Request(
        method=environ["REQUEST_METHOD"],
        path=environ.get("PATH_INFO", "/"),
        host=environ.get("HTTP_HOST", ""),
        token=token.strip() if scheme.lower() == "bearer" else "",
        ours=environ.get("HTTP_X_OVERPAINT", "") == "1",
    )


def names_this_machine(host: str) -> bool:
    """Whether a header Host names the loopback. A name that only resolves to it belongs to somebody else's page."""
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d+)?", host.lower())
    return found is not None and is_here(found[1].strip("[]"))
