"""The clips made of numbers: same bytes everywhere; words, mask, lines and tracks that agree with the picture."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import cache
from inspect import getsource

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from overpaint.errors import Invalid
from overpaint_backend.train.figures import COLOURS, PATTERNS, SIZES, captions, dominant_colour
from overpaint_backend.train.instances import Instances, Sample

COUNT = 80


@cache
def samples() -> tuple[Sample, ...]:
    return tuple(Instances(seed=11).clip(index) for index in range(COUNT))


def digest(sample: Sample) -> str:
    arrays = (sample.frames, sample.mask, sample.sketch, sample.interior, sample.tracks, sample.visible)
    return hashlib.sha256(b"".join(one.tobytes() for one in arrays) + sample.caption.encode()).hexdigest()


def test_a_clip_depends_on_seed_and_index_alone() -> None:
    code = f"import hashlib\nfrom {Instances.__module__} import Instances, Sample\n{getsource(digest)}"
    code += "print(*(digest(Instances(seed=11).clip(index)) for index in (5, 0)))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert there == [digest(samples()[5]), digest(samples()[0])]
    assert digest(Instances(seed=12).clip(0)) != there[1]


def test_all_words_come_up_and_the_caption_names_them() -> None:
    made = [sample.attributes for sample in samples()]
    assert {one.pattern for one in made if one} == set(PATTERNS) and {one.size for one in made if one} == set(SIZES)
    assert {one.main for one in made if one} == set(COLOURS) and len({one.shape for one in made if one}) >= 7
    for sample in samples():
        words = sample.attributes
        assert words and (words.second is None) == (words.pattern == "plain")
        assert sample.caption in captions(words) and len(set(captions(words))) == 5
        for caption in captions(words):
            assert words.main in caption and words.shape in caption and words.size in caption
            assert (words.second or words.main) in caption
            assert (
                words.pattern in caption
                or (words.pattern != "plain" and PATTERNS[words.pattern] in caption)
                or (words.pattern == "plain" and "all " in caption)
            )
        assert set(sample.alternatives) == set(COLOURS) - {words.main, words.second}


def test_the_main_colour_is_the_most_frequent_in_the_mask() -> None:
    right = [dominant_colour(one.frames[one.mask > 0]) == one.attributes.main for one in samples() if one.attributes]
    assert np.mean(right) >= 0.97


@pytest.mark.parametrize("name", COLOURS)
def test_a_colour_has_its_own_name(name: str) -> None:
    near = np.clip(np.array(COLOURS[name]) + np.array([[0, 0, 0], [9, -9, 9], [-9, 9, -9]]), 0, 255).astype(np.uint8)
    assert [dominant_colour(one[None]) for one in near] == [name] * 3


def test_no_pixels_have_no_colour() -> None:
    with pytest.raises(Invalid, match="pixels"):
        dominant_colour(np.zeros((0, 3), np.uint8))


def test_tracked_points_lie_on_the_instance_where_they_show() -> None:
    hidden = 0
    for sample in samples():
        t, n = np.nonzero(sample.visible)
        x, y = np.floor(sample.tracks[t, n]).astype(int).T
        assert sample.mask[t, y, x].all()
        assert sample.visible.shape == sample.tracks.shape[:2] and sample.tracks.shape[1] >= 2
        hidden += (~sample.visible).sum()
    assert hidden > 0


def test_tracks_follow_the_picture() -> None:
    """A point in the middle of a cell or of the ground keeps its colour over the clip."""
    kept = []
    for sample in samples():
        x, y = np.clip(np.floor(sample.tracks).astype(int), 0, 63).transpose(2, 0, 1)
        colours = sample.frames[np.arange(17)[:, None], y, x].astype(float)
        first = colours[0]
        inside = sample.visible.all(axis=0)
        kept += (np.abs(colours - first)[:, inside].max(axis=(0, 2)) < 60).tolist()
    assert np.mean(kept) > 0.7


def test_lines_lie_in_the_mask_and_the_outline_around_it() -> None:
    for sample in samples():
        near = np.stack([cv2.dilate(one, np.ones((3, 3), np.uint8)) for one in sample.mask])
        assert not sample.interior[sample.mask == 0].any()
        assert not sample.sketch[near == 0].any()
        assert (sample.sketch >= sample.interior).all()
        assert sample.attributes and (sample.attributes.pattern == "plain" or sample.interior.max() > 200)
        assert sample.mask.any(axis=(1, 2)).all() and sample.mask.max() == 1


def test_repainting_changes_the_instance_alone() -> None:
    source = Instances(seed=11)
    for index, sample in enumerate(samples()[:20]):
        colour = sample.alternatives[index % len(sample.alternatives)]
        other = source.repainted(index, main=colour)
        for name in ("mask", "sketch", "interior", "tracks", "visible"):
            assert np.array_equal(getattr(sample, name), getattr(other, name))
        changed = (sample.frames != other.frames).any(axis=3)
        assert changed.any() and not changed[sample.mask == 0].any()
        assert dominant_colour(other.frames[other.mask > 0]) == colour
        assert other.attributes and other.attributes.main == colour and colour in other.caption


def test_only_colours_can_be_repainted() -> None:
    source = Instances(seed=11)
    plain = next(i for i, one in enumerate(samples()) if one.attributes and one.attributes.pattern == "plain")
    same = next(one.attributes for one in samples() if one.attributes)
    with pytest.raises(Invalid, match="shape"):
        source.repainted(0, shape="star")
    with pytest.raises(Invalid, match="no colour is called 'sky'"):
        source.repainted(0, main="sky")
    with pytest.raises(Invalid, match="second"):
        source.repainted(plain, second="red")
    assert same.second
    with pytest.raises(Invalid, match="the same"):
        source.repainted(0, main=same.second)


def painted(sample: Sample, lines: np.ndarray) -> np.ndarray:
    """What one can paint from words and `lines` alone: closed lines hold the second colour, in turn with the main."""
    assert sample.attributes
    main, second = (np.array(COLOURS[name or "red"]) for name in (sample.attributes.main, sample.attributes.second))
    frames = np.tile(main.astype(np.uint8), (*sample.mask.shape, 1))
    for frame, line in zip(frames, lines, strict=True):
        found, nesting = cv2.findContours((line > 100).astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
        for number, contour in enumerate(found):
            depth, parent = 0, nesting[0][number][3]
            while parent >= 0:
                depth, parent = depth + 1, nesting[0][parent][3]
            if depth % 2:  # the inner side of a line
                cv2.drawContours(frame, [contour], -1, (second if depth % 4 == 1 else main).tolist(), -1)
    return frames


def test_the_lines_tell_the_picture_and_other_lines_do_not() -> None:
    errors = np.zeros(3)
    for number, sample in enumerate(samples()):
        if sample.attributes and sample.attributes.second:
            wrong = samples()[(number + 1) % COUNT].interior
            for way, lines in enumerate((sample.interior, wrong, np.zeros_like(wrong))):
                off = (painted(sample, lines) - sample.frames.astype(float))[sample.mask > 0]
                errors[way] += np.square(off).mean()
    right, wrong, none = 10 * np.log10(errors)
    assert right < none - 5 and right < wrong - 5


def test_the_interior_cannot_be_guessed_from_the_mask() -> None:
    """The lines of one pattern hardly overlap from clip to clip, even once the instances are aligned."""
    aligned: dict[str, list[np.ndarray]] = {}
    for sample in samples():
        if sample.attributes and sample.attributes.second:
            x, y, w, h = cv2.boundingRect(sample.mask[8])
            cut = cv2.resize(sample.interior[8, y : y + h, x : x + w], (24, 24), interpolation=cv2.INTER_AREA) > 90
            aligned.setdefault(sample.attributes.pattern, []).append(cut)
    for pictures in aligned.values():
        overlaps = [
            (a & b).sum() / max((a | b).sum(), 1) for i, a in enumerate(pictures) for b in pictures[i + 1 : i + 6]
        ]
        assert np.mean(overlaps) < 0.35


@settings(max_examples=8, deadline=None)
@given(size=st.sampled_from([48, 64, 100, 200]), frames=st.integers(1, 20), index=st.integers(0, 2**40))
def test_any_size_and_length(size: int, frames: int, index: int) -> None:
    sample = Instances(size=size, frames=frames, seed=1).clip(index)
    assert sample.frames.shape == (frames, size, size, 3) and sample.frames.dtype == np.uint8
    assert sample.mask.shape == sample.sketch.shape == sample.interior.shape == (frames, size, size)
    assert 0.03 < sample.mask.mean() < 0.5


def test_the_size_scales_the_same_scene() -> None:
    small, large = samples()[3], Instances(seed=11, size=128).clip(3)
    assert (small.caption, small.attributes) == (large.caption, large.attributes)
    assert np.allclose(small.tracks * 2, large.tracks, atol=1e-3)
    shrunk = cv2.resize(large.mask[4].astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA) > 0
    assert (shrunk != small.mask[4]).mean() < 0.02


def test_footage_gives_half_of_the_backgrounds() -> None:
    film = np.zeros((5, 70, 90, 3), np.uint8)
    film[..., 0], film[..., 2] = 255, np.arange(5)[:, None, None]
    seen = [
        np.median(one.frames[..., 0][one.mask == 0]) == 255 for one in map(Instances(footage=[film]).clip, range(24))
    ]
    assert 5 <= sum(seen) <= 19


def test_what_cannot_be_made_is_said() -> None:
    with pytest.raises(Invalid, match="size"):
        Instances(size=16)
    with pytest.raises(Invalid, match="frames"):
        Instances(frames=0)
