"""The web application's answers as functions of the request: guards, methods, hosts; no socket."""

from __future__ import annotations

from pathlib import Path

import pytest
from overpaint.errors import Conflict, Forbidden, Missing, Unauthenticated, Unavailable
from overpaint_backend.web import page_files
from overpaint_backend.web.replies import in_words, names_this_machine, request_of


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8766", "localhost", "LOCALHOST:1", "[::1]:8766", "[::1]", "127.8.8.8:1"]
)
def test_names_of_the_loopback_are_let_in(host: str) -> None:
    assert names_this_machine(host)


@pytest.mark.parametrize("host", ["", "evil.example", "evil.example:8766", "127.0.0.1.evil.example", "localhost.evil.example:1",
                                  "192.168.1.2:8766", "[::2]:1", "::1", "localhost:", "127.0.0.1:x", "[127.0.0.1", "0.0.0.0:8766"])  # fmt: skip
def test_other_names_are_not(host: str) -> None:
    assert not names_this_machine(host)


@pytest.mark.parametrize(
    ("shown", "token"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", ""), ("", ""), ("abc", ""), ("Bearer ", "")],
)
def test_the_token_comes_from_the_header_alone(shown: str, token: str) -> None:
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/queue",
        "QUERY_STRING": "token=abc",
        "HTTP_COOKIE": "token=abc",
    }
    assert request_of(environ | {"HTTP_AUTHORIZATION": shown}).token == token


def test_errors_keep_their_words_and_get_a_status() -> None:
    kinds = {Unauthenticated: 401, Forbidden: 403, Missing: 404, Conflict: 409, Unavailable: 503}
    for kind, status in kinds.items():
        response = in_words(kind(field="job", message="no", remedy="yes"))
        assert response.status == status and b'"remedy": "yes"' in response.body


def test_the_page_has_no_inline_script_style_or_foreign_address() -> None:
    """The Content-Security-Policy would refuse them; nothing may depend on that."""
    html = (Path(str(page_files())) / "index.html").read_text()
    assert "<style" not in html and " style=" not in html and "http" not in html.replace("http-equiv", "")
    assert html.count("<script") == 1 and '<script type="module" src="page.js"></script>' in html
    assert not [word for word in html.split() if word.startswith("on") and "=" in word]
    script = (Path(str(page_files())) / "page.js").read_text()
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "localStorage",
        "document.cookie",
    ):
        assert word not in script
