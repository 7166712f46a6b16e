"""Painting on a Ray cluster: real nodes, real kills, and the take of a job is always the one that this machine paints."""

from __future__ import annotations

import os
import re
import signal
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Task
from overpaint.job import EventKind, JobEvent, JobSpec
from overpaint_backend.jobs.store import MOST_LOSSES, Store

from tests.backend.workers.test_crash import workers_of
from tests.fakes import clip_frames, held_mask
from tests.ray.conftest import Nodes, names, patched
from tests.serving import Serving, serving

FRAMES = clip_frames(128)  # 8 windows that stand alone, or 11 that overlap
MASK = np.zeros((24, 32), np.uint8)
MASK[6:15, 10:20] = 255
Until = Callable[..., None]
LOST_NODE = r"the node \S+ \(\w+\) was lost"


def job(engine: str = "toy-alone", *, steps: int = 4, delay: float = 0.0, prompt: str = "on Ray") -> JobSpec:
    clip = Clip(size=Size(width=32, height=24), rate=Rate(numerator=24), depth=8, frames=tuple(map(digest, FRAMES)))
    options = {"delay": delay, "steps": steps}
    edit = Edit(task=Task.REPAINT, prompt=prompt, guides=(held_mask(MASK),), options=options)
    return JobSpec(id=uuid.uuid4().hex, engine=engine, clip=clip, edit=edit)


def submit(client: Client, spec: JobSpec, priority: int = 0) -> None:
    pixels = {digest(one): one for one in (*FRAMES, MASK)}
    _, missing = client.open_job(spec, priority)
    client.upload(spec.id, [pixels[one] for one in missing]) if missing else None
    client.seal_job(spec.id)


def take(client: Client, spec: JobSpec) -> np.ndarray:
    return np.stack(list(client.fetch(spec.id)))


def kinds(events: list[JobEvent]) -> list[EventKind]:
    return [event.kind for event in events]


def painted(events: list[JobEvent]) -> list[int]:
    return sorted(event.window for event in events if event.kind is EventKind.WINDOW_DONE)


