from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from cnndsl.frontend.find import zoo_programs
from tests.cli.runner import run, run_json

WRONG = "input [7x7x3]\nconv 10 3x3 stride 3\n"


@pytest.fixture
def wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program whose window does not fit."""
    monkeypatch.chdir(tmp_path)
    Path("toy.cnn").write_text(WRONG)
    return "toy.cnn"


def test_good_program() -> None:
    result = run("check", "lenet.cnn")
    assert (result.code, result.err) == (0, "")
    assert result.out == "lenet.cnn: no errors (12 layers, 61,706 parameters)\n"


@pytest.mark.parametrize("name", ["lenet", "lenet.cnn"])
def test_zoo_name_with_and_without_suffix(name: str) -> None:
    assert run("check", name).code == 0


def test_wrong_program(wrong: str, golden: Callable[[str], None]) -> None:
    result = run("check", wrong)
    assert (result.code, result.out) == (1, "")
    golden(result.err)


def test_notes_are_words_not_data() -> None:
    result = run("check", "slide")
    assert result.code == 0
    assert result.out.count("\n") == 1
    assert "note[N0001]" in result.err


def test_several_programs(wrong: str) -> None:
    result = run("check", "lenet", wrong, "mlp")
    assert result.code == 1
    assert [line.split(":")[0] for line in result.lines] == ["lenet", "mlp"]
    assert "error[E0301]" in result.err


def test_json(wrong: str) -> None:
    document = run_json("check", wrong)
    assert document["ok"] is False
    (found,) = document["diagnostics"]
    assert (found["code"], found["severity"], found["file"]) == ("E0301", "error", "toy.cnn")
    assert found["range"]["start"]["line"] == 2
    assert run_json("check", "lenet")["ok"] is True


def test_json_of_several(wrong: str) -> None:
    document = run_json("check", "lenet", wrong)
    assert document["programs"] == [
        {"program": "lenet", "ok": True},
        {"program": wrong, "ok": False},
    ]


def test_parameters() -> None:
    assert run("check", "lenet", "-p", "act=relu").code == 0
    result = run("check", "lenet", "-p", "act=cubic")
    assert result.code == 1
    assert "E0501" in result.err
    assert run("check", "lenet", "-p", "act").code == 2


def test_standard_input() -> None:
    result = run("check", "-", stdin=b"input [8x8x1]\nfc 10")
    assert result.out == "<stdin>: no errors (1 layer, 650 parameters)\n"
    assert "<stdin>:2:" in run("check", "-", stdin=WRONG.encode()).err


def test_missing_program() -> None:
    result = run("check", "lenett")
    assert result.code == 1
    assert "did you mean lenet?" in result.err


def test_limit_of_layers(tmp_path: Path) -> None:
    path = tmp_path / "deep.cnn"
    path.write_text("input [8x8x1]\n[CONV-RELU]*60\n")
    assert run("check", str(path)).code == 0
    result = run("check", str(path), "--max-layers", "100")
    assert (result.code, "E0602" in result.err) == (1, True)


PIECES = [
    "(", ")", "[", "]", "{", "}", "->", "-", ",", ":", "=>", "?", "..", "%", "/", "\n", "\0",
    "\x1b", "*3", "*1000000000", "[4x4x4]", "1e308", "2^63", "10^9 ", "0 ", "-1", "é", "if", "else",
    "as x", "conv 64 3x3 ", "fc 10 ", "concat ", "add ", "from ", "input [3x3x3]", "memory: 4",
    "shape.c", "repeat 3 {", "block b {", "net n {", "let a = ", "param N in 1..5", "where ",
    'import "', "load ", "train {", "loss: ", "data x {", "freeze ", "output ",
    "default conv: ", "replace ",
]  # fmt: skip


def mutated(rng: random.Random, text: str) -> str:
    """Change a program in one to four places: leave out, double, turn around or replace."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text) + 1)
        stop = min(len(text), start + rng.choice([1, 2, 5, 20]))
        old = text[start:stop]
        new = rng.choice(["", old * 2, old[::-1], rng.choice(PIECES), chr(rng.randrange(300))])
        text = text[:start] + new + text[stop:]
    return text


def fuzz(count: int, seed: int) -> None:
    rng = random.Random(seed)
    programs = [path.read_text() for path in zoo_programs().values()]
    for _ in range(count):
        noise = rng.randbytes(rng.randrange(200))
        for data in (noise, mutated(rng, rng.choice(programs)).encode()):
            result = run("check", "-", "--max-layers", "2000", stdin=data)
            assert result.code in (0, 1), (data, result.err)
            assert "Traceback" not in result.err
            assert (result.code == 0) == result.out.startswith("<stdin>: no errors")


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_given_is_judged(seed: int) -> None:
    fuzz(15, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 20))
def test_whatever_is_given_is_judged_a_thousand_times(seed: int) -> None:
    fuzz(100, seed)


def test_fixes_are_made_until_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.cnn"
    path.write_text("input [7x7x3]\nconv 10 3x3 stride 3 -> rleu\nmaxpol 2x2 floor\nfc 10\n")
    result = run("check", "--fix", str(path))
    assert result.code == 0
    assert path.read_text() == (
        "input [7x7x3]\nconv 10 3x3 stride 2 -> relu\nmaxpool 2x2 floor\nfc 10\n"
    )
    assert f"{path}:2:25: write `relu`" in result.err


def test_what_has_no_fix_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.cnn"
    path.write_text("input [28x28x192]\n(conv 64 1x1 | conv 96 1x1) -> relu\n")
    before = path.read_text()
    assert run("check", "--fix", str(path)).code == 1
    assert path.read_text() == before
    assert run("check", "--fix", "-").code == 2
