"""Doing, and waiting without blocking: what the use-cases' short steps are made of."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TypeVar

from overpaint.job import Picture

from .ports import Backend, Future

R = TypeVar("R")
AWAY = "waiting for the server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What a use-case is doing right now, for whoever watches: `done` of `total`, where there is a total.

    `detail` says more of the stage, `picture` shows what is painted so far.
    """

    stage: str
    detail: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    picture: Picture | None = None


Steps = Generator[Doing, None, R]
"""A use-case on its way: each `next` does one short step; it returns its result.

A step that says the same as the one before is waiting for something; whoever drives it may take a rest.
"""


def until(future: Future[R], doing: Doing) -> Steps[R]:
    """Give way until `future` is done; returns its result or raises its error."""
    while not future.done():
        yield doing
    return future.result()


def patiently(backend: Backend, future: Future[R], doing: Doing) -> Steps[R]:
    """As `until`, for what goes on after a cut; says so while the server is away."""
    while not future.done():
        yield replace(doing, stage=AWAY) if backend.away else doing
    return future.result()
