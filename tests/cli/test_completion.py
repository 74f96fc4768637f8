from __future__ import annotations

import pytest

from cnndsl.cli.app import COMMANDS
from tests.cli.runner import run, run_json


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(shell: str) -> None:
    script = run("completion", shell).out
    assert "_CNNDSL_COMPLETE" in script
    assert run_json("completion", shell) == {"shell": shell, "script": script.rstrip("\n") + "\n"}


def test_unknown_shell() -> None:
    assert run("completion", "csh").code == 2


def complete(monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    words = line.split(" ")
    monkeypatch.setenv("_CNNDSL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    return [found.partition(",")[2] for found in run().lines]


def test_commands_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete(monkeypatch, "cnndsl su") == ["summary"]
    assert set(complete(monkeypatch, "cnndsl ")) == set(COMMANDS)


def test_programs_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "lenet.cnn" in complete(monkeypatch, "cnndsl summary le")
    assert "lenet.cnn" in complete(monkeypatch, "cnndsl check slide le")
    assert complete(monkeypatch, "cnndsl zoo path le") == ["lenet", "lenet28"]


def test_passes_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete(monkeypatch, "cnndsl why lenet --pass fuse-e") == [
        "fuse-epilogue",
        "fuse-elementwise",
    ]
