"""What is needed to find out what is wrong, as a text that can be shown to anyone: no secret, no name, no prompt."""

from __future__ import annotations

import json
import logging
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from .connection import Check

LIMIT = 65_000  # characters: what a bug tracker takes
LINES = 200  # of each log
GONE = "[removed]"
LONGEST = 2000  # characters of a line: a longer one tells little, and to cut one could leave half a secret
SHORTEST = 12  # characters of a prompt by which a shortened one is still known

# What looks like a secret wherever it stands, whoever's it is.
SECRETS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"(?i)(?<=bearer )\s*\S+",
    r"(?i)(?<=basic )\s*[a-z0-9+/=]{8,}",
    r"(?<=://)[^/\s@]+(?=@)",
    r"""(?i)(?<![a-z])(?:token|password|passwd|secret|api_?key)["']?\s*[=:]\s*(?:"[^"\n]*"|'[^'\n]*'|[^\s,;&"']+)""",
    r"""(?i)(?:negative_)?prompt["']?\s*[=:]\s*(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[^\n]*)""",
    r"\b(?:hf|ghp|gho|ghs|sk|xox[a-z])[-_][A-Za-z0-9_-]{16,}",
)
# The folder under which a system keeps its users', and the name that follows.
HOMES = r"(?i)((?:^|[\\/\s\"'=(:,;])(?:[a-z]:)?(?:\\\\|[\\/])+(?:home|users|documents and settings)(?:\\\\|[\\/])+)([^\\/\n\"':;,)]+)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What goes into the text: pairs of name and value, the checks of the last test, and logs, the newest line last."""

    versions: Sequence[tuple[str, str]]
    connection: Sequence[tuple[str, str]]
    checks: Sequence[Check]
    jobs: Sequence[tuple[str, str]]
    logs: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """What must not be in the text: tokens, prompts, the user's name and home folder."""

    secrets: Sequence[str] = ()
    prompts: Sequence[str] = ()
    users: Sequence[str] = ()
    homes: Sequence[str] = ()


def report(findings: Findings, private: Private) -> str:
    """The text, below LIMIT characters; of the logs, the oldest lines go first where it would be longer."""
    head = redact("\n".join(map(_short, _head(findings))), private)[: LIMIT // 2]
    logs = [
        (title, redact("\n".join(map(_short, lines[-LINES:])), private).splitlines()) for title, lines in findings.logs
    ]
    room = (LIMIT - len(head)) // max(len(logs), 1) - 100  # for title and marks
    return head + "".join(f"\n\n## {title}\n{_end(lines, room)}" for title, lines in logs) + "\n"


def _head(findings: Findings) -> Iterable[str]:
    yield "# Overpaint diagnostics"
    for title, pairs in (("Versions", findings.versions), ("Connection", findings.connection)):
        yield f"\n## {title}"
        yield from (f"{name}: {value}" for name, value in pairs)
    yield "\n## Test"
    for check in findings.checks:
        mark = {True: "ok ", False: "BAD", None: "-  "}[check.well]
        yield f"{mark} {check.part}: {check.words}" + (f". {check.remedy}" if check.remedy else "")
    if not findings.checks:
        yield "not run"
    yield "\n## Jobs"
    yield from (f"{name}: {value}" for name, value in findings.jobs)
    if not findings.jobs:
        yield "none"


def _short(line: str) -> str:
    return line if len(line) <= LONGEST else f"[a line of {len(line)} characters is left out]"


def _end(lines: Sequence[str], room: int) -> str:
    """As many of the last lines as there is room for, in characters."""
    kept: deque[str] = deque()
    for line in reversed(lines):
        room -= len(line) + 1
        if room < 0:
            kept.appendleft("[older lines are left out]")
            break
        kept.appendleft(line)
    return "\n".join(kept) or "empty"


def redact(text: str, private: Private) -> str:
    """`text` without what is private, in whichever way it is written down, and without what looks like a secret."""
    for secret in _longest_first(form for one in private.secrets for form in _forms(one)):
        text = text.replace(secret, GONE)
    for prompt in _longest_first(form for one in private.prompts for form in _forms(one)):
        text = _without_prompt(text, prompt)
    for home in _longest_first(form for one in private.homes for form in _forms(one.rstrip("/\\"))):
        text = re.sub(re.escape(home), "~", text, flags=re.IGNORECASE)
    for looks in SECRETS:
        text = re.sub(looks, _keep_name, text, flags=re.DOTALL)
    text = re.sub(HOMES, rf"\1{GONE}", text)
    for user in _longest_first(form for one in private.users for form in _forms(one)):
        text = re.sub(rf"(?<!\w){re.escape(user)}(?!\w)", GONE, text, flags=re.IGNORECASE)
    return text


def _keep_name(found: re.Match[str]) -> str:
    """Of `token=abc`, the name stays."""
    name = re.match(r"""[A-Za-z_]+["']?\s*[=:]""", found[0])
    return f"{name[0]} {GONE}" if name else GONE


def _without_prompt(text: str, prompt: str) -> str:
    """Without the prompt, and without a beginning of it, as a name or a log shortens it.

    One that is too short to be told from other words goes where it stands alone.
    """
    if len(prompt) < SHORTEST:
        return re.sub(rf"(?<!\w){re.escape(prompt)}(?!\w)", GONE, text)
    known, pieces, at = prompt[:SHORTEST], list[str](), 0
    while (found := text.find(known, at)) >= 0:
        end = found + SHORTEST
        while end < len(text) and end - found < len(prompt) and text[end] == prompt[end - found]:
            end += 1
        pieces += [text[at:found], GONE]
        at = end
    return "".join((*pieces, text[at:]))


def _forms(secret: str) -> Iterable[str]:
    """A text as it is, and as JSON, Python and URLs write it."""
    yield from (secret, secret.strip())
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret.encode("utf-8", "surrogatepass"))
    yield quote(secret.encode("utf-8", "surrogatepass"), safe="")


def _longest_first(forms: Iterable[str]) -> list[str]:
    return sorted({form for form in forms if form}, key=len, reverse=True)


class LastLines(logging.Handler):
    """Keeps the last lines that a logger was told."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        self.lines: deque[str] = deque(maxlen=LINES)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.extend(self.format(record).splitlines())
