"""The benchmark of a clip times what it says, on what it says, and refuses the rest in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from overpaint.errors import Invalid, Missing, Unavailable
from overpaint_backend import cli

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")
pytestmark = pytest.mark.torch

from overpaint_backend.engines.vires.dit import DiT  # noqa: E402
from overpaint_backend.engines.vires.engine import computes_in_bfloat16  # noqa: E402
from overpaint_backend.engines.vires.vae import VideoVAE  # noqa: E402
from overpaint_backend.measure import paint  # noqa: E402
from overpaint_backend.measure.paint import bench_paint  # noqa: E402

from tests.small import write_small_checkpoint  # noqa: E402

SHORT: dict[str, Any] = {"frames": 5, "size": 32, "steps": 1, "device": "cpu"}
COMMAND = ["bench", "paint", "--frames", "5", "--size", "32", "--steps", "1", "--device", "cpu", "--json"]


def test_the_command_times_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(COMMAND) == 0
    figures = json.loads(capsys.readouterr().out)
    # A CPU's figures must not be taken for those of the published model.
    assert (figures["widths"], figures["text_widths"], figures["weights"]) == ("small", "small", "random")
    assert figures["device"].startswith("cpu") and figures["memory"] == "peak RSS of the process"
    assert (figures["frames"], figures["size"], figures["steps"]) == (5, "32x32", 1)
    assert figures["dtype"] == ("bfloat16" if computes_in_bfloat16(torch.device("cpu")) else "float32")
    seconds = figures["seconds"]
    assert list(seconds) == [
        "text", "encode", "prepare", "step", "step_dense", "step_plain", "decode", "paint", "total"
    ]  # fmt: skip
    assert all(taken > 0 for taken in seconds.values())
    assert seconds["total"] == pytest.approx(seconds["text"] + seconds["paint"], abs=2e-4)
    for way in ("plain", "dense"):
        other, step = seconds[f"step_{way}"], seconds["step"]
        rounded = 5e-4 + 5e-5 * (other + step) / step**2  # of the ratio, and of the two, however fast the machine is
        assert figures[f"step_ratio_{way}"] == pytest.approx(other / step, abs=1.01 * rounded)
    assert 0 < figures["peak_memory_gb"]["text"] <= figures["peak_memory_gb"]["paint"] < 100
    assert 0 < figures["box_share"] < 0.25


def test_the_three_ways_of_a_step_and_the_whole_clip_do_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    done: dict[str, list[tuple[str, int]]] = {}
    calls: list[tuple[str, int]] = []

    def noted(kind: type[Any], name: str, count: Any) -> None:
        whole = getattr(kind, name)

        def note(self: Any, *given: Any, **more: Any) -> Any:
            calls.append((name, count(*given, **more)))
            return whole(self, *given, **more)

        monkeypatch.setattr(kind, name, note)

    noted(DiT, "prepare", lambda hint, texts, boxes: len(texts))
    noted(DiT, "step", lambda x, t, ready, *frames: len(ready.words[0]))
    noted(VideoVAE, "encode", lambda video: video.shape[2])
    noted(VideoVAE, "decode", lambda z, frames, sketch: sketch.shape[2])

    def once(device: Any, works: dict[str, Any]) -> dict[str, float]:
        for name, work in works.items():
            calls.clear()
            work()
            done[name] = list(calls)
        return dict.fromkeys(works, 1.0)

    monkeypatch.setattr(paint, "medians", once)
    bench_paint(frames=5, size=32, steps=2, device="cpu")
    assert done["step"] == done["step_dense"] == [("step", 2)]  # both halves of guidance in one
    assert done["step_plain"] == 2 * [("prepare", 1), ("step", 1)]
    assert done["paint"] == [("encode", 5), ("prepare", 2), ("step", 2), ("step", 2), ("decode", 5)]
    assert [done[name] for name in ("encode", "prepare", "decode")] == [
        [("encode", 5)],
        [("prepare", 2)],
        [("decode", 5)],
    ]


def test_seconds_are_medians_without_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([900, 800, 1, 20, 9, 40, 2, 30])
    monkeypatch.setattr(paint, "clocked", lambda device, work: next(clock))
    assert paint.medians(torch.device("cpu"), {"a": int, "b": int}) == {"a": 2, "b": 30}


def test_given_weights_are_read(tmp_path: Path) -> None:
    write_small_checkpoint(tmp_path)
    figures = bench_paint(weights=tmp_path, **SHORT)
    assert figures["widths"] == f"as in {tmp_path}" and figures["weights"] == str(tmp_path)


def test_weights_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(Missing):
        bench_paint(weights=tmp_path, **SHORT)


@pytest.mark.parametrize(
    ("error", "field", "given"),
    [
        (Invalid, "frames", {"frames": 0}),
        (Invalid, "size", {"size": 40}),
        (Invalid, "steps", {"steps": 0}),
        (Unavailable, "device", {"device": "abacus"}),
        (Unavailable, "device", {"device": "meta"}),
        (Unavailable, "device", {"device": "cuda:77"}),
    ],
)
def test_what_cannot_be_timed_is_refused(error: type[Invalid], field: str, given: dict[str, Any]) -> None:
    with pytest.raises(error) as caught:
        bench_paint(**SHORT | given)
    assert caught.value.field == field and caught.value.remedy


def test_a_device_that_is_too_small_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(paint, "models", full)
    with pytest.raises(paint.Exhausted, match="5 frames of 32x32"):
        bench_paint(**SHORT)
