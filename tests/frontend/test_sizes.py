"""Stated sizes: names and arithmetic in them, and what they are written as."""

from __future__ import annotations

import pytest

from cnndsl.frontend.check import check
from cnndsl.frontend.format import format_program
from cnndsl.frontend.parse import parse
from tests.frontend.elaborating import built, codes, wrong

HEAD = "param c = 3, h = 8, classes = 10\ninput [8x8x3]\n"


@pytest.mark.parametrize(
    "line",
    [
        "[classes] FC8: 10 neurons",
        "[classes] fc classes",
        "[2*classes] fc 20",
        "[h/2 x h/2 x c] maxpool",
        "[h / 2 x 4 x c] P: maxpool",
        "[8 x 8 x 2*c] conv 6 1x1",
        "conv 6 1x1 => [h x h x 2*c]",
        "conv 6 1x1 => [2*h - 8 x (h + 8)/2 x c + c]",
        "conv 6 1x1 => [2*c + 2 x 8 x (2^c - 2)]",
        "conv 6 1x1 => [8x8 x c*2]",
        "reshape [4 x 4*4 x c]",
        "CONV1: 6 1x1, [8 x 8 x 2*c]",
    ],
)
def test_arithmetic_in_a_size(line: str) -> None:
    assert built(HEAD + line).network.layers


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("[classes]  FC8 : 10 neurons", "[classes] FC8: 10 neurons"),
        ("relu => [ h/2  x 2 * c x (h+1) ]", "relu => [h/2 x 2*c x h + 1]"),
        ("relu => [h - 1 x (c - 1)*2 x c]", "relu => [h - 1 x (c - 1)*2 x c]"),
        ("relu => [(2^c) x (-h) x 8x8]", "relu => [(2^c) x (-h) x 8 x 8]"),
        ("relu => [2×c × h]", "relu => [2*c x h]"),
        ("input [H × W × 2*c]", "input [H x W x 2*c]"),
    ],
)
def test_a_size_is_written_plainly(line: str, shown: str) -> None:
    assert format_program(parse(line)).replace("  ", " ") == f"{shown}\n"
    assert parse(shown) == parse(line)


def test_a_size_must_hold() -> None:
    (found,) = wrong(f"{HEAD}conv 6 1x1 => [h x h x 3*c]")
    assert found.code == "E0302"
    assert "not the [h x h x 3*c] written here" in found.message
    assert found.label == "this is [8x8x9]"
    assert codes(f"{HEAD}conv 6 1x1 => [h/3 x h x 6]") == ["E0505"]
    assert codes(f"{HEAD}[nobody] fc 10") == ["E0208"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("[CONV-RELU] relu", "E0110"),
        ("[CONV-RELU] (relu)", "E0110"),
        ("[conv 3] A: relu", "E0110"),
        ("relu => [2^c x 8 x 3]", "E0107"),
    ],
)
def test_a_group_is_no_size_and_powers_stand_in_parentheses(line: str, code: str) -> None:
    assert [d.code for d in check(HEAD + line)] == [code]
