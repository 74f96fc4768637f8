"""Assertions about a whole network, and which network they are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse
from cnndsl.support.diagnostics import DiagnosticError

PART = "param n = 4\ninput [8x8x1]\nC: conv n 3x3\nfc 2\nassert n > 0\n"


def check(text: str, folder: Path) -> None:
    (folder / "part.cnn").write_text(PART, encoding="utf-8")
    elaborate(parse(text, "whole.cnn"), base_dir=folder)


def refused(text: str, folder: Path) -> str:
    """Give the label of the assertion that does not hold."""
    with pytest.raises(DiagnosticError) as caught:
        check(text, folder)
    (found,) = caught.value.diagnostics
    assert found.code == "E0503"
    return found.label


NET = 'import "part.cnn" as part\nnet whole = part(n=3)\n'
"""4x4 conv weights and biases: 3 * 9 + 3 = 30; fc: 6 * 6 * 3 * 2 + 2 = 218."""


def test_a_program_of_one_net_asserts_about_it(tmp_path: Path) -> None:
    check(NET + "assert params == 248 and layers == 2\n", tmp_path)
    assert refused(NET + "assert params == 247\n", tmp_path) == "params = 248"


def test_of_several_nets_it_is_the_one_that_the_program_is(tmp_path: Path) -> None:
    two = NET + "net other = part(n=1)\n"
    check(two + "assert params == 84\n", tmp_path)
    trained = "assert params == 248\ntrain whole { epochs: 1 }\n"
    check(two + trained, tmp_path)
    assert refused(two + trained.replace("248", "84"), tmp_path) == "params = 248"


def test_a_program_with_a_chain_asserts_about_the_chain(tmp_path: Path) -> None:
    text = NET + "input [2x2x1]\nfc 3\nassert params == 15\n"
    check(text, tmp_path)
    assert refused(text.replace("15", "248"), tmp_path) == "params = 15"


def test_a_patched_net_is_counted_as_patched(tmp_path: Path) -> None:
    net = 'import "part.cnn" as part\nnet whole = part { replace C: conv 2 5x5 }\n'
    check(net + "assert params == 2*26 + 4*4*2*2 + 2\n", tmp_path)
