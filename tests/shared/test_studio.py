"""The door for pipelines, on a real server: what goes in, what comes out, and what is said where it does not fit."""

from __future__ import annotations

import re
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import overpaint
import pytest
from overpaint.edit import Guide, GuideKey, Input, Knot, Stroke
from overpaint.errors import Cancelled, Corrupt, Invalid, Missing, OverpaintError, Unauthenticated, Unavailable
from overpaint.job import EventKind, JobState
from overpaint.studio import Job, Studio

from tests.serving import guard, serving

ROOT = Path(__file__).parents[2]
HEIGHT, WIDTH, LENGTH = 24, 32, 12


def footage(seed: int = 1, length: int = LENGTH) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (length, HEIGHT, WIDTH, 3), np.uint8)


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    drawn[6:18, 8:24] = 255
    return drawn


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("studio") / "jobs") as server:
        yield server.address


@pytest.fixture
def studio(address: str) -> Iterator[Studio]:
    with overpaint.connect(address) as opened:
        yield opened


def painted(job: Job) -> list[Any]:
    return list(job.follow())


def test_the_page_of_the_documents_runs_as_it_stands(
    address: str, mask: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.S)[0]
    assert block.count("127.0.0.1:8765") == 1
    monkeypatch.chdir(tmp_path)
    lines = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.line(lines, (9, 7), (22, 16), 255)
    exec(block.replace("127.0.0.1:8765", address), {"frames": footage(), "mask": mask, "lines": lines})
    take = np.load("take.npy")
    assert take.dtype == np.uint8 and take.shape == footage().shape
    changed = (take != footage()).any(axis=3)
    assert not changed[:, mask == 0].any() and changed.any(axis=(1, 2)).all()
    assert capsys.readouterr().out.splitlines()[-1] == "finished 100%"


