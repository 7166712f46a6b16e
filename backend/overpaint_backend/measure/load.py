"""Many clients at once on one server: nothing lost, nothing wrong, nobody left behind, and what it takes."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Guide, GuideKey, Input, Knot, Stroke, Task
from overpaint.errors import OverpaintError
from overpaint.job import EventKind, JobSpec

from overpaint_backend.engines.toy.engine import ToyEngine
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.jobs.store import Store
from overpaint_backend.measure.served import served
from overpaint_backend.workers.run import run_job

SIZES = ((64, 48), (48, 64), (96, 64), (160, 90))
LENGTHS = (3, 5, 8)
Pixels = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a client has of a job: the digests of its take's frames (none where it was lost), and seconds from open to the last frame."""

    spec: JobSpec
    take: tuple[str, ...]
    seconds: float
    trouble: str = ""


def bench_load(clients: int = 32, jobs: int = 200) -> dict[str, Any]:
    """So many clients share `jobs`; each has a token of its own, and opens, uploads, seals, watches and fetches one after the other.

    `lost` are jobs whose take did not come, `wrong` those whose take is not, frame by frame, what the toy paints here.
    `fairness` is Jain's index over the clients' mean turnaround x: (sum x)**2 / (n * sum x**2). It is 1 where all wait
    equally long, and 1/n where one waits for everybody. `peak_bytes` is that of the server and its worker together, see
    measure/served.py, with all clients; `peak_bytes_one_client` that of another server that one client alone gives as many jobs
    as each of the others has.
    """
    share = -(-jobs // clients)
    orders = [_request(number) for number in range(jobs)]
    results, seconds, peak = _run([orders[number::clients] for number in range(clients)])
    _, _, peak_alone = _run([orders[:share]])
    means = [float(np.mean([one.seconds for one in mine])) for mine in results if mine]
    found = [one for mine in results for one in mine]
    lost = [one for one in found if not one.take]
    pixels = {name: frame for _, frames in orders for name, frame in frames.items()}
    wrong = _wrong([one for one in found if one.take], pixels)
    return {
        "clients": clients,
        "jobs": jobs,
        "done": len(found) - len(lost),
        "lost": len(lost),
        "wrong": wrong,
        "trouble": sorted({one.trouble for one in lost}),
        "seconds": round(seconds, 2),
        "jobs_per_second": round(len(found) / seconds, 2),
        "turnaround_seconds": {"mean": round(float(np.mean(means)), 3), "slowest_client": round(max(means), 3)},
        "fairness": round(jain(means), 4),
        "peak_bytes": peak,
        "peak_bytes_one_client": peak_alone,
    }


def jain(values: Sequence[float]) -> float:
    """(sum x)**2 / (n * sum x**2), in (0, 1]."""
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))


def _run(shares: Sequence[Sequence[tuple[JobSpec, Pixels]]]) -> tuple[list[list[Result]], float, int | None]:
    """A new server, and a client for each share: what each has, seconds of all together, the server's peak of memory."""
    with served(len(shares)) as server, ThreadPoolExecutor(len(shares)) as threads:
        ready = threading.Barrier(len(shares))

        def work(token: str, orders: Sequence[tuple[JobSpec, Pixels]]) -> list[Result]:
            with Client(server.address, token=token) as client:
                client.server()
                ready.wait(timeout=60)
                return [_one(client, spec, pixels) for spec, pixels in orders]

        began = time.perf_counter()
        results = list(threads.map(work, server.tokens, shares))
        return results, time.perf_counter() - began, server.peak_bytes()


def _one(client: Client, spec: JobSpec, pixels: Pixels) -> Result:
    began, take, trouble = time.perf_counter(), (), ""
    try:
        client.send(spec, pixels.__getitem__)
        last = [event for event in client.watch(spec.id)][-1]
        if last.kind is EventKind.FINISHED:
            take = tuple(digest(patch) for patch in client.fetch(spec.id))
        else:
            trouble = f"{last.kind}: {last.message}"
    except OverpaintError as error:
        trouble = str(error)
    return Result(spec=spec, take=take, seconds=time.perf_counter() - began, trouble=trouble)


def _wrong(results: Sequence[Result], pixels: Pixels) -> int:
    """How many of the takes are not what the toy paints here."""
    engine, wrong = ToyEngine(), 0
    with TemporaryDirectory(prefix="overpaint-") as name:
        store, spool = Store(Path(name) / "jobs.sqlite"), Spool(Path(name) / "spool")
        for one in results:
            for frame in one.spec.digests():
                spool.put(pixels[frame], frame)
            store.open(one.spec)
            store.record(one.spec.id, EventKind.SEALED)
            store.claim("here", 1e9)
            run_job(one.spec, engine, store, spool, "here")
            wrong += store.take(one.spec.id) != one.take
    return wrong


def _request(number: int) -> tuple[JobSpec, Pixels]:
    """A job of a few frames; its size, length, pixels and words are its own."""
    (width, height), length = SIZES[number % len(SIZES)], LENGTHS[number % len(LENGTHS)]
    frames = list(np.random.default_rng(number).integers(0, 256, (length, height, width, 3), np.uint8))
    corners = ((8, 8), (width - 8, 8), (width - 8, height - 8), (8, height - 8))
    area = Stroke(knots=tuple(Knot(x=x, y=y) for x, y in corners), closed=True)
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(area,)),), hold=True)
    edit = Edit(task=Task.REPAINT, prompt=f"coat {number}", seed=number, guides=(mask,), options={"strength": 0.5})
    clip = Clip(
        size=Size(width=width, height=height), rate=Rate(numerator=24), depth=8, frames=tuple(map(digest, frames))
    )
    return JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=edit), {digest(one): one for one in frames}
