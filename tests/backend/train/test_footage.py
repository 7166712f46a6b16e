"""Our own footage: only what is large enough for long enough, cropped to the instance, with its words and lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from overpaint.clip import Rate, Size
from overpaint.errors import Invalid, Missing
from overpaint_backend.media import movie_writer, write_picture
from overpaint_backend.train.footage import RUN, Shots, edges
from overpaint_backend.train.sheet import contact_sheet

from tests.pictures import read_picture

FRAMES, WIDTH, HEIGHT = 120, 96, 64


def movie(path: Path, frames: list[np.ndarray]) -> None:
    height, width = frames[0].shape[:2]
    with movie_writer(path, Size(width=width, height=height), Rate(numerator=25, denominator=1), 8) as write:
        for frame in frames:
            write(frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2))


def discs(radius: int = 16) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A red disc that wanders; it is away on frame 110."""
    pictures, masks = [], []
    for t in range(FRAMES):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        if t != 110:
            cv2.circle(mask, (30 + t // 4, 32), radius, 255, -1)
        picture = np.full((HEIGHT, WIDTH, 3), (20, 90, t), np.uint8)
        picture[mask > 0] = (220, 30, 30)
        pictures.append(picture)
        masks.append(mask)
    return pictures, masks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures, masks = discs()
    movie(tmp_path / "disc.mkv", pictures)
    movie(tmp_path / "disc.mask.mkv", masks)
    (tmp_path / "disc.txt").write_text("a red\n disc ")
    return tmp_path


def test_runs_that_are_long_enough_are_cut_into_samples(folder: Path, tmp_path: Path) -> None:
    shots = Shots(folder, size=40)
    # A run of 110 frames holds two; the 9 after it are too few.
    assert [(shot.start, shot.side) for shot in shots.shots] == [(0, 48), (51, 49)]
    sample = shots.clip(1)
    assert sample.frames.shape == (RUN, 40, 40, 3) and sample.mask.shape == sample.sketch.shape == (RUN, 40, 40)
    assert sample.caption == "a red disc" and sample.attributes is None and sample.tracks.shape == (RUN, 0, 2)
    assert sample.frames[0][sample.mask[0] == 0][0, 2] == pytest.approx(51, abs=1)  # the picture of its own frame
    red = np.abs(sample.frames.astype(int) - (220, 30, 30)).max(axis=3) < 60
    assert (red == (sample.mask > 0)).mean() > 0.98
    edge = np.stack([cv2.morphologyEx(one, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) for one in sample.mask])
    assert sample.sketch.max() > 150 and not sample.sketch[edge == 0].any() and not sample.interior.any()
    contact_sheet(tmp_path / "sheet.png", [sample, shots.clip(0)])
    assert read_picture(tmp_path / "sheet.png").shape == (2 * 212, 5 * 192, 3)


def test_short_clips_of_a_long_run(folder: Path) -> None:
    shots = Shots(folder, size=32, frames=17)
    assert [shot.start for shot in shots.shots] == [0, 17, 34, 51, 68, 85]
    assert shots.clip(5).mask.any(axis=(1, 2)).all()


def test_what_is_small_or_short_gives_nothing(tmp_path: Path) -> None:
    pictures, masks = discs(radius=10)  # 5% of the frame
    movie(tmp_path / "small.mkv", pictures)
    movie(tmp_path / "small.mask.mkv", masks)
    pictures, masks = (found[: RUN - 1] for found in discs())
    movie(tmp_path / "short.mkv", pictures)
    movie(tmp_path / "short.mask.mkv", masks)
    assert len(Shots(tmp_path, size=32)) == 0


def test_masks_words_and_lines_can_come_from_elsewhere(tmp_path: Path) -> None:
    pictures, masks = discs()
    movie(tmp_path / "disc.mkv", pictures)

    def tracker(clip: Path) -> Iterator[np.ndarray]:
        return (cv2.resize(mask, None, fx=2, fy=2) for mask in masks)

    shots = Shots(
        tmp_path,
        size=32,
        frames=5,
        tracker=tracker,
        captioner=lambda clip: f"what is in {clip.stem}",
        lines=lambda frame: np.full(frame.shape[:2], 77, np.uint8),
    )
    sample = shots.clip(3)
    assert sample.caption == "what is in disc" and set(np.unique(sample.sketch)) == {0, 77}
    assert set(np.unique(sample.interior[sample.mask == 0])) == {0} and sample.interior.any()


def test_a_folder_of_pictures_can_be_the_masks(folder: Path) -> None:
    (folder / "disc.mask.mkv").unlink()
    (folder / "disc.mask").mkdir()
    for number, mask in enumerate(discs()[1][:60]):
        write_picture(folder / "disc.mask" / f"{number:03}.png", mask)
    assert len(Shots(folder, size=32)) == 1


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    (folder / "disc.txt").unlink()
    with pytest.raises(Missing, match="caption"):
        Shots(folder, size=32).clip(0)
    movie(folder / "disc.mask.mkv", [np.zeros((64, 64), np.uint8)])
    with pytest.raises(Invalid, match="64x64"):
        Shots(folder, size=32)
    movie(folder / "disc.mask.mkv", [mask for mask in discs(20)[1]] * 2)
    with pytest.raises(Invalid, match="fewer frames"):
        Shots(folder, size=32, captioner=lambda clip: clip.name).clip(2)
    (folder / "disc.mask.mkv").unlink()
    with pytest.raises(Missing, match="no masks"):
        Shots(folder, size=32)
    (folder / "disc.mkv").unlink()
    with pytest.raises(Missing, match="no movies"):
        Shots(folder, size=32)


def test_edges_are_thin_lines_where_the_picture_changes() -> None:
    picture = np.full((64, 64, 3), 40, np.uint8)
    cv2.rectangle(picture, (16, 20), (47, 43), (200, 180, 60), -1)
    lines = edges(picture)
    assert lines[20:44, 15:17].max(axis=1).mean() > 100 and lines[30, 20:44].max() == 0
    assert 0.02 < (lines > 60).mean() < 0.09 and not edges(np.full((32, 32, 3), 90, np.uint8)).any()
