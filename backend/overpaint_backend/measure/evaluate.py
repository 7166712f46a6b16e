"""`overpaint eval`: an engine edits clips whose true result is known, and every figure comes with its 95% interval."""

from __future__ import annotations

import importlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from overpaint.card import EngineCard
from overpaint.clip import FrameRange
from overpaint.edit import Edit, Input, OptionValue, Task
from overpaint.errors import Invalid

from overpaint_backend import registry
from overpaint_backend.engine import Conditioning, Engine, WindowInput
from overpaint_backend.files import check_out
from overpaint_backend.measure import metrics, page
from overpaint_backend.pipeline.composite import composite
from overpaint_backend.pipeline.windows import plan_windows
from overpaint_backend.train.figures import COLOURS, dominant_colour
from overpaint_backend.train.folder import Folder
from overpaint_backend.train.instances import Instances, Sample

SIZE = 64  # pixels of a side where the engine has no size of its own
FRAMES = 17
CLIPS = 100
PATTERN = 0.75  # pattern agreement from which the pattern counts as found; one colour alone has 0.5
ORDER = ("none", "first", "d2", "d4", "d8", "d16", "full")
"""More and more sketch: on no frame, on the first of D equal parts (D = 1, 2, 4, 8, 16; arXiv 2411.16199), on all."""
CONDITIONS = (*ORDER, "wrong")
"""How the engine is given the sketch; `wrong`: that of another clip, cut by the mask."""
SHARES = ("colour_found", "pattern_found")
DIFFERENCES: Mapping[str, tuple[str, str, str]] = {
    "f1_full_minus_none": ("line_f1", "full", "none"),
    "f1_full_minus_wrong": ("line_f1", "full", "wrong"),
    "f1_first_minus_none": ("line_f1", "first", "none"),
    "f1_full_minus_first": ("line_f1", "full", "first"),
    "psnr_full_minus_inpainting": ("psnr", "full", "inpainting"),
    "psnr_full_minus_flat": ("psnr", "full", "flat"),
}

Figures = dict[str, Any]
Row = dict[str, Any]
"""A clip painted in one way: `clip`, `condition`, `prompt`, and a number or None for each metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An edit whose result is known: paint `source` so that it becomes `truth`, whose caption is the prompt.

    `wrong`: the sketch of another clip, as large as this one.
    """

    number: int
    source: metrics.Video
    truth: Sample
    wrong: UInt8[np.ndarray, "t h w"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What some metrics need: motion, and (or those metrics are not measured) a space of pictures and words."""

    flow: metrics.Flow = metrics.dis_flow
    backbone: metrics.Backbone | None = None


# ---------------------------------------------------------------------------------------------------------------------
# Suites


def instance_cases(size: int, seed: int, count: int) -> Iterator[Case]:
    """Each clip of `Instances`, to be repainted in colours that it does not have."""
    clips = Instances(size=size, frames=FRAMES, seed=seed)
    for number in range(count):
        clip = clips.clip(number)
        assert clip.attributes is not None
        colours = np.random.default_rng([seed, number]).permutation(clip.alternatives)
        changes = {"main": str(colours[0])} | ({"second": str(colours[1])} if clip.attributes.second else {})
        truth = clips.repainted(number, **changes)
        yield Case(number=number, source=clip.frames, truth=truth, wrong=clips.clip(number + 1).sketch)


def folder_cases(folder: Folder, count: int) -> Iterator[Case]:
    """Each clip of a data set, to be painted anew after its own caption."""
    for number in range(count):
        clip, other = folder.clip(number), folder.clip((number + 1) % len(folder))
        height, width = clip.mask.shape[1:]
        frames = np.arange(len(clip.mask)) % len(other.mask)
        wrong = [cv2.resize(other.sketch[frame], (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
        yield Case(number=number, source=clip.frames, truth=clip, wrong=np.stack(wrong))


# ---------------------------------------------------------------------------------------------------------------------
# Painting


def drawn(condition: str, case: Case) -> tuple[UInt8[np.ndarray, "t h w"], Bool[np.ndarray, " t"]]:
    """The sketch of a condition, black where it is not given, and on which frames it is."""
    frames = len(case.truth.mask)
    parts = {"none": 0, "first": 1, "full": frames, "wrong": frames}
    count = parts[condition] if condition in parts else int(condition[1:])
    given = np.zeros(frames, bool)
    given[np.arange(count) * frames // max(count, 1)] = True
    lines = case.wrong * case.truth.mask if condition == "wrong" else case.truth.sketch
    return lines * given[:, None, None].astype(np.uint8), given


def paint(engine: Engine, cond: Conditioning, case: Case, condition: str) -> Float32[np.ndarray, "t h w 3"]:
    """The engine's own picture in [0, 1], as one window. Raises Invalid where the clip does not suit the engine."""
    length, pad = len(case.source), _pad(case, engine.card)

    def padded(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, np.repeat(values[-1:], pad, axis=0)])

    lines, given = drawn(condition, case)
    cut = WindowInput(
        task=Task.REPAINT,
        frames=padded(case.source).astype(np.float32) / 255,
        mask=padded(case.truth.mask).astype(np.float32),
        guides={Input.SKETCH: padded(lines).astype(np.float32) / 255} if given.any() else {},
        given={Input.SKETCH: padded(given)} if given.any() else {},
        span=FrameRange(start=0, stop=length),
        seed=case.number,  # the same noise for every condition: what differs is the sketch
    )
    return engine.paint(cut, cond, None, lambda stage, step, steps: None).frames[:length]


