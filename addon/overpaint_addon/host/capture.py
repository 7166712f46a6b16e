"""The parent's side of a capture: save a copy of the file, start the child Blender, read what it leaves on disk."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
import overpaint
from overpaint.edit import Guide, Track
from overpaint.errors import Internal

from ..core.ports import Selection
from . import strokes
from .tiff import read_tiff


def start(selection: Selection) -> ChildCapture:
    """Save a copy of the open file and start the child."""
    folder = Path(tempfile.mkdtemp(prefix="overpaint-", dir=bpy.app.tempdir or None))
    try:
        save_copy(folder / "copy.blend")
        (folder / "plan.json").write_text(json.dumps(_plan(selection, folder)), "utf-8")
        return ChildCapture(_start_child(folder), folder, selection.length)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def save_copy(file: Path) -> None:
    # Saving packs every file into the .blend where the user asked for that; not for our copy.
    packs = bpy.data.use_autopack
    bpy.data.use_autopack = False
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(file), copy=True, relative_remap=True, compress=False)
    finally:
        bpy.data.use_autopack = packs


def _plan(selection: Selection, folder: Path) -> dict[str, object]:
    return {
        "file": str(folder / "copy.blend"),
        "scene": selection.scene,
        "strip": selection.strip,
        "start": selection.start,
        "length": selection.length,
        "width": selection.size.width,
        "height": selection.size.height,
        "depth": selection.depth,
        "annotation": selection.annotation,
        "sketch_layers": selection.sketch_layers,
        "mask_layers": selection.mask_layers,
        "track_layers": selection.track_layers,
        "mask_source": selection.mask_source,
        "mask": selection.mask,
        "box": selection.box,
        "objects": selection.objects,
        "scene_lines": selection.scene_lines,
    }


def _start_child(folder: Path) -> subprocess.Popen[bytes]:
    # The child must not load the add-on: it runs without the user's preferences. It finds this package's rooms in a
    # package of another name, since an extension's folder may be called what `overpaint` is called.
    rooms, shared = str(Path(__file__).parents[1]), str(Path(overpaint.__file__).parents[1])
    script = (
        f"import sys, types; sys.path.append({shared!r}); "
        f"rooms = sys.modules['rooms'] = types.ModuleType('rooms'); rooms.__path__ = [{rooms!r}]; "
        f"from rooms.host.capture_child import main; main({str(folder)!r})"
    )
    if bpy.app.binary_path:
        command = [bpy.app.binary_path, "--background", "--factory-startup", "--disable-autoexec"]
        command += ["--python-exit-code", "1", "--python-expr", script]
    else:
        command = [sys.executable, "-P", "-c", script]
    with (folder / "stdout.txt").open("wb") as out, (folder / "stderr.txt").open("wb") as err:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # closed when this process ends, however it ends: the child's sign to end too
            stdout=out,
            stderr=err,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )


class ChildCapture:
    """A running capture. Everything but `close` may be called from any thread, and nothing blocks on the child."""

    def __init__(self, child: subprocess.Popen[bytes], folder: Path, length: int) -> None:
        self.child = child
        self.folder = folder
        self._length = length
        self._captured = 0

    def captured(self) -> int:
        """How many frames are on disk. Raises Internal when the child failed, with its words."""
        ended = self.child.poll()  # asked before the frames are counted: what it left then is all there will be
        while self._captured < self._length and self._file(self._captured).exists():
            self._captured += 1
        if ended is not None and self._captured < self._length:
            raise Internal(
                field="capture",
                message=f"the Blender that renders the strip ended with {ended}: {self._last_words()}",
                remedy="Render the strip with Render > Render Animation to see why",
            )
        return self._captured

    def frame(self, index: int) -> np.ndarray:
        """Frame `index`, "h w 3", uint8 or uint16; it must be captured already."""
        return read_tiff(self._file(index))

    def guides(self) -> tuple[Guide, ...]:
        """Sketch and mask; they are there before the first frame is."""
        return strokes.from_json((self.folder / "guides.json").read_text("utf-8"))

    def guide_pixels(self, digest: str) -> np.ndarray:
        """The pixels that a guide names by their digest, "h w" uint8."""
        return np.load(self.folder / f"{digest}.npy")

    def tracks(self) -> tuple[Track, ...]:
        """The motion tracks in clip pixels; they are there before the first frame is."""
        return strokes.tracks_from_json((self.folder / "tracks.json").read_text("utf-8"))

    def close(self) -> None:
        """Stop the child if it still runs, and remove the files: elsewhere, since gigabytes of them take a while."""
        self.child.kill()
        threading.Thread(target=self._clear, name="overpaint-clear").start()

    def _clear(self) -> None:
        self.child.wait()
        if self.child.stdin is not None:
            self.child.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, index: int) -> Path:
        return self.folder / f"{index:06d}.tif"

    def _last_words(self) -> str:
        lines = (self.folder / "stderr.txt").read_text("utf-8", errors="replace").splitlines()
        return "; ".join([line.strip() for line in lines if line.strip()][-3:]) or "it said nothing"
