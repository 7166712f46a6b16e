"""An engine that paints on another machine: the actor of Ray that holds it there, and its stand-in here."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import overpaint
import ray
from overpaint.card import Device, EngineCard
from overpaint.edit import Edit
from overpaint.errors import BY_STATUS, Cancelled, Internal, OverpaintError
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from overpaint_backend import registry
from overpaint_backend.devices import devices
from overpaint_backend.engine import (
    Carry,
    Conditioning,
    DeviceFault,
    Engine,
    NodeLost,
    OutOfMemory,
    Progress,
    WindowInput,
    WindowOutput,
)
from overpaint_backend.quiet import asked, failure
from overpaint_backend.settings import read_settings
from overpaint_backend.workers.local import GRACE, broke_the_device
from overpaint_backend.workers.silence import HUNG, Silence, reason

LOOK = 0.2  # seconds between two looks at how far a window is, or at a node
DOUBT = 60.0  # seconds that a node may neither answer nor be known as dead: as Ray is set up, it knows after 45 at most
GONE = {"Alive": False, "NodeManagerAddress": "of which Ray knows nothing any more"}
log = logging.getLogger(__name__)

Said: TypeAlias = tuple[str, int, int]
"""stage, step, steps: what an engine tells its Progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an actor says of itself. `obstacles`: for each engine what keeps the device from it ("": nothing)."""

    version: str
    device: Device
    obstacles: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a call. An error is in plain words: what an engine raises may not be known where it is read."""

    result: Any = None
    error: type[Exception] | None = None
    words: dict[str, str] = field(default_factory=dict)
    trace: str = ""  # where it failed, without the words of the failure
    said: Said | None = None  # the last report of the engine


class DeviceActor:
    """Paints windows with one device of the cluster. It keeps an engine at hand, and nothing that would be missed."""

    def __init__(self) -> None:
        self._weights = read_settings().weights  # of this machine: OVERPAINT_WEIGHTS says where
        self._device = devices()[0]  # Ray shows the actor the one graphics card that is its own
        self._engine: Engine | None = None
        self._words: Edit | None = None
        self._cond: Conditioning = None
        self._said: tuple[int, Said] | None = None
        self._stopped = 0
        self._silence = Silence(self._device.name)

    def report(self) -> Report:
        cards = registry.usable(self._weights, gpu=self._device.name.startswith("cuda"))
        obstacles = {card.name: card.obstacle for card in cards}
        return Report(version=overpaint.__version__, device=self._device, obstacles=obstacles)

    def load(self, name: str) -> Answer:
        """Have the engine `name` ready; its card and its painter."""

        def build() -> tuple[EngineCard, str]:
            engine = self._loaded(name)
            return engine.card, engine.painter

        return self._answer(build)

    def paint(self, number: int, name: str, cut: WindowInput, words: Edit, carry: Carry | None) -> Answer:
        """The WindowOutput. `number` is what `said` and `stop` call this window."""
        cut, carry = deepcopy(
            (cut, carry)
        )  # Ray hands over arrays that cannot be written to, and its own memory with them

        def progress(stage: str, step: int, steps: int) -> None:
            self._said = number, (stage, step, steps)
            if self._stopped == number:
                raise Cancelled(field="job", message="the job was cancelled")

        def painted() -> WindowOutput:
            engine = self._loaded(name)
            if words != self._words:
                self._words, self._cond = None, None
                self._cond, self._words = engine.encode(words), words
            return engine.paint(cut, self._cond, carry, progress)

        return self._answer(painted, number)

    @ray.method(concurrency_group="control")
    def said(self, number: int) -> Answer:
        """What the engine reported last of the window `number`, if anything; DeviceFault where it hangs."""
        if self._silence.lasts(self._said):
            return Answer(error=DeviceFault, words={"message": reason()})
        return Answer(said=self._last(number))

    @ray.method(concurrency_group="control")
    def stop(self, number: int) -> None:
        """Stop painting the window `number` at the engine's next step."""
        self._stopped = number

    def _last(self, number: int) -> Said | None:
        return self._said[1] if self._said and self._said[0] == number else None

    def _loaded(self, name: str) -> Engine:
        if self._engine is None or self._engine.card.name != name:
            self._forget()  # the old one's memory, before the new one is built
            self._engine = registry.build(name, self._device.name, self._weights)
        return self._engine

    def _forget(self) -> None:
        self._engine = self._words = self._cond = None

    def _answer(self, act: Callable[[], Any], number: int = 0) -> Answer:
        self._silence = Silence(self._device.name)
        try:
            return Answer(result=act(), said=self._last(number))
        except OverpaintError as error:
            words = {"field": error.field, "message": error.message, "remedy": error.remedy}
            known = OutOfMemory if isinstance(error, OutOfMemory) else BY_STATUS[error.status]
            return Answer(error=known, words=words)
        except MemoryError as error:
            self._forget()
            words = {"field": "device", "message": str(error) or "it ran out"}
            return Answer(error=OutOfMemory, words=words, trace=failure(error))
        except Exception as error:
            self._forget()
            if broke_the_device(error):
                return Answer(error=DeviceFault, words={"message": str(error).partition("\n")[0]})
            what = f"the engine failed: {type(error).__name__}: {error}"
            words = {"field": "engine", "message": what, "remedy": "The server's log has the details"}
            return Answer(error=Internal, words=words, trace=failure(error))


