"""Losses that depend on what they should teach, and those that do not."""

from __future__ import annotations

import pytest

from cnndsl.frontend import ast
from cnndsl.frontend.objectives import judge_objectives
from cnndsl.frontend.parse import parse
from cnndsl.support.diagnostics import Diagnostic
from cnndsl.support.source import SourceFile

NETS = """net G { input [100]; fc 784 }
net F { input [784]; fc 100 }
net D { input [784]; fc 1 - sigmoid }
"""


def judged(*lines: str) -> list[Diagnostic]:
    """Judge the lines of a train section beside three nets."""
    program = parse(SourceFile("gan.cnn", NETS + "train {\n" + "\n".join(lines) + "\n}\n"))
    last = program.statements[-1]
    assert isinstance(last, ast.Line)
    section = last.chain.parts[0].element
    assert isinstance(section, ast.Section)
    return judge_objectives(section, program)


@pytest.mark.parametrize(
    "lines",
    [
        ["update D minimize bce(D(x), 1) + bce(D(G(z)), 0)"],
        ["let fake = G(z)", "update G minimize bce(D(fake), 1)"],
        ["let a = G(z)", "let b = F(a)", "update G and F minimize l1(b, z)"],
        ["minimize l1(G(z), x)"],
        ["update G minimize -mse(D(G(z)), 1) / 2"],
        ["update theta minimize l1(G(z), x)"],
    ],
)
def test_a_loss_that_depends_on_what_it_teaches_is_fine(lines: list[str]) -> None:
    assert judged(*lines) == []


@pytest.mark.parametrize(
    ("lines", "net", "label", "help_"),
    [
        (
            ["update D minimize mse(x, G(z))"],
            "D",
            "uses G only",
            "did you mean `bce(D(x), 1) + bce(D(G(z)), 0)`?",
        ),
        (
            ["let fake = G(z)", "update D minimize l1(fake, F(y))"],
            "D",
            "uses G and F only",
            "minimize something that `D(..)` is part of, or leave D out",
        ),
        (
            ["update G minimize l1(x, y)"],
            "G",
            "uses no net",
            "minimize something that `G(..)` is part of, or leave G out",
        ),
        (
            ["update G and F minimize l1(G(z), x) + 0"],
            "F",
            "uses G only",
            "minimize something that `F(..)` is part of, or leave F out",
        ),
    ],
)
def test_a_loss_that_does_not_is_reported(
    lines: list[str], net: str, label: str, help_: str
) -> None:
    (found,) = judged(*lines)
    assert found.code == "E0701"
    assert found.message == f"this loss does not depend on {net}, so updating {net} does nothing"
    assert [part.text for part in found.related] == [label]
    assert found.helps == (help_,)
