"""`overpaint train` as a person meets it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from overpaint_backend import cli
from overpaint_backend.train import settings


def test_an_unknown_config_is_answered_with_the_names_and_without_torch(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--config", "huge", "--out", "nowhere"]) == 10
    said = capsys.readouterr().err
    assert "'huge'" in said and all(name in said for name in settings.CONFIGS)
    code = (
        "import sys; from overpaint_backend.train.settings import named; named('small'); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.torch
def test_a_run_is_started_refused_and_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.backend.train.test_loop import TINY

    monkeypatch.setattr(settings, "CONFIGS", {**settings.CONFIGS, "tiny": TINY})

    def train(*words: str, out: Path | None = tmp_path / "run") -> tuple[int, str]:
        code = cli.main(["train", *(["--out", str(out)] if out else []), *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    code, said = train("--config", "tiny", "--steps", "2")
    assert (
        code == 0
        and re.search(r"\b2 steps in \d+ min;", said)
        and (tmp_path / "run" / "VIRES" / "model.safetensors").is_file()
    )
    code, said = train("--config", "tiny", "--steps", "4")
    assert code == 10 and "holds a run" in said and "--resume" in said
    code, said = train("--config", "small", "--resume")
    assert code == 10 and "trained with other settings" in said
    code, said = train("--config", "tiny", "--steps", "3", "--resume")
    assert code == 0 and "3 steps in" in said
    code, said = train("--config", "published")
    assert code == 10 and "holds a run" in said
    (tmp_path / "run" / "state.pt").rename(tmp_path / "state.pt")
    code, said = train("--config", "published")
    assert code == 10 and "--data FOLDER" in said
    code, said = train("--config", "tiny", "--data", str(tmp_path))
    assert code == 11 and "no data set" in said
    monkeypatch.chdir(tmp_path)
    code, said = train("--config", "tiny", "--steps", "1", out=None)
    assert code == 0 and (tmp_path / "out/train/tiny/VIRES/model.safetensors").is_file()
