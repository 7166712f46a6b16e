"""Install the Blenders that the tests and the demo run in: the bpy wheels, each in an environment of its own.

python addon/blenders.py          every Blender for which there is a Python
python addon/blenders.py --one    the best one only
python addon/blenders.py --best   print the best one's interpreter
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".blender"
# Blender's version: the Python it is built for, the best one first.
PYTHONS = {"5.2": "3.13", "4.5": "3.11", "5.0": "3.11"}
# What bpy links to, by the library that the loader misses.
PACKAGES = "libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libice6 libgl1 libegl1"


def main(flags: list[str]) -> int:
    """Returns 0 when at least one Blender is ready."""
    if "--best" in flags:
        ready = [version for version in PYTHONS if (FOLDER / version / "ready").exists()]
        if not ready:
            return 1
        print(FOLDER / ready[0] / "bin" / "python")
        return 0
    found = {version: python for version, wanted in PYTHONS.items() if (python := find_python(wanted))}
    for version in PYTHONS.keys() - found.keys():
        if "--one" not in flags:
            print(
                f"Blender {version}: left out, there is no Python {PYTHONS[version]} (install it to have it)",
                flush=True,
            )
    if not found:
        print("No Blender can be installed: Python 3.11 or 3.13 is needed", file=sys.stderr)
        return 1
    for version, python in list(found.items())[: 1 if "--one" in flags else None]:
        install(version, python)
    return 0


def find_python(version: str) -> str | None:
    """An interpreter of this very version, on the path or where pyenv and uv keep theirs."""
    home = Path.home()
    kept = [*home.glob(f".pyenv/versions/{version}*/bin/python{version}")]
    kept += home.glob(f".local/share/uv/python/cpython-{version}*/bin/python{version}")
    for python in (shutil.which(f"python{version}"), *map(str, sorted(kept))):
        # A version manager's shim may be there without the version behind it, so it must prove itself.
        if python and answers(python, f"import sys, venv, ensurepip; assert sys.version.startswith('{version}.')"):
            return python
    return None


def answers(python: str, code: str) -> bool:
    return subprocess.run([python, "-c", code], capture_output=True).returncode == 0


def install(version: str, python: str) -> None:
    """Make the environment, once. Exits with the remedy where bpy misses a library of the system."""
    own = FOLDER / version
    if not (own / "ready").exists():
        print(f"Blender {version}: installing bpy {version} (about 350 MB to download)", flush=True)
        shutil.rmtree(own, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(own)], check=True)
        pip = [str(own / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"bpy=={version}.*"], check=True)
    tried = subprocess.run([str(own / "bin" / "python"), "-c", "import bpy"], capture_output=True, text=True)
    if tried.returncode != 0 and "cannot open shared object file" in tried.stderr:
        install_libraries(tried.stderr.strip().splitlines()[-1])
        tried = subprocess.run([str(own / "bin" / "python"), "-c", "import bpy"], capture_output=True, text=True)
    if tried.returncode != 0:
        sys.exit(f"Blender {version} does not start:\n{tried.stderr.strip()}")
    (own / "ready").touch()
    print(f"Blender {version}: ready", flush=True)


def install_libraries(missing: str) -> None:
    """Install what bpy links to where we may; else say how."""
    apt = shutil.which("apt-get")
    if apt and os.geteuid() == 0:
        print(f"Blender needs libraries of the system ({missing}): installing {PACKAGES}", flush=True)
        subprocess.run([apt, "update", "-qq"], check=True)
        subprocess.run([apt, "install", "-y", "-qq", "--no-install-recommends", *PACKAGES.split()], check=True)
        return
    sys.exit(f"Blender needs libraries of the system ({missing}). Run: sudo apt-get install {PACKAGES}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
