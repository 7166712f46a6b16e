"""A Blender window: asked with Python, but touched with mouse and keys only."""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.window.place import inside

WIDTH, HEIGHT = 1920, 1200
DISPLAY = ":97"
PATIENCE = 60.0  # seconds
READING = 40.0
STILL = 2.0  # pixels
LARGER = 3  # times, for the reader
Box = tuple[int, int, int, int]  # left, top, width, height
EAR = Path(__file__).with_name("ear.py")  # listens inside Blender


class Window:
    """Points are pixels of the screen from its upper left corner."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        """`folder` lies below /tmp, which both systems see; words and answers are files in it."""
        self.folder, self._asked = folder, 0
        own = {"DISPLAY": DISPLAY, "HOME": str(folder), "BLENDER_USER_RESOURCES": str(folder / "user")}
        self._environment = os.environ | own | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | environment
        (folder / "ear.py").write_text(EAR.read_text())
        self._log = (folder / "blender.log").open("w")
        screen = ["Xvfb", DISPLAY, "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "+extension", "GLX"]
        self._screen = self._start(screen)
        time.sleep(2)
        place = ["--window-geometry", "0", "0", str(WIDTH), str(HEIGHT)]
        blender = ["blender", "--factory-startup", *place, "--python", str(folder / "ear.py"), "--", str(folder)]
        self._blender = self._start(blender)
        assert self.ask("bpy.app.background") is False

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*inside(), *command], env=self._environment, stdout=self._log, stderr=subprocess.STDOUT
        )

    def close(self) -> None:
        for process in (self._blender, self._screen):
            process.kill()
            process.wait()
        self._log.close()

    def ask(self, expression: str, **given: Any) -> Any:
        """What an expression is in Blender, through JSON. Raises AssertionError with Blender's words where it fails."""
        return self._say("eval", expression, given)

    def run(self, statements: str, **given: Any) -> None:
        """Set the scene: statements that no person would have to do by hand."""
        self._say("exec", statements, given)

    def _say(self, way: str, words: str, given: dict[str, Any]) -> Any:
        self._asked += 1
        part = self.folder / "question.part"
        part.write_text(json.dumps({"number": self._asked, "way": way, "words": words, "given": given}))
        part.replace(self.folder / f"question{self._asked}.json")
        answer, end = self.folder / f"answer{self._asked}.json", time.monotonic() + PATIENCE
        while not answer.exists():
            assert time.monotonic() < end, f"Blender says nothing to: {words}\n{self.log()}"
            assert self._blender.poll() is None, f"Blender has ended\n{self.log()}"
            time.sleep(0.05)
        said = json.loads(answer.read_text())
        assert "error" not in said, f"{words}\n{said.get('error')}"
        return said["value"]

    def until(self, expression: str, seconds: float = PATIENCE, **given: Any) -> Any:
        """Wait until an expression is true; returns it."""
        end = time.monotonic() + seconds
        while not (value := self.ask(expression, **given)):
            assert time.monotonic() < end, f"never true: {expression}\n{self.log()}"
            time.sleep(0.2)
        return value

    def log(self) -> str:
        return "\n".join((self.folder / "blender.log").read_text(errors="replace").splitlines()[-25:])

    def _xdo(self, *words: object) -> None:
        subprocess.run([*inside(), "xdotool", *map(str, words)], env=self._environment, check=True)

    def move(self, x: float, y: float) -> None:
        self._xdo("mousemove", round(x), round(y))
        time.sleep(0.15)

    def click(self, x: float, y: float, button: int = 1) -> None:
        self.move(x, y)
        self._xdo("mousemove_relative", "--", 1, 0)  # Blender notices a pointer that moves
        time.sleep(0.15)
        self._xdo("click", button)
        time.sleep(0.3)

    def drag(self, points: Sequence[tuple[float, float]], held: str = "") -> None:
        """With the left button, and a key held meanwhile."""
        self.move(*points[0])
        if held:
            self._xdo("keydown", held)
            time.sleep(0.2)
        self._xdo("mousedown", 1)
        for x, y in points[1:]:
            self._xdo("mousemove", round(x), round(y))
            time.sleep(0.03)
        time.sleep(0.1)
        self._xdo("mouseup", 1)
        if held:
            self._xdo("keyup", held)
        time.sleep(0.3)

    def turn_wheel(self, *, down: bool) -> None:
        self._xdo("click", 5 if down else 4)
        time.sleep(0.05)

    def press(self, *keys: str) -> None:
        for key in keys:
            self._xdo("key", key)
            time.sleep(0.25)

    def write(self, text: str) -> None:
        self._xdo("type", "--delay", 30, text)
        time.sleep(0.2)

    def find(self, words: str, within: Box) -> tuple[float, float]:
        """Where words stand on the screen, and stay, read there as a person reads them. Raises AssertionError."""
        end, wanted, last = time.monotonic() + READING, words.lower().split(), None
        while True:
            found = self._read(within)
            texts = [text for text, _, _ in found]
            starts = (i for i in range(len(texts)) if texts[i : i + len(wanted)] == wanted)
            places = next((found[i : i + len(wanted)] for i in starts), None)
            if places:
                here = sum(x for _, x, _ in places) / len(places), sum(y for _, _, y in places) / len(places)
                if last and math.dist(here, last) < STILL:  # a panel may still be growing above
                    return here
                last = here
            assert time.monotonic() < end, f"{words!r} is not among: {' '.join(texts)}"

    def _read(self, within: Box) -> list[tuple[str, float, float]]:
        """The words in a part of the screen, in reading order, with their centres."""
        x, y, width, height = within
        shot, large = self.folder / "part.png", self.folder / "large.png"
        cut = ["-window", "root", "-crop", f"{width}x{height}+{x}+{y}", str(shot)]
        subprocess.run([*inside(), "import", *cut], env=self._environment, check=True)
        # Light words on dark buttons are read better as dark ones on light, and larger.
        ways = ["-colorspace", "Gray", "-negate", "-resize", f"{100 * LARGER}%"]
        subprocess.run([*inside(), "convert", str(shot), *ways, str(large)], env=self._environment, check=True)
        read = ["tesseract", str(large), "-", "--psm", "11", "tsv"]
        ran = subprocess.run([*inside(), *read], env=self._environment, check=True, capture_output=True, text=True)
        rows = [line.split("\t") for line in ran.stdout.splitlines()[1:]]
        return [
            (
                row[11].lower(),
                x + (int(row[6]) + int(row[8]) / 2) / LARGER,
                y + (int(row[7]) + int(row[9]) / 2) / LARGER,
            )
            for row in rows
            if row[11].strip()
        ]

    def shot(self, path: Path) -> None:
        """A picture of the whole screen, as PNG."""
        time.sleep(0.6)
        shot = self.folder / "shot.png"
        subprocess.run([*inside(), "import", "-window", "root", str(shot)], env=self._environment, check=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(shot.read_bytes())
