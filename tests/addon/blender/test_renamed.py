"""What is painted for a strip comes back to it under whatever name it or its scene has by then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import serving

from .test_insert import make_take

pytestmark = pytest.mark.blender

HERE = [["Scene", 2, 5]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server") / "jobs") as running:
        yield running.address


def test_a_take_comes_home_whatever_was_renamed_while_it_was_painted(blender, extension, media, server, tmp_path):
    found = blender("renaming.midway", extension=extension, media=media, server=server, folder=tmp_path)
    rows = [name for (name,) in found.pop("rows")]
    assert [row.removeprefix("a red coat · ") for row in rows] == [
        *("hero", "hero", "source", "hero", "hero", "hero"),
        *("source", "heroine", "hero"),
    ]
    assert found == {
        "words": [],
        "rename": HERE,
        "taken": HERE,
        "scene_too": [["Edit", 2, 5]],
        "both": [["Edit", 2, 5]],
        "copied": HERE,
        "copied_and_named": HERE,
        "undone": HERE,
        "undone_beyond": HERE,
        "redone": HERE,
    }


def test_law_4_a_renamed_strip_is_found_after_the_file_was_closed_and_opened(
    blender, extension, media, server, tmp_path
):
    blend = tmp_path / "edit.blend"
    found = blender("renaming.reopened", extension=extension, media=media, server=server, blend=blend, old=False)
    assert found == {"again": ["a red coat · hero"], "takes": [["Edit", 2, 5]], "left": 0}


def test_a_ticket_of_before_there_were_marks_finds_its_strip_by_name(blender, extension, media, server, tmp_path):
    blend = tmp_path / "edit.blend"
    found = blender("renaming.reopened", extension=extension, media=media, server=server, blend=blend, old=True)
    assert found == {"again": ["a red coat · source"], "takes": HERE, "left": 0}


def test_of_several_strips_the_nearest_is_taken_and_of_none_it_is_said(blender, media, tmp_path):
    found = blender("renaming.nearest", media=media, take=make_take(tmp_path / "take", (96, 64), 8))
    remedy = "Undo its removal, give the strip that the take is for the name source, or paint it again"
    gone = ["strip", "the scene Scene has no strip source any more", remedy]
    assert found == {
        "the same mark": [True, True, ""],
        "cut, by its name": HERE,
        "cut": HERE,
        "cut, the right half": [["Scene", 2, 9]],
        "cut, and the right half moved": [["Scene", 2, 59]],
        "cut, and the left half removed": [["Scene", 2, 59]],
        "removed": gone,
        "another of the name": False,
        "brought back under its name": HERE,
        "of old, and renamed": gone,
        "also in another scene": HERE,
        "also in another scene, and renamed": [["Edit", 2, 5]],
        "the ticket is kept in": ["Edit"],
        "only in another scene": [["A scene", 2, 31]],
        "the scene removed": [
            "scene",
            "there is no scene Scene any more",
            "Undo its removal, or give the scene that the take is for the name Scene",
        ],
    }


def test_previews_and_masks_come_home_too(blender, extension, media, server):
    found = blender("renaming.others", extension=extension, media=media, server=server)
    lines = found.pop("lines", "Lines on 1 frame")  # not before 5.2
    assert lines == "Lines on 1 frame" and found == {"preview": [2, "one"], "mask": ["Tracked", True]}
