"""Tickets and the pump, in Blender."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.clip import Rate, Size
from overpaint.job import JobState
from overpaint_addon.core.ports import Selection, Ticket
from overpaint_addon.core.steps import Doing, Steps
from overpaint_addon.host import pump as pumping
from overpaint_addon.host import stack, tickets
from overpaint_addon.host.pump import PAUSE, Pump


def _ticket(job_id: str, scene: str = "Scene") -> Ticket:
    return Ticket(
        job_id=job_id,
        selection=Selection(
            scene=scene,
            strip='the "coat"',
            channel=3,
            start=-5,
            length=48,
            size=Size(width=1920, height=1080),
            rate=Rate(numerator=24000, denominator=1001),
            depth=16,
            annotation="note",
            mask="Maske ü",
        ),
        request='{"prompt": "ä"}',
        event=7,
        state=JobState.RUNNING,
        words="window 2 of 3",
    )


def saved_and_loaded(folder: str) -> dict[str, bool]:
    """Which of the store's promises hold over saving, loading, and loading another file."""
    store = tickets.BlendTickets()
    bpy.data.scenes.new("Other")
    kept = (_ticket("one"), _ticket("two"), _ticket("three", scene="Other"))
    for ticket in (_ticket("two"), *kept, _ticket("gone")):
        store.keep(ticket)
    store.keep(later := dataclasses.replace(kept[0], event=9, state=JobState.FINISHED))
    store.drop("gone")
    store.drop("never there")
    expected = {later, *kept[1:]}
    found = {"kept": set(store.all()) == expected and len(store.all()) == 3}
    file = str(Path(folder) / "tickets.blend")
    bpy.ops.wm.save_as_mainfile(filepath=file)
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    found["not in another file"] = store.all() == ()
    with bpy.data.libraries.load(file, link=True) as (_, wanted):
        wanted.scenes = ["Scene"]
    linked = next(scene for scene in bpy.data.scenes if scene.library)
    store.close()
    store = tickets.BlendTickets()
    found["not of a linked scene"] = tickets.PROPERTY in linked and store.all() == ()
    found["the own scene"] = [scene.library for scene in stack.own_scenes()] == [None]
    bpy.ops.wm.open_mainfile(filepath=file)
    found["loaded"] = set(store.all()) == expected and len(store.all()) == 3
    found["by another store"] = set(tickets.BlendTickets().all()) == expected
    for ticket in expected:
        store.drop(ticket.job_id)
    found["nothing left"] = not any(tickets.PROPERTY in scene for scene in bpy.data.scenes)
    return found


def undone() -> dict[str, bool]:
    """Undo turns the scene's property back; the store writes it again. (There is no undo in background mode: what it
    does to the scene is done here, and its handlers are called.)"""
    store = tickets.BlendTickets()
    scene = bpy.context.scene
    store.keep(_ticket("one"))
    before = scene[tickets.PROPERTY]
    store.keep(_ticket("two"))
    scene[tickets.PROPERTY] = before
    for handler in bpy.app.handlers.undo_post:
        handler(scene, None)
    found = {"written again": '"two"' in scene[tickets.PROPERTY], "kept": len(store.all()) == 2}
    scene.name = "Renamed"
    store.keep(_ticket("three"))
    found["in a renamed scene"] = len(store.all()) == 3 and '"three"' in scene[tickets.PROPERTY]
    store.close()
    handlers = bpy.app.handlers
    found["listens no more"] = not {"forget", "rewrite"} & {
        function.__name__
        for event in (handlers.load_post, handlers.undo_post, handlers.redo_post)
        for function in event
    }
    return found


def _count(said: list[str], name: str, to: int) -> Steps[int]:
    """Steps that never wait: each says something new."""
    try:
        for number in range(to):
            said.append(f"{name}{number}")
            yield Doing(stage=name, done=number)
        return to * 10
    finally:
        said.append(f"{name} closed")


def _wait(said: list[str], name: str, times: int) -> Steps[str]:
    """Steps that wait: each says the same."""
    try:
        for number in range(times):
            said.append(f"{name}{number}")
            yield Doing(stage="waiting")
        return name
    finally:
        said.append(f"{name} closed")


def pumped() -> dict[str, Any]:
    """What the pump does with steps, in the order it does it."""
    pump: Pump = Pump()
    said: list[str] = []
    one, two = pump.start(_count(said, "a", 2)), pump.start(_wait(said, "b", 3))
    waits, stages, now = [], [], 1.0
    clock, pumping.time = pumping.time, SimpleNamespace(monotonic=lambda: now)
    while (wait := pump.tick()) is not None:
        waits.append(wait)
        doing = pump.doing()
        stages.append(doing and doing.stage)
        now += PAUSE / 100
    pumping.time = clock
    found: dict[str, Any] = {"each in order": [[one for one in said if one[0] == name] for name in "ab"]}
    found["values"] = [one.result(), two.result()]
    found["rests"] = (
        0 < max(waits) < PAUSE + 1e-9 and len(waits) > 100
    )  # asked at once again, it does nothing until then
    found["doing"] = [stages[-1], pump.doing()]

    said.clear()
    pump.start(_wait(said, "c", 9)).cancel()
    found["cancelled before it began"] = [pump.tick(), list(said)]
    late = pump.start(_wait(said, "d", 9))
    pump.tick()
    late.cancel()
    found["cancelled"] = [pump.tick(), said[-1]]

    said.clear()
    pump.start(_wait(said, "e", 9))
    pump.tick()
    pump.close()
    found["closed"] = [pump.tick(), said[-1]]
    found["drained"] = [pump.drain(_wait(said, "f", 3)), pump.tick()]
    return found


def failing() -> dict[str, Any]:
    """What becomes of an error in a step, and of an interrupt in a step and between steps."""
    pump: Pump = Pump()
    closed: list[str] = []

    def steps(trouble: BaseException | None) -> Steps[None]:
        try:
            yield Doing(stage="first")
            if trouble:
                raise trouble
        finally:
            closed.append(type(trouble).__name__)

    found = {}
    future, other = pump.start(steps(ValueError("words"))), pump.start(steps(None))
    while pump.tick() is not None:
        pass
    found["held"] = [str(future.exception()), other.result()]
    for name, trouble in (("error", ValueError("words")), ("interrupt", KeyboardInterrupt())):
        try:
            pump.drain(steps(trouble))
        except BaseException as raised:
            found[name] = [type(raised).__name__, pump.tick()]
    signal.signal(signal.SIGALRM, signal.default_int_handler)  # a KeyboardInterrupt, most likely while the pump sleeps
    said: list[str] = []

    def interrupted() -> Steps[str]:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        return (yield from _wait(said, "w", 10_000))

    try:
        pump.drain(interrupted())
    except KeyboardInterrupt:
        found["asleep"] = [len(said) < 100, said[-1], pump.tick()]
    found["closed"] = closed
    return found
