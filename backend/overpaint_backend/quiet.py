"""What the log says of a failure: what and where, but not in its own words, which may quote prompts and paths."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

ASKED = "OVERPAINT_LOG_PROMPTS"
"""Where this is set, but not to no, the log has the failure's own words as well; workers take it over from their server."""

NO = ("", "0", "false", "no", "off")


def asked() -> bool:
    """Whether the log may quote."""
    return os.environ.get(ASKED, "").lower() not in NO


def failure(error: BaseException) -> str:
    """The failure's type and the lines of code that led to it, the last first, and the same of what it came from."""
    if asked():
        return "".join(traceback.format_exception(error)).rstrip()
    said: list[str] = []
    one: BaseException | None = error
    while one is not None:
        frames = reversed(traceback.extract_tb(one.__traceback__))
        places = [f"{'/'.join(Path(each.filename).parts[-2:])}:{each.lineno} {each.name}" for each in frames]
        said.append(f"{type(one).__name__} at {' < '.join(places) or 'no line'}")
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "; after ".join(said)
