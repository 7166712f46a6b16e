"""The zip installs in every Blender and brings all that the add-on imports."""

from __future__ import annotations

import overpaint
import pytest

pytestmark = pytest.mark.blender


def test_it_installs_and_works_from_its_zip(blender, extension, media):
    assert blender("installing.installed", extension=extension, media=media) == {
        "enabled": True,
        "from elsewhere": {},
        "version": overpaint.__version__,
        "difference": 0,
        "disabled": True,
    }
