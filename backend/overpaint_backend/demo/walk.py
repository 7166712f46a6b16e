"""Run the demo: start a server, let a real Blender do an artist's work, compare before and after, write the report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from overpaint import wire
from overpaint.edit import Input
from overpaint.errors import Internal, Invalid
from overpaint.job import JobSpec

from overpaint_backend.demo import clip
from overpaint_backend.demo.sheet import Row, contact_sheet
from overpaint_backend.guides.mask import weight
from overpaint_backend.guides.raster import rasterise
from overpaint_backend.media import Footage, picture_paths, probe, read_frames, write_movie

STROKES = Path(__file__).with_name("strokes")  # a sketch's file for each edit that has one
MINUTES = 10  # after which a Blender that says nothing more is stopped


PROMPT = "a large blue circle with yellow dots"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """An edit of the demo: its fields in the panel, the layers of its mask, and the sketch's lines by frame."""

    name: str
    fields: dict[str, object]
    layers: list[dict[str, object]]
    sketch: dict[int, clip.Lines]


EDITS = (
    Edit(
        name="remove",
        fields={"engine": "flow", "task": "remove", "use_sketch": False, "feather": 2.0},
        layers=[
            {"name": "walker", "blend": "MERGE_ADD", "polygons": clip.WALKER},
            {"name": "post", "blend": "MERGE_SUBTRACT", "polygons": clip.POST},
        ],
        sketch={},
    ),
    Edit(
        name="face",
        fields={"engine": "flow", "task": "repaint", "use_sketch": True, "feather": 1.0},
        layers=[{"name": "ball", "blend": "MERGE_ADD", "polygons": clip.ball()}],
        sketch={clip.FACE_FRAME: clip.face()},
    ),
    Edit(
        name="dots",
        fields={"engine": "vires-small", "task": "repaint", "use_sketch": True, "prompt": PROMPT, "feather": 1.0},
        layers=[{"name": "ball", "blend": "MERGE_ADD", "polygons": clip.ball()}],
        sketch={frame: clip.dots(frame) for frame in range(0, clip.LENGTH, 2)},
    ),
)


def run_demo(out: Path, *, blender: Path, extension: Path, cache: Path) -> int:
    """Leave the demo's results in `out`; returns 0 when the report holds. `blender` is a Python that has bpy."""
    _clear(out)
    began = time.perf_counter()
    movie = clip.fetch(cache)
    footage = probe(movie)
    orders = _orders(out, movie, extension, footage)
    with _server(out) as address:
        figures = _blender(blender, orders, out, address)
    report = _report(out, figures, footage, time.perf_counter() - began)
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    print(f"look at {out / 'sheet.png'}, and open {out / 'edit.blend'}")
    well = all(
        edit["outside_mask_max_abs_diff"] == 0 and edit["frames_out"] == report["frames_in"] for edit in report["edits"]
    )
    return 0 if well else 1


def _clear(out: Path) -> None:
    """An earlier demo makes way; anything else in the folder does not."""
    if out.exists() and any(out.iterdir()) and not (out / "orders.json").exists():
        raise Invalid(field="out", message=f"{out} holds something else than a demo", remedy="Name another folder")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


def _orders(out: Path, movie: Path, extension: Path, footage: Footage) -> Path:
    edits = [
        {
            "name": edit.name,
            "fields": edit.fields,
            "layers": edit.layers,
            "sketch": {"width": 3, "file": str(STROKES / f"{edit.name}.blend"), "lines": edit.sketch},
        }
        for edit in EDITS
    ]
    rate = footage.rate
    assert rate is not None  # it is a movie
    file = out / "orders.json"
    orders = {
        "out": str(out.absolute()),
        "figures": str((out / "figures.json").absolute()),
        "clip": str(movie.absolute()),
        "extension": str(extension.absolute()),
        "first": clip.FIRST,
        "length": clip.LENGTH,
        "size": [footage.size.width, footage.size.height],
        "rate": [rate.numerator, rate.denominator],
        "edits": edits,
    }
    file.write_text(json.dumps(orders))
    return file


