"""CNNDSL_DEBUG: each level tells more, on stderr only."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.cli.ending import Exit
from tests.cli.runner import Result, run

PROGRAM = "input [6x6x1]\nconv 2 3x3, relu\nfc 3 - softmax\n"


def at(level: int | str, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setenv("CNNDSL_DEBUG", str(level))
    return run(*words, stdin=PROGRAM.encode())


BENCH = ("bench", "-", "--batch", "2", "--rounds", "1")


def test_nothing_is_told_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert at(0, monkeypatch, *BENCH).err == ""
    assert at("", monkeypatch, *BENCH).err == ""


def test_stages_with_times_and_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    result = at(1, monkeypatch, *BENCH)
    lines = result.err.splitlines()
    assert [line.split()[0] for line in lines] == ["lower", "optimize", "plan", "build"]
    assert all(line.split()[2] == "ms" and float(line.split()[1]) >= 0 for line in lines)
    assert "nodes" in lines[0]
    assert "steps; input 320 B, state" in lines[-1]
    assert "a run takes" in result.out


def test_a_line_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    result = at(2, monkeypatch, *BENCH)
    lines = result.err.splitlines()[4:]
    assert lines[0].startswith("run of ")
    assert lines[1].split() == ["node", "op", "time", "GFLOP/s", "GB/s", "share"]
    assert [line.split()[1] for line in lines[2:]] == ["conv2d", "dense", "softmax"]
    assert all(line.endswith("%") for line in lines[2:])


def test_graphs_sources_and_assembly(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {level: at(level, monkeypatch, *BENCH).err for level in (2, 3, 4, 5)}
    assert "after fuse-epilogue (" not in shown[2]
    assert "after fuse-epilogue (" in shown[3]
    assert "define void @k" not in shown[3]
    assert "define void @k" in shown[4]
    assert "\tret" not in shown[4]
    assert "\tret" in shown[5]


def test_every_executable_of_a_training_is_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "small.cnn").write_text(PROGRAM.replace("fc 3", "fc 10"))
    words = ("run", str(tmp_path / "small.cnn"), "--epochs", "1", "--limit", "40", "--batch", "20")
    result = at(2, monkeypatch, *words, "--runs", str(tmp_path / "runs"), "--json")
    assert result.code == Exit.DONE
    assert result.err.count("run of ") == result.err.count("\nbuild ") >= 2
    assert result.out.startswith('{"event": "start"')


@pytest.mark.parametrize("variable", ["CNNDSL_DEBUG", "CNNDSL_THREADS"])
@pytest.mark.parametrize("words", [("plan", "-"), ("cache", "info"), ("run", "mlp")])
def test_a_setting_that_is_none_ends_as_a_wrong_command_line(
    variable: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "many")
    result = run(*words, stdin=PROGRAM.encode())
    assert (result.code, result.out) == (Exit.USAGE, "")
    assert result.err.startswith(f"error[E0914]: {variable} is 'many'; it takes a number from ")