def _pad(case: Case, card: EngineCard) -> int:
    """How often the last frame is repeated, so that the engine can paint the clip as one window."""
    length, height, width = case.truth.mask.shape
    size, (window, *more) = card.native_size, plan_windows(length, card)
    if more:
        what = f"a clip has {length} frames, and the engine {card.name} paints {card.max_frames} at once"
        raise Invalid(field="clips", message=what, remedy="Evaluate shorter clips")
    if (
        (size and (size.width, size.height) != (width, height))
        or width % card.size_multiple
        or height % card.size_multiple
    ):
        wanted = f"{size}" if size else f"sides that are multiples of {card.size_multiple}"
        what = f"a clip is {width}x{height}, and the engine {card.name} needs {wanted}"
        raise Invalid(field="clips", message=what, remedy="Evaluate clips of that size")
    return window.pad


def composed(case: Case, painted: Float32[np.ndarray, "t h w 3"]) -> metrics.Video:
    """The take: `painted` in the mask, the source's bytes around it."""
    whole = (slice(None), slice(None))
    patches = [
        composite(frame, picture, whole, mask.astype(np.float32))
        for frame, picture, mask in zip(case.source, painted, case.truth.mask, strict=True)
    ]
    return np.stack(
        [np.where(patch[..., 3:] > 0, patch[..., :3], frame) for patch, frame in zip(patches, case.source, strict=True)]
    )


def simple_takes(case: Case, rival: Engine | None) -> Iterator[tuple[str, Float32[np.ndarray, "t h w 3"]]]:
    """What needs no learning: each frame inpainted (Telea 2004), one colour, nothing; the engine `rival`; and the truth."""
    source, mask = case.source.astype(np.float32) / 255, case.truth.mask
    inpainted = [cv2.inpaint(*both, 3, cv2.INPAINT_TELEA) for both in zip(case.source, mask, strict=True)]
    yield "inpainting", np.stack(inpainted).astype(np.float32) / 255
    if case.truth.attributes is not None:
        colour = np.array(COLOURS[case.truth.attributes.main], np.float32) / 255
        yield "flat", np.where(mask[..., None] > 0, colour, source)
    if rival is not None:
        yield rival.card.name, paint(rival, rival.encode(_edit(case, {})), case, "full")
    yield "source", source
    yield "truth", case.truth.frames.astype(np.float32) / 255


def _edit(case: Case, options: Mapping[str, OptionValue]) -> Edit:
    return Edit(task=Task.REPAINT, prompt=case.truth.caption, seed=case.number, options=options)


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


