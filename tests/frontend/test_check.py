"""Whatever the text: a network or diagnostics, nothing else."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.frontend.check import check, examine
from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.lower import lower
from cnndsl.frontend.parse import parse
from cnndsl.support.codes import CODES
from cnndsl.support.diagnostics import DiagnosticError, Severity
from cnndsl.support.limits import Limits
from cnndsl.support.source import SourceFile
from tests.frontend.elaborating import FOLDER, PROGRAMS
from tests.frontend.programs import programs

FILES = sorted([*PROGRAMS.glob("*.cnn"), *FOLDER.glob("errors/*.cnn")])
TEXTS = [path.read_text("utf-8") for path in FILES]
TOKEN = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|\s+|.")
POOL = [t for text in TEXTS for t in TOKEN.findall(text) if t.strip()]
LIMITS = Limits(max_layers=2000)


def test_a_right_program_has_its_notes() -> None:
    assert check("input [8]\nfc 2") == ()
    (note,) = check("input [8]\nsoftmax 2")
    assert note.severity is Severity.NOTE


def test_a_program_comes_as_text_tree_source_or_file(tmp_path: Path) -> None:
    text = "input [8]\nfcc 2"
    path = tmp_path / "net.cnn"
    path.write_text(text)
    found = [check(s) for s in (text, parse(text), SourceFile("net.cnn", text), path)]
    assert [[d.code for d in f] for f in found] == [["E0201"]] * 4
    assert check(tmp_path / "nothing.cnn")[0].code in CODES
    assert str(examine(path)).startswith("error[E0201]")


def test_parameters_are_checked_too() -> None:
    assert check("param n in [1, 2]\ninput [8]\nfc n", params={"n": "3"})[0].code == "E0501"


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("input [8]\nrleu - fc 2", "input [8]\nrelu - fc 2"),
        ("input [8x8x3]\nconv 8 3x3 strid 2", "input [8x8x3]\nconv 8 3x3 stride 2"),
        ("input [8]\nabc: relu\nadd acb", "input [8]\nabc: relu\nadd abc"),
        ("let width = 4\ninput [8]\nfc(widht)", "let width = 4\ninput [8]\nfc(width)"),
        ("input [8]\nfc 2\ntrain { bacth: 3 }", "input [8]\nfc 2\ntrain { batch: 3 }"),
        ("input [8]\nfc(rond(2.4))", "input [8]\nfc(round(2.4))"),
    ],
)
def test_suggestions_are_edits_too(text: str, fixed: str) -> None:
    (found,) = check(text)
    (fix,) = found.fixes
    lines = text.split("\n")
    line = lines[fix.span.line - 1]
    lines[fix.span.line - 1] = (
        line[: fix.span.column - 1] + fix.text + line[fix.span.end_column - 1 :]
    )
    assert "\n".join(lines) == fixed


def mutated(rng: random.Random) -> str:
    """Change a few tokens of a program: replace, delete, insert, swap, repeat."""
    tokens = TOKEN.findall(rng.choice(TEXTS))
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(tokens))
        match rng.randrange(5):
            case 0:
                tokens[at] = rng.choice(POOL)
            case 1:
                del tokens[at : at + rng.choice([1, 2, 5])]
            case 2:
                tokens.insert(at, rng.choice(POOL))
            case 3:
                other = rng.randrange(len(tokens))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case _:
                tokens[at:at] = tokens[at : at + rng.randrange(12)]
        tokens = tokens or ["x"]
    return "".join(tokens)


def _is_presentable(problem: DiagnosticError) -> bool:
    """Tell whether an error can be shown: something is said, with known codes."""
    known = {d.code for d in problem.diagnostics} <= CODES.keys()
    return known and bool(problem.diagnostics) and bool(str(problem))


def elaborated_or_refused(text: str) -> str:
    """Elaborate and lower a text; gives what became of it."""
    try:
        program = parse(text, "f.cnn")
    except DiagnosticError:
        return "syntax"
    try:
        found = elaborate(program, base_dir=PROGRAMS, limits=LIMITS)
    except DiagnosticError as problem:
        return "refused" if _is_presentable(problem) else str(problem)
    lower(found.network, batch=1, training=True)
    return "built"


@pytest.mark.parametrize("seed", range(8))
def test_mutated_programs_are_built_or_refused(seed: int) -> None:
    rng = random.Random(seed)
    outcomes = [elaborated_or_refused(mutated(rng)) for _ in range(250)]
    assert set(outcomes) <= {"syntax", "refused", "built"}
    assert outcomes.count("refused") > 20
    assert "built" in outcomes


@settings(max_examples=150)
@given(programs())
def test_random_programs_are_built_or_refused(text: str) -> None:
    assert elaborated_or_refused(text) in ("refused", "built")


WORDS = (
    "conv", "fc 4", "8", "3x3", "stride 2", "pad", "same", "relu", "half", "n", "as a", "?", "*2",
    "-", ",", "(", ")", "|", "id", "add", "concat a", "[4]", "=> [4]", "if n == 4", "pool",
    "flatten", "softmax 3", "a:", "from a", "\n", "b(2)", "b", "maxpool 2x2", "floor",
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(WORDS), max_size=14))
def test_words_in_any_order_are_built_or_refused(words: list[str]) -> None:
    text = f"let n = 4\nblock b(c=3) {{ conv c 3x3 half }}\ninput [8x8x3]\n{' '.join(words)}"
    assert elaborated_or_refused(text) in ("syntax", "refused", "built")
