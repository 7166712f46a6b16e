"""The add-on's words in the artist's language: English is what is looked up, and what is said where nothing is found."""

from __future__ import annotations

from collections.abc import Callable

_look_up: Callable[[str], str] = str


def say(words: str, /, **given: object) -> str:
    """The words translated, with what is `given` in the place of its {names}. Only literals can be translated."""
    found = _look_up(words)
    return found.format(**given) if given else found


def speak(look_up: Callable[[str], str]) -> None:
    """Translate with `look_up` from now on; `str` leaves everything English."""
    global _look_up
    _look_up = look_up
