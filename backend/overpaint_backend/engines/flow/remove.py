"""Take the instance away: show behind it what other frames show there, and invent once what no frame shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from overpaint.errors import Invalid

from overpaint_backend.engine import Progress, WindowInput
from overpaint_backend.engines.flow.exemplar import invent
from overpaint_backend.engines.flow.motion import (
    UNIT,
    Motion,
    background_motion,
    bytes_of,
    flow,
    grey,
    sample,
    spread,
    trust,
    warp,
)

EDGE = 1 / 256  # of the picture's longer side: the soft edge and blur of an instance reach beyond its mask
BAND = 8  # pixels around the hole in which what other frames say is checked against what this frame shows
LIGHT = 0.08  # how far (of 1) the light behind the instance may differ from frame to frame
ROUNDS = 8  # pictures that may be invented in one window; what is left then is filled smoothly

Picture = Float32[np.ndarray, "h w 3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A window under repair. `pictures` is worked on in place; `wide` is the holes and a band around them, 255 or 0;
    `light` is how bright every frame is beside the others, for each channel.
    """

    pictures: Float32[np.ndarray, "t h w 3"]
    holes: Bool[np.ndarray, "t h w"]
    wide: UInt8[np.ndarray, "t h w"]
    motion: Motion
    light: Float32[np.ndarray, "t 3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What frames on one side in time say of a hole: the picture, where they say anything, and how many frames away."""

    picture: Picture
    said: Bool[np.ndarray, "h w"]
    age: Float32[np.ndarray, "h w"]


def remove(cut: WindowInput, progress: Progress) -> Float32[np.ndarray, "t h w 3"]:
    """The window without its instance. Keyframes are met exactly, and what they show is carried on like any frame."""
    count = len(cut.frames)
    pictures = cut.frames.copy()
    reach = max(2, round(max(pictures.shape[1:3]) * EDGE))
    hidden = _grown(cut.mask > 0.02, reach)
    if not hidden.any():
        return pictures
    if hidden.all():
        raise Invalid(
            field="mask",
            message="the mask covers the whole picture on every frame, so nothing shows what is behind it",
            remedy="Mask only what should go",
        )
    motion = background_motion(cut.frames, hidden, lambda done: progress("following the background", done, 3 * count))
    holes = hidden.copy()
    for frame, picture in cut.keyframes.items():
        pictures[frame] = picture
        holes[frame] = False
    wide = _grown(holes, BAND).astype(np.uint8) * 255
    light = _light(cut.frames, hidden, motion)
    scene = Scene(pictures=pictures, holes=holes, wide=wide, motion=motion, light=light)
    never = np.zeros_like(holes)
    for frame in range(count):
        if holes[frame].any():
            never[frame] = _uncover(scene, frame)
        progress("uncovering", count + frame + 1, 3 * count)
    _invent_never_seen(scene, never, cut.seed, lambda left: progress("inventing", 3 * count - left, 3 * count))
    progress("inventing", 3 * count, 3 * count)
    return np.clip(pictures, 0, 1)


def _grown(masks: Bool[np.ndarray, "t h w"], by: int) -> Bool[np.ndarray, "t h w"]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by + 1, 2 * by + 1))
    return np.stack([cv2.dilate(mask.astype(np.uint8), disc) for mask in masks]) > 0


def _light(
    frames: Float32[np.ndarray, "t h w 3"], hidden: Bool[np.ndarray, "t h w"], motion: Motion
) -> Float32[np.ndarray, "t 3"]:
    """How the light changes from frame to frame: cameras set their exposure as they go, and lamps flicker."""
    count, h, w = hidden.shape
    every = max(1, int((h * w / 20_000) ** 0.5))
    y, x = (part.ravel() for part in np.mgrid[0:h:every, 0:w:every])
    light = np.ones((count, 3), np.float32)
    for frame in range(count - 1):
        step = motion.stored(frame, 1)[y, x] / np.float32(UNIT)
        here, there = frames[frame][y, x], sample(frames[frame + 1], x + step[:, 0], y + step[:, 1])
        after = sample(hidden[frame + 1].astype(np.uint8) * 255, x + step[:, 0], y + step[:, 1])
        # Black says nothing, and what is burnt out stays as it is.
        fair = ~hidden[frame][y, x] & (after < 8) & (here.min(axis=1) > 0.04) & (here.max(axis=1) < 0.96)
        change = np.median(there[fair] / here[fair], axis=0) if fair.sum() > 50 else 1
        light[frame + 1] = light[frame] * np.clip(change, 0.5, 2)
    return light


