"""The log: one line for each event, with what it is about, as text and as JSON."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from collections.abc import Iterator

import pytest
from overpaint_backend.journal import about, write_log

log = logging.getLogger("overpaint_backend.somewhere")


@pytest.fixture(autouse=True)
def _the_log_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers, root.level
    yield
    root.handlers, root.level = before


def written(form: str) -> list[str]:
    to = io.StringIO()
    write_log(form, to)
    with about(worker="cpu/1", method="OpenJob"):
        log.info("a job came\nand tries to write a line of its own", extra={"job": "a" * 32})
    log.warning("nothing special")
    return to.getvalue().splitlines()


def test_text_is_one_line_with_what_it_is_about() -> None:
    first, second = written("text")
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO somewhere: a job came\\nand tries", first)
    assert first.endswith(f"[job={'a' * 32} worker=cpu/1 method=OpenJob]")
    assert second.endswith("WARNING somewhere: nothing special")


def test_json_is_one_object_a_line() -> None:
    first, second = map(json.loads, written("json"))
    assert first["job"] == "a" * 32 and first["worker"] == "cpu/1" and first["method"] == "OpenJob"
    assert first["message"] == "a job came\nand tries to write a line of its own" and first["level"] == "info"
    assert set(second) == {"at", "level", "room", "message"}


def test_a_trace_stays_with_its_line() -> None:
    to = io.StringIO()
    write_log("json", to)
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("it failed")
    (line,) = map(json.loads, to.getvalue().splitlines())
    assert line["message"] == "it failed" and line["trace"].endswith("ValueError: broken")


def test_what_a_line_is_about_stays_with_its_thread_and_its_block() -> None:
    to = io.StringIO()
    write_log("json", to)
    with about(job="one"):
        with about(job="two", method="m"):
            log.info("inner")
        other = threading.Thread(target=log.info, args=("elsewhere",))
        other.start()
        other.join()
        log.info("outer")
    inner, elsewhere, outer = map(json.loads, to.getvalue().splitlines())
    assert (inner["job"], inner["method"]) == ("two", "m")
    assert "job" not in elsewhere and outer["job"] == "one" and "method" not in outer