@contextmanager
def _server(out: Path) -> Generator[str, None, None]:
    """A backend in a process of its own, on a free port, with its jobs in `out`."""
    folder = out / "server"
    command = [
        sys.executable,
        "-m",
        "overpaint_backend.cli",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--folder",
        str(folder),
    ]
    with (out / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        print(f"demo: {line.strip()}", flush=True)
        try:
            if " listens on " not in line:
                raise Internal(field="server", message="the backend did not start", remedy=f"See {out / 'server.log'}")
            yield line.split(" listens on ")[1].split(",")[0]
        finally:
            process.terminate()
            process.communicate(timeout=30)
    shutil.rmtree(folder)


def _blender(blender: Path, orders: Path, out: Path, address: str) -> dict[str, Any]:
    """Run the artist's script in Blender; what it prints is shown as it comes, all of it is in blender.log."""
    own = {"BLENDER_USER_RESOURCES": str((out / "blender").absolute()), "OVERPAINT_SERVER": address}
    command = [str(blender), str(Path(__file__).with_name("in_blender.py")), str(orders)]
    with (out / "blender.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | own
        )
        stopper = threading.Timer(60 * MINUTES, process.kill)
        stopper.start()
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            if line.startswith("demo:"):
                print(line, end="", flush=True)
        stopper.cancel()
    if process.wait() != 0:
        tail = "\n".join((out / "blender.log").read_text().splitlines()[-12:])
        raise Internal(
            field="blender",
            message=f"Blender ended with {process.returncode}:\n{tail}",
            remedy=f"See {out / 'blender.log'}",
        )
    shutil.rmtree(out / "blender")
    return json.loads((out / "figures.json").read_text())


def _report(out: Path, figures: dict[str, Any], footage: Footage, seconds: float) -> dict[str, Any]:
    specs = {edit["name"]: wire.request_from_json(edit["request"]) for edit in figures["edits"]}
    frames = {
        name: [next(read_frames(probe(path))) for path in picture_paths(out / "frames" / name, "frames")]
        for name in ("before", *specs, "after")
    }
    weights = {name: [_weight(spec, frame) for frame in range(len(spec.clip))] for name, spec in specs.items()}
    write_movie(out / "take.mp4", frames["after"], specs["remove"].clip.rate)
    rows = [
        Row(
            title=f"{name}, by {spec.engine}" + (f': "{spec.edit.prompt}"' if spec.edit.prompt else ""),
            frames=frames[name],
            mask=weights[name],
            sketch=_sketches(spec),
        )
        for name, spec in specs.items()
    ]
    contact_sheet(out / "sheet.png", frames["before"], rows, frames["after"])
    return {
        "blender": figures["blender"],
        "clip": f"{clip.MEMBER} of {clip.PACKAGE}, frames {clip.FIRST} to {clip.FIRST + clip.LENGTH - 1}",
        "frames_in": clip.LENGTH,
        "size": str(specs["remove"].clip.size),
        "edits": [
            {
                "name": edit["name"],
                "engine": specs[edit["name"]].engine,
                "frames_out": len(frames[edit["name"]]),
                **_compare(frames["before"], frames[edit["name"]], weights[edit["name"]]),
                "uploaded_bytes": sent,
                "strip": edit["strip"],
            }
            for edit, sent in zip(figures["edits"], figures["sent_bytes"], strict=True)
        ],
        "seconds": figures["seconds"] | {"all": round(seconds, 2)},
    }


def _drawn(spec: JobSpec, kind: Input, frame: int) -> np.ndarray:
    """A guide of strokes as pixels; black where it is not given."""
    guide, size = spec.edit.guide(kind), spec.clip.size
    pixels = None if guide is None else rasterise(guide, frame, size)
    return np.zeros((size.height, size.width), np.uint8) if pixels is None else pixels


def _weight(spec: JobSpec, frame: int) -> np.ndarray:
    guide = spec.edit.guide(Input.MASK)
    assert guide is not None  # every edit of the demo has one
    return weight(_drawn(spec, Input.MASK, frame), guide)


def _sketches(spec: JobSpec) -> dict[int, np.ndarray]:
    """The sketch on its keyed frames."""
    guide = spec.edit.guide(Input.SKETCH)
    return {key.frame: _drawn(spec, Input.SKETCH, key.frame) for key in (guide.keys if guide else ())}


def _compare(before: list[np.ndarray], after: list[np.ndarray], weights: list[np.ndarray]) -> dict[str, float]:
    """What changed between two renders of the sequencer, outside and inside the feathered mask, in 8-bit levels."""
    outside, inside, touched = 0, 0.0, 0
    for old, new, shown in zip(before, after, weights, strict=True):
        change = np.abs(old.astype(int) - new).max(axis=2)
        outside = max(outside, int(change[shown == 0].max(initial=0)))
        inside += float(change[shown > 0].sum())
        touched += int((shown > 0).sum())
    return {"outside_mask_max_abs_diff": outside, "inside_mask_mean_abs_diff": round(inside / max(touched, 1), 3)}
