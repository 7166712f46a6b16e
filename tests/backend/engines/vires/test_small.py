"""The small model as it ships: what it weighs, and that it follows sketch and prompt on clips that it has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from overpaint.clip import FrameRange
from overpaint.edit import Edit, Input, Task
from overpaint_backend import registry
from overpaint_backend.engine import Engine, WindowInput
from overpaint_backend.engines.vires import small
from overpaint_backend.pipeline.windows import plan_windows
from overpaint_backend.train.figures import dominant_colour
from overpaint_backend.train.instances import Instances, Sample

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

FOLDER = Path(small.__file__).parent
CLIPS = 6


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return registry.build("vires-small", "cpu", tmp_path_factory.mktemp("cache"))


def repainted(engine: Engine, source: Sample, truth: Sample, sketch: np.ndarray) -> np.ndarray:
    edit = Edit(task=Task.REPAINT, prompt=truth.caption)
    cut = WindowInput(
        task=Task.REPAINT,
        frames=source.frames.astype(np.float32) / 255,
        mask=source.mask.astype(np.float32),
        guides={Input.SKETCH: sketch.astype(np.float32) / 255},
        given={Input.SKETCH: np.array([one.any() for one in sketch])},
        span=FrameRange(start=0, stop=len(source.frames)),
        seed=5,
    )
    painted = engine.paint(cut, engine.encode(edit), None, lambda stage, step, steps: None).frames
    return np.round(255 * painted).astype(np.uint8)


def test_it_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 25_000_000


def test_its_windows_share_one_frame() -> None:
    windows = plan_windows(40, small.card)
    assert [(window.span.start, window.span.stop, window.known, window.pad) for window in windows] == [
        (0, 17, 0, 0), (16, 33, 1, 0), (32, 40, 1, 9)
    ]  # fmt: skip


def test_what_a_sealed_job_remembers_of_its_weights_is_what_they_paint_under(engine: Engine, tmp_path: Path) -> None:
    found = registry.fingerprint("vires-small", tmp_path)
    assert len(found) == 16 and found in engine.painter


def test_it_follows_sketch_and_prompt(engine: Engine) -> None:
    """The bounds are far below what the evaluation measures on a hundred clips; a broken model meets neither."""
    clips = Instances(size=64, frames=17, seed=424242)
    near, far, right = [], [], 0
    for number in range(CLIPS):
        source = clips.clip(number)
        assert source.attributes is not None
        truth = clips.repainted(number, main="red" if source.attributes.main != "red" else "blue")
        inside = source.mask > 0
        full, none = (repainted(engine, source, truth, lines) for lines in (source.sketch, 0 * source.sketch))
        near.append(np.abs(full[inside].astype(int) - truth.frames[inside]).mean())
        far.append(np.abs(none[inside].astype(int) - truth.frames[inside]).mean())
        right += dominant_colour(full[inside]) == dominant_colour(truth.frames[inside])
    assert right >= CLIPS - 2
    assert np.mean(near) < 0.9 * np.mean(far)
