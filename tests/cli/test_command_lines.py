"""Command lines put together at random: whatever is typed, the end is a documented one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cnndsl.cli.app import COMMANDS
from cnndsl.cli.ending import Exit
from tests.cli.runner import run

TINY = "param act in [tanh, relu] = tanh\ninput [4x4x1]\nflatten\nfc 3 act\nfc 2 softmax\n"
BROKEN = "input [7x7x3]\nconv 10 3x3 stride 3\n"

LOOKING = (
    "check", "summary", "table", "zoo", "ir", "why", "plan", "verify", "gradcheck", "fmt", "draw",
    "explain", "diff", "compare", "variants",
)  # fmt: skip
"""Commands that train nothing and fetch nothing."""

WORDS = (
    "tiny.cnn", "broken.cnn", "noise.cnn", "none.cnn", "folder", "tiny", "-", "--", "", " ", "=",
    "0", "-1", "1", "2", "1e9", "f64", "f32", "lower", "canonicalize", "fuse-epilogue#2", "magic",
    "act=relu", "act=", "act=cubic", "batch=1", "seed=5", "json", "list", "show", "path", "*", "é",
    "\x1b[31m", "reference", "abacus", "digits", "mnist.cnn", "../tiny.cnn", "/dev/null",
)  # fmt: skip
OPTIONS = (
    "--json", "--train", "--batch", "--dtype", "--after", "--without", "--pass", "--dot", "--wide",
    "--origins", "--param", "-p", "--data", "--max-layers", "--allow-path", "--backend", "--seed",
    "--samples", "--table", "--check", "--stdout", "--device", "--help", "-h", "--version",
    "--layer", "--at", "--style", "--depth", "--format", "--from", "--to", "--sizes", "--limit",
    "--jason", "--batch=1", "--batch=x", "-x", "--seed=-1",
)  # fmt: skip
FITTING = (
    "--json", "--train", "--batch 2", "--dtype f64", "--after lower", "--without canonicalize",
    "--dot", "--wide", "--origins", "-p act=relu", "--data mnist", "--max-layers 9", "--seed 3",
    "--samples 2", "--backend reference", "--max-layers 2", "--allow-path folder", "batch=3",
    "--layer fc1", "--at 1", "--style blocks", "--depth 0", "--format latex", "--to 4", "--limit 2",
)  # fmt: skip
"""Options that most of the commands take."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a good program, a wrong one, one that is no text, and a folder."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.cnn").write_text(TINY)
    Path("broken.cnn").write_text(BROKEN)
    Path("noise.cnn").write_bytes(bytes(range(256)))
    Path("folder").mkdir()


def generated(rng: random.Random) -> list[str]:
    """Put a command line together; most begin well and go wrong somewhere."""
    command = rng.choice(LOOKING) if rng.random() < 0.9 else rng.choice(WORDS)
    line = [command, rng.choice(["tiny.cnn", "tiny.cnn", rng.choice(WORDS)])]
    for _ in range(rng.randrange(4)):
        if rng.random() < 0.7:
            line += rng.choice(FITTING).split(" ")
            continue
        line.append(rng.choice(OPTIONS))
        if rng.random() < 0.6:
            line.append(rng.choice(WORDS))
    if command == "why" and rng.random() < 0.8:
        line += ["--pass", rng.choice(["canonicalize", "fuse-epilogue", rng.choice(WORDS)])]
    if rng.random() < 0.1:
        rng.shuffle(line)
    return line


def judge(count: int, seed: int) -> dict[int, int]:
    """Run `count` generated lines and count their exit codes."""
    rng = random.Random(seed)
    codes: dict[int, int] = {}
    for _ in range(count):
        line = generated(rng)
        result = run(*line, stdin=TINY.encode())
        assert result.code in set(Exit) - {Exit.BUG, Exit.INTERRUPTED}, (line, result.err)
        assert "Traceback" not in result.err + result.out, line
        assert result.code == 0 or result.err or "--json" in line, line
        codes[result.code] = codes.get(result.code, 0) + 1
    return codes


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_typed_ends_well(seed: int) -> None:
    codes = judge(100, seed)
    assert codes[0] > 5
    assert codes[2] > 5


@pytest.mark.slow
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("seed", range(10, 30))
def test_whatever_is_typed_ends_well_two_thousand_times(seed: int) -> None:
    judge(100, seed)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("ops", "doctor")])
def test_every_command_refuses_what_it_does_not_know(command: str) -> None:
    result = run(command, "--no-such-option")
    assert result.code == 2
    assert "--no-such-option" in result.err
