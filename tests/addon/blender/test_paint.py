"""The main job from the strip to the take: real Blender, the installed extension, a real server over TCP."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from overpaint_backend import cli

from tests.serving import guard, serving

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server") / "jobs") as running:
        yield running.address


@pytest.mark.parametrize("source", ["movie8.mkv", "png8", "png16"])
def test_law_1_2_10_a_strip_becomes_a_take_above_it(blender, extension, media, server, tmp_path, source):
    found = blender("painting.painted", extension=extension, media=media, server=server, source=source, folder=tmp_path)
    assert found == {
        "take": ["a red coat (0)", "IMAGE", 2, 5, 8, "ALPHA_OVER"],
        "kept": found["kept"],
        "request": ["toy", "TASK_REPLACE", "a red coat", 8],
        "strips": 2,
        # The square: 0.4 to 0.6 of 96 pixels around the middle of 96x64.
        "changed": [22, 41, 38, 57],
        "source muted": False,
    }
    assert found["kept"].startswith("//overpaint")  # beside the .blend, so that it moves with it


def test_what_is_exported_is_painted_without_blender_and_without_a_server(
    blender, extension, media, server, tmp_path, capsys
):
    found = blender("painting.exported", extension=extension, media=media, server=server, folder=tmp_path)
    assert found == {"ended": ["FINISHED"], "sent": 0, "strips": 1, "again": True}
    assert cli.main(["run", str(tmp_path / "job")]) == 0
    assert "8 frames in" in capsys.readouterr().out
    assert len(list((tmp_path / "job" / "out" / "take" / "frames").iterdir())) == 8


def test_law_6_a_second_edit_sends_only_the_request(blender, extension, media, tmp_path):
    with serving(tmp_path / "jobs") as fresh:
        found = blender("painting.second_edit", extension=extension, media=media, server=fresh.address)
    assert found["sent"][1] < found["sent"][0] / 20 and found["channels"] == [1, 2]  # the newest take is shown


def test_law_8_blender_stays_free_while_a_server_says_nothing(blender, extension, media):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, and never answers
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        found = blender("painting.free_while_waiting", extension=extension, media=media, server=address)
    assert found == {"doing": "asking the server", "after cancel": True}


def test_law_4_a_job_goes_on_in_another_blender(blender, extension, media, tmp_path):
    blend = tmp_path / "edit.blend"
    with serving(tmp_path / "jobs") as fresh:
        assert blender("painting.begin", extension=extension, media=media, server=fresh.address, blend=blend) == 1
        found = blender("painting.go_on", extension=extension, server=fresh.address, blend=blend)
    assert found == {"waiting": 1, "strips": ["source", "a red coat (0)"], "left": 0}


def test_law_9_the_token_is_in_no_file(blender, extension, media, tmp_path):
    guard(tmp_path / "jobs")
    (tmp_path / "files").mkdir()
    with serving(tmp_path / "jobs") as guarded:
        given = {"extension": extension, "media": media, "server": guarded.address, "folder": tmp_path / "files"}
        found = blender("painting.secrets", **given)
        cases = [{"token": "guess"}]
        away = blender("painting.refused", extension=extension, media=media, server=guarded.address, cases=cases)
    assert found[".blend"] is False and not any(found.values())
    assert away["said"] == ["token: the token is missing or wrong. Ask the server's owner for its token"]
    assert (away["strips"], away["tickets"]) == (1, False)


REFUSED = (
    ({"server": "127.0.0.1:9"}, "server: no server answers at 127.0.0.1:9"),
    (
        {"server": "paint.example.org:443"},
        "online_access: paint.example.org:443 is another machine, and Blender may not go online",
    ),
    ({"server": "127.0.0.1"}, "server: '127.0.0.1' is not host:port"),
    ({"engine": "nobody"}, "engine: the server has no engine 'nobody'. Choose flow, toy"),
    ({"engine": "flow", "task": "generate"}, "task: the engine flow cannot generate"),
    ({"mask": None}, "mask: to replace, the engine toy needs a mask, and none is given"),
    ({"square": [[9, 9], [9.1, 9], [9.1, 9.1], [9, 9.1]]}, "mask: the mask is empty on every frame"),
)


def test_what_is_wrong_is_said_in_words_and_nothing_is_left(blender, extension, media, server):
    cases = [given for given, _ in REFUSED]
    found = blender("painting.refused", extension=extension, media=media, server=server, cases=cases)
    for (_, words), said in zip(REFUSED, found["said"], strict=True):
        assert said.startswith(words) and ". " in said  # what is wrong, and then what to do
    # What the server refused at once has left nothing; what failed while it was painted stays in the list of jobs.
    assert (found["strips"], found["tickets"]) == (1, True)
