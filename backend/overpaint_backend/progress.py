"""A job's events as a person or a program reads them: a bar with ETA on a terminal, lines elsewhere, or JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace

from overpaint.job import EventKind, JobEvent
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

STEPS = 1000  # of the bar


def show(events: Iterator[JobEvent], *, as_json: bool) -> Iterator[JobEvent]:
    """Pass the events on, and show each."""
    if as_json:
        for event in events:
            plain = asdict(replace(event, picture=None))  # a terminal shows none
            print(json.dumps({name: value for name, value in plain.items() if value or name == "number"}), flush=True)
            yield event
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from _lines(events)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("waiting", total=STEPS, left="")
        for event in events:
            progress.update(bar, description=words(event), completed=STEPS * event.share, left=left(event))
            yield event


def _lines(events: Iterator[JobEvent]) -> Iterator[JobEvent]:
    shown = ""
    for event in events:
        line = words(event)
        if line != shown:
            print(line, file=sys.stderr, flush=True)
        shown = line
        yield event


def words(event: JobEvent) -> str:
    """The event in a few words."""
    if event.kind is EventKind.SEALED:
        return f"waiting, place {event.queue_place}" if event.queue_place else "waiting"
    if event.kind in (EventKind.PROGRESS, EventKind.STARTED):
        place = f" {event.window + 1}/{event.windows}" if event.window < event.windows > 1 else ""
        return f"{event.stage}{place}"
    if event.kind is EventKind.LOST:
        return f"waiting again: {event.message}"
    return event.kind.replace("_", " ")


def left(event: JobEvent) -> str:
    """The estimate of what is left, in words; empty where there is none."""
    if event.seconds_left is None:
        return ""
    minutes, seconds = divmod(round(event.seconds_left), 60)
    return f"about {minutes} min {seconds:02} s left" if minutes else f"about {seconds} s left"
