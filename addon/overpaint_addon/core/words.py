"""The add-on's words in the artist's language: English is what is looked up, and what is said where nothing is found."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

CONTEXT = "Overpaint"  # in which Blender has no words of its own
WIDE = re.compile("[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]")
FIRST_WORD = re.compile("^[a-z]+(?= )")
_look_up: Callable[[str], str] = str


def say(words: str, /, **given: object) -> str:
    """The words translated, with what is `given` in the place of its {names}. Only literals can be translated."""
    found = _look_up(words)
    return found.format(**given) if given else found


def speak(look_up: Callable[[str], str]) -> None:
    """Translate with `look_up` from now on; `str` leaves everything English."""
    global _look_up
    _look_up = look_up


def sentences(message: str, remedy: str = "") -> str:
    """What is wrong, and what to do, as one reads it in a panel: begun with a capital, unless that would change a name."""
    words = f"{message}. {remedy}" if remedy else message
    return FIRST_WORD.sub(lambda found: found[0].capitalize(), words)


def columns(text: str) -> int:
    """How many Latin letters are as wide as the text: a Chinese or Japanese character is as wide as two."""
    return len(text) + len(WIDE.findall(text))


def lines(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` columns, broken at spaces, and within what has none: as Japanese."""
    counted = WIDE.sub("\\g<0>\0", text)  # textwrap counts characters, so each wide one is made two
    return [line.replace("\0", "") for line in textwrap.wrap(counted, width)]
