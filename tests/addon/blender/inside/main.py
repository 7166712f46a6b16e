"""The door into Blender: call the function that was asked for, and write down what it returns."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
SOURCE, INSTALLED = "overpaint_addon", "bl_ext.user_default.overpaint"
# What the extension carries: Blender may have some of it too, and then the tests would prove nothing.
CARRIED = ("overpaint", "grpc", "google", "zstandard", "png", "typing_extensions")


class Extension(MetaPathFinder):
    """Finds the add-on and what it carries nowhere but where Blender has unpacked the zip.

    The tests import the add-on by the name of its source, and get the modules of the installed extension.
    """

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.split(".")[0] == SOURCE:
            return ModuleSpec(name, Same(INSTALLED + name.removeprefix(SOURCE)))
        if name not in CARRIED:
            return None
        own = [one for one in sys.path if "extensions" in Path(one).parts]
        spec = PathFinder.find_spec(name, own, target)
        if spec is None:
            raise ModuleNotFoundError(f"no module {name} in {own}")
        return spec


class Same(Loader):
    """Gives a module a second name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.name)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import has put its own there


def main(function: str, asked: str, answered: str) -> None:
    failed = 0
    try:
        importlib.import_module("bpy")  # Blender itself may take from anywhere
        sys.path.insert(0, str(HERE))
        sys.meta_path.insert(0, Extension())
        with suppress(ModuleNotFoundError):  # it may not be installed yet
            importlib.import_module(INSTALLED)  # before a test imports `overpaint`, which it would import again
        warnings.filterwarnings("error", module=INSTALLED.replace(".", r"\."))
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
