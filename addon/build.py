"""Build the extension's zip: the add-on, stamped with the version, and the wheels it needs for every Python of Blender.

python addon/build.py                          for this machine: dist/overpaint.zip
python addon/build.py --platform windows-x64   for another: dist/overpaint-windows-x64.zip
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.13")  # Blender 4.5 and 5.0; 5.1 and later
DISTRIBUTIONS = ("3.14",)  # Linux distributions build Blender with their own Python
# Blender's name of a platform: pip's names of the wheels that run on it.
PLATFORMS = {
    "linux-x64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "windows-x64": ("win_amd64",),
    "macos-arm64": ("macosx_11_0_arm64", "macosx_11_0_universal2", "macosx_12_0_universal2", "macosx_10_9_universal2"),
    "macos-x64": (
        "macosx_10_13_x86_64",
        "macosx_11_0_universal2",
        "macosx_12_0_universal2",
        "macosx_10_9_x86_64",
        "macosx_10_9_universal2",
    ),
}
# What Blender's own Python may lack. numpy is not among them: every Blender brings its own.
CARRIED = ("grpcio", "protobuf", "zstandard", "pypng", "typing_extensions")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", choices=PLATFORMS, help="this machine's unless given")
    chosen = parser.parse_args().platform
    name = f"overpaint-{chosen}.zip" if chosen else "overpaint.zip"
    print(f"{build(chosen or this_platform(), ROOT / 'dist' / name)} is ready")
    return 0


def this_platform() -> str:
    system = {"Linux": "linux", "Windows": "windows", "Darwin": "macos"}[platform.system()]
    return f"{system}-{'arm64' if platform.machine() in ('arm64', 'aarch64') else 'x64'}"


def build(target: str, out: Path) -> Path:
    """Write the zip for `target` and have Blender's own tool check it where a Blender is there."""
    with tempfile.TemporaryDirectory() as name:
        stage = Path(name) / "overpaint"
        shutil.copytree(ROOT / "addon" / "overpaint_addon", stage, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "addon" / "LICENSE", stage)
        wheels = [shared_wheel(Path(name)), *carried_wheels(target)]
        (stage / "wheels").mkdir()
        for wheel in wheels:
            shutil.copy(wheel, stage / "wheels")
        stamp(stage / "blender_manifest.toml", target, [wheel.name for wheel in wheels])
        out.parent.mkdir(exist_ok=True)
        part = out.with_suffix(".part")
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path for path in stage.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(stage))
    part.replace(out)
    validate(out)
    return out


def shared_wheel(folder: Path) -> Path:
    """The common tongue as a wheel."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
    subprocess.run([*command, str(ROOT / "shared")], check=True)
    (wheel,) = folder.glob("overpaint_shared-*.whl")
    return wheel


def carried_wheels(target: str) -> list[Path]:
    """The wheels of others, downloaded once and then taken from the cache."""
    wanted = requirements()
    # The folder's name holds what was asked for, so that a changed range is a new download.
    pythons = (*PYTHONS, *(DISTRIBUTIONS if target.startswith("linux") else ()))
    cache = ROOT / ".cache" / "wheels" / target / re.sub(r"[^0-9a-z]+", "-", " ".join((*pythons, *wanted)))
    if not (cache / "complete").exists():
        cache.mkdir(parents=True, exist_ok=True)
        for python in pythons:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
            tags = [flag for tag in PLATFORMS[target] for flag in ("--platform", tag)]
            print(f"wheels for {target}, Python {python}", flush=True)
            subprocess.run([*command, "--python-version", python, *tags, "--dest", str(cache), *wanted], check=True)
        (cache / "complete").touch()
    return sorted(cache.glob("*.whl"))


def requirements() -> list[str]:
    """The carried packages in the ranges of the root's pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    ranges = {re.split(r"[<>=]", one)[0]: one for one in listed}
    return [ranges.get(name, name) for name in CARRIED]


def stamp(manifest: Path, target: str, wheels: list[str]) -> None:
    """Fill in what only the build knows."""
    (version,) = re.findall(r'__version__ = "(.+)"', (ROOT / "shared/overpaint/__init__.py").read_text())
    listed = "".join(f'  "./wheels/{wheel}",\n' for wheel in wheels)
    text = manifest.read_text().replace('version = "0.0.0"', f'version = "{version}"')
    text = text.replace("wheels = []", f'platforms = ["{target}"]\nwheels = [\n{listed}]')
    manifest.write_text(text)


def validate(archive: Path) -> None:
    """Blender's own check of the zip; exits with its words where it is not content."""
    tools = sorted(
        (ROOT / ".blender").glob("*/lib/python*/site-packages/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py")
    )
    if not tools:
        print("no Blender is installed, so Blender's own check of the zip was left out")
        return
    ran = subprocess.run([sys.executable, str(tools[-1]), "validate", str(archive)], capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"Blender does not take {archive}:\n{ran.stdout}{ran.stderr}")


if __name__ == "__main__":
    sys.exit(main())
