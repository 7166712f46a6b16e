"""An evaluation on disk: report.json, clips.csv, and index.html with the best, the median and the worst clips."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from overpaint_backend.media import write_picture

SHOWN = 5  # frames of a clip on its sheet
MOST = 160  # pixels of a side of a picture on it
LABEL = 70  # pixels beside them, for the name
PAPER, INK = 24, (230, 230, 230)
RANK = ("full", "psnr")  # by what the clips are ordered
EACH = 3  # clips for each of best, median, worst
STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; } th, td { padding: 2px 10px 2px 0; text-align: left; white-space: nowrap; }
.wide { overflow-x: auto; } small { color: #666; } img { max-width: 100%; image-rendering: pixelated; }
"""


def draw_sheet(
    out: Path,
    number: int,
    source: UInt8[np.ndarray, "t h w 3"],
    mask: UInt8[np.ndarray, "t h w"],
    sketch: UInt8[np.ndarray, "t h w"],
    takes: Mapping[str, UInt8[np.ndarray, "t h w 3"]],
) -> None:
    """Write the clip's PNG: a row for the source, the mask, the sketch, the truth and every take, a column for a frame."""
    at = np.linspace(0, len(source) - 1, min(SHOWN, len(source))).round().astype(int)
    order = sorted(takes, key="truth".__ne__)
    videos = {"source": source, "mask": mask * np.uint8(255), "sketch": sketch} | {name: takes[name] for name in order}
    (out / "clips").mkdir(exist_ok=True)
    write_picture(_sheet(out, number), np.vstack([_row(name, video[at]) for name, video in videos.items()]))


def _sheet(out: Path, number: int) -> Path:
    return out / "clips" / f"{number:06}.png"


def _row(name: str, frames: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    scale = min(1.0, MOST / max(frames.shape[1:3]))
    size = (round(frames.shape[2] * scale), round(frames.shape[1] * scale))
    pictures = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
    pictures = [np.repeat(one[..., None], 3, axis=2) if one.ndim == 2 else one for one in pictures]
    label = np.full((size[1], LABEL, 3), PAPER, np.uint8)
    cv2.putText(label, name, (3, size[1] // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.35, INK, 1, cv2.LINE_AA)
    return np.hstack([label, *pictures])


def write_report(out: Path, figures: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write report.json (`figures` as they are), clips.csv (`rows`) and index.html over the sheets."""
    (out / "report.json").write_text(json.dumps(figures, indent=2) + "\n")
    with (out / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    title = escape(f"{figures['engine']}: suite {figures['suite']}, {figures['clips']} clips")
    body = "\n".join([f"<h1>{title}</h1>", *_tables(figures), *_clips(out, rows)])
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    (out / "index.html").write_text(f"<!doctype html>\n<html lang=en>{head}\n{body}\n</html>\n")


def _tables(figures: Mapping[str, Any]) -> Iterator[str]:
    """The figures, as many rows as there are conditions; then the differences, and whether more sketch is never worse."""
    said = {name: value for name, value in figures.items() if not isinstance(value, dict | list) and value is not None}
    yield f"<p>{escape(', '.join(f'{name} {value}' for name, value in said.items()))}</p>"
    names = list(dict.fromkeys(name for one in figures["figures"].values() for name in one))
    yield "<p>Mean, and its 95% interval over the clips.</p><div class=wide>"
    yield _table(
        ["", *names],
        [[name, *(_interval(one.get(metric)) for metric in names)] for name, one in figures["figures"].items()],
    )
    yield "</div><h2>Differences of the same clips</h2>"
    steps = figures["order"]["steps"]
    yield _table([], [[name, _interval(one)] for name, one in (*figures["differences"].items(), *steps.items())])
    yield f"<p>More sketch is never worse, within error bars: {figures['order']['monotone']}.</p>"
    if figures["not_measured"]:
        yield f"<p>Not measured: {escape(', '.join(figures['not_measured']))}.</p>"


def _interval(figure: Mapping[str, float] | None) -> str:
    return f"{figure['mean']:.4g} [{figure['low']:.4g}, {figure['high']:.4g}]" if figure else ""


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    above = "".join(f"<th>{escape(word)}</th>" for word in head)
    rows = "".join("<tr>" + "".join(f"<td>{escape(word)}</td>" for word in line) + "</tr>" for line in lines)
    return f"<table><tr>{above}</tr>{rows}</table>"


def _clips(out: Path, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The best, the median and the worst clips, each with its prompt, its figures and its sheet."""
    condition, metric = RANK
    ranked = [row for row in rows if row["condition"] == condition and row[metric] is not None]
    ranked.sort(key=lambda row: -row[metric])
    middle = max((len(ranked) - EACH) // 2, 0)
    for name, chosen in (
        ("Best", ranked[:EACH]), ("Median", ranked[middle : middle + EACH]), ("Worst", ranked[-EACH:]),
    ):  # fmt: skip
        yield f"<h2>{name} clips</h2>"
        for row in chosen:
            numbers = {key: value for key, value in row.items() if isinstance(value, float)}
            words = ", ".join(f"{key} {value:.3g}" for key, value in numbers.items())
            yield f"<h3>{row['clip']}: {escape(row['prompt'])}</h3><p><small>{escape(words)}</small></p>"
            yield f'<img src="{_sheet(out, row["clip"]).relative_to(out).as_posix()}" alt="">'
