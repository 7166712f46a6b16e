"""The queue as the page reads it: JSON of what this caller may see, and what he may do to each job."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from overpaint.job import EventKind, JobEvent, JobState, Picture

from overpaint_backend.access import Caller, Scope
from overpaint_backend.desk import Desk
from overpaint_backend.jobs.board import Standing

ACTS: dict[JobState, tuple[str, ...]] = {
    JobState.OPEN: ("cancel",),
    JobState.QUEUED: ("front", "pause", "cancel"),
    JobState.RUNNING: ("pause", "cancel"),
    JobState.PAUSED: ("resume", "cancel"),
    JobState.FAILED: ("retry",),
    JobState.CANCELLED: ("retry",),
}
PAINTING = (JobState.RUNNING, JobState.CANCELLING)


def queue_as_json(desk: Desk, caller: Caller, reasons: tuple[str, ...]) -> dict[str, Any]:
    """All that the page shows at one look."""
    server = desk.server()
    jobs = sorted(desk.board(caller), key=_order)
    return {
        "server": {
            "version": server.version,
            "devices": [device.title for device in server.devices],
            "now": server.now,
        },
        "caller": {"name": caller.name, "admin": Scope.ADMIN in caller.scopes},
        "health": {"well": not reasons, "reasons": reasons},
        "jobs": [_job(job, caller) for job in jobs],
    }


def picture_as_png(picture: Picture) -> bytes:
    rgb = np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)
    return cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()


def _order(job: Standing) -> tuple[int, float]:
    """The queue by its places, those that do not wait in it after them; what ended by its end, the newest first."""
    if job.state.ended:
        return (2, -job.last.at)
    return (0, job.place) if job.place else (1, job.opened_at)


def _job(job: Standing, caller: Caller) -> dict[str, Any]:
    failed = job.state is JobState.FAILED
    acts = ACTS.get(job.state, ())
    return {
        "id": job.id,
        "room": "painting" if job.state in PAINTING else "ended" if job.state.ended else "waiting",
        "state": job.state,
        "engine": job.engine,
        "task": job.task,
        "frames": job.frames,
        "size": str(job.size),
        "owner": job.owner,
        "opened_at": job.opened_at,
        "place": job.place,
        "prompt": job.prompt if caller.sees(job.owner) else "",
        "progress": _progress(job.far or job.last),
        "picture": job.picture,
        "error": {"message": job.last.message, "remedy": job.last.remedy} if failed else None,
        "can": [act for act in acts if act != "front" or job.place > 1],
    }


def _progress(event: JobEvent) -> dict[str, Any]:
    return {
        "stage": event.stage or ("painted" if event.kind is EventKind.WINDOW_DONE else "starting"),
        "step": event.step,
        "steps": event.steps,
        "window": event.window,
        "windows": event.windows,
        "share": event.share,
        "seconds_left": event.seconds_left,
    }
