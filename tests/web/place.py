"""Chromium and its driver, for the web page's test: `python -m tests.web.place` finds them, or installs Debian's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = ("chromium", "chromium-driver", "fonts-dejavu-core")


def main() -> int:
    """Set them up; says why where it cannot be done."""
    if chromium() is None and shutil.which("apt-get") and sys.platform == "linux" and os.geteuid() == 0:
        quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update"], check=False, **quiet)  # type: ignore[call-overload]
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]
        subprocess.run(install, check=False, **quiet)  # type: ignore[call-overload]
    found = chromium()
    if found is None:
        print(f"the page cannot be tried: {OBSTACLE}")
        return 3  # nothing is broken, it is only not possible here
    print(f"{found[0]} is ready")
    return 0


OBSTACLE = "Chromium and chromedriver are not on the path (Debian: apt-get install chromium chromium-driver)"


def chromium() -> tuple[str, str] | None:
    """Where the browser and its driver are, or None."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


if __name__ == "__main__":
    sys.exit(main())
