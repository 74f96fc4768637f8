"""What is said about mistakes in files, weights, data and options, exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnndsl.support.codes import CODES
from tests.cli.runner import run
from tests.cli.scenes import SCENES


@pytest.mark.parametrize("name", SCENES)
def test_the_message(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[[str], None]
) -> None:
    scene = SCENES[name]
    for path, content in scene.files.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    monkeypatch.chdir(tmp_path)
    result = run(*scene.command.split())
    said = result.err.replace(str(tmp_path), "FOLDER").replace(str(Path.home()), "HOME")
    assert result.code != 0
    assert f"error[{name[:5]}]" in said
    assert "Traceback" not in said
    golden(said)


def test_every_scene_has_a_code() -> None:
    assert {name[:5] for name in SCENES} <= set(CODES)
