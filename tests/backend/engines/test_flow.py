"""The flow engine against footage whose truth is known: a textured world, a camera that moves by fractions of a pixel, noise."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from overpaint.card import check_spec
from overpaint.clip import Clip, FrameRange, Rate, Size
from overpaint.edit import Edit, Guide, GuideKey, Input, Keyframe, Task
from overpaint.errors import Cancelled, Invalid
from overpaint.job import JobSpec
from overpaint_backend.engine import WindowInput
from overpaint_backend.engines.flow import build, card
from overpaint_backend.engines.flow.card import INKS
from overpaint_backend.engines.flow.exemplar import invent
from overpaint_backend.engines.flow.motion import flow, spread

FRAMES, H, W = 12, 96, 128


def texture(seed: int, h: int = 200, w: int = 260) -> np.ndarray:
    """A picture with detail at every scale."""
    rng = np.random.default_rng(seed)
    layers = [cv2.resize(rng.random((h // s, w // s, 3)), (w, h), interpolation=cv2.INTER_CUBIC) for s in (2, 6, 20)]
    return np.clip(0.25 * layers[0] + 0.35 * layers[1] + 0.4 * layers[2], 0, 1).astype(np.float32)


def seen(picture: np.ndarray, move: np.typing.ArrayLike) -> np.ndarray:
    """`picture` under the 2x3 matrix `move`, which takes places in it to places on the frame."""
    return cv2.warpAffine(
        picture, np.asarray(move, np.float64), (W, H), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )


def camera(frame: int) -> np.ndarray:
    """A pan of 1.3 and 0.4 pixels a frame with a slow zoom."""
    zoom = 1 + 0.003 * frame
    return np.array([[zoom, 0, -20 - 1.3 * frame], [0, zoom, -20 - 0.4 * frame]])


def noisy(frames: np.ndarray, seed: int = 5) -> np.ndarray:
    grain = np.random.default_rng(seed).normal(0, 0.01, frames.shape)
    return np.clip(np.round((frames + grain) * 255) / 255, 0, 1).astype(np.float32)


def disc(x: float, y: float, r: float) -> np.ndarray:
    rows, columns = np.mgrid[0:H, 0:W]
    return np.clip(r + 0.5 - np.hypot(columns - x, rows - y), 0, 1).astype(np.float32)


def window(frames: np.ndarray, mask: np.ndarray, task: Task = Task.REMOVE, **more) -> WindowInput:
    return WindowInput(task=task, frames=frames, mask=mask, span=FrameRange(start=0, stop=len(frames)), seed=3, **more)


def quiet(stage: str, step: int, steps: int) -> None:
    assert 0 <= step <= steps


def paint(cut: WindowInput, progress=quiet, **options) -> np.ndarray:
    engine = build("cpu", Path())
    out = engine.paint(cut, engine.encode(Edit(task=cut.task, options=options)), None, progress).frames
    assert out.dtype == np.float32
    assert out.shape == cut.frames.shape
    assert 0 <= out.min() <= out.max() <= 1
    return out


def psnr(one: np.ndarray, two: np.ndarray, where: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(one - two)[where].mean()))


@pytest.fixture(scope="module")
def passing():
    """A disc that crosses a panning picture: (what is behind it, what the camera saw, mask)."""
    world, skin = texture(1), texture(2)
    behind = np.stack([seen(world, camera(t)) for t in range(FRAMES)])
    mask = np.stack([disc(12 + 9 * t, 50 - t, 14) for t in range(FRAMES)])
    thing = np.stack([seen(skin, [[1, 0, 9 * t - 40], [0, 1, -t]]) for t in range(FRAMES)])
    return behind, noisy(behind * (1 - mask[..., None]) + thing * mask[..., None]), mask


def telea(frames: np.ndarray, mask: np.ndarray) -> np.ndarray:
    holes = [cv2.dilate((one > 0.02).astype(np.uint8), np.ones((5, 5), np.uint8)) for one in mask]
    pictures = (frames * 255).astype(np.uint8)
    filled = [cv2.inpaint(p, hole, 4, cv2.INPAINT_TELEA) for p, hole in zip(pictures, holes, strict=True)]
    return np.stack(filled).astype(np.float32) / 255


def test_removal_shows_what_other_frames_show(passing):
    behind, frames, mask = passing
    inside = mask > 0.5
    ours, baseline = psnr(paint(window(frames, mask)), behind, inside), psnr(telea(frames, mask), behind, inside)
    assert ours > 29
    assert ours > baseline + 8


def test_removal_leaves_the_rest_alone(passing):
    _, frames, mask = passing
    far = np.stack([cv2.dilate(one, np.ones((15, 15), np.uint8)) for one in mask]) == 0
    assert np.array_equal(paint(window(frames, mask))[far], frames[far])


def test_changing_light_leaves_no_outline(passing):
    behind, frames, mask = passing
    light = (1 + 0.06 * np.sin(np.arange(FRAMES) * 1.7))[:, None, None, None].astype(np.float32)
    out = paint(window(np.clip(frames * light, 0, 1), mask))
    shift = ((out - behind * light) * (mask > 0.5)[..., None]).sum((1, 2)) / (mask > 0.5).sum((1, 2))[:, None]
    assert np.abs(shift).max() < 0.012  # without correction the light alone would shift by up to 0.05


def test_what_is_never_seen_is_invented_once_and_stays():
    still = seen(texture(4), camera(0))
    mask = np.stack([disc(64, 48, 16)] * FRAMES)
    frames = noisy(np.stack([still * (1 - mask[0][..., None]) + 0.9 * mask[0][..., None]] * FRAMES))
    inside = mask[0] > 0.5
    out = paint(window(frames, mask))
    assert np.abs(np.diff(out, axis=0))[:, inside].mean() < 0.02
    detail = [(p - cv2.GaussianBlur(p, (0, 0), 2))[inside].std() for p in (out[5], still, telea(frames, mask)[5])]
    assert detail[0] > 0.5 * detail[1] > detail[2]


def test_a_removal_passes_through_its_keyframes_and_carries_them(passing):
    behind, frames, _ = passing
    still_mask = np.stack([disc(64, 48, 14)] * FRAMES)
    picture = behind[0].copy()
    picture[still_mask[0] > 0] = (1, 0, 0)
    out = paint(window(frames, still_mask, keyframes={0: picture}))
    assert np.array_equal(out[0], picture)
    assert out[1, 48, 64].tolist() == pytest.approx([1, 0, 0], abs=0.1)


def test_windows_join_without_a_jump(passing):
    _, frames, mask = passing
    first = paint(window(frames[:7], mask[:7]))
    known = {0: first[5], 1: first[6]}
    second = paint(window(frames[5:], mask[5:], keyframes=known, known=2))
    assert np.array_equal(second[0], first[5])
    whole = np.concatenate([first, second[2:]])
    there = (np.minimum(mask[6], mask[7]) > 0.5) | (disc(64, 48, 20) > 0)
    steps = [np.abs(whole[t + 1] - whole[t])[there].mean() for t in range(4, 10)]
    assert steps[2] < 1.5 * np.median(steps)


def turning(frame: int) -> np.ndarray:
    """The motion of the instance in the repaint tests: it drifts and turns about a point at its middle."""
    turn = cv2.getRotationMatrix2D((130, 100), 1.2 * frame, 1 + 0.002 * frame)
    turn[:, 2] += (-66 + 0.8 * frame, -52 - 0.5 * frame)
    return turn


@pytest.fixture(scope="module")
def moving():
    """An instance with a texture of its own that turns before a picture: (frames, mask)."""
    world, skin = texture(6), texture(7)
    frames, mask = [], []
    for t in range(FRAMES):
        middle = turning(t) @ (130, 100, 1)
        cover = disc(middle[0], middle[1], 34)
        frames.append(seen(world, camera(t)) * (1 - cover[..., None]) + seen(skin, turning(t)) * cover[..., None])
        mask.append(cover)
    return noisy(np.stack(frames)), np.stack(mask)


def inside_of(mask: np.ndarray) -> np.ndarray:
    return np.stack([cv2.erode((one > 0.5).astype(np.uint8), np.ones((9, 9), np.uint8)) for one in mask]) > 0


def test_a_keyframe_is_met_exactly_and_follows_the_instance(moving):
    frames, mask = moving
    coat = texture(8)
    truth = np.stack([seen(coat, turning(t)) for t in range(FRAMES)])
    cover = mask[4][..., None]
    painted = (frames[4] * (1 - cover) + truth[4] * cover).astype(np.float32)
    out = paint(window(frames, mask, Task.REPAINT, keyframes={4: painted}))
    assert np.array_equal(out[4], painted)
    assert psnr(out, truth, inside_of(mask)) > 26
    assert psnr(out, truth, inside_of(mask)) > psnr(np.stack([painted] * FRAMES), truth, inside_of(mask)) + 8


def test_a_keyframe_that_changes_nothing_changes_nothing(moving):
    frames, mask = moving
    out = paint(window(frames, mask, Task.REPAINT, keyframes={4: frames[4]}))
    assert np.abs(out - frames)[mask == 1].max() < 1e-5


def test_a_recolouring_keeps_the_moving_texture(moving):
    frames, mask = moving
    tint = np.array([0.4, 0.9, 0.5], np.float32)
    cover = mask[0][..., None]
    out = paint(window(frames, mask, Task.REPAINT, keyframes={0: frames[0] * (1 - cover) + frames[0] * tint * cover}))
    assert psnr(out, frames * tint, inside_of(mask)) > 28


def test_between_two_keyframes_the_look_changes_over(moving):
    frames, mask = moving
    cover = mask[..., None]
    red, blue = (np.array(c, np.float32) for c in ((0.8, 0.1, 0.1), (0.1, 0.1, 0.8)))
    keys = {t: frames[t] * (1 - cover[t]) + c * cover[t] for t, c in ((2, red), (9, blue))}
    out = paint(window(frames, mask, Task.REPAINT, keyframes=keys))
    inner = inside_of(mask)
    reds = [out[t][inner[t]][:, 0].mean() for t in range(FRAMES)]
    assert reds[0] > 0.7
    assert reds[11] < 0.2
    assert (np.diff(reds[2:10]) < 0).all()


def crosses(mask: np.ndarray, *frames: int) -> np.ndarray:
    """A sketch with a small cross on some frames, at a place of the instance that is known on every frame."""
    sketch = np.zeros_like(mask)
    for t in frames:
        x, y = turning(t) @ (142, 92, 1)
        rows, columns = np.mgrid[0:H, 0:W]
        lines = np.minimum(np.abs(rows - y), np.abs(columns - x)) + 10 * (np.hypot(rows - y, columns - x) > 7)
        sketch[t] = np.clip(1.8 - lines, 0, 1)
    return sketch


@pytest.mark.parametrize("keyed", [(0,), (6,), (2, 9)])
def test_ink_sticks_to_the_instance_within_a_pixel(moving, keyed):
    frames, mask = moving
    sketch = crosses(mask, *keyed)
    given = {Input.SKETCH: sketch.any((1, 2))}
    out = paint(window(frames, mask, Task.REPAINT, guides={Input.SKETCH: sketch}, given=given), ink="red")
    rows, columns = np.mgrid[0:H, 0:W]
    for t in range(FRAMES):
        towards = np.array(INKS["red"], np.float32) - frames[t]
        ink = ((out[t] - frames[t]) * towards).sum(2) / np.square(towards).sum(2)
        found = (columns * ink).sum() / ink.sum(), (rows * ink).sum() / ink.sum()
        assert np.hypot(*np.subtract(found, turning(t) @ (142, 92, 1))) < 0.5
        assert ink.sum() == pytest.approx(sketch[keyed[0]].sum(), rel=0.1)


def test_ink_stays_inside_the_mask(moving):
    frames, mask = moving
    sketch = np.zeros_like(mask)
    sketch[3, 40:44] = 1
    given = {Input.SKETCH: sketch.any((1, 2))}
    out = paint(window(frames, mask, Task.REPAINT, guides={Input.SKETCH: sketch}, given=given))
    assert np.array_equal(out[3][mask[3] == 0], frames[3][mask[3] == 0])


def test_ink_goes_when_something_comes_in_front():
    wall, bar = texture(9), texture(10) * np.float32(0.5) + np.float32(0.5)
    edge = [int(10 * t - 40) for t in range(FRAMES)]
    frames = np.stack([seen(wall, camera(0))] * FRAMES)
    for t in range(FRAMES):
        left, right = max(edge[t], 0), max(edge[t] + 40, 0)
        frames[t, :, left:right] = bar[:H, 40 + left - edge[t] : 40 + right - edge[t]]
    mask = np.ones((FRAMES, H, W), np.float32)
    sketch = np.zeros_like(mask)
    sketch[0, 46:50, 40:100] = 1
    given = {Input.SKETCH: sketch.any((1, 2))}
    out = paint(window(noisy(frames), mask, Task.REPAINT, guides={Input.SKETCH: sketch}, given=given))
    dark = out.max(axis=3) < 0.1
    assert dark[0, 47:49, 42:98].all()
    assert dark[8, 47:49, 87:98].mean() > 0.9  # not reached by the bar yet
    assert dark[8, 47:49, 48:72].mean() < 0.3  # behind the bar


@pytest.mark.parametrize("task", [Task.REMOVE, Task.REPAINT])
def test_the_same_bytes_on_any_number_of_threads(moving, task):
    frames, mask = moving
    cut = window(frames[:6], mask[:6], task, keyframes={0: np.sqrt(frames[0])} if task is Task.REPAINT else {})
    before = cv2.getNumThreads()
    try:
        taken = []
        for threads in (1, 3):
            cv2.setNumThreads(threads)
            taken.append(paint(cut).tobytes())
    finally:
        cv2.setNumThreads(before)
    assert taken[0] == taken[1]


@pytest.mark.parametrize("task", [Task.REMOVE, Task.REPAINT])
def test_it_reports_often_never_backwards_and_can_be_cancelled_anywhere(moving, task):
    frames, mask = moving
    cut = window(frames[:6], mask[:6], task, keyframes={3: np.sqrt(frames[3])} if task is Task.REPAINT else {})
    seen_steps: list[tuple[str, int, int]] = []
    paint(cut, lambda *step: seen_steps.append(step))
    done = [step / steps for _, step, steps in seen_steps]
    assert done == sorted(done)
    assert done[-1] == 1
    assert len(done) >= 10
    for stop in (0, len(done) // 2, len(done) - 1):
        left = stop

        def cancel(stage: str, step: int, steps: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Cancelled(field="job", message="cancelled")

        with pytest.raises(Cancelled):
            paint(cut, cancel)


@pytest.mark.parametrize("shape", [(1, 40, 50), (3, 7, 5), (2, 1, 1), (4, 3, 200)])
@pytest.mark.parametrize("task", [Task.REMOVE, Task.REPAINT])
def test_windows_of_any_shape(shape, task):
    frames = np.random.default_rng(0).random((*shape, 3)).astype(np.float32)
    mask = np.zeros(shape, np.float32)
    cut = window(frames, mask, task, keyframes={0: 1 - frames[0]} if task is Task.REPAINT else {})
    paint(cut)
    mask[:, shape[1] // 2 :, shape[2] // 2 :] = 1
    if task is Task.REPAINT or min(shape[1:]) > 8:
        assert np.isfinite(paint(cut)).all()


def test_frames_without_the_instance_stay_as_they_are(passing):
    _, frames, mask = passing
    gone = mask.copy()
    gone[6:] = 0
    assert np.array_equal(paint(window(frames, gone))[6:], frames[6:])
    assert np.array_equal(paint(window(frames, 0 * mask)), frames)


def test_a_mask_over_everything_is_refused_in_words():
    frames = np.zeros((2, 20, 20, 3), np.float32)
    with pytest.raises(Invalid, match="mask: the mask covers the whole picture"):
        paint(window(frames, np.ones((2, 20, 20), np.float32)))


def test_a_task_that_is_not_on_the_card_is_refused(passing):
    _, frames, mask = passing
    with pytest.raises(Invalid, match="cannot add"):
        paint(window(frames, mask, Task.ADD))


def test_the_card_says_what_is_needed():
    clip = Clip(size=Size(width=W, height=H), rate=Rate(numerator=25), depth=8, frames=("f",) * FRAMES)
    mask = Guide(kind=Input.MASK, keys=(GuideKey(frame=0, pixels="m"),), hold=True)
    sketch = Guide(kind=Input.SKETCH, keys=(GuideKey(frame=5, pixels="s"),))

    def problems(**edit) -> list[str]:
        spec = JobSpec(id="0" * 32, engine="flow", clip=clip, edit=Edit(**edit))
        return [problem.field for problem in check_spec(spec, card)]

    assert problems(task=Task.REMOVE, guides=(mask,)) == []
    assert problems(task=Task.REPAINT, guides=(mask, sketch), options={"ink": "red"}) == []
    assert problems(task=Task.REPAINT, guides=(mask,), keyframes=(Keyframe(frame=1, pixels="k"),)) == []
    assert problems(task=Task.REMOVE) == ["mask"]
    assert problems(task=Task.REPAINT, guides=(mask,)) == ["keyframe"]
    assert problems(task=Task.REMOVE, guides=(mask,), prompt="a hat") == ["prompt"]
    assert problems(task=Task.REPAINT, guides=(mask, sketch), options={"ink": "pink"}) == ["options.ink"]
    assert problems(task=Task.GENERATE) == ["task"]


def test_flow_finds_a_known_shift_of_less_than_a_pixel():
    picture = (texture(11)[:H, :W, 0] * 255).astype(np.uint8)
    shift = np.array([[1, 0, 2.4], [0, 1, -1.3]])
    moved = cv2.warpAffine(picture, shift, (W, H), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    inner = flow(picture, moved)[20:-20, 20:-20]
    assert np.abs(np.median(inner, axis=(0, 1)) - (2.4, -1.3)).max() < 0.1


def test_spread_continues_smoothly_and_keeps_what_is_known():
    rows, columns = np.mgrid[0:H, 0:W].astype(np.float32)
    slope = np.stack([columns, rows], axis=2) / W
    known = 1 - disc(60, 50, 20)
    filled = spread(slope, known)
    assert np.array_equal(filled[known == 1], slope[known == 1])
    assert np.abs(filled - slope).max() < 0.08


def test_invention_repeats_the_pattern_around_the_hole():
    rows, columns = np.mgrid[0:H, 0:W]
    stripes = ((columns + rows) % 12 < 6).astype(np.float32)[..., None] * np.ones(3, np.float32)
    hole = disc(64, 48, 10) > 0
    filled = invent(np.where(hole[..., None], np.float32(0.5), stripes), hole, ~hole, seed=0)
    assert np.abs(filled - stripes)[hole].mean() < 0.15
    assert np.array_equal(filled[~hole], stripes[~hole])
