"""Frames in and out of files: movies through ffmpeg, pictures and folders of pictures through OpenCV."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import ffmpeg
import imageio_ffmpeg
import numpy as np
from overpaint.clip import Depth, FrameRange, Rate, Size
from overpaint.errors import Exhausted, Invalid, Missing

PICTURES = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """What a movie file or a folder of pictures holds. `rate` is None where the file has none (pictures).

    `pictures` are named one by one where they are not all that a folder holds.
    """

    path: Path
    size: Size
    rate: Rate | None
    depth: Depth
    pictures: tuple[Path, ...] = ()

    @property
    def is_movie(self) -> bool:
        return self.path.is_file() and self.path.suffix.lower() not in PICTURES


@cache
def ffmpeg_binary() -> str:
    """The system's ffmpeg, else the one that imageio-ffmpeg brings."""
    return shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()


def probe(path: Path, field: str = "clip") -> Footage:
    """What `path` holds. Raises Missing or Invalid that name `field`."""
    if not path.exists():
        raise Missing(field=field, message=f"{path} is not there", remedy="Check the path")
    if path.is_dir() or path.suffix.lower() in PICTURES:
        return _of_pictures(path, _read_picture(picture_paths(path, field)[0], field))
    # The header of one YUV4MPEG frame tells size and exact rate after rotation; ffprobe may not be there.
    command = ffmpeg.input(str(path)).output("pipe:", format="yuv4mpegpipe", vframes=1, pix_fmt="yuv444p")
    ran = subprocess.run(command.compile(cmd=ffmpeg_binary()), capture_output=True, stdin=subprocess.DEVNULL)
    header = ran.stdout.split(b"\n", 1)[0].decode("ascii", "replace")
    match = re.match(r"YUV4MPEG2 W(\d+) H(\d+) F(\d+):(\d+)", header)
    if match is None:
        why = (ran.stderr.decode("utf-8", "replace").strip().splitlines() or ["it holds no frames"])[-1]
        raise Invalid(field=field, message=f"{path} is no movie that can be read ({why})", remedy="Give a movie file")
    width, height, numerator, denominator = map(int, match.groups())
    deep = re.search(r"Video: .*?\w(?:9|10|12|14|16|48|64)(?:le|be)\b", ran.stderr.decode("utf-8", "replace"))
    return Footage(
        path=path,
        size=Size(width=width, height=height),
        rate=Rate(numerator=numerator, denominator=denominator),
        depth=16 if deep else 8,
    )


def probe_pictures(paths: tuple[Path, ...], field: str = "clip") -> Footage:
    """What these pictures hold, one a frame. Raises Missing or Invalid that name `field`."""
    for path in paths:
        if not path.is_file():
            raise Missing(field=field, message=f"{path} is not there", remedy="Check the path")
    return replace(_of_pictures(paths[0], _read_picture(paths[0], field)), pictures=paths)


def _of_pictures(path: Path, first: np.ndarray) -> Footage:
    height, width = first.shape[:2]
    depth = 16 if first.dtype == np.uint16 else 8
    return Footage(path=path, size=Size(width=width, height=height), rate=None, depth=depth)


def read_frames(footage: Footage, field: str = "clip", span: FrameRange | None = None) -> Iterator[np.ndarray]:
    """Every frame (of `span`), "h w 3" RGB, uint8 or uint16; no frame is dropped, doubled or resized.

    Raises Invalid where a movie breaks off, as one does that was copied in part.
    """
    if not footage.is_movie:
        paths = list(footage.pictures) or picture_paths(footage.path, field)
        for path in paths[span.start : span.stop] if span else paths:
            yield _same_size(_rgb(_read_picture(path, field)), footage, path, field)
        return
    pixel = "rgb24" if footage.depth == 8 else "rgb48le"
    dtype = np.dtype("u1") if footage.depth == 8 else np.dtype("<u2")
    shape = (footage.size.height, footage.size.width, 3)
    count = footage.size.pixels * 3 * dtype.itemsize
    # Counted in decoded frames: exact, where seeking by time may be a frame off. Not as one of ffmpeg-python's filters:
    # they make a complex graph, in which sws_flags do not hold.
    cut = {"vf": f"trim=start_frame={span.start}:end_frame={span.stop}"} if span else {}
    stream = (
        ffmpeg.input(str(footage.path))
        .output(
            "pipe:",
            format="rawvideo",
            pix_fmt=pixel,
            fps_mode="passthrough",
            sws_flags="accurate_rnd+full_chroma_int",
            loglevel="error",
            **cut,
        )
        .global_args("-xerror")
    )  # or a frame that cannot be decoded would be left out
    with tempfile.TemporaryFile() as said:  # no pipe: nobody would read it, and a full one would hold ffmpeg up
        process = subprocess.Popen(
            stream.compile(cmd=ffmpeg_binary()), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        )
        assert process.stdout is not None
        try:
            while len(block := process.stdout.read(count)) == count:
                yield np.frombuffer(block, dtype).reshape(shape)
        finally:
            process.stdout.close()
            ended = process.wait()
        said.seek(0)
        words = said.read().decode("utf-8", "replace")
    if ended != 0 or "ended prematurely" in words:  # a Matroska file that breaks off is no error to ffmpeg
        why = (words.strip().splitlines() or [f"ffmpeg ended with {ended}"])[-1]
        raise Invalid(
            field=field, message=f"{footage.path} cannot be read to its end ({why})", remedy="Copy or export it again"
        )


