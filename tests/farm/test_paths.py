"""Paths of one machine on another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from overpaint.errors import Invalid, Missing
from overpaint_backend.farm.paths import read_rules


def rules(tmp_path: Path, plain: object) -> Path:
    file = tmp_path / "map.json"
    file.write_text(json.dumps(plain))
    return file


def test_openjds_rules(tmp_path: Path) -> None:
    one = {"source_path_format": "WINDOWS", "source_path": "P:\\Show", "destination_path": "/mnt/show"}
    two = {"source_path_format": "POSIX", "source_path": "/Volumes/show", "destination_path": "/mnt/show"}
    deep = {"source_path_format": "POSIX", "source_path": "/Volumes/show/weights", "destination_path": "/fast"}
    file = rules(tmp_path, {"version": "pathmapping-1.0", "path_mapping_rules": [one, two, deep]})
    here = read_rules(file)
    assert here(Path("p:\\show\\shot 1\\job")) == Path("/mnt/show/shot 1/job")
    assert here(Path("/Volumes/show/job")) == Path("/mnt/show/job")
    assert here(Path("/Volumes/show/weights/VIRES")) == Path("/fast/VIRES")  # the longest source counts
    assert here(Path("/Volumes/showreel/job")) == Path("/Volumes/showreel/job")  # not a prefix of letters


def test_plain_pairs_and_no_rules(tmp_path: Path) -> None:
    here = read_rules(rules(tmp_path, {"/a/b": "/c", "S:/x": "/s"}))
    assert here(Path("/a/b/job")) == Path("/c/job") and here(Path("s:/X/job")) == Path("/s/job")
    assert read_rules(rules(tmp_path, {}))(Path("/a")) == Path("/a")  # what an OpenJD session without rules writes


def test_what_is_no_map_is_said(tmp_path: Path) -> None:
    for plain in ([1], {"path_mapping_rules": [{"source_path": "/a"}]}, {"a": 1}):
        with pytest.raises(Invalid, match="no path map"):
            read_rules(rules(tmp_path, plain))
    with pytest.raises(Missing):
        read_rules(tmp_path / "nowhere.json")