def _uncover(scene: Scene, frame: int) -> Bool[np.ndarray, "h w"]:
    """Fill one frame's hole from the frames before and after it. Returns the pixels that none of them shows."""
    box = _box(scene.wide[frame] > 0, 2 * BAND)
    hole, truth = scene.holes[frame][box], scene.pictures[frame][box]
    before, after = (_finding(scene, frame, box, scene.wide[frame][box] > 0, way) for way in (-1, 1))
    before, after = _lit(before, truth, hole), _lit(after, truth, hole)
    share = _share(before, after)
    first, second = _met(before, after, share)
    said = before.said | after.said
    mixed = first * (1 - share[..., None]) + second * share[..., None]
    scene.pictures[frame][box] = np.where((hole & said)[..., None], mixed, truth)
    never = np.zeros_like(scene.holes[frame])
    never[box] = hole & ~said
    return never


def _box(where: Bool[np.ndarray, "h w"], margin: int) -> tuple[slice, slice]:
    """The part of the picture around `where`: work costs by the pixel."""
    rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
    return (
        slice(max(rows[0] - margin, 0), rows[-1] + margin + 1),
        slice(max(columns[0] - margin, 0), columns[-1] + margin + 1),
    )


def _finding(
    scene: Scene,
    frame: int,
    box: tuple[slice, slice],
    wanted: Bool[np.ndarray, "h w"],
    way: int,
    target: int | None = None,
) -> Finding:
    """Walk with the background from every wanted pixel through time (`way` 1 or -1) until a frame shows it.

    With a `target` frame, walk as far as that and take what its picture has there.
    """
    count, h, w = scene.holes.shape
    y, x = (part.astype(np.float32) for part in np.nonzero(wanted))
    spot = np.arange(len(x))
    colour, age = np.zeros((len(x), 3), np.float32), np.zeros(len(x), np.float32)
    x, y = x + box[1].start, y + box[0].start
    at = frame
    while 0 <= at + way < count and len(spot) and at != target:
        step = sample(scene.motion.stored(at, way), x, y) / np.float32(UNIT)
        at += way
        x, y = x + step[:, 0], y + step[:, 1]
        inside = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
        spot, x, y = spot[inside], x[inside], y[inside]
        arrived = sample(scene.wide[at], x, y) < 8 if target is None else np.full(len(spot), at == target)
        if arrived.any():
            shown = sample(scene.pictures[at], x[arrived], y[arrived], cv2.INTER_CUBIC)
            colour[spot[arrived]] = shown * (scene.light[frame] / scene.light[at])
            age[spot[arrived]] = abs(at - frame)
            spot, x, y = spot[~arrived], x[~arrived], y[~arrived]
    picture, ages = scene.pictures[frame][box].copy(), np.zeros(wanted.shape, np.float32)
    ages[wanted] = age
    picture[ages > 0] = colour[age > 0]
    return Finding(picture=picture, said=ages > 0, age=ages)


def _lit(finding: Finding, truth: Picture, hole: Bool[np.ndarray, "h w"]) -> Finding:
    """The finding in this frame's light: where the hole's surround is brighter here than there, so is the hole."""
    ring = (finding.said & ~hole).astype(np.float32)
    if not ring.any():
        return finding
    rest = truth - finding.picture
    # A large difference is no light: something is out of place there, or moved.
    belief = ring / (1 + np.square(np.abs(rest).max(axis=2) / 0.06))
    soft = cv2.GaussianBlur(np.dstack([rest * belief[..., None], belief]), (0, 0), BAND / 2)
    light = np.clip(soft[..., :3] / np.maximum(soft[..., 3:], 1e-4), -LIGHT, LIGHT)
    lit = finding.picture + spread(light, np.minimum(soft[..., 3] * 4, 1) * ring)
    return Finding(picture=np.where(finding.said[..., None], lit, finding.picture), said=finding.said, age=finding.age)


