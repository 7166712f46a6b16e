"""An editor's first minutes in a real Blender window, by mouse and keys, with a real server; pictures in out/window/."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.window import place
from tests.window.window import HEIGHT, Box, Window

pytestmark = [pytest.mark.window, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "out" / "window"
EXTENSION = ROOT / "dist" / "overpaint.zip"
CLIP = ROOT / ".cache" / "clips" / "bikes.mp4"  # where the demo keeps it
FIRST, LENGTH = 187, 13  # the frames of the clip that are edited
BALL = (276, 123)  # on the first of them, in pixels of the clip
PROMPT = "a large blue circle with yellow dots"
DOTS = ((-9, -8), (8, -9), (0, 3), (-12, 8), (11, 9))

AREAS = 'areas = [a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == "SEQUENCE_EDITOR"]'
REGION = (
    "next([r.x, height - r.y - r.height, r.width, r.height] for a in areas if a.spaces.active.view_type == view "
    "for r in a.regions if r.type == kind and r.width > 1)"
)
POINT = (
    "next([r.x + x, height - r.y - y] for a in areas if a.spaces.active.view_type == view for r in a.regions "
    "if r.type == kind for x, y in [r.view2d.view_to_region(*at, clip=False)])"
)


@pytest.fixture
def window() -> Iterator[Window]:
    reason = place.obstacle() or ("" if (place.ROOT / "ready").exists() else "python -m tests.window.place was not run")
    if reason:
        pytest.skip(f"no window can be opened: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="overpaint-window-"))  # below /tmp, which both systems see
    serve = [sys.executable, "-m", "overpaint_backend.cli", "serve", "--listen", "127.0.0.1:0"]
    own = os.environ | {"OMP_NUM_THREADS": "1"}
    server = subprocess.Popen([*serve, "--folder", str(folder / "server")], stdout=subprocess.PIPE, text=True, env=own)
    assert server.stdout is not None
    address = server.stdout.readline().split(" listens on ")[1].split(",")[0]
    opened = Window(folder, {"OVERPAINT_SERVER": address})
    try:
        yield opened
    finally:
        opened.close()
        server.terminate()
        server.communicate()


def region(window: Window, view: str, kind: str) -> Box:
    window.run(AREAS)
    left, top, width, height = window.ask(REGION, view=view, kind=kind, height=HEIGHT)
    return left, top, width, height


def on_screen(window: Window, view: str, kind: str, at: tuple[float, float]) -> tuple[float, float]:
    """Where a point of the timeline (frame, channel) or of the preview (pixels from its centre, y up) is."""
    x, y = window.ask(POINT, view=view, kind=kind, at=at, height=HEIGHT)
    return x, y


def circle(window: Window, dx: float, dy: float, radius: float) -> list[tuple[float, float]]:
    """Around the ball of the post, on the screen."""
    x, y = BALL[0] + dx - 320, 136 - BALL[1] - dy
    turns = [2 * math.pi * step / 20 for step in range(21)]
    points = [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]
    return [on_screen(window, "PREVIEW", "PREVIEW", point) for point in points]


def scroll(window: Window, at: Box, notches: int) -> None:
    window.move(at[0] + 150, at[1] + at[3] - 60)
    for _ in range(abs(notches)):
        window.turn_wheel(down=notches > 0)


def prepare(window: Window, folder: Path) -> None:
    """What stands before the artist: the shot in the sequencer, and the extension installed."""
    clip, extension = folder / "bikes.mp4", folder / "overpaint.zip"
    clip.write_bytes(CLIP.read_bytes())
    extension.write_bytes(EXTENSION.read_bytes())
    window.run('bpy.ops.wm.read_homefile(app_template="Video_Editing", use_factory_startup=True)')
    time.sleep(2)
    install = 'bpy.ops.extensions.package_install_files(filepath=zip, repo="user_default", enable_on_install=True)'
    window.run(install, zip=str(extension))
    window.run(
        """
