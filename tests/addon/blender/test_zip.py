"""The zip installs in every Blender and brings all that the add-on imports."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import overpaint
import pytest

from .running import ROOT

pytestmark = pytest.mark.blender


@pytest.fixture(scope="session")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip for this machine, built as `make addon` builds it (and validated by Blender's own tool)."""
    spec = importlib.util.spec_from_file_location("overpaint_addon_build", ROOT / "addon" / "build.py")
    assert spec and spec.loader
    build = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = build
    spec.loader.exec_module(build)
    return build.build(build.this_platform(), tmp_path_factory.mktemp("zip") / "overpaint.zip")


def test_it_installs_and_works_from_its_zip(blender, extension, media):
    assert blender("installing.installed", extension=extension, media=media) == {
        "enabled": True,
        "from elsewhere": {},
        "version": overpaint.__version__,
        "difference": 0,
        "disabled": True,
    }