@contextmanager
def on(nodes: Nodes, folder: Path) -> Generator[tuple[Serving, Client], None, None]:
    with (
        serving(folder / "ray", "--executor", f"ray:{nodes.address}") as server,
        Client(server.address) as client,
    ):
        yield server, client


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What the local executor paints."""
    with (
        serving(tmp_path_factory.mktemp("local") / "jobs") as server,
        Client(server.address) as client,
    ):
        specs = [job("toy"), job("toy-alone")]
        for spec in specs:
            submit(client, spec)
            assert list(client.watch(spec.id))[-1].kind is EventKind.FINISHED
        return {spec.engine: take(client, spec) for spec in specs}


def test_law_5_local_and_ray_give_the_same_bytes(
    nodes: Nodes, here: dict[str, np.ndarray], tmp_path: Path, until: Until
) -> None:
    nodes.only(2)
    with on(nodes, tmp_path) as (_, client):
        until(lambda: len(names(client)) == 2, "two devices")
        assert all(name.startswith("cpu:") for name in names(client)) and len(set(names(client))) == 2
        assert {card.name: card.obstacle for card in client.engines()}["toy-alone"] == ""
        for engine in ("toy", "toy-alone"):
            spec = job(engine)
            submit(client, spec)
            assert list(client.watch(spec.id))[-1].kind is EventKind.FINISHED
            assert np.array_equal(take(client, spec), here[engine])


def test_law_4_a_node_that_is_killed_costs_its_window_only(
    nodes: Nodes, here: dict[str, np.ndarray], tmp_path: Path, until: Until
) -> None:
    nodes.only(3)
    with on(nodes, tmp_path) as (_, client):
        until(lambda: len(names(client)) == 3, "three devices")
        spec = job(delay=0.75)
        submit(client, spec)
        watched = client.watch(spec.id)
        events = [next(event for event in watched if event.kind is EventKind.WINDOW_DONE)]
        nodes.kill()
        events += list(watched)
        assert kinds(events)[-1] is EventKind.FINISHED, events[-1]
        assert painted(events) == list(range(8))  # none was painted twice
        assert np.array_equal(take(client, spec), here["toy-alone"])
        until(lambda: len(names(client)) == 2, "the killed node is listed no more")


def test_law_4_a_job_that_loses_its_only_node_goes_on_with_the_next_that_comes(
    nodes: Nodes, here: dict[str, np.ndarray], tmp_path: Path, until: Until
) -> None:
    nodes.only(1)
    with on(nodes, tmp_path) as (_, client):
        spec = job("toy", delay=0.2)
        submit(client, spec)
        watched = client.watch(spec.id)
        events = [next(event for event in watched if event.kind is EventKind.WINDOW_DONE)]
        nodes.kill()
        events.append(next(event for event in watched if event.kind in (EventKind.LOST, EventKind.FINISHED)))
        assert events[-1].kind is EventKind.LOST and "was lost" in events[-1].message
        until(lambda: names(client) == (), "no device")
        nodes.add()
        events += list(watched)
        assert kinds(events)[-1] is EventKind.FINISHED, events[-1]
        done = [event.window for event in events if event.kind is EventKind.WINDOW_DONE]
        assert done == sorted(set(done))
        assert np.array_equal(take(client, spec), here["toy"])


def lose_nodes(nodes: Nodes, until: Until, ready: Callable[[int], bool]) -> None:
    """Kill a node when it is `ready`, as often as ends a job that does so to its workers, and once more; another comes each time."""
    for turn in range(MOST_LOSSES + 1):
        until(lambda turn=turn: ready(turn), "a window")
        nodes.kill()
        nodes.add()


def check_losses(client: Client, spec: JobSpec, take_here: np.ndarray) -> int:
    """The job is finished, and has lost nodes only; how many were its own."""
    events = list(client.watch(spec.id))
    assert kinds(events)[-1] is EventKind.FINISHED, events[-1]
    lost = [event for event in events if event.kind is EventKind.LOST]
    assert {event.field for event in lost} == {"node"}
    assert all(re.match(LOST_NODE, event.message) for event in lost)
    assert len(painted(events)) == len(set(painted(events)))
    assert np.array_equal(take(client, spec), take_here)
    return len(lost)


def test_law_4_a_job_may_lose_more_nodes_than_workers(
    nodes: Nodes, here: dict[str, np.ndarray], tmp_path: Path, until: Until
) -> None:
    nodes.only(1)
    with on(nodes, tmp_path) as (_, client):
        until(lambda: len(names(client)) == 1, "one device")
        store, spec = Store(tmp_path / "ray" / "jobs.sqlite"), job("toy", delay=0.2)

        def ready(turn: int) -> bool:
            """It has begun on the newest node, and finished a window there."""
            said = [
                one for one in kinds(list(store.events(spec.id))) if one in (EventKind.STARTED, EventKind.WINDOW_DONE)
            ]
            return said.count(EventKind.STARTED) == turn + 1 and said[-1] is EventKind.WINDOW_DONE

        submit(client, spec)
        lose_nodes(nodes, until, ready)
        assert check_losses(client, spec, here["toy"]) == MOST_LOSSES + 1
        assert len(re.findall(f": {LOST_NODE}", (tmp_path / "ray.log").read_text())) == MOST_LOSSES + 1


def test_law_4_a_job_that_others_help_with_may_lose_more_nodes_than_workers(
    nodes: Nodes, here: dict[str, np.ndarray], tmp_path: Path, until: Until
) -> None:
    """The older of two nodes is killed each time: the job's own at times, and at times one that helps."""
    nodes.only(2)
    with on(nodes, tmp_path) as (_, client):
        until(lambda: len(names(client)) == 2, "two devices")
        store, spec = Store(tmp_path / "ray" / "jobs.sqlite"), job(delay=2.0)
        submit(client, spec)
        lose_nodes(nodes, until, lambda turn: len(painted(list(store.events(spec.id)))) > turn)
        assert 0 < check_losses(client, spec, here["toy-alone"]) <= MOST_LOSSES + 1


