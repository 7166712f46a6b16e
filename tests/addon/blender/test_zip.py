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
        assert found == {"before": overpaint.__version__, "in the same Blender": kept, "painted": 2}
        found = bare("installing.used_again", blend=tmp_path / "edit.blend")
    assert found == kept | {"resumed": [0, 2], "painted": 3}


def test_an_update_of_the_disabled_extension_runs_the_new_code(bare, extension, newer):
    assert bare("installing.updated_while_disabled", extension=extension, newer=newer) == {
        "version": "9.0.0",
        "new code": True,
        "enabled": True,
        "one family of errors": True,
    }


def test_the_removed_extension_leaves_nothing_but_the_takes(bare, extension, media, tmp_path):
    with serving(tmp_path / "jobs") as server:
        given = {"extension": extension, "media": media, "server": server.address, "folder": tmp_path}
        found = bare("installing.removed", **given)
    assert found == {
        "enabled": False,
        "classes": [],
        "types": [],
        "operators": [],
        "handlers": [],
        "timers": [],
        "draws": [],
        "keys": [],
        "properties": [],
        "threads": [],
        "files": ["datafiles/overpaint"],  # the take that was painted before the file had a name
        "log": False,
        "takes": [8, 8],
        "strips": 2,  # the newer take is shown in place of the older
    }