def test_the_take_is_the_one_that_the_command_paints(studio: Studio, mask: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for number, frame in enumerate(footage()):
        cv2.imwrite(str(tmp_path / "clip" / f"{number:03}.png"), frame[..., ::-1])
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    words = ["--clip", "clip", "--rate", "24", "--mask", "mask.png", "--engine", "toy", "--seed", "9", "--out", "take"]
    subprocess.run([sys.executable, "-m", "overpaint_backend.cli", "paint", *words], cwd=tmp_path, check=True)
    job = studio.submit(footage(), rate=24, task="repaint", mask=mask, engine="toy", seed=9)
    painted(job)
    for number, frame in enumerate(job.take(footage()), start=1):
        written = cv2.imread(str(tmp_path / "take" / "frames" / f"{number:05}.png"))
        assert written is not None and np.array_equal(written[..., ::-1], frame)


def test_sixteen_bits_come_back_as_sixteen(studio: Studio, mask: np.ndarray) -> None:
    deep = [frame.astype(np.uint16) * 257 for frame in footage(2)]
    job = studio.submit(deep, rate="24000/1001", task="repaint", mask=mask == 255, engine="toy")
    painted(job)
    take = list(job.take(deep))
    assert len(take) == LENGTH and take[0].dtype == np.uint16
    assert all(np.array_equal(one[mask == 0], frame[mask == 0]) for one, frame in zip(take, deep, strict=True))
    assert all(patch.shape == (HEIGHT, WIDTH, 4) for patch in job.fetch())
    assert job.spec is not None and str(job.spec.clip.rate) == "24000/1001"


def test_what_the_server_has_is_read_once_and_not_sent_again(studio: Studio, mask: np.ndarray) -> None:
    reads: list[int] = []

    def read() -> Iterator[np.ndarray]:
        reads.append(1)
        yield from footage(3)

    studio.submit(read, rate=24, task="repaint", mask=mask, engine="toy")
    assert len(reads) == 3  # the first frame for the size, all for their names, all to be sent
    before = studio.client.sent_bytes
    studio.submit(read, rate=24, task="repaint", mask=mask, engine="toy", seed=5)
    assert len(reads) == 5 and studio.client.sent_bytes - before < footage().nbytes / 8


def test_a_function_holds_no_clip_in_memory(studio: Studio, mask: np.ndarray) -> None:
    alive, most = 0, 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def read() -> Iterator[np.ndarray]:
        nonlocal alive, most
        for number in range(60):
            frame = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
            weakref.finalize(frame, gone)
            alive += 1
            most = max(most, alive)
            yield frame

    studio.submit(read, rate=24, task="repaint", mask=mask, engine="toy")
    assert 0 < most <= 20


def test_sparse_guides_keyframes_strokes_and_options_reach_the_engine(studio: Studio, mask: np.ndarray) -> None:
    picture = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    corners = ((8.0, 6.0), (24.0, 6.0), (24.0, 18.0), (8.0, 18.0))
    drawn = Stroke(knots=tuple(Knot(x=x, y=y) for x, y in corners), closed=True)
    job = studio.submit(
        list(footage(4)),
        rate=Fraction(25),
        task="repaint",
        mask=Guide(kind=Input.MASK, keys=(GuideKey(frame=0, strokes=(drawn,)),), hold=True),
        sketch={3: mask, 1: mask},
        keyframes={4: picture},
        engine="toy",
        options={"steps": 2},
    )
    painted(job)
    assert job.spec is not None
    sketch = job.spec.edit.guide(Input.SKETCH)
    assert sketch is not None and [key.frame for key in sketch.keys] == [1, 3] and not sketch.hold
    assert (list(job.take(footage(4)))[4][8:16, 10:22] == 200).all()


def test_another_program_takes_a_job_up_by_its_id(address: str, studio: Studio, mask: np.ndarray) -> None:
    job = studio.submit(footage(5), rate=24, task="repaint", mask=mask, engine="toy")
    painted(job)
    with overpaint.connect(address) as again:
        (mine,) = (one for one in again.jobs() if one.id == job.id)
        assert mine.state is JobState.FINISHED
        same = again.job(job.id)
        assert np.array_equal(list(same.take(footage(5))), list(job.take(footage(5))))
        assert [event.kind for event in same.follow()][-1] is EventKind.FINISHED
        for wrong, word in ((footage(5)[:-1], "more"), (footage(5, LENGTH + 1), "fewer")):
            with pytest.raises(Invalid, match=f"the take has {word} frames"):
                list(same.take(wrong))
        with pytest.raises(Missing):
            list(again.job("0" * 32).follow())


def test_without_a_word_the_engine_that_suits_is_asked(studio: Studio, mask: np.ndarray) -> None:
    job = studio.submit(footage(6), rate=24, task="remove", mask=mask)
    assert job.spec is not None and job.spec.engine == "flow"


def test_a_job_that_fails_or_is_cancelled_says_so(studio: Studio, mask: np.ndarray) -> None:
    job = studio.submit(footage(7), rate=24, task="repaint", mask=mask * 0, engine="toy")
    with pytest.raises(Invalid, match=r"mask: .* is empty on every frame"):
        painted(job)
    job = studio.submit(footage(8, 400), rate=24, task="repaint", mask=mask, engine="toy", options={"delay": 0.05})
    job.cancel()
    with pytest.raises(Cancelled):
        painted(job)


def once() -> Iterator[np.ndarray]:
    yield from footage()


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a generator": ({"frames": once()}, "frames: these can be read only once"),
    "no frames": ({"frames": []}, "frames: there are none"),
    "floats": ({"frames": footage() / 255}, "frames: a frame is 24 x 32 x 3 float64"),
    "gray frames": ({"frames": footage()[..., 0]}, "frames: a frame is 24 x 32 uint8"),
    "frames of two sizes": ({"frames": [*footage(), footage()[0, :-1]]}, "frames: picture 12 is 23 x 32 x 3 uint8"),
    "a rate that is none": ({"rate": "fast"}, "rate: 'fast' is no rate"),
    "a task that is none": ({"task": "improve"}, "task: 'improve' is no task"),
    "a mask of another size": ({"mask": np.ones((4, 4), np.uint8)}, "mask: picture 0 is 4 x 4 uint8"),
    "a mask of floats": ({"mask": np.ones((HEIGHT, WIDTH))}, "mask: picture 0 is 24 x 32 float64"),
    "a mask that is too short": ({"mask": np.ones((3, HEIGHT, WIDTH), bool)}, "mask: there are 3 pictures and the clip has 12"),
    "no mask": ({"mask": None}, "mask: .* needs a mask"),
    "an unknown engine": ({"engine": "nobody"}, "engine: there is no engine 'nobody'"),
    "a keyframe of another depth": ({"keyframes": {0: footage()[0].astype(np.uint16)}}, "keyframe: picture 0 is 24 x 32 x 3 uint16"),
    "a priority without bounds": ({"priority": 10**10}, "priority: "),
    "a Guide of pixels that are nowhere": (
        {"sketch": Guide(kind=Input.SKETCH, keys=(GuideKey(frame=0, pixels="ab" * 32),))},
        "guides: the server lacks the picture abababababab",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused_in_words(studio: Studio, mask: np.ndarray, name: str) -> None:
    wrong, said = BAD[name]
    given = {"frames": footage(), "rate": 24, "task": "repaint", "mask": mask, "engine": "toy"} | wrong
    with pytest.raises(OverpaintError, match=said):
        studio.submit(given.pop("frames"), **given)


def test_a_rate_with_a_point_is_refused(studio: Studio, mask: np.ndarray) -> None:
    with pytest.raises(Invalid, match="rate"):
        studio.submit(footage(), rate=23.976, task="repaint", mask=mask, engine="toy")  # pyright: ignore[reportArgumentType]


def second_time(other: Callable[[], np.ndarray]) -> Callable[[], Iterator[np.ndarray]]:
    """A careless function: it yields `other` where the pixels are sent."""
    calls: list[int] = []

    def read() -> Iterator[np.ndarray]:
        calls.append(1)
        yield from footage(20) if len(calls) < 3 else other()

    return read


def test_frames_that_differ_the_second_time_are_found_out(studio: Studio, mask: np.ndarray) -> None:
    with pytest.raises(Corrupt):
        studio.submit(second_time(lambda: footage(21)), rate=24, task="repaint", mask=mask, engine="toy")
    read = second_time(lambda: footage(20)[:-1])
    with pytest.raises(Invalid, match="frames: there were more pictures at first"):
        studio.submit(read, rate=24, task="repaint", mask=mask, engine="toy")


def test_a_connection_says_what_is_wrong_at_once(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no server answers"):
        overpaint.connect("127.0.0.1:9")
    guard(tmp_path / "jobs")
    with serving(tmp_path / "jobs") as server:
        with pytest.raises(Unauthenticated):
            overpaint.connect(server.address)
        with overpaint.connect(server.address, token="open sesame") as studio:
            assert studio.jobs() == ()


def test_the_package_alone_is_cheap() -> None:
    code = "import overpaint, sys; print(*{'grpc', 'numpy', 'google.protobuf'} & {*sys.modules}); overpaint.connect; overpaint.no"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout.strip() == "" and "has no attribute 'no'" in ran.stderr


def test_who_follows_from_the_end_on_hears_how_it_ended(studio: Studio, mask: np.ndarray) -> None:
    job = studio.submit(footage(9), rate=24, task="repaint", mask=mask * 0, engine="toy")
    with pytest.raises(Invalid):
        painted(job)
    last = max(event.number for event in studio.client.watch(job.id))
    with pytest.raises(Invalid, match="is empty on every frame"):
        list(studio.job(job.id).follow(last))