def test_law_7_a_cancelled_job_frees_all_its_devices(nodes: Nodes, tmp_path: Path, until: Until) -> None:
    nodes.only(2)
    with on(nodes, tmp_path) as (_, client):
        until(lambda: len(names(client)) == 2, "two devices")
        spec = job(steps=1000, delay=0.1)  # a window would take 100 s
        submit(client, spec)
        watched = client.watch(spec.id)
        next(event for event in watched if event.stage == "painting" and event.step > 2)
        client.cancel(spec.id)
        assert kinds(list(watched))[-1] is EventKind.CANCELLED
        after = [job(prompt="first"), job(prompt="second")]
        for one in after:
            submit(client, one)
        assert all(list(client.watch(one.id))[-1].kind is EventKind.FINISHED for one in after)


def test_who_helps_gives_way_to_a_job_of_its_own(nodes: Nodes, tmp_path: Path, until: Until) -> None:
    nodes.only(2)
    with on(nodes, tmp_path) as (_, client):
        until(lambda: len(names(client)) == 2, "two devices")
        large, small = job(delay=0.25), job(prompt="small")
        submit(client, large)
        watched = client.watch(large.id)
        events = [next(event for event in watched if event.kind is EventKind.WINDOW_DONE)]
        submit(client, small)
        short = list(client.watch(small.id))
        events += list(watched)
        assert kinds(short)[-1] is kinds(events)[-1] is EventKind.FINISHED
        assert short[-1].at < events[-1].at and painted(events) == list(range(8))


def test_law_4_the_executor_is_killed(nodes: Nodes, here: dict[str, np.ndarray], tmp_path: Path, until: Until) -> None:
    nodes.only(2)
    with on(nodes, tmp_path) as (server, client):
        until(lambda: len(names(client)) == 2, "two devices")
        spec = job(delay=0.5)
        submit(client, spec)
        watched = client.watch(spec.id)
        events = [next(event for event in watched if event.kind is EventKind.WINDOW_DONE)]
        (executor,) = workers_of(server)
        os.kill(executor, signal.SIGKILL)
        events += list(watched)
        assert kinds(events).count(EventKind.LOST) == 1 and kinds(events)[-1] is EventKind.FINISHED
        assert painted(events) == list(range(8))
        assert np.array_equal(take(client, spec), here["toy-alone"])


def test_a_drain_lets_the_windows_of_all_devices_end(nodes: Nodes, tmp_path: Path, until: Until) -> None:
    nodes.only(2)
    store = Store(tmp_path / "ray" / "jobs.sqlite")
    with (
        serving(tmp_path / "ray", "--executor", f"ray:{nodes.address}", "--drain", "60") as server,
        Client(server.address) as client,
    ):
        until(lambda: len(names(client)) == 2, "two devices")
        specs = [job("toy", delay=1.0, prompt=prompt) for prompt in ("first", "second")]
        for one in specs:
            submit(client, one)
            next(event for event in client.watch(one.id) if event.stage == "painting")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=40) == 0
    for one in specs:
        events = store.events(one.id)
        assert 0 in painted(list(events)) and (events[-1].kind, events[-1].field) == (EventKind.LOST, "server")


DIES = """
from overpaint_backend.engines.toy import engine
paint = engine.ToyEngine.paint
def dies(self, *args):
    import os
    os._exit(7)
engine.ToyEngine.paint = dies
"""


def test_a_job_that_ends_three_actors_has_failed(nodes: Nodes, tmp_path: Path, until: Until) -> None:
    nodes.only(0)
    nodes.add(**patched(tmp_path / "dies", DIES))
    with on(nodes, tmp_path) as (_, client):
        spec = job("toy")
        submit(client, spec)
        events = list(client.watch(spec.id))
        assert kinds(events)[-1] is EventKind.FAILED and kinds(events).count(EventKind.LOST) == 2
        assert "stopped its worker 3 times" in events[-1].message


HANGS = """
from pathlib import Path
from overpaint_backend.engines.toy import engine
from overpaint_backend.workers import silence
silence.HUNG = 4.0
paint = engine.ToyEngine.paint
def hangs(self, cut, *rest):
    import time
    begun = Path(__file__).with_name("begun")
    if cut.span.start > 0 and not begun.exists():
        begun.touch()
        time.sleep(1e6)
    return paint(self, cut, *rest)
engine.ToyEngine.paint = hangs
"""


