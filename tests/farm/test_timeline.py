"""Jobs out of an edit: real .otio files, real media, and one clear line for whatever a job cannot do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import opentimelineio as otio
import pytest
from opentimelineio.opentime import RationalTime, TimeRange
from overpaint.clip import Rate, Size
from overpaint.edit import Input, Task
from overpaint.errors import Invalid, Missing, OverpaintError
from overpaint.job import JobSpec
from overpaint.sealed import read_sealed
from overpaint_backend import registry
from overpaint_backend.cli.editing import folder_name
from overpaint_backend.farm.timeline import KEYS, Marked, exact_rate, read_timeline
from overpaint_backend.files import gather
from overpaint_backend.jobs.spool import Spool
from overpaint_backend.media import ffmpeg_binary, movie_writer, probe, read_frames

from tests.pictures import read_picture
from tests.serving import serving

HEIGHT, WIDTH, LENGTH = 24, 32, 20
FILM = RationalTime(1, 24).rate
NTSC = 24000 / 1001


def frame(number: int) -> np.ndarray:
    """Frame `number` of the media: noise that no other frame has."""
    return np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def span(start: float, length: float, rate: float = FILM) -> TimeRange:
    return TimeRange(RationalTime(start, rate), RationalTime(length, rate))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Media beside the edits: a lossless movie, a film of H.264, pictures among other pictures, guides."""
    folder = tmp_path_factory.mktemp("Ünï cödé")
    rate = Rate(numerator=24)
    with movie_writer(folder / "shot.mkv", Size(width=WIDTH, height=HEIGHT), rate, 8) as write:
        for number in range(LENGTH):
            write(frame(number))
    pattern = ["-f", "lavfi", "-i", f"testsrc2=size={WIDTH}x{HEIGHT}:rate=24000/1001", "-frames:v", str(LENGTH)]
    subprocess.run([ffmpeg_binary(), "-v", "error", *pattern, "-g", "12", folder / "film.mp4"], check=True)
    (folder / "plates 2").mkdir()
    for number in range(LENGTH):
        cv2.imwrite(str(folder / "plates 2" / f"sh.{1001 + number:04}.png"), frame(number)[..., ::-1])
        cv2.imwrite(str(folder / "plates 2" / f"another.{number:04}.png"), frame(number + 500))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[6:18, 8:24] = 255
    for name, picture in (("mask", mask), ("lines", mask // 2), ("empty", mask * 0)):
        cv2.imwrite(str(folder / f"{name}.png"), picture)
    cv2.imwrite(str(folder / "key.png"), np.full((HEIGHT, WIDTH, 3), 200, np.uint8))
    return folder


def movie(start: float = 0, rate: float = FILM, url: str = "shot.mkv") -> Any:
    return otio.schema.ExternalReference(target_url=url, available_range=span(start, LENGTH, rate))


def plates(**other: Any) -> Any:
    given = {"target_url_base": "plates%202/", "name_prefix": "sh.", "name_suffix": ".png", "start_frame": 1001}
    given |= {"frame_zero_padding": 4, "rate": FILM, "available_range": span(0, LENGTH)} | other
    return otio.schema.ImageSequenceReference(**given)


def clip(media: Any, seen: TimeRange | None, name: str = "shot 010", **wish: Any) -> Any:
    made = otio.schema.Clip(name, media_reference=media, source_range=seen)
    made.markers.append(marker(**wish))
    return made


def marker(**wish: Any) -> Any:
    wished = {"task": "repaint", "engine": "toy", "mask": "mask.png"} | wish
    return otio.schema.Marker(name="Overpaint", metadata={"overpaint": wished})


def edit(folder: Path, *items: Any, lead: int = 10) -> Path:
    """An edit whose video track V1 begins with `lead` frames of nothing, written and so read again by the library."""
    timeline = otio.schema.Timeline("cut")
    track = otio.schema.Track("V1")
    track.append(otio.schema.Gap(source_range=span(0, lead)))
    track.extend(items)
    timeline.tracks.append(track)
    return save(folder, timeline)


def save(folder: Path, root: Any) -> Path:
    path = folder / "cut.otio"
    otio.adapters.write_to_file(root, str(path))
    return path


def marked(path: Path) -> tuple[Marked, ...]:
    return read_timeline(path, registry.usable(Path("nowhere"), gpu=False))


def gathered(path: Path, tmp_path: Path) -> tuple[JobSpec, Spool]:
    (one,) = marked(path)
    spool = Spool(tmp_path / "spool")
    return gather(one.files, spool)[0], spool


def painted_frames(spec: JobSpec, spool: Spool) -> list[int]:
    """Which frames of the media the job's clip holds."""
    known = {spool.put(frame(number)): number for number in range(LENGTH)}
    return [known[name] for name in spec.clip.frames]


def test_a_trimmed_movie_with_timecode_becomes_its_frames(folder: Path, tmp_path: Path) -> None:
    hour = 3600 * 24
    path = edit(folder, clip(movie(hour), span(hour + 6, 8), sketch={"2": "lines.png"}, prompt="a coat", seed=7))
    spec, spool = gathered(path, tmp_path)
    assert painted_frames(spec, spool) == list(range(6, 14))
    assert str(spec.clip.rate) == "24" and spec.engine == "toy" and spec.edit.task is Task.REPAINT
    assert spec.edit.prompt == "a coat" and spec.edit.seed == 7
    sketch, mask = spec.edit.guide(Input.SKETCH), spec.edit.guide(Input.MASK)
    assert sketch and [key.frame for key in sketch.keys] == [2] and not sketch.hold
    assert mask and mask.hold


def test_handles_widen_the_job_and_frames_still_count_from_the_first_that_is_seen(folder: Path, tmp_path: Path) -> None:
    wish = {"handles": 3, "sketch": {"-1": "lines.png", "2": "lines.png"}, "keyframes": {"0": "key.png"}}
    spec, spool = gathered(edit(folder, clip(movie(), span(6, 8), **wish)), tmp_path)
    assert painted_frames(spec, spool) == list(range(3, 17))
    sketch = spec.edit.guide(Input.SKETCH)
    assert sketch and [key.frame for key in sketch.keys] == [2, 5]
    assert [one.frame for one in spec.edit.keyframes] == [3]


@pytest.mark.parametrize("first", [0, 1001])
def test_pictures_are_those_of_the_run_alone(folder: Path, tmp_path: Path, first: int) -> None:
    path = edit(folder, clip(plates(available_range=span(first, LENGTH)), span(first + 4, 5)))
    spec, spool = gathered(path, tmp_path)
    assert painted_frames(spec, spool) == [4, 5, 6, 7, 8] and spec.clip.rate == Rate(numerator=24)


@pytest.mark.parametrize("said", [NTSC, 23.976, 23.98])
def test_a_rounded_rate_is_the_one_that_it_means(folder: Path, tmp_path: Path, said: float) -> None:
    path = edit(folder, clip(movie(0, said, "film.mp4"), span(5, 7, said)))
    spec, spool = gathered(path, tmp_path)
    whole = list(read_frames(probe(folder / "film.mp4")))
    assert len(whole) == LENGTH and spec.clip.rate == Rate(numerator=24000, denominator=1001)
    assert [np.array_equal(spool.get(name), one) for name, one in zip(spec.clip.frames, whole[5:12], strict=True)] == [
        True
    ] * 7


@pytest.mark.parametrize(("said", "means"), [(25, "25"), (29.97, "30000/1001"), (59.94, "60000/1001"), (48, "48")])
def test_rates_are_fractions(said: float, means: str) -> None:
    assert str(exact_rate(said)) == means


@pytest.mark.parametrize("said", [24.02, 12.5, 0.3])
def test_a_rate_that_means_nothing_is_refused(said: float) -> None:
    with pytest.raises(Invalid, match="neither a whole nor an NTSC rate"):
        exact_rate(said)


def test_times_in_another_rate_are_the_frames_that_they_fall_on(folder: Path, tmp_path: Path) -> None:
    spec, spool = gathered(edit(folder, clip(movie(), span(12, 8, 48))), tmp_path)
    assert painted_frames(spec, spool) == [6, 7, 8, 9]


def test_an_untrimmed_clip_is_all_that_its_media_have(folder: Path, tmp_path: Path) -> None:
    spec, spool = gathered(edit(folder, clip(movie(), None)), tmp_path)
    assert painted_frames(spec, spool) == list(range(LENGTH))


def test_what_a_dissolve_shows_is_painted_too(folder: Path, tmp_path: Path) -> None:
    dissolve = otio.schema.Transition("d", "SMPTE_Dissolve", RationalTime(2, FILM), RationalTime(3, FILM))
    plain = otio.schema.Clip("other", media_reference=movie(), source_range=span(4, 8))
    spec, spool = gathered(edit(folder, clip(movie(), span(6, 8)), dissolve, plain), tmp_path)
    assert painted_frames(spec, spool) == list(range(6, 17))


def test_a_marker_may_be_known_by_its_colour_and_a_clip_may_have_two(folder: Path) -> None:
    twice = clip(movie(), span(0, 4))
    twice.markers.append(
        otio.schema.Marker(name="x", color="OVERPAINT", metadata={"overpaint": {"task": "remove", "mask": "mask.png"}})
    )
    bare = otio.schema.Clip("bare", media_reference=movie(), source_range=span(0, 4))
    found = marked(edit(folder, twice, bare))
    assert [(one.files.task, one.files.engine) for one in found] == [("repaint", "toy"), ("remove", "flow")]
    assert found[0].where == "clip 'shot 010' on track V1 at 0.417 s of the timeline (frame 10 at 24)"
    assert folder_name(3, found[0]) == "003-shot-010"


def slow(effect: Any) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        made = clip(movie(), span(0, 4))
        made.effects.append(effect)
        return edit(folder, made)

    return build


def nested(folder: Path) -> Path:
    stack = otio.schema.Stack("comp")
    stack.append(otio.schema.Track("inner", [clip(movie(), span(0, 4))]))
    return edit(folder, stack)


def on_a_gap(folder: Path) -> Path:
    gap = otio.schema.Gap(source_range=span(0, 4))
    gap.markers.append(marker())
    return edit(folder, gap)


def of_sound(folder: Path) -> Path:
    timeline = otio.schema.Timeline("cut")
    timeline.tracks.append(otio.schema.Track("A1", [clip(movie(), span(0, 4))], kind="Audio"))
    return save(folder, timeline)


def disabled(folder: Path) -> Path:
    made = clip(movie(), span(0, 4))
    made.enabled = False
    return edit(folder, made)


def unknown_start(folder: Path) -> Path:
    return edit(folder, clip(otio.schema.ExternalReference("shot.mkv"), span(0, 4)))


def of(media: Callable[[], Any], seen: TimeRange | None = None, **wish: Any) -> Callable[[Path], Path]:
    return lambda folder: edit(folder, clip(media(), seen or span(0, 4), **wish))


AT = "clip 'shot 010' on track V1 at 0.417 s of the timeline (frame 10 at 24): "
BAD: dict[str, tuple[Callable[[Path], Path], type[OverpaintError], str]] = {
    "slow motion": (slow(otio.schema.LinearTimeWarp(name="half", time_scalar=0.5)), Invalid, AT + "it has the speed effect"),
    "a freeze": (slow(otio.schema.FreezeFrame()), Invalid, AT + "it has the speed effect"),
    "a curve of speed": (slow(otio.schema.TimeEffect("ramp")), Invalid, AT + "it has the speed effect"),
    "a nested stack": (nested, Invalid, "clip 'shot 010' on track inner at 0.417 s of the timeline (frame 10 at 24): it is inside a nested stack"),
    "a gap": (on_a_gap, Invalid, "a gap without a name on track V1 at 0.417 s of the timeline (frame 10 at 24): it is no clip"),
    "sound": (of_sound, Invalid, "it is not on a video track"),
    "a disabled clip": (disabled, Invalid, AT + "it is disabled"),
    "media without a first frame": (unknown_start, Invalid, AT + "it does not say which frames its media have"),
    "media that are missing": (of(lambda: movie(url="gone.mkv")), Missing, AT + "{folder}/gone.mkv is not there"),
    "media elsewhere": (of(lambda: movie(url="https://example.org/a.mov")), Invalid, AT + "it has its media at https://example.org/a.mov"),
    "no media": (of(otio.schema.MissingReference), Invalid, AT + "it does not say which frames"),
    "a generator": (
        of(lambda: otio.schema.GeneratorReference("bars", available_range=span(0, LENGTH))),
        Invalid,
        AT + "it has no media file (GeneratorReference)",
    ),
    "one picture of a run": (of(lambda: movie(url="plates 2/sh.1001.png")), Invalid, AT + "it refers to"),
    "a missing picture": (of(lambda: plates(start_frame=1010), span(10, 4)), Missing, AT + "{folder}/plates 2/sh.1021.png is not there"),
    "pictures on twos": (of(lambda: plates(frame_step=2)), Invalid, AT + "it has only every 2th picture"),
    "a run of two rates": (of(lambda: plates(rate=25)), Invalid, AT + "it says 25 pictures a second"),
    "another rate than the file's": (of(lambda: movie(rate=25), span(0, 4, 25)), Invalid, "(frame 10 at 25): it says 25 frames a second"),
    "a cut between two frames": (of(movie, span(1, 8, 48)), Invalid, "(frame 20 at 48): it begins or ends between two frames of its media (0.500 at 24"),
    "more than the media have": (of(movie, span(15, 6)), Invalid, AT + "it needs frames 15 to 20 of its media (handles: 0), which have frames 0 to 19"),
    "handles that are not there": (of(movie, span(2, 6), handles=3), Invalid, AT + "it needs frames -1 to 10"),
    "an unknown key": (of(movie, colour="red"), Invalid, AT + "the marker says colour"),
    "no task": (of(movie, task=""), Invalid, AT + "the marker says task ''"),
    "a seed that is none": (of(movie, seed="x"), Invalid, AT + "the marker says seed 'x'"),
    "a yes for a number": (of(movie, grow=True), Invalid, AT + "the marker says grow True"),
    "handles below none": (of(movie, handles=-1), Invalid, AT + "the marker says handles -1"),
    "a sketch that is no path": (of(movie, sketch=[1]), Invalid, AT + "the marker says sketch"),
    "a mask that is missing": (of(movie, mask="nowhere.png"), Missing, AT + "{folder}/nowhere.png is not there"),
    "an unknown engine": (of(movie, engine="nobody"), Missing, AT + "there is no engine 'nobody'"),
    "a task without an engine": (of(movie, engine="", task="generate"), Invalid, AT),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_a_job_cannot_do_is_refused_naming_the_clip_and_its_place(folder: Path, name: str) -> None:
    build, kind, said = BAD[name]
    with pytest.raises(OverpaintError) as raised:
        marked(build(folder))
    assert type(raised.value) is kind and said.replace("{folder}", str(folder)) in raised.value.message
    assert raised.value.remedy


def test_all_that_is_wrong_is_said_at_once(folder: Path) -> None:
    first, second = clip(movie(), span(0, 4), "one", seed="x"), clip(movie(url="gone.mkv"), span(0, 4), "two")
    with pytest.raises(
        Invalid, match=r"2 clips cannot be painted: seed: clip 'one' .*; clip: clip 'two' .* .frame 14 at 24."
    ):
        marked(edit(folder, first, second))


def test_a_file_that_ends_sooner_than_the_edit_says_is_found_out(folder: Path, tmp_path: Path) -> None:
    media = otio.schema.ExternalReference("shot.mkv", available_range=span(0, 100))
    with pytest.raises(Invalid, match="ends before its frame 24, counted from 0"):
        gathered(edit(folder, clip(media, span(18, 7))), tmp_path)


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (None, Missing, "is not there"),
        ("{nope", Invalid, "is no timeline that can be read"),
        ('{"OTIO_SCHEMA": "Timeline.1", "name": "c"}', Invalid, "is no timeline that can be read"),
        (otio.schema.Clip("c").to_json_string(), Invalid, "holds a Clip and no timeline"),
        (otio.schema.Timeline("c").to_json_string(), Invalid, "no clip in"),
    ],
)
def test_a_file_that_is_no_edit_is_refused(
    tmp_path: Path, body: str | None, kind: type[OverpaintError], said: str
) -> None:
    if body is not None:
        (tmp_path / "cut.otio").write_text(body)
    with pytest.raises(kind, match=said):
        marked(tmp_path / "cut.otio")


def test_the_page_of_the_documents_names_every_key_and_its_example_runs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs/timeline.md").read_text()
    table = page.partition("| key | is |")[2].partition("\n\n")[0]
    named = [key for row in table.splitlines() for key in re.findall("`([a-z_]+)`", row.split("|")[1] if row else "")]
    assert named == list(dict.fromkeys(named)) and set(named) == set(KEYS)
    (block,) = re.findall(r"```python\n(.*?)```", page, re.S)
    bare = otio.schema.Clip("shot 010", media_reference=movie(), source_range=span(0, 4))
    edit(folder, bare).rename(tmp_path / "cut.otio")
    monkeypatch.chdir(tmp_path)
    exec(block, {})
    with pytest.raises(Missing, match=r"shot\.mkv is not there"):  # it is read as a marked clip, away from its media
        marked(tmp_path / "cut.otio")


def overpaint(*words: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "overpaint_backend.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | (env or {}))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("edit") / "jobs") as running:
        yield running.address


def test_the_command_says_what_it_would_do_and_does_nothing(folder: Path) -> None:
    path = edit(folder, clip(movie(), span(6, 8)), clip(plates(), span(0, 5), "shot 020", prompt="a coat"))
    ran = overpaint("timeline", path)
    assert ran.returncode == 0 and [line.partition("): ")[2] for line in ran.stdout.splitlines()] == [
        "repaint 8 frames with toy",
        "repaint 5 frames with toy  a coat",
    ]
    rows = [json.loads(line) for line in overpaint("timeline", path, "--json").stdout.splitlines()]
    assert [(row["clip"], row["frames"]) for row in rows] == [("shot 010", 8), ("shot 020", 5)]


def test_a_server_paints_every_marked_clip(folder: Path, tmp_path: Path, server: str) -> None:
    path = edit(folder, clip(movie(), span(6, 8), seed=3), clip(plates(), span(0, 5), "Shot/020", prompt="a coat"))
    ran = overpaint("timeline", path, "--submit", tmp_path / "takes", "--server", server)
    assert ran.returncode == 0, ran.stderr
    mask = read_picture(folder / "mask.png")
    for name, numbers in (("001-shot-010", range(6, 14)), ("002-shot-020", range(5))):
        written = sorted((tmp_path / "takes" / name / "frames").iterdir())
        for picture, number in zip(written, numbers, strict=True):
            changed = (read_picture(picture)[..., ::-1] != frame(number)).any(axis=2)
            assert changed.any() and not changed[mask == 0].any()


def test_every_marked_clip_is_sealed_for_a_farm(folder: Path, tmp_path: Path) -> None:
    path = edit(folder, clip(movie(), span(6, 8), seed=3), clip(plates(), span(0, 5), "Shot/020", options={"steps": 0}))
    ran = overpaint("timeline", path, "--pack", tmp_path / "jobs")
    assert ran.returncode == 10 and "options.steps: clip 'Shot/020'" in ran.stderr
    assert [one.name for one in (tmp_path / "jobs").iterdir()] == ["001-shot-010"]  # what can be sealed is
    job = tmp_path / "jobs" / "001-shot-010"
    sealed, spool = read_sealed(job), Spool(tmp_path / "spool")
    assert sealed.check() > 8 and painted_frames(sealed.spec, spool) == list(range(6, 14))
    ran = overpaint("run", job)
    assert ran.returncode == 0, ran.stderr
    assert len([*(job / "out" / "take" / "frames").iterdir()]) == 8


def test_one_that_fails_does_not_keep_the_others_from_being_painted(folder: Path, tmp_path: Path, server: str) -> None:
    path = edit(folder, clip(movie(), span(0, 4), mask="empty.png"), clip(movie(), span(4, 4), "good"))
    ran = overpaint("timeline", path, "--submit", tmp_path / "takes", "--server", server)
    assert ran.returncode == 10 and "Traceback" not in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("overpaint: mask: " + AT)
    assert [one.name for one in (tmp_path / "takes").iterdir()] == ["002-good"]


def test_one_that_cannot_be_queued_does_not_keep_the_others_from_being_painted(
    folder: Path, tmp_path: Path, server: str
) -> None:
    cv2.imwrite(str(folder / "wide.png"), np.zeros((8, 800), np.uint8))  # its shape is seen when it is read
    path = edit(folder, clip(movie(), span(0, 4), "good"), clip(movie(), span(4, 4), mask="wide.png"))
    ran = overpaint("timeline", path, "--submit", tmp_path / "takes", "--server", server)
    assert ran.returncode == 10 and "the shapes differ" in ran.stderr
    assert [one.name for one in (tmp_path / "takes").iterdir()] == ["001-good"]


def test_without_the_library_it_is_said_how_to_get_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "opentimelineio.py").write_text("raise ImportError")
    hidden = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    ran = overpaint("timeline", edit(folder, clip(movie(), span(0, 4))), env=hidden)
    assert ran.returncode == 11 and "pip install 'overpaint[farm]'" in ran.stderr
