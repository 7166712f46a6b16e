"""An OpenCue job out of a sealed job: needs Python and PyOutline alone, so that it runs wherever jobs are launched from.

    python overpaint_outline.py JOB [--xml]

JOB lies where every host sees it, and holds plan.json: overpaint plan JOB --json > JOB/plan.json
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import outline
import outline.cuerun
from outline.depend import Depend, DependType
from outline.modules.shell import Shell, ShellCommand


class Chain(Shell):
    """A layer whose every frame waits for the one before.

    depend_previous does not do: PyOutline 1.37 leaves out a layer's dependency on itself, and says so in its log only.
    """

    def get_depends(self) -> list[Depend]:
        return [*super().get_depends(), Depend(self, self, DependType.PreviousFrame)]


def build(job: Path, plan: Mapping[str, Any], options: argparse.Namespace) -> outline.Outline:
    """Layers: paint (a frame for each task of the plan), assemble, verify."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", job.name).strip("_").lower() or "job"
    made = outline.Outline(f"overpaint_{name}", show=options.show, shot=options.shot, user=options.user)
    tasks = plan["tasks"]
    first, _, last = tasks[0]["windows"].partition("-")
    chunk = int(last) - int(first) + 1
    paint = (Chain if plan["chained"] else Shell)(
        "paint",
        command=[options.overpaint, "run", shlex.quote(str(job)), "--task", "#IFRAME#", "--chunk", str(chunk)],
        range=f"0-{len(tasks) - 1}",
        service=options.service,
        gpus=options.gpus,
        gpu_memory=options.gpu_memory,
        memory=options.memory,
    )
    assemble, verify = (
        ShellCommand(
            verb,
            command=[options.overpaint, verb, shlex.quote(str(job))],
            type="Util",
            service=options.service,
            memory=options.memory,
        )
        for verb in ("assemble", "verify")
    )
    for layer in (paint, assemble, verify):
        made.add_layer(layer)
    assemble.depend_all(paint)
    verify.depend_all(assemble)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description="Launch a sealed job of Overpaint on OpenCue.")
    parser.add_argument("job", type=Path, metavar="JOB", help="the sealed job, as every host sees it")
    parser.add_argument("--overpaint", default="overpaint", help="the command, as every host has it")
    parser.add_argument("--show", default="testing")
    parser.add_argument("--shot", default="overpaint")
    parser.add_argument("--user", help="whose job it is; yours unless said")
    parser.add_argument("--service", default="shell", help="an OpenCue service; its tags choose the hosts")
    parser.add_argument("--gpus", type=int, default=1, help="graphics cards a frame needs; 0 for engines without")
    parser.add_argument("--gpu-memory", default="8g", help="memory of the card, as OpenCue says it")
    parser.add_argument("--memory", default="8g", help="memory of the host")
    parser.add_argument("--xml", action="store_true", help="print the job's specification, and launch nothing")
    options = parser.parse_args()
    if not options.gpus:
        options.gpu_memory = None
    plan = json.loads((options.job / "plan.json").read_text("utf-8"))
    made = build(options.job, plan, options)
    if options.xml:
        print(outline.cuerun.OutlineLauncher(made).serialize(use_pycuerun=False))
    else:
        outline.cuerun.launch(made, use_pycuerun=False)


if __name__ == "__main__":
    main()
