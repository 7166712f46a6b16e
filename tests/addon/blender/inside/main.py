"""The door into Blender: call the function that was asked for, and write down what it returns."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
import warnings
from pathlib import Path

HERE = Path(__file__).parent


def main(function: str, asked: str, answered: str) -> None:
    failed = 0
    try:
        sys.path[:0] = [str(HERE)] + [str(HERE.parents[3] / room) for room in ("addon", "shared")]
        warnings.filterwarnings("error", module="overpaint_addon")
        module, name = function.split(".")
        answer = getattr(importlib.import_module(module), name)(**json.loads(Path(asked).read_text("utf-8")))
        Path(answered).write_text(json.dumps(answer), "utf-8")
    except BaseException:
        traceback.print_exc()
        failed = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(failed)  # Blender 4.5 can hang in its own exit


main(*sys.argv[1:])