def measured(
    case: Case,
    painted: Float32[np.ndarray, "t h w 3"],
    take: metrics.Video,
    models: Models,
    motion: Sequence[np.ndarray],
) -> dict[str, float | None]:
    """Every metric of one take; None where it has nothing to measure. `motion` is the truth's, frame to frame."""
    truth, words = case.truth.frames, case.truth.attributes
    mask = case.truth.mask > 0
    pattern = frames = text = None
    if words is not None and words.second is not None:
        pattern = metrics.pattern_agreement(take, truth, mask, words.main, words.second)
    if models.backbone is not None:
        vectors = models.backbone.pictures(take)
        frames = metrics.frame_consistency(vectors)
        text = metrics.text_consistency(vectors, models.backbone.text(case.truth.caption))
    return {
        "psnr": metrics.psnr(take, truth, mask),
        "ssim": metrics.ssim(take, truth, mask),
        "line_f1": metrics.line_f1(take, case.truth.interior, mask),
        "colour_found": float(dominant_colour(take[mask]) == words.main) if words and mask.any() else None,
        "pattern_agreement": pattern,
        "pattern_found": None if pattern is None else float(pattern >= PATTERN),
        "warp_error": metrics.warp_error(take, mask, motion),
        "flicker": metrics.flicker(take, truth, mask),
        "seam": metrics.seam(take, truth, mask),
        "mask_leak": metrics.mask_leak(painted, case.source, mask),
        "background_difference": metrics.background_difference(take, case.source, mask),
        "frame_consistency": frames,
        "text_consistency": text,
    }


METRICS = (
    "psnr", "ssim", "line_f1", "colour_found", "pattern_agreement", "pattern_found", "warp_error", "flicker", "seam",
    "mask_leak", "background_difference", "frame_consistency", "text_consistency",
)  # fmt: skip


def evaluate(
    engine: Engine,
    cases: Iterable[Case],
    *,
    options: Mapping[str, OptionValue] | None = None,
    conditions: Sequence[str] = CONDITIONS,
    rival: Engine | None = None,
    models: Models | None = None,
    out: Path | None = None,
    report: Callable[[str], None] = lambda words: None,
) -> tuple[Figures, list[Row]]:
    """Paint every case under every condition, measure, and compare with what needs no learning.

    `rival` paints with the full sketch. With `out` a sheet of pictures for every clip is drawn there.
    Raises Invalid where a clip does not suit the engine.
    """
    rows: list[Row] = []
    seconds: list[float] = []
    models = models or Models()
    for case in cases:
        truth, takes = case.truth.frames, {}
        motion = [models.flow(*pair) for pair in itertools.pairwise(truth)]
        began = time.monotonic()
        cond = engine.encode(_edit(case, options or {}))
        painted = [(condition, paint(engine, cond, case, condition)) for condition in conditions]
        seconds.append((time.monotonic() - began) / len(conditions))
        for name, picture in itertools.chain(painted, simple_takes(case, rival)):
            takes[name] = composed(case, picture)
            row = measured(case, picture, takes[name], models, motion)
            rows.append({"clip": case.number, "condition": name, "prompt": case.truth.caption} | row)
        if out is not None:
            page.draw_sheet(out, case.number, case.source, case.truth.mask, case.truth.sketch, takes)
        said = {name: rows[-len(takes)][name] for name in ("psnr", "line_f1", "colour_found")}
        words = ", ".join(f"{name} {value:.2f}" for name, value in said.items() if value is not None)
        report(f"clip {case.number}: {conditions[0]}: {words}; {seconds[-1]:.1f} s a take")
    return summary(rows) | {"seconds_per_take": round(float(np.mean(seconds)), 3)}, rows


def summary(rows: Sequence[Row]) -> Figures:
    """Means and shares with their intervals; differences of the same clips; whether more sketch is never worse.

    `order`: `monotone` is true where no step to more sketch has a difference of F1 that is below zero with its whole interval.
    """
    found: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        for name in METRICS:
            if row[name] is not None:
                found.setdefault((row["condition"], name), {})[row["clip"]] = row[name]
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    figures = {
        condition: {
            name: _figure(list(found[condition, name].values()), share=name in SHARES)
            for name in METRICS
            if (condition, name) in found
        }
        for condition in conditions
    }

    def difference(name: str, more: str, less: str) -> Figures | None:
        one, other = found.get((more, name), {}), found.get((less, name), {})
        both = [one[clip] - other[clip] for clip in one if clip in other]
        return _figure(both) if both else None

    differences = {name: difference(*what) for name, what in DIFFERENCES.items()}
    given = [condition for condition in ORDER if condition in conditions]
    steps = {f"{more}_minus_{less}": difference("line_f1", more, less) for less, more in itertools.pairwise(given)}
    steps = {name: step for name, step in steps.items() if step}
    return {
        "figures": figures,
        "differences": {name: value for name, value in differences.items() if value},
        "order": {"steps": steps, "monotone": all(step["high"] >= 0 for step in steps.values()) if steps else None},
        "not_measured": [name for name in METRICS if not any(name in one for one in figures.values())],
    }


