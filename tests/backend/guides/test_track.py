from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from overpaint.errors import Invalid
from overpaint.order import Click
from overpaint_backend.guides.classical import ClassicalTracker
from overpaint_backend.guides.track import between, choose, obey, steps_of, track
from overpaint_backend.train.instances import Instances


class Still:
    """A tracker that believes that nothing moves, and counts the frames it was shown."""

    name = "still"

    def mark(self, frame: np.ndarray, clicks: Sequence[Click], before: np.ndarray | None) -> np.ndarray:
        mask = np.zeros(frame.shape[:2], bool) if before is None else before.copy()
        for click in clicks:
            x, y = int(click.x), int(click.y)
            mask[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4] = click.positive
        return mask

    def follow(self, frames: Iterable[np.ndarray], mask: np.ndarray) -> Iterator[np.ndarray]:
        for number, _ in enumerate(frames):
            if number:
                yield mask


def click(frame: int, x: float, y: float, positive: bool = True, thing: int = 1) -> Click:
    return Click(object=thing, frame=frame, x=x, y=y, positive=positive)


def blank(length: int = 9) -> list[np.ndarray]:
    return [np.full((32, 40, 3), number, np.uint8) for number in range(length)]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def test_every_frame_has_a_mask_of_every_object() -> None:
    clicks = (click(4, 10, 10), click(0, 30, 20, thing=2), click(8, 30, 20, thing=2))
    steps: list[None] = []
    found = list(track(Still(), blank(), clicks, lambda: steps.append(None)))
    assert len(found) == 9 and all(set(masks) == {1, 2} for masks in found)
    assert all(masks[1][10, 10] and masks[2][20, 30] and not masks[1][20, 30] for masks in found)
    assert len(steps) == steps_of(9, clicks)


def test_clicks_are_hard_and_reach_no_farther_than_their_neighbours() -> None:
    before = (click(0, 10, 10), click(3, 12, 10), click(8, 10, 12))
    after = (*before, click(6, 25, 25), click(6, 10, 12, positive=False))
    old, new = (list(track(Still(), blank(), clicks)) for clicks in (before, after))
    assert new[6][1][25, 25] and not new[6][1][12, 10]
    same = [bool((a[1] == b[1]).all()) for a, b in zip(old, new, strict=True)]
    assert same == [True, True, True, True, False, False, False, False, True]


@pytest.mark.parametrize("tracker", [Still(), ClassicalTracker()])
def test_on_a_clicked_frame_every_point_is_obeyed(tracker: Still | ClassicalTracker) -> None:
    rng = np.random.default_rng(5)
    frames = list(rng.integers(0, 256, (5, 32, 40, 3), np.uint8))
    places = rng.choice(32 * 40, 16, replace=False)
    clicks = [click(int(n) % 5, int(p) % 40 + 0.5, int(p) // 40 + 0.5, n % 3 != 1) for n, p in enumerate(places)]
    found = list(track(tracker, frames, clicks))
    for one in clicks:
        assert found[one.frame][1][int(one.y), int(one.x)] == one.positive, one


def test_what_cannot_be_obeyed_is_refused_in_words() -> None:
    frames = blank(3)
    for wrong, words in (
        ((), "no click says"),
        ((click(0, 5, 5, positive=False),), "no click says"),
        ((click(0, 5, 5), click(0, 5.4, 5.2, positive=False)), "both kinds"),
        ((click(3, 5, 5),), "is not in 3 frames"),
        ((click(0, 40, 5),), "is not in 3 frames of 40x32"),
        ((click(0, 5, 5), click(1, 5, 5, positive=False, thing=2)), "object 2"),
    ):
        with pytest.raises(Invalid, match=words) as refused:
            list(track(Still(), frames, wrong))
        assert refused.value.field == "clicks" and refused.value.remedy


def test_a_shape_halfway_is_between_both() -> None:
    masks = [cv2.circle(np.zeros((40, 40), np.uint8), (20, 20), radius, 1, -1) > 0 for radius in (6, 14, 10)]
    assert overlap(between(masks[0], masks[1], 0.5), masks[2]) > 0.9
    nothing = np.zeros((40, 40), bool)
    assert not between(nothing, masks[1], 0.3).any() and between(nothing, masks[1], 0.7).any()


def test_obeying_changes_nothing_that_agrees() -> None:
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    assert (obey(mask, (click(0, 10, 10), click(0, 2, 2, positive=False))) == mask).all()


def test_the_classical_tracker_follows_a_true_mask() -> None:
    clips, found = Instances(size=128, frames=9, seed=9), []
    for index in range(4):
        clip = clips.clip(index)
        true = clip.mask > 0
        masks = [true[0], *ClassicalTracker().follow(clip.frames, true[0])]
        found.append(np.mean([overlap(a, b) for a, b in zip(masks, true, strict=True)]))
    assert min(found) > 0.9 and np.mean(found) > 0.95


def test_the_classical_tracker_finds_what_two_clicks_mean() -> None:
    frames = [np.full((60, 80, 3), 90, np.uint8) for _ in range(6)]
    for number, frame in enumerate(frames):
        frame[20:45, 15 + 2 * number : 30 + 2 * number] = (220, 60, 40)
        frame[20:45, 30 + 2 * number : 45 + 2 * number] = (40, 60, 220)
    found = list(track(ClassicalTracker(), frames, (click(0, 22, 30), click(0, 38, 30))))
    for number, masks in enumerate(found):
        true = np.zeros((60, 80), bool)
        true[20:45, 15 + 2 * number : 45 + 2 * number] = True
        assert overlap(masks[1], true) > 0.9


def test_the_same_clip_gives_the_same_masks() -> None:
    clip = Instances(size=64, frames=4, seed=2).clip(0)
    clicks = (click(0, 32, 32), click(3, 30, 34))
    first, again = (list(track(ClassicalTracker(), list(clip.frames), clicks)) for _ in range(2))
    assert all((a[1] == b[1]).all() for a, b in zip(first, again, strict=True))


def test_without_weights_the_classical_tracker_is_chosen(tmp_path: Path) -> None:
    assert choose(tmp_path, "cpu").name == "classical"
