"""What README shows is true: its programs check, its code runs, its error reads as printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)

TOY = "input [7x7x3]\nconv 10 3x3 stride 3\n"
"""The program behind the error that README shows."""


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def test_every_kind_of_block_is_tested_here() -> None:
    assert {name for name, _ in BLOCKS} == {"cnn", "sh", "console", "python"}


@pytest.mark.parametrize("text", blocks("cnn"))
def test_programs_check(text: str) -> None:
    assert elaborate(parse(text)).network.layers


@pytest.mark.parametrize("text", blocks("console"))
def test_what_the_console_shows_is_what_is_printed(text: str, tmp_path: Path) -> None:
    command, _, shown = text.partition("\n")
    (tmp_path / "toy.cnn").write_text(TOY)
    words = command.removeprefix("$ ").split()
    assert words[0] == "cnndsl"
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == shown
    assert done.stdout == ""
    assert done.returncode == 1


@pytest.mark.parametrize("text", blocks("python"))
def test_code_runs_and_prints_what_it_says(text: str, tmp_path: Path) -> None:
    script = tmp_path / "readme.py"
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "(10, 10, 16)"
    assert all(0.0 <= float(number) <= 1.0 for number in lines[1].split())
    assert lines[2] == "conv2d"
    assert (tmp_path / "lenet.safetensors").exists()


def test_the_first_two_commands_are_install_and_run_and_test() -> None:
    first, second = blocks("sh")
    assert first == "python -m pip install . && cnndsl run lenet.cnn\n"
    assert second == "python -m pip install -e '.[dev]' && python -m pytest\n"
    script = (ROOT / ".ci" / "run").read_text()
    assert "readme_command 1" in script
    assert "readme_command 2" in script
