"""A Debian sid beside this system, in which the newest Blender with a window can be started: `python -m tests.window.place`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2] / ".cache" / "sid"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
PACKAGES = (
    "blender xvfb libgl1-mesa-dri libegl1 libgl1 imagemagick xdotool tesseract-ocr "
    "python3-numpy python3-requests python3-cattr python3-typing-extensions"
)
MOUNTS = ("proc", "sys", "dev", "dev/shm", "tmp")


def main() -> int:
    """Set it up, which takes some minutes and 3 GB; says why where it cannot be done."""
    reason = obstacle()
    if reason:
        print(f"no window can be opened: {reason}")
        return 3  # nothing is broken, it is only not possible here
    # Nothing is mounted for good: whoever removes the folder must not reach this system through it.
    if not (ROOT / "ready").exists():
        ROOT.parent.mkdir(exist_ok=True)
        subprocess.run(["debootstrap", "--variant=minbase", "sid", str(ROOT), MIRROR], check=True)
        apt = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES.split()]
        subprocess.run([*inside(), "env", "DEBIAN_FRONTEND=noninteractive", *apt], check=True)
        (ROOT / "ready").touch()
    print(f"{ROOT} is ready")
    return 0


def obstacle() -> str:
    """Why it cannot be set up here, or ""."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "it takes Linux and root, for debootstrap and chroot"
    return "" if shutil.which("debootstrap") else "debootstrap is not installed (apt-get install debootstrap)"


def inside() -> list[str]:
    """What a command in there begins with: it sees this system's devices and /tmp, and nobody else sees them there."""
    mounts = " && ".join(f'mount --bind /{name} "$0/{name}"' for name in MOUNTS)
    return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec chroot "$0" "$@"', str(ROOT)]


if __name__ == "__main__":
    sys.exit(main())
