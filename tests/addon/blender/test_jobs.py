"""The list of jobs: real Blender, the installed extension, a real server over TCP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import free, serving

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server") / "jobs") as running:
        yield running.address


def test_law_4_a_file_that_is_opened_again_goes_on_by_itself(blender, extension, media, server, tmp_path):
    blend = tmp_path / "edit.blend"
    found = blender("queueing.reopened", extension=extension, media=media, server=server, blend=blend)
    assert found == {
        "in another file": [0, 0],
        "again": ["a red coat · source"],
        "strips": ["a red coat (0)", "source"],
        "left": 0,
        "words": "Placed a red coat (0)",
    }


def test_law_4_a_file_goes_on_after_blender_and_server_were_killed(blender, extension, media, tmp_path):
    blend = tmp_path / "edit.blend"
    address = free()
    with serving(tmp_path / "jobs", listen=address) as first:
        blender("queueing.begun", extension=extension, media=media, server=address, blend=blend)
        first.kill()
    away = blender("queueing.follow_again", extension=extension, server=address, blend=blend)
    assert away["rows"] == [["Painting", "Waiting for the server"]] and away["strips"] == ["source"]
    with serving(tmp_path / "jobs", listen=address):
        back = blender("queueing.follow_again", extension=extension, server=address, blend=blend)
    assert back["rows"] == [] and back["strips"] == ["a red coat (0)", "source"]


def test_jobs_on_one_strip_run_side_by_side(blender, extension, media, server):
    found = blender("queueing.two_at_once", extension=extension, media=media, server=server)
    assert found == {
        "asked": {"hol": "Painting", "one": found["asked"]["one"], "two": "Pausing", "thr": "Cancelling"},
        "then": {"two": "Paused", "thr": "Cancelled"},
        "left": 0,
        "frames": [8, 8, 8],
    }


def test_a_strip_that_is_changed_while_it_is_painted(blender, extension, media, server, tmp_path):
    found = blender("queueing.changed", extension=extension, media=media, server=server, folder=tmp_path)
    assert found["moved"] == [[105, 8]] and found["cut"] == [[105, 8]]
    assert found["retimed"] == [[5, 8]]  # on the frames that were painted
    assert found["removed"] == [] and found["frames"] == 8  # the take is on disk
    state, words, acts = found["row"]
    assert state == "Painted" and "source" in words and ". " in words and acts == ["retry", "dismiss"]
    assert found["after retry"] == [0, 2]


def test_a_failed_job_keeps_its_words_until_it_is_dismissed(blender, extension, media, server):
    found = blender("queueing.dismissed", extension=extension, media=media, server=server)
    words = "mask: the mask is empty on every frame. Draw a mask around what is to change"
    assert found["rows"] == [["Failed", words, ["retry", "dismiss"]]] * 2
    assert (found["left"], found["in the file"]) == (0, False)


def test_disabling_the_add_on_leaves_nothing_behind(blender, extension, media, server):
    found = blender("queueing.disabled", extension=extension, media=media, server=server)
    assert found == {
        "there were threads": True,
        "threads": [],
        "timers": [False, False],
        "handlers": [],
        "classes": False,
    }


def test_the_list_shows_the_newest_picture(blender, extension, media, server):
    found = blender("queueing.drawn", extension=extension, media=media, server=server)
    name, state, bar = found.pop("words")
    assert name == "a red coat · source" and state in ("Painting", "Painted") and bar
    assert "dismiss" not in found.pop("buttons")
    assert found == {"icon": True, "size": True, "pixels": True, "after": [], "previews": 0}
