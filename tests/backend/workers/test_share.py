"""The windows of one job, painted by several engines at once: the take is that of one engine, whatever happens to them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from overpaint.card import EngineCard
from overpaint.clip import Clip, Rate, Size
from overpaint.edit import Edit, Task
from overpaint.errors import Cancelled, Invalid
from overpaint.job import EventKind, JobEvent, JobSpec
from overpaint_backend.engine import Carry, Conditioning, DeviceFault, NodeLost, Progress, WindowInput, WindowOutput
from overpaint_backend.engines.toy.alone import card as toy_alone
from overpaint_backend.engines.toy.card import card as toy
from overpaint_backend.engines.toy.engine import ToyEngine
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.workers.run import run_job
from overpaint_backend.workers.share import MOST_DEATHS, Share

from tests.fakes import clip_frames, held_mask

FRAMES = clip_frames(23)  # six windows of 4, the last of 3
alone = replace(toy_alone, max_frames=4)
chained = replace(toy, max_frames=4, overlap=1)
MASK = np.zeros((24, 32), np.uint8)
MASK[6:15, 10:20] = 255
STEPS = 60_000  # of a millisecond: a minute


class Scripted(ToyEngine):
    """The toy, which does `before` each window that it begins, with the engine's progress."""

    def __init__(self, before: Callable[[Progress], object] = lambda progress: None, card: EngineCard = alone) -> None:
        super().__init__(card)
        self.before = before
        self.painted: list[int] = []

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        self.before(progress)
        out = super().paint(cut, cond, carry, progress)
        self.painted.append(cut.span.start // 4)
        return out


class Job:
    """One job in a folder of its own, claimed by "w"."""

    def __init__(self, folder: Path, card: EngineCard = alone) -> None:
        self.store, self.spool = Store(folder / "jobs.sqlite"), Spool(folder / "spool")
        frames = tuple(map(self.spool.put, FRAMES))
        clip = Clip(size=Size(width=32, height=24), rate=Rate(numerator=24), depth=8, frames=frames)
        self.spool.put(MASK)
        edit = Edit(task=Task.REPAINT, prompt="many hands", guides=(held_mask(MASK),), options={"steps": 2})
        self.spec = JobSpec(id=uuid.uuid4().hex, engine=card.name, clip=clip, edit=edit)
        self.store.open(self.spec)
        self.store.record(self.spec.id, EventKind.SEALED)
        self.store.claim("w", 60)

    def run(self, engine: ToyEngine, *helpers: Callable[[Share], object]) -> list[np.ndarray]:
        """The take, with a thread for each of `helpers` while windows are painted."""

        @contextmanager
        def offer(share: Share) -> Generator[None, None, None]:
            threads = [threading.Thread(target=help_with, args=(share,)) for help_with in helpers]
            for thread in threads:
                thread.start()
            yield
            for thread in threads:
                thread.join(60)

        run_job(self.spec, engine, self.store, self.spool, "w", offer)
        return [self.spool.get(one) for one in self.store.take(self.spec.id)]

    def done(self) -> list[JobEvent]:
        return [event for event in self.store.events(self.spec.id) if event.kind is EventKind.WINDOW_DONE]


@pytest.fixture(scope="module")
def alone_take(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    return Job(tmp_path_factory.mktemp("alone")).run(ToyEngine(alone))


def same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def help_always(engine: ToyEngine) -> Callable[[Share], None]:
    def help_with(share: Share) -> None:
        while share.help(engine):
            pass

    return help_with


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=6, max_size=6), st.integers(1, 3))
def test_whoever_paints_which_window_the_take_is_that_of_one(
    alone_take: list[np.ndarray], helped: list[int], helpers: int
) -> None:
    """While the job's engine paints its n-th window, others paint helped[n] windows in turn."""
    with TemporaryDirectory() as name:
        job, shares = Job(Path(name)), list[Share]()
        others = [Scripted() for _ in range(helpers)]
        turns = iter(helped)

        def let_help(progress: Progress) -> None:
            for turn in range(next(turns)):
                shares[0].help(others[turn % helpers])

        @contextmanager
        def offer(share: Share) -> Generator[None, None, None]:
            shares.append(share)
            yield

        mine = Scripted(let_help)
        run_job(job.spec, mine, job.store, job.spool, "w", offer)
        take = [job.spool.get(one) for one in job.store.take(job.spec.id)]
        assert same(take, alone_take)
        assert sorted(window for one in (mine, *others) for window in one.painted) == list(range(6))  # none twice
        events = job.done()
        assert sorted(event.window for event in events) == list(range(6))
        assert [event.share for event in events] == [number / 6 for number in range(1, 7)]


def test_several_paint_at_the_same_time(tmp_path: Path, alone_take: list[np.ndarray]) -> None:
    together = threading.Barrier(3)  # passed only when three are within a window at once
    engines = [Scripted(lambda progress: together.wait(60)) for _ in range(3)]
    job = Job(tmp_path)
    assert same(job.run(engines[0], *map(help_always, engines[1:])), alone_take)
    assert [len(engine.painted) for engine in engines] == [2, 2, 2]