def _figure(values: Sequence[float], *, share: bool = False) -> Figures:
    low, high = metrics.share_interval(values) if share else metrics.mean_interval(values)
    numbers = {"mean": float(np.mean(values)), "low": low, "high": high}
    return {name: round(number, 4) for name, number in numbers.items()} | {"n": len(values)}


# ---------------------------------------------------------------------------------------------------------------------
# The command


def run_eval(
    *,
    suite: str,
    engine: str,
    device: str,
    weights: Path,
    seed: int = 0,
    clips: int | None = None,
    folder: Path | None = None,
    options: Mapping[str, OptionValue] | None = None,
    backbone: str | None = None,
    flow: str | None = None,
    out: Path | None = None,
    report: Callable[[str], None] = lambda words: None,
) -> Figures:
    """Everything that `overpaint eval` says, as JSON; with `out` also as report.json, clips.csv and index.html there.

    `backbone` and `flow` are MODULE:OBJECT, see `metrics.Backbone` and `metrics.Flow`. Raises Invalid for what cannot be
    evaluated, and what building the engine raises.
    """
    for name, value in (options or {}).items():
        spec = registry.card(engine).option(name)
        why = "is no option of this engine" if spec is None else spec.problem(value)
        if why:
            raise Invalid(field=f"options.{name}", message=f"{value} cannot be taken", remedy=f"{name} {why}")
    models = Models(
        flow=plugged(flow, "flow") if flow else metrics.dis_flow,
        backbone=plugged(backbone, "backbone") if backbone else None,
    )
    painter = registry.build(engine, device, weights)
    side = painter.card.native_size.width if painter.card.native_size else SIZE
    if suite == "folder":
        if folder is None:
            raise Invalid(field="folder", message="the suite folder needs one", remedy="Name a data set with --folder")
        there = Folder(folder)
        count = len(there) if clips is None else min(clips, len(there))
        cases = folder_cases(there, count)
    else:
        count = CLIPS if clips is None else clips
        cases = instance_cases(side, seed, count)
    if seed < 0:
        raise Invalid(field="seed", message=f"{seed} is below 0", remedy="Give 0 or more")
    if count < 2:
        raise Invalid(field="clips", message=f"{count} clips have no interval", remedy="Evaluate 2 or more")
    if out is not None:
        check_out(out)
        out.mkdir(parents=True, exist_ok=True)
    rival = registry.build("flow", "cpu", weights) if engine != "flow" else None
    conditions = sorted(CONDITIONS, key="full".__ne__)  # the most important one first
    figures, rows = evaluate(
        painter, cases, options=options, conditions=conditions, rival=rival, models=models, out=out, report=report
    )
    figures = {
        "suite": suite,
        "engine": f"{painter.card.name} {painter.card.version}",
        "options": painter.card.complete(dict(options or {})),
        "clips": count,
        "frames": FRAMES if suite == "instances" else None,
        "seed": seed if suite == "instances" else None,
        "folder": str(folder) if folder else None,
    } | figures
    if out is not None:
        page.write_report(out, figures, rows)
    return figures


def plugged(name: str, field: str) -> Any:
    """The object that MODULE:OBJECT names. Raises Invalid where there is none."""
    module, colon, thing = name.partition(":")
    try:
        if not (module and colon and thing):
            raise AttributeError("it is not MODULE:OBJECT")
        return getattr(importlib.import_module(module), thing)
    except (ImportError, AttributeError) as error:
        raise Invalid(
            field=field, message=f"{name} cannot be used ({error})", remedy="Say MODULE:OBJECT of what is installed"
        ) from None
