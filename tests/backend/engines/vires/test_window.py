"""What the model is shown of a window: lines, known frames, pieces. Plain numbers, no model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from overpaint.clip import FrameRange
from overpaint.edit import Input, Task
from overpaint_backend.engine import WindowInput
from overpaint_backend.engines.vires.window import fix_keyframes, frames_of, lines, piece

SIDE = 16


def window(length: int = 51, **more: Any) -> WindowInput:
    mask = np.zeros((length, SIDE, SIDE), np.float32)
    mask[:, 4:12, 4:12] = 1
    frames = np.random.default_rng(5).random((length, SIDE, SIDE, 3), dtype=np.float32)
    span = FrameRange(start=100, stop=100 + length)
    return replace(WindowInput(task=Task.REPAINT, frames=frames, mask=mask, span=span, seed=7), **more)


def flat(value: float) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), value, np.float32)


def test_every_frame_belongs_to_one_latent_frame() -> None:
    """A chunk of 17: the first frame alone, then four at a time."""
    assert [len(frames_of(latent)) for latent in range(10)] == [1, 4, 4, 4, 4] * 2
    assert [frame for latent in range(10) for frame in frames_of(latent)] == [*range(34)]


def test_the_window_before_is_known_and_nothing_else() -> None:
    known = {frame: flat(frame / 17) for frame in range(17)}
    frames, unknown = fix_keyframes(window(keyframes=known, known=17))
    assert unknown.tolist() == [False] * 5 + [True] * 10
    assert all((frames[frame] == picture).all() for frame, picture in known.items())
    assert (frames[17:] == window().frames[17:]).all()


def test_a_lone_keyframe_holds_its_latent_frame_inside_the_mask() -> None:
    cut = window(keyframes={22: flat(0.5), 24: flat(0.75)})  # of the frames 22 to 25, which are latent frame 7 - 1
    frames, unknown = fix_keyframes(cut)
    assert [*frames_of(7)] == [22, 23, 24, 25] and np.flatnonzero(~unknown).tolist() == [7]
    assert (frames[22] == 0.5).all() and (frames[24] == 0.75).all()
    for frame, value in ((23, 0.5), (25, 0.75)):
        assert (frames[frame, 4:12, 4:12] == value).all()
        assert (frames[frame, :4] == cut.frames[frame, :4]).all()
    untouched = [frame for frame in range(51) if frame not in (22, 23, 24, 25)]
    assert (frames[untouched] == cut.frames[untouched]).all()


def test_a_keyframe_on_the_first_frame_of_a_chunk_touches_no_other() -> None:
    cut = window(keyframes={17: flat(0.5)})
    frames, unknown = fix_keyframes(cut)
    assert np.flatnonzero(~unknown).tolist() == [5]
    assert (np.delete(frames, 17, 0) == np.delete(cut.frames, 17, 0)).all()


def test_sketch_and_edge_are_lines_and_depth_gives_its_outline() -> None:
    assert not lines(window()).any()
    sketch, edge, depth = (np.zeros((51, SIDE, SIDE), np.float32) for _ in range(3))
    sketch[3, 5] = 0.5
    edge[3, 5, :8] = 1.0
    assert (lines(window(guides={Input.SKETCH: sketch, Input.EDGE: edge}))[3, 5] == [1.0] * 8 + [0.5] * 8).all()
    depth[:, :, 8:] = 0.4
    drawn = lines(window(guides={Input.DEPTH: depth, Input.SKETCH: sketch}))
    assert (drawn[:, :, 7:9] == 1).all() and not drawn[0, :, :7].any() and not drawn[0, :, 9:].any()
    assert drawn[3, 5, 0] == 0.5


def test_a_piece_is_a_window_that_knows_the_one_before() -> None:
    sketch = np.random.default_rng(1).random((51, SIDE, SIDE), dtype=np.float32)
    cut = window(guides={Input.SKETCH: sketch}, given={Input.SKETCH: np.ones(51, bool)}, keyframes={20: flat(0.5)})
    painted = np.random.default_rng(2).random(cut.frames.shape, dtype=np.float32)
    first, second = (piece(cut, start, 34, painted) for start in (0, 17))
    assert (first.known, sorted(first.keyframes)) == (0, [20])
    assert (second.known, sorted(second.keyframes)) == (17, [*range(17)])
    assert (second.keyframes[3] == 0.5).all() and (second.keyframes[4] == painted[21]).all()
    assert (second.guides[Input.SKETCH] == sketch[17:]).all() and (second.frames == cut.frames[17:]).all()
    assert (str(first.span), str(second.span)) == ("100-133", "117-150") and first.seed != second.seed