def picture_paths(path: Path, field: str) -> list[Path]:
    """The pictures of a folder in the order of their names, or the one picture. Raises Invalid where there is none."""
    if path.is_file():
        return [path]
    found = sorted(one for one in path.iterdir() if one.suffix.lower() in PICTURES)
    if not found:
        raise Invalid(
            field=field, message=f"{path} holds no pictures", remedy=f"Known are {', '.join(sorted(PICTURES))}"
        )
    return found


def _read_picture(path: Path, field: str) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(path.read_bytes() or b"\0", np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype not in (np.uint8, np.uint16):
        raise Invalid(field=field, message=f"{path} is no picture of 8 or 16 bits", remedy="Give a PNG or TIFF")
    return picture


def _rgb(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        return np.repeat(picture[..., None], 3, axis=2)
    return np.ascontiguousarray(picture[..., 2::-1])


def _same_size(frame: np.ndarray, footage: Footage, path: Path, field: str) -> np.ndarray:
    if (frame.shape[1], frame.shape[0]) != (footage.size.width, footage.size.height):
        raise Invalid(
            field=field,
            message=f"{path.name} is {frame.shape[1]}x{frame.shape[0]} and the pictures before it {footage.size}",
            remedy="Give pictures of one size",
        )
    return frame


def write_picture(path: Path, frame: np.ndarray) -> None:
    """Write "h w", RGB "h w 3" or RGBA "h w 4" as PNG, whole or not at all."""
    order = {2: None, 3: [2, 1, 0], 4: [2, 1, 0, 3]}[frame.shape[2] if frame.ndim == 3 else 2]
    pixels = frame if order is None else frame[..., order]
    ok, body = cv2.imencode(".png", np.ascontiguousarray(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not ok:
        raise Invalid(field="out", message=f"{path} cannot be written as PNG")
    part = path.with_suffix(".part")
    part.write_bytes(body.tobytes())
    part.replace(path)


@contextmanager
def movie_writer(
    path: Path, size: Size, rate: Rate, depth: Depth
) -> Generator[Callable[[np.ndarray], int | None], None, None]:
    """Write RGB frames as lossless FFV1 in Matroska, the rate exact; whole or not at all.

    Raises Exhausted where ffmpeg cannot write it, as on a full disk.
    """
    part = path.with_name(path.stem + ".part" + path.suffix)
    source, target = ("rgb24", "bgr0") if depth == 8 else ("rgb48le", "gbrp16le")
    stream = ffmpeg.input("pipe:", format="rawvideo", pix_fmt=source, s=str(size), framerate=str(rate)).output(
        str(part), vcodec="ffv1", level=3, pix_fmt=target, loglevel="error", fflags="+bitexact"
    )  # bitexact: without a random name inside, the same take is the same file
    failed = Exhausted(field="disk", message=f"ffmpeg could not write {path}", remedy="Is the disk full?")
    try:
        with subprocess.Popen(stream.overwrite_output().compile(cmd=ffmpeg_binary()), stdin=subprocess.PIPE) as process:
            pipe = process.stdin
            assert pipe is not None
            try:
                yield lambda frame: pipe.write(np.ascontiguousarray(frame).tobytes())
                pipe.close()
            except BrokenPipeError:
                raise failed from None
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            raise failed
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_movie(path: Path, frames: Sequence[np.ndarray], rate: Rate) -> None:
    """Write 8-bit RGB frames as H.264 for looking at; sides that are odd lose their last pixel, as the format demands."""
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    stream = ffmpeg.input(
        "pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", framerate=str(rate)
    ).output(str(path), vcodec="libx264", crf=16, pix_fmt="yuv420p", colorspace="bt709", loglevel="error")
    pixels = b"".join(np.ascontiguousarray(frame[:height, :width]).tobytes() for frame in frames)
    subprocess.run(stream.overwrite_output().compile(cmd=ffmpeg_binary()), input=pixels, check=True)
