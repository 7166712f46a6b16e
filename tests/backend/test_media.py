from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from overpaint.clip import Rate, Size
from overpaint.errors import Exhausted, Invalid, Missing
from overpaint_backend.media import ffmpeg_binary, movie_writer, probe, read_frames, write_picture

from tests.pictures import read_picture

RANDOM = np.random.default_rng(4)
FRAMES = list(RANDOM.integers(0, 256, (7, 34, 50, 3), np.uint8))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("rate", [Rate(numerator=25), Rate(numerator=24000, denominator=1001)])
def test_a_lossless_movie_keeps_pixels_count_and_rate(tmp_path: Path, depth: int, rate: Rate) -> None:
    frames = FRAMES if depth == 8 else list(RANDOM.integers(0, 65536, (7, 34, 50, 3)).astype(np.uint16))
    with movie_writer(tmp_path / "take.mkv", Size(width=50, height=34), rate, 8 if depth == 8 else 16) as write:
        for frame in frames:
            write(frame)
    movie = probe(tmp_path / "take.mkv")
    assert (movie.size, movie.rate, movie.depth) == (Size(width=50, height=34), rate, depth)
    assert all(np.array_equal(a, b) for a, b in zip(read_frames(movie), frames, strict=True))


def test_a_movie_that_could_not_be_finished_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError),
        movie_writer(tmp_path / "take.mkv", Size(width=50, height=34), Rate(numerator=25), 8) as write,
    ):
        write(FRAMES[0])
        raise RuntimeError("the disk went away")
    assert list(tmp_path.iterdir()) == []


def test_a_movie_that_cannot_be_written_is_told_as_a_full_disk_is(tmp_path: Path) -> None:
    with (
        pytest.raises(Exhausted) as raised,
        movie_writer(tmp_path / "nowhere" / "take.mkv", Size(width=50, height=34), Rate(numerator=25), 8) as write,
    ):
        for frame in FRAMES:
            write(frame)
    assert raised.value.field == "disk"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("half.mkv", ["-c:v", "ffv1"]),
        ("half.mp4", ["-c:v", "libx264", "-qp", "0", "-g", "5", "-movflags", "+faststart"]),
        ("half.avi", ["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"]),
    ],
)
def test_a_movie_that_was_copied_in_part_is_refused_and_not_a_shorter_clip(
    tmp_path: Path, name: str, words: list[str]
) -> None:
    path = tmp_path / name
    source = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=2"]
    subprocess.run([ffmpeg_binary(), "-v", "error", *source, *words, str(path)], check=True)
    assert len(list(read_frames(probe(path)))) == 50
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(Invalid, match=f"mask: .*{name} cannot be read to its end"):
        list(read_frames(probe(path, "mask"), "mask"))
    assert next(read_frames(probe(path))).shape == (48, 64, 3)  # whoever wants no more is not bothered


def test_variable_rates_neither_drop_nor_double_a_frame(tmp_path: Path) -> None:
    source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=1", "-vf", "select='not(between(n,5,9))'"]
    command = [ffmpeg_binary(), "-v", "error", *source, "-fps_mode", "vfr", "-c:v", "ffv1", str(tmp_path / "vfr.mkv")]
    subprocess.run(command, check=True)
    assert len(list(read_frames(probe(tmp_path / "vfr.mkv")))) == 20


def test_ten_bits_are_read_as_sixteen(tmp_path: Path) -> None:
    source = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.2"]
    command = [
        ffmpeg_binary(),
        "-v",
        "error",
        *source,
        "-pix_fmt",
        "yuv420p10le",
        "-c:v",
        "ffv1",
        str(tmp_path / "ten.mkv"),
    ]
    subprocess.run(command, check=True)
    movie = probe(tmp_path / "ten.mkv")
    assert movie.depth == 16 and next(read_frames(movie)).dtype == np.uint16


@pytest.mark.parametrize(
    "frame", [FRAMES[0], FRAMES[0][..., 0], np.dstack([FRAMES[0], FRAMES[1][..., :1]]).astype(np.uint16) * 257]
)
def test_pictures_keep_every_pixel(tmp_path: Path, frame: np.ndarray) -> None:
    write_picture(tmp_path / "one.png", frame)
    again = read_picture(tmp_path / "one.png")
    order = {2: None, 3: [2, 1, 0], 4: [2, 1, 0, 3]}[frame.shape[2] if frame.ndim == 3 else 2]
    assert np.array_equal(again if order is None else again[..., order], frame)
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_pictures_of_a_folder_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "Ünï cödé dir"
    folder.mkdir()
    for number in (3, 1, 2):
        write_picture(folder / f"{number:04}.png", np.full((4, 4, 3), number, np.uint8))
    (folder / "notes.txt").write_text("no picture")
    footage = probe(folder)
    assert footage.rate is None and [int(frame[0, 0, 0]) for frame in read_frames(footage)] == [1, 2, 3]


def test_what_is_wrong_is_said_with_its_field(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="is not there") as missing:
        probe(tmp_path / "none.mp4", "mask")
    assert missing.value.field == "mask"
    with pytest.raises(Invalid, match="holds no pictures"):
        probe(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture at all")
    with pytest.raises(Invalid, match="no picture of 8 or 16 bits"):
        probe(tmp_path)
    write_picture(tmp_path / "a.png", FRAMES[0])
    write_picture(tmp_path / "b.png", FRAMES[0][:20])
    with pytest.raises(Invalid, match=r"b\.png is 50x20 and the pictures before it 50x34"):
        list(read_frames(probe(tmp_path)))
