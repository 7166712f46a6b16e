"""The zip installs in every Blender and brings all that the add-on imports."""

from __future__ import annotations

import overpaint
import pytest

from tests.serving import serving

pytestmark = pytest.mark.blender


def test_it_installs_and_works_from_its_zip(bare, extension, media):
    assert bare("installing.installed", extension=extension, media=media) == {
        "enabled": True,
        "from elsewhere": {},
        "version": overpaint.__version__,
        "difference": 0,
        "disabled": True,
    }


def test_an_update_keeps_everything(bare, extension, newer, media, tmp_path):
    kept = {
        "version": "9.0.0",
        "servers": [["This Machine", ""], ["Farm", "open sesame"]],
        "chosen": 1,
        "prompt": "a red coat",
        "tickets": ["a" * 32],
        "takes": 1,
    }
    with serving(tmp_path / "jobs") as server:
        given = {"extension": extension, "newer": newer, "media": media, "folder": tmp_path}
        found = bare("installing.used", server=server.address, **given)
        assert found == {"before": overpaint.__version__, "in the same Blender": kept}
        found = bare("installing.used_again", blend=tmp_path / "edit.blend")
    assert found == kept | {"resumed": [0, 2], "painted": 3}
