"""The web application: which function answers which path, and who may ask."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

from overpaint.errors import Invalid, Missing, OverpaintError, Unauthenticated

from overpaint_backend.access import ANYONE, Caller, Door, Scope
from overpaint_backend.desk import Desk
from overpaint_backend.health import Health
from overpaint_backend.journal import about
from overpaint_backend.metrics import CONTENT_TYPE, Metrics
from overpaint_backend.quiet import failure
from overpaint_backend.web import page_files
from overpaint_backend.web.queue import picture_as_png, queue_as_json
from overpaint_backend.web.replies import Request, Response, as_json, in_words, names_this_machine, request_of

PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
ACT = re.compile(r"/api/jobs/([0-9a-f]{32})/(cancel|pause|resume|front|retry)")
PICTURE = re.compile(r"/api/jobs/([0-9a-f]{32})/pictures/(\d{1,9})")
log = logging.getLogger(__name__)


class Application:
    """The page, its api, /health and /metrics. `here`: it listens to this machine alone."""

    def __init__(self, desk: Desk, door: Door, health: Health, metrics: Metrics, *, here: bool) -> None:
        self._desk, self._door, self._health, self._metrics, self._here = desk, door, health, metrics, here
        room = page_files()
        self._page = {path: Response(body=(room / name).read_bytes(), kind=kind) for path, (name, kind) in PAGE.items()}
        self._acts: dict[str, Callable[[Caller, str], object]] = {
            "cancel": desk.cancel,
            "pause": desk.pause,
            "resume": desk.resume,
            "front": desk.move_up,
            "retry": desk.retry,
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """WSGI."""
        request = request_of(environ)
        response = self.answer(request)
        start_response(response.line, response.headers)
        return [b"" if request.method == "HEAD" else response.body]

    def answer(self, request: Request) -> Response:
        """What the server says to `request`; errors in words."""
        try:
            with about(method=f"web {request.method}"):
                return self._answer(request)
        except Unauthenticated as error:
            refused = in_words(error)
            return Response(status=refused.status, body=refused.body, more=(("WWW-Authenticate", "Bearer"),))
        except OverpaintError as error:
            return in_words(error)
        except Exception as error:
            log.error("an answer to the web failed: %s", failure(error))
            words = {"field": "server", "message": "the server failed", "remedy": "The server's log has the details"}
            return as_json({"error": words}, 500)

    def _answer(self, request: Request) -> Response:
        if self._here and not names_this_machine(request.host):
            # A foreign page whose name was made to point here would otherwise speak for the person at the screen.
            raise Invalid(field="host", message="this server answers this machine alone", remedy="Ask for 127.0.0.1")
        asked = "GET" if request.method == "HEAD" else request.method
        if found := ACT.fullmatch(request.path):
            return self._act(request, *found.groups()) if asked == "POST" else _not_so("POST")
        if asked != "GET":
            return _not_so("GET, HEAD")
        if request.path in self._page:
            return self._page[request.path]
        if request.path == "/health":
            return self._tell_health()
        caller = self._caller(request)
        if request.path == "/metrics":
            caller.need(Scope.ADMIN)
            return Response(body=self._metrics.exposition(), kind=CONTENT_TYPE)
        if request.path == "/api/queue":
            return as_json(queue_as_json(self._desk, caller, self._health.reasons()))
        if found := PICTURE.fullmatch(request.path):
            job, event = found[1], int(found[2])
            return Response(body=picture_as_png(self._desk.picture(caller, job, event)), kind="image/png", kept=True)
        raise Missing(field="path", message="there is nothing here", remedy="Ask for /")

    def _caller(self, request: Request) -> Caller:
        return ANYONE if self._door.open else self._door.admit(request.token)

    def _tell_health(self) -> Response:
        reasons = self._health.reasons()
        return as_json({"well": not reasons, "reasons": reasons}, 503 if reasons else 200)

    def _act(self, request: Request, job: str, act: str) -> Response:
        if not request.ours:  # a foreign page cannot send this header unless we allow it, and we do not
            raise Invalid(field="header", message="the header X-Overpaint: 1 is missing", remedy="Send it")
        state = self._acts[act](self._caller(request), job)
        log.info("%s over the web", act, extra={"job": job})
        return as_json({"state": state})


def _not_so(allowed: str) -> Response:
    words = {"field": "method", "message": "this path is not asked in that way", "remedy": f"Use {allowed}"}
    refused = as_json({"error": words}, 405)
    return Response(status=refused.status, body=refused.body, more=(("Allow", allowed),))