def start_actor(**asked: Any) -> Any:
    """An actor with what is `asked` of Ray. Another takes the place of one that died, so Ray starts none again."""
    options: dict[str, Any] = {"max_restarts": 0, "concurrency_groups": {"control": 2}}
    actor: Any = ray.remote(**options)
    return actor(DeviceActor).options(**asked).remote()


def _live() -> None:
    """What a node that lives can do."""


_here: Any = ray.remote(_live)


def node_lost(node: str) -> str:
    """That the node (its id) was lost, in words; "" where it lives, or where Ray does not know either.

    An actor's end is known at once, and its node's some seconds later, when enough signs of life are missed. So the
    node is given something to do: until it has done that, or is known as dead, nobody knows.
    """
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    ask: Any = _here.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote
    asked, until = ask(), time.monotonic() + DOUBT
    while time.monotonic() < until:
        found = next((one for one in ray.nodes() if one["NodeID"] == node), GONE)
        if not found["Alive"]:
            return f"the node {found['NodeManagerAddress']} ({node[:8]}) was lost"
        try:
            ray.get(asked, timeout=LOOK)
            return ""
        except GetTimeoutError:
            continue
        except RayError:  # it is going, or what was to do it was ended too: for want of memory, say
            time.sleep(LOOK)
            asked = ask()
    return ""


class RemoteEngine:
    """The engine that an actor has loaded, as the walk of a job knows engines.

    `where` is its device in words, on `node`. Raises NodeLost where that is gone, and DeviceFault wherever the actor or
    the way there is lost.
    """

    _numbers = itertools.count(1)

    def __init__(self, actor: Any, name: str, where: str, node: str) -> None:
        self._actor, self._where, self._node = actor, where, node
        loading = actor.load.remote(name)
        for _ in self._reports(loading, 0):
            pass
        self.card, self.painter = self._result(loading).result

    def encode(self, edit: Edit) -> Conditioning:
        """The words themselves: what the engine makes of them stays where the engine is."""
        return edit

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        """Paint one window. What `progress` raises stops it over there, and passes on once the device is free."""
        number = next(self._numbers)
        answer = self._actor.paint.remote(number, self.card.name, cut, cond, carry)
        try:
            for said in self._reports(answer, number):
                progress(*said)
        except DeviceFault:
            raise
        except BaseException:
            self._actor.stop.remote(number)
            if not ray.wait([answer], timeout=GRACE)[0]:
                raise DeviceFault(f"{self._where}: its step does not end") from None
            raise
        found = self._result(answer)
        if found.said is not None:
            progress(*found.said)
        return deepcopy(found.result)  # out of Ray's memory

    def _reports(self, answer: Any, number: int) -> Iterator[Said]:
        """The engine's last report again and again, until `answer` is there. Raises DeviceFault where it hangs, or is lost."""
        heard = time.monotonic()
        said: Said = ("starting", 0, 1)  # before the first one too: whoever hears it may want the engine to stop
        try:
            while not ray.wait([answer], timeout=LOOK)[0]:
                # No answer: it is busy, or its node is on the way to be lost; Ray says so in its time.
                with suppress(GetTimeoutError):
                    found: Answer = ray.get(self._actor.said.remote(number), timeout=LOOK)
                    if found.error is not None:
                        raise DeviceFault(f"{self._where}: {found.words['message']}")
                    said, heard = found.said or said, time.monotonic()
                if time.monotonic() - heard > HUNG:  # its interpreter is held
                    raise DeviceFault(f"{self._where}: {reason()}")
                yield said
        except RayError as error:
            raise self._lost(error) from error

    def _result(self, answer: Any) -> Answer:
        try:
            found: Answer = ray.get(answer)
        except RayError as error:
            raise self._lost(error) from error
        if found.error is None:
            return found
        if found.trace:
            said = f": {found.words['message']}" if asked() else ""
            log.error("%s: %s%s", self._where, found.trace, said)
        if found.error is DeviceFault:
            raise DeviceFault(f"{self._where}: {found.words['message']}")
        raise found.error(**found.words)

    def _lost(self, error: RayError) -> DeviceFault:
        lost = node_lost(self._node)
        if lost:
            return NodeLost(lost)
        first = str(error).strip().partition("\n")[0]
        return DeviceFault(f"{self._where} was lost ({type(error).__name__}: {first})")