def test_a_step_that_hangs_is_noticed_and_its_job_goes_on(
    nodes: Nodes, here: dict[str, np.ndarray], tmp_path: Path
) -> None:
    nodes.only(0)
    nodes.add(**patched(tmp_path / "hangs", HANGS))
    with on(nodes, tmp_path) as (_, client):
        spec = job("toy")
        submit(client, spec)
        events = list(client.watch(spec.id))
        (lost,) = (event for event in events if event.kind is EventKind.LOST)
        assert lost.field == "worker" and "no step for 0.0667 minutes" in lost.message
        assert kinds(events)[-1] is EventKind.FINISHED and painted(events) == list(range(11))
        assert np.array_equal(take(client, spec), here["toy"])


def test_law_7_a_step_that_hangs_gives_the_device_back_after_a_cancel(
    nodes: Nodes, tmp_path: Path, until: Until
) -> None:
    nodes.only(0)
    nodes.add(**patched(tmp_path / "hangs", HANGS.replace("4.0", "3600.0")))
    with on(nodes, tmp_path) as (_, client):
        spec, other = job("toy"), job("toy", prompt="other")
        submit(client, spec)
        submit(client, other)
        until((tmp_path / "hangs" / "begun").exists, "the step that hangs")
        client.cancel(spec.id)
        assert kinds(list(client.watch(spec.id)))[-1] is EventKind.CANCELLED
        assert kinds(list(client.watch(other.id)))[-1] is EventKind.FINISHED


FAILS = """
from overpaint_backend.engines.toy import engine
def fails(self, *args):
    raise KeyError("no such thing")
engine.ToyEngine.paint = fails
"""


def test_an_engine_that_fails_over_there_fails_its_job_in_words(nodes: Nodes, tmp_path: Path, until: Until) -> None:
    nodes.only(0)
    nodes.add(**patched(tmp_path / "fails", FAILS))
    with on(nodes, tmp_path) as (_, client):
        spec = job("toy")
        submit(client, spec)
        last = list(client.watch(spec.id))[-1]
        assert (last.kind, last.field) == (EventKind.FAILED, "engine") and "KeyError: 'no such thing'" in last.message
        log = (tmp_path / "ray.log").read_text()
        assert re.search(r"KeyError at \S+sitecustomize.py:\d+ fails", log)
        assert (
            "no such thing" not in log
        )  # the owner hears the engine's own words, and no log does unless it is asked for


def test_a_node_of_another_version_is_refused_in_words(nodes: Nodes, tmp_path: Path, until: Until) -> None:
    nodes.only(1)
    nodes.add(**patched(tmp_path / "old", "import overpaint; overpaint.__version__ = '0.0.1'"))
    with on(nodes, tmp_path) as (_, client):
        log = tmp_path / "ray.log"
        until(lambda: "has overpaint 0.0.1, and the server" in log.read_text(), "the refusal")
        until(lambda: len(names(client)) == 1, "the other device")
        spec = job()
        submit(client, spec)
        assert list(client.watch(spec.id))[-1].kind is EventKind.FINISHED


def node(name: str, **resources: float) -> dict[str, Any]:
    return {"NodeID": name, "NodeManagerAddress": f"host-{name}", "Alive": name != "dead", "Resources": resources}


@pytest.mark.parametrize(
    ("nodes_", "expected"),
    [
        ([node("a", CPU=8), node("b", CPU=4), node("head")], [("a", 0, 0, 1, 0), ("b", 0, 0, 1, 0)]),
        ([node("a", CPU=8), node("b", CPU=4, GPU=2)], [("b", 0, 1, 0, 0), ("b", 1, 1, 0, 0)]),
        ([node("a", CPU=8, overpaint=2), node("b", GPU=2)], [("a", 0, 0, 0, 1), ("a", 1, 0, 0, 1)]),
        ([node("b", GPU=2, overpaint=1)], [("b", 0, 1, 0, 1)]),
        ([node("dead", CPU=8)], []),
    ],
)
def test_graphics_cards_before_processors_and_what_is_named_before_both(
    nodes_: list[dict[str, Any]], expected: list[tuple[Any, ...]]
) -> None:
    from overpaint_backend.workers.ray import seats

    assert [(one.node, one.number, one.gpus, one.cpus, one.ours) for one in seats(nodes_)] == expected
