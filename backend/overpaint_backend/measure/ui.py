"""`overpaint bench ui`: how long the add-on holds up Blender's main thread while a strip is read, sent and followed."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
from overpaint.errors import Internal

from overpaint_backend.media import ffmpeg_binary, probe, read_frames
from overpaint_backend.server import serving
from overpaint_backend.settings import load_settings

SCRIPT = Path(__file__).with_name("ui_in_blender.py")
RATE = 25
SIZE = "1920x1080"


def bench_ui(blender: Path, extension: Path, frames: int = 300) -> dict[str, Any]:
    """Paint a generated clip with the engine `toy` from a real Blender, and time each tick of the add-on's pump.

    `blender` is a Python that has bpy, `extension` the add-on's zip. A tick is all that the add-on does on the main
    thread at once. Ticks are in milliseconds. `decode` is what plain decoding of the same movie takes in this process
    before Blender runs. Raises Internal with Blender's last words where it fails.
    """
    with tempfile.TemporaryDirectory(prefix="overpaint-") as name:
        folder = Path(name)
        movie = folder / "clip.mkv"
        source = ffmpeg.input(f"testsrc2=size={SIZE}:rate={RATE}", f="lavfi", t=frames / RATE)
        source.output(str(movie), vcodec="libx264", preset="ultrafast", pix_fmt="yuv420p").run(
            cmd=ffmpeg_binary(), quiet=True
        )
        began = time.perf_counter()
        decoded = sum(1 for _ in read_frames(probe(movie)))
        decoding = time.perf_counter() - began
        figures = folder / "figures.json"
        orders = {"clip": str(movie), "frames": frames, "figures": str(figures), "extension": str(extension.absolute())}
        (folder / "orders.json").write_text(json.dumps(orders))
        with serving(load_settings(flags={"listen": "127.0.0.1:0", "folder": folder / "server"})) as server:
            own = {"BLENDER_USER_RESOURCES": str(folder / "user"), "OVERPAINT_SERVER": server.address}
            command = [str(blender), str(SCRIPT), str(folder / "orders.json")]
            ran = subprocess.run(command, env=os.environ | own, capture_output=True, text=True)
        if not figures.is_file():
            tail = "\n".join((ran.stdout + ran.stderr).splitlines()[-12:])
            raise Internal(field="blender", message=f"Blender ended with {ran.returncode}:\n{tail}", remedy="See above")
        said = json.loads(figures.read_text())
    ticks = np.array(said["ticks"]) * 1000
    return {
        "blender": said["blender"],
        "frames": decoded,
        "size": SIZE,
        "ticks": len(ticks),
        "tick_median_ms": round(float(np.median(ticks)), 3),
        "tick_p99_ms": round(float(np.percentile(ticks, 99)), 3),
        "tick_max_ms": round(float(ticks.max()), 3),
        "tick_max_doing": said["doing"][int(ticks.argmax())],
        "seconds": said["seconds"],
        "capture_frames_per_second": round(frames / said["seconds"]["reading the strip"], 2),
        "decode_frames_per_second": round(decoded / decoding, 2),
    }