def test_a_device_that_is_lost_while_it_helps_costs_its_window_only(
    tmp_path: Path, alone_take: list[np.ndarray]
) -> None:
    began, lost = threading.Event(), threading.Event()

    def die(progress: Progress) -> None:
        began.set()
        raise DeviceFault("the node is gone")

    def help_with(share: Share) -> None:
        with pytest.raises(DeviceFault):
            share.help(Scripted(die))
        lost.set()

    mine = Scripted(lambda progress: began.wait(60))
    job = Job(tmp_path)
    assert same(job.run(mine, help_with), alone_take) and lost.is_set()
    assert sorted(mine.painted) == list(range(6))  # it came back to the job's own engine


def test_the_last_window_comes_back_to_who_waits_for_it(tmp_path: Path, alone_take: list[np.ndarray]) -> None:
    taken, alone_left = threading.Event(), threading.Event()

    def die(progress: Progress) -> None:
        taken.set()
        alone_left.wait(60)
        raise DeviceFault("the node is gone")

    def help_with(share: Share) -> None:
        with pytest.raises(DeviceFault):
            share.help(Scripted(die))

    def begin(progress: Progress) -> None:
        taken.wait(60)
        if len(mine.painted) == 4:  # it begins the fifth of six, and the helper holds the one that is left
            threading.Timer(0.2, alone_left.set).start()

    mine = Scripted(begin)
    job = Job(tmp_path)
    assert same(job.run(mine, help_with), alone_take)
    assert sorted(mine.painted) == list(range(6))


def test_a_window_that_ends_every_device_ends_the_job(tmp_path: Path) -> None:
    began, ended = threading.Event(), threading.Event()

    def die(progress: Progress) -> None:
        raise DeviceFault("no device survives this")

    def help_with(share: Share) -> None:
        began.wait(60)
        for _ in range(MOST_DEATHS):
            with pytest.raises(DeviceFault):
                share.help(Scripted(die))
        ended.set()

    def begin(progress: Progress) -> None:
        began.set()
        assert ended.wait(60)

    job = Job(tmp_path)
    mine = Scripted(begin)
    with pytest.raises(DeviceFault, match="no device survives"):
        job.run(mine, help_with)
    assert mine.painted == [0]  # what it had begun, it finished


def test_a_window_that_loses_nodes_and_devices_is_judged_by_each_alone(
    tmp_path: Path, alone_take: list[np.ndarray]
) -> None:
    began, ended = threading.Event(), threading.Event()
    ends = iter([NodeLost("gone"), DeviceFault("broken")] * (MOST_DEATHS - 1))

    def die(progress: Progress) -> None:
        raise next(ends)

    def help_with(share: Share) -> None:
        began.wait(10)
        for _ in range(2 * (MOST_DEATHS - 1)):
            with pytest.raises(DeviceFault):
                share.help(Scripted(die))
        ended.set()

    def begin(progress: Progress) -> None:
        began.set()
        assert ended.wait(10)

    assert same(Job(tmp_path).run(Scripted(begin), help_with), alone_take)


@pytest.mark.parametrize("error", [Invalid(field="prompt", message="not this word"), ValueError("a fault")])
def test_an_engine_that_fails_while_it_helps_fails_the_job_and_stops_the_others(
    tmp_path: Path, error: Exception
) -> None:
    failed = threading.Event()

    def fail(progress: Progress) -> None:
        failed.set()
        raise error

    def go_on(progress: Progress) -> None:
        failed.wait(60)
        for step in range(STEPS):
            progress("painting", step, STEPS)
            threading.Event().wait(0.001)

    mine, job = Scripted(go_on), Job(tmp_path)
    with pytest.raises(type(error), match=str(error)):
        job.run(mine, lambda share: share.help(Scripted(fail)))
    assert not mine.painted


def test_law_7_a_cancelled_job_stops_all_at_their_next_step(tmp_path: Path) -> None:
    job = Job(tmp_path)
    together, stopped = threading.Barrier(3), list[Exception]()

    def paint_for_ever(progress: Progress) -> None:
        together.wait(60)
        try:
            for step in range(STEPS):
                progress("painting", step, STEPS)
                threading.Event().wait(0.001)
        except Exception as error:
            stopped.append(error)
            raise

    def cancel(share: Share) -> None:
        together.wait(60)
        job.store.cancel(job.spec.id)

    helper = Scripted(paint_for_ever)
    mine = Scripted(paint_for_ever)
    with pytest.raises(Cancelled):
        job.run(mine, help_always(helper), cancel)
    assert [type(error) for error in stopped] == [Cancelled, Cancelled] and not mine.painted and not helper.painted


def test_nobody_helps_where_a_window_needs_the_one_before(tmp_path: Path) -> None:
    spare = list[int]()

    def look(share: Share) -> None:
        spare.append(share.spare)

    job, engine = Job(tmp_path, chained), ToyEngine(chained)
    job.run(engine, look)
    assert spare == [0]
    assert [event.window for event in job.done()] == list(range(8))  # each begins with the last frame of the one before


def test_only_an_engine_that_paints_the_same_bytes_fits(tmp_path: Path) -> None:
    other, closer = ToyEngine(alone), ToyEngine(replace(alone, max_frames=3))
    other.painter = "toy-alone 1 on another kind of device"
    fits = list[bool]()
    Job(tmp_path).run(ToyEngine(alone), lambda share: fits.extend(map(share.fits, (ToyEngine(alone), other, closer))))
    assert fits == [True, False, False]
