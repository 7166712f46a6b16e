"""Servers in the preferences, the connection's test and word, the local backend, diagnostics: in real Blenders."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from overpaint_backend.certificates import AUTHORITY, client_pair, server_pair

from tests.serving import free, guard, serving

pytestmark = pytest.mark.blender


def test_servers_survive_saving_the_preferences(blender, extension, tmp_path):
    # Both Blenders have the same user's files.
    assert blender("connecting.keep_profiles", extension=extension, user=tmp_path) == {
        "names": ["This Machine", "Farm"],
        "active": 1,
    }
    assert blender("connecting.find_profiles", extension=extension, user=tmp_path) == {
        "active": 1,
        "kept": ["Farm", "farm:1", "open sesame 4711", "/cert.pem"],
        "chosen": "127.0.0.1:8765",
        "left": ["This Machine"],
        "last stays": True,
    }


def test_the_environment_overrides_and_online_access_is_honoured(blender, extension):
    found = blender("connecting.connections", extension=extension)
    assert found["kept"] == ["127.0.0.1:1", "kept", None]
    assert found["environment"] == ["localhost:2", "t", "/c.pem"]
    assert found["online"] is False
    assert found["refused"].startswith("online_access: paint.example.org:443 is another machine")
    assert found["test"].startswith("address: paint.example.org is another machine, and Blender may not go online")
    assert found["allowed"] == "paint.example.org:443"


def test_the_word_and_the_test(blender, extension, tmp_path):
    guard(tmp_path / "jobs")
    with serving(tmp_path / "jobs") as server:
        servers = [[server.address, "open sesame"], [server.address, "guess"], [free(), ""], ["nonsense", ""]]
        well, wrong, away, nowhere = blender("connecting.tested", extension=extension, servers=servers)
    assert well == [["Connecting", "Connected"], "+++++++", ""]
    assert wrong[:2] == [["Connecting", "Refused"], "++++x--"] and wrong[2].startswith("token: the server does not")
    assert away[:2] == [["Connecting", "Offline"], "++x----"] and "nobody listens" in away[2]
    assert nowhere[:2] == [["Not Set Up"], "x------"] and "is not host:port" in nowhere[2]


def test_a_certificate_of_ones_own_opens_the_door(blender, extension, tmp_path):
    server, own = (
        server_pair(tmp_path / "tls", ["127.0.0.1"], 2),
        client_pair(tmp_path / "ä", "anna", tmp_path / "ca", 2),
    )
    certificates = {
        "certificate": server.certificate,
        "client_certificate": own.certificate,
        "client_key": own.key,
    }
    flags = ("--certificate", server.certificate, "--key", server.key, "--clients", tmp_path / "ca" / AUTHORITY)
    with serving(tmp_path / "jobs", *map(str, flags)) as running:
        words = blender("connecting.shown", extension=extension, address=running.address, certificates=certificates)
    assert words[0] == "" and "toy" in words
    assert words[-1].startswith("encryption: the server asks for a certificate of yours")


def test_a_local_backend_by_its_buttons(blender, extension, tmp_path):
    command = Path(sys.executable).with_name("overpaint")
    (tmp_path / "jobs").mkdir()
    given = {"extension": extension, "command": command, "address": free(), "folder": tmp_path / "jobs"}
    found = blender("connecting.local", **given)
    assert found.pop("not found").startswith("backend: ")
    assert found == {
        "error kept": "backend",
        "running": ["Running", True, 1],
        "again": False,
        "log": True,
        "stopped": "Stopped",
    }


def test_law_9_diagnostics_and_log_hold_no_secret(blender, extension, media, tmp_path):
    with serving(tmp_path / "jobs") as server:
        found = blender(
            "connecting.diagnosed", extension=extension, media=media, server=server.address, folder=tmp_path
        )
    assert found["same"] and found["in text"] == [False] * 3 and found["in .blend"][0] is False
    assert found["refused"].startswith("filepath: ")
    for words in ("Overpaint: 0.", "Blender: ", "gRPC: 1.", "ok  engines: ", "token: [removed]", "## Local backend"):
        assert words in found["text"], (words, found["text"])
    assert len(found["text"]) <= 65_000


def test_every_remedy_is_a_button_that_exists(blender, extension):
    found = blender("connecting.remedied", extension=extension)
    assert found["server"] == ["This is wrong. Do that", "[Test Connection]", "[Start Local Backend]"]
    assert found["online_access"] == ["This is wrong. Do that", "[Open System Preferences]"]
    assert found["prompt"] == ["This is wrong. Do that"]
    assert found["header"] == ["Not Asked"] and found["header then"] == ["Offline"]
    assert "[Start]" in found["panel"] and "Name: 127.0.0.1" in found["panel"] and "Port" in found["panel"]
    assert {"address", "token", "certificate", "backend_command", "[Test Connection]"} <= set(found["preferences"])
    assert found["timer rests"]
    assert found["menu"] == ["[This Machine]", "[Edit Servers...]"]
    assert found["section"] == "SYSTEM"