def _share(before: Finding, after: Finding) -> Float32[np.ndarray, "h w"]:
    """How much the later side counts, in [0, 1]: the nearer in time a side is, the more, without jumps across the picture."""
    first = np.where(before.said, 1 / np.maximum(before.age, 1), 0)
    second = np.where(after.said, 1 / np.maximum(after.age, 1), 0)
    said = before.said | after.said
    share = np.where(said, second / np.maximum(first + second, 1e-6), 0).astype(np.float32)
    soft = cv2.GaussianBlur(np.dstack([share, said.astype(np.float32)]), (0, 0), BAND / 2)
    share = soft[..., 0] / np.maximum(soft[..., 1], 1e-6)
    # A side that falls silent fades out before it does.
    share = np.minimum(share, _distance(before.said & ~after.said) / BAND)
    return np.maximum(share, 1 - _distance(after.said & ~before.said) / BAND)


def _distance(place: Bool[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Pixels to the nearest pixel of `place`."""
    if not place.any():
        return np.full(place.shape, np.inf, np.float32)
    return cv2.distanceTransform((~place).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)


def _met(before: Finding, after: Finding, share: Float32[np.ndarray, "h w"]) -> tuple[Picture, Picture]:
    """Both sides moved until they show the same things in the same place.

    Small errors of motion add up on the way, and a mix of two pictures out of step is a blur; moved towards each other by
    their shares they meet in between, and each side is left as it is where it counts fully.
    """
    both = before.said & after.said
    if not both.any():
        return before.picture, after.picture
    one, two = bytes_of(grey(before.picture)), bytes_of(grey(after.picture))
    there, home = flow(one, two), flow(two, one)
    sure = both * trust(there, home) * (np.hypot(there[..., 0], there[..., 1]) < 12)
    apart = spread(there, sure.astype(np.float32)) * both[..., None]
    apart = cv2.GaussianBlur(apart, (0, 0), 1.5)
    share = share[..., None]
    first = warp(before.picture, -apart * share, cv2.INTER_CUBIC)
    second = warp(after.picture, apart * (1 - share), cv2.INTER_CUBIC)
    keep = both[..., None]
    return np.where(keep, first, before.picture), np.where(keep, second, after.picture)


def _invent_never_seen(scene: Scene, never: Bool[np.ndarray, "t h w"], seed: int, left: Callable[[int], None]) -> None:
    """Invent the missing in the frame that misses most, carry it to the others, and so on until nothing is missing."""
    for turn in range(ROUNDS):
        missing = never.sum(axis=(1, 2))
        if not missing.any():
            return
        best = int(missing.argmax())
        _invent_in(scene.pictures[best], never[best], seed + turn)
        never[best] = False
        for frame in np.flatnonzero(never.any(axis=(1, 2))):
            left(int((missing > 0).sum()))
            never[frame] &= ~_carry(scene, never[frame], int(frame), best)
    for frame in np.flatnonzero(never.any(axis=(1, 2))):
        seen = (~never[frame]).astype(np.float32)
        smooth = spread(scene.pictures[frame], seen)
        scene.pictures[frame] = np.where(never[frame][..., None], smooth, scene.pictures[frame])


def _invent_in(picture: Picture, missing: Bool[np.ndarray, "h w"], seed: int) -> None:
    box = _box(missing, 32 + int(np.sqrt(missing.sum())))
    picture[box] = invent(picture[box], missing[box], ~missing[box], seed)


def _carry(scene: Scene, missing: Bool[np.ndarray, "h w"], frame: int, origin: int) -> Bool[np.ndarray, "h w"]:
    """Bring what was invented in `origin` to what is missing in `frame`. Returns the pixels it reached."""
    box = _box(missing, 2 * BAND)
    hole = missing[box]
    wanted = _grown(hole[None], BAND)[0]
    truth = scene.pictures[frame][box]
    found = _finding(scene, frame, box, wanted, 1 if origin > frame else -1, target=origin)
    found = _lit(found, truth, hole)
    scene.pictures[frame][box] = np.where((hole & found.said)[..., None], found.picture, truth)
    reached = np.zeros_like(missing)
    reached[box] = hole & found.said
    return reached
