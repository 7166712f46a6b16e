"""Hold VIRES against the official code: `python -m tests.parity.vires DIR [--json]`, where DIR holds its numbers.

Every file that is there is compared. Exit status 1: something differs by more than its tolerance, or cannot be compared.
2: there is no such file.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from overpaint.errors import Missing
from safetensors import SafetensorError
from torch import Tensor

from tests.parity import vires_cases as cases

TOLERANCE = 1e-4  # absolute
COARSE = {"bf16.out": 0.05}  # of the largest number: two right codes round differently, and that adds up to 0.01

FILES: dict[str, Callable[[Path, cases.Numbers], cases.Cases]] = {
    make.__name__: make
    for make in (
        cases.scheduler,
        cases.mask,
        cases.hint_path,
        cases.sketch_attention,
        cases.sss,
        cases.dit_tiny_io,
        cases.dit_tiny_odd,
        cases.dit_tiny_bf16,
        cases.vae_tiny_io,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One comparison. `max_abs_error` is None where there was none; `problem` then says why, in words."""

    file: str
    case: str
    max_abs_error: float | None
    tolerance: float
    ok: bool
    problem: str = ""


@torch.no_grad()
def compare(folder: Path) -> tuple[list[Result], list[str]]:
    """All that can be compared with the files in `folder`, and the names of what nothing was compared with."""
    results: list[Result] = []
    left: list[str] = []
    for name, make in FILES.items():
        if not (folder / f"{name}.safetensors").is_file():
            continue
        done = len(results)
        try:
            theirs = cases.read(folder, name)
            for case, ours in make(folder, theirs):
                if case in theirs:
                    results.append(judge(name, case, ours, theirs[case]))
            if len(results) == done:
                results.append(failed(name, "", "it holds no case that is known here"))
            left += [f"{name}: {key}" for key in theirs if key not in theirs.asked and not key.startswith("in.")]
        except KeyError as error:
            results.append(failed(name, "", f"{error.args[0]} is not in it"))
        except (Missing, SafetensorError, RuntimeError) as error:
            results.append(failed(name, "", str(error)))
    return results, left


def failed(file: str, case: str, problem: str) -> Result:
    return Result(file=file, case=case, max_abs_error=None, tolerance=TOLERANCE, ok=False, problem=problem)


def judge(file: str, case: str, ours: Tensor, theirs: Tensor) -> Result:
    if ours.shape != theirs.shape and ours.squeeze().shape != theirs.squeeze().shape:
        return failed(file, case, f"its shape is {tuple(theirs.shape)}, and ours {tuple(ours.shape)}")
    ours, theirs = ours.double().reshape(theirs.shape), theirs.double()
    error = (ours - theirs).abs().max().item()
    largest = theirs.abs().max().item()
    tolerance = COARSE[case] * largest if case in COARSE else TOLERANCE
    if not math.isfinite(error):
        return failed(file, case, "it holds what is not a number")
    return Result(file=file, case=case, max_abs_error=error, tolerance=tolerance, ok=error <= tolerance)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.parity.vires", description="Hold VIRES against the official code."
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of .safetensors files")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # the tensors are so small that threads would only wait for each other
    results, left = compare(given.folder)
    if not results:
        print(f"{given.folder} holds none of {', '.join(FILES)} (.safetensors)", file=sys.stderr)
        return 2
    ok = all(result.ok for result in results)
    if given.json:
        listed = [{key: value for key, value in asdict(one).items() if value != ""} for one in results]
        worst = max((one.max_abs_error for one in results if one.max_abs_error is not None), default=None)
        print(json.dumps({"cases": listed, "worst": worst, "ok": ok, "left": left}))
    else:
        for one in results:
            error = one.problem if one.max_abs_error is None else f"{one.max_abs_error:.2e}"
            print(f"{one.file:17} {one.case:40} {error:>9} {one.tolerance:9.2e} {'ok' if one.ok else 'WRONG'}")
        for name in left:
            print(f"{name}: not compared")
        print(f"{len(results)} cases, {sum(not one.ok for one in results)} wrong")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
