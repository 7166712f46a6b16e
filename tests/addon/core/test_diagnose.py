from __future__ import annotations

import json
import logging
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from overpaint_addon.core.connection import Check
from overpaint_addon.core.diagnose import GONE, LIMIT, LINES, Findings, LastLines, Private, redact, report

WAYS = (
    str,
    json.dumps,
    repr,
    quote,
    lambda text: quote(text, safe=""),
    lambda text: f"metadata=(('authorization', 'Bearer {text}'),)",
)


def found(**given_: object) -> Findings:
    empty: dict[str, object] = {"versions": (), "connection": (), "checks": (), "jobs": (), "logs": ()}
    return Findings(**empty | given_)  # pyright: ignore[reportArgumentType]


# Digits and signs that no word of the text itself has, so that what is found is the secret.
SECRET = some.text(some.characters(codec="utf-8", exclude_characters="[]removd"), min_size=8).map(
    lambda text: f"7#{text}Q"
)


@given(SECRET, some.sampled_from(WAYS), some.text(), some.text())
def test_a_token_is_nowhere_however_it_is_written(
    token: str, way: Callable[[str], str], before: str, after: str
) -> None:
    line = f"{before}{way(token)}{after}"
    check = Check(part="token", well=False, words=line, remedy=line)
    everywhere = found(
        versions=[("a", line)], connection=[("b", line)], checks=[check], jobs=[("c", line)], logs=[("d", [line, line])]
    )
    text = report(everywhere, Private(secrets=[token]))
    assert way(token) not in text and token not in text


@given(SECRET, some.integers(12, 200))
def test_a_prompt_goes_whole_or_shortened(prompt: str, length: int) -> None:
    prompt = prompt + "a long coat of many colours"
    for written in (prompt, prompt[:length]):
        assert prompt[:12] not in redact(f"take: {written} (3)", Private(prompts=[prompt]))


def test_a_short_prompt_goes_where_it_stands_alone() -> None:
    text = redact("he painted a cat; concatenate", Private(prompts=["cat"]))
    assert text == f"he painted a {GONE}; concatenate"


@pytest.mark.parametrize(
    "line",
    [
        "/home/ada/films/shot.mp4",
        "/Users/ada/films/shot.mp4",
        r"C:\Users\ada\films\shot.mp4",
        r"c:\\Users\\ada\\films\\shot.mp4",
        "C:/Users/ada/films",
        "file:///home/ada/films",
        '{"path": "/home/ada/films"}',
        "opened by ada on the farm",
        r"\\server\Users\ada\x",
        "/mnt/big/ADA/films",
    ],
)
def test_the_user_is_not_named(line: str) -> None:
    assert "ada" not in redact(line, Private(users=["ada"])).lower()


@pytest.mark.parametrize("line", ["/home/somebody/x", r"D:\Users\somebody\x", "/Users/somebody", "x=/home/somebody"])
def test_other_peoples_homes_are_not_named_either(line: str) -> None:
    assert "somebody" not in redact(line, Private())


def test_the_home_folder_becomes_a_tilde_wherever_it_is() -> None:
    assert redact("/data/people/Ünï cödé/a.mp4", Private(homes=["/data/people/Ünï cödé/"])) == "~/a.mp4"


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer s3cr3tvalue",
        "https://me:s3cr3tvalue@host/x",
        "https://s3cr3tvalue@host/x",
        "OVERPAINT_TOKEN=s3cr3tvalue",
        "HF_TOKEN: 's3cr3tvalue'",
        '{"token": "s3cr3tvalue"}',
        "GET /x?token=s3cr3tvalue&y=1",
        "password = s3cr3tvalue",
        "hf_s3cr3tvalues3cr3tvalue",
        "-----BEGIN PRIVATE KEY-----\ns3cr3tvalue\n-----END PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\ns3cr3tvalue and then it is cut",
        "prompt: s3cr3tvalue",
        "edit(prompt='it\\'s s3cr3tvalue', seed=1)",
        '{"negative_prompt": "s3cr3tvalue \\" s3cr3tvalue"}',
    ],
)
def test_what_looks_like_a_secret_goes_whoever_s_it_is(line: str) -> None:
    assert "s3cr3t" not in redact(line, Private())


def test_what_helps_stays() -> None:
    lines = "server: no server answers at 127.0.0.1:8765\nTLSv1.3, the certificate is trusted\ntoken: taken\nFAILED x\n"
    kept = redact(lines, Private(users=["ada"], secrets=["sesame"]))
    assert "no server answers at 127.0.0.1:8765" in kept and "TLSv1.3" in kept and "FAILED" in kept


@settings(deadline=None, max_examples=25)
@given(some.lists(some.text(max_size=50), max_size=30), some.integers(0, 3000), some.integers(0, 300))
def test_it_is_never_too_long(lines: list[str], width: int, count: int) -> None:
    log = [*lines, *["x" * width] * count, "the last line"]
    text = report(
        found(versions=[("a", "b" * width)], logs=[("Add-on", log), ("Backend", log), ("Empty", [])]), Private()
    )
    assert len(text) <= LIMIT and text.count("the last line") == 2


def test_of_a_long_log_the_end_stays() -> None:
    text = report(found(logs=[("Add-on", [f"line {number}" for number in range(1000)])]), Private())
    assert "line 999\n" in text and f"line {1000 - LINES}\n" in text and f"line {999 - LINES}\n" not in text


def test_the_last_lines_of_a_logger_are_kept() -> None:
    kept, log = LastLines(), logging.getLogger("overpaint-test")
    log.addHandler(kept)
    log.setLevel(logging.INFO)
    for number in range(LINES + 5):
        log.info("number %d\nand more", number)
    log.removeHandler(kept)
    assert len(kept.lines) == LINES and kept.lines[-2].endswith(f"number {LINES + 4}")