scene = bpy.context.workspace.sequencer_scene
scene.render.resolution_x, scene.render.resolution_y, scene.render.fps = 640, 272, 25
scene.view_settings.view_transform = "Standard"
scene.frame_end = length
strip = scene.sequence_editor_create().strips.new_movie("Shot", clip, channel=1, frame_start=1 - first)
strip.left_handle, strip.right_handle = 1, 1 + length
strip.select, scene.sequence_editor.active_strip = False, None
bpy.ops.wm.save_as_mainfile(filepath=blend)
""",
        clip=str(clip),
        first=FIRST,
        length=LENGTH,
        blend=str(folder / "first edit.blend"),
    )


def test_first_edit(window: Window) -> None:
    for name, needed in (("make addon", EXTENSION), ("make demo", CLIP)):
        assert needed.exists(), f"{needed} is not there: say {name}"
    prepare(window, window.folder)
    step = iter(range(1, 100))

    def shot(name: str) -> None:
        window.shot(PICTURES / f"{next(step):02}-{name}.png")

    timeline = region(window, "SEQUENCER", "WINDOW")
    window.move(timeline[0] + timeline[2] / 2, timeline[1] + timeline[3] / 2)
    window.press("Home")
    window.click(*on_screen(window, "SEQUENCER", "WINDOW", (7, 1.5)))
    assert window.ask("scene.sequence_editor.active_strip.name") == "Shot"
    preview = region(window, "PREVIEW", "PREVIEW")
    window.move(preview[0] + preview[2] / 2, preview[1] + preview[3] / 2)
    window.press("n")
    window.run(
        'next(r for a in areas for r in a.regions if r.type == "UI" and r.width > 1).active_panel_category = "Overpaint"'
    )
    window.press("Home")
    sidebar = region(window, "PREVIEW", "UI")

    # The panel says what is missing, and its button begins it: a mask, then a sketch.
    window.click(*window.find("Draw a Mask", sidebar))
    shot("strip")
    window.drag(circle(window, 0, 0, 25))
    window.click(*window.find("Sketch", (sidebar[0], sidebar[1] + 370, sidebar[2], sidebar[3] - 370)))
    window.drag(circle(window, 0, 0, 23))
    for dx, dy in DOTS:
        window.drag(circle(window, dx, dy, 5))
    strokes = "{l.info: [len(f.strokes) for f in l.frames] for g in bpy.data.annotations for l in g.layers}"
    assert window.ask(strokes) == {"Mask": [1], "Sketch": [6]}
    x, y = window.find("Prompt", sidebar)
    window.click(x + 150, y)
    window.press("ctrl+a")
    window.write(PROMPT)
    window.press("Return")
    assert window.ask("scene.overpaint.prompt") == PROMPT

    # The button says what will happen, and what it will cost; then it is pressed.
    button = window.find(f"Repaint {LENGTH} Frames", sidebar)
    shot("ready")
    window.click(*button)
    window.find("Painting", sidebar)
    shot("painting")
    window.until("len(scene.sequence_editor.strips) == 2", seconds=120)
    window.find("Placed", sidebar)
    shot("placed")
    take = window.ask("next(s.name for s in scene.sequence_editor.strips if s.channel == 2)")
    assert take.startswith(PROMPT)

    # The take is applied, out of the list of takes.
    scroll(window, sidebar, 40)
    window.click(*window.find("Apply", sidebar))
    window.until(f'scene.sequence_editor.strips[{take!r}].color_tag != "NONE"')
    shot("takes")

    # Another is begun, slow enough to change one's mind, and cancelled.
    window.run('from bl_ext.user_default.overpaint.ui import options; scene.overpaint.engine = "toy"')
    window.run('options.change(scene.overpaint, "toy", "delay", 5.0)')
    scroll(window, sidebar, -60)
    button = window.find(f"Repaint {LENGTH} Frames", sidebar)
    window.run("bpy.ops.wm.save_mainfile()")
    window.click(*button)
    _, row = window.find("Painting", sidebar)
    assert window.ask("bpy.data.is_dirty")  # so that Blender asks before it closes, and the job is not lost
    shot("another")
    window.click(sidebar[0] + sidebar[2] - CANCEL, row)
    window.find("Cancelled", sidebar)
    shot("cancelled")
    assert window.ask("len(scene.sequence_editor.strips)") == 2
    from_session = "__import__('sys').modules['bl_ext.user_default.overpaint.ui.session'].current()"
    assert window.ask(f"[ticket.state.value for ticket in {from_session}.tickets.all()]") == ["cancelled"]


CANCEL = 55  # pixels from the sidebar's right edge to a job's last button
