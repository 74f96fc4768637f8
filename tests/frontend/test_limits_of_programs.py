"""Hostile and mistaken programs cost little and get a message."""

from __future__ import annotations

import pytest

from cnndsl.frontend.check import check
from cnndsl.support.diagnostics import Diagnostic
from cnndsl.support.limits import Limits

SMALL = Limits(max_layers=500)


def said(text: str, limits: Limits = SMALL) -> list[str]:
    found: tuple[Diagnostic, ...] = check(text, limits=limits)
    return [d.code for d in found]


DOUBLING = "block b0 { relu - relu }\n" + "".join(
    f"block b{i} {{ b{i - 1} - b{i - 1} }}\n" for i in range(1, 60)
)


@pytest.mark.parametrize(
    "text",
    [
        "relu*100000000000000000",
        "((relu*1000000)*1000000)*1000000",
        "let n = 1000000\nrelu*n",
        "repeat i in 1..100000 { relu }",
        "repeat 600 { relu }",
        "let n = 60000\nrepeat n { relu }",
        "repeat i in 1..90000 { repeat j in 1..90000 { let x = i } }",
        "((id | relu) - add)*400",
        f"{DOUBLING}b59",
        f"{DOUBLING}b59?",
        f"{DOUBLING}b59 if 1 == 1",
        "A1..99999: relu",
        "block b { relu*400 }\nb - b",
        "let n = 10^15\nrelu*n",
    ],
)
def test_networks_too_large_to_build(text: str) -> None:
    assert said(f"input [8]\n{text}") == ["E0602"]


def test_the_limit_is_the_embedders() -> None:
    text = "input [8]\nrelu*600"
    assert said(text) == ["E0602"]
    assert said(text, Limits(max_layers=600)) == []


def test_blocks_inside_blocks_too_deep() -> None:
    blocks = "".join(f"block b{i} {{ b{i + 1} }}\n" for i in range(70))
    assert said(f"{blocks}block b70 {{ fc 2 }}\ninput [8]\nb0") == ["E0604"]
    few = "".join(f"block b{i} {{ b{i + 1} }}\n" for i in range(40))
    assert said(f"{few}block b40 {{ fc 2 }}\ninput [8]\nb0") == []


def test_a_block_that_is_given_itself() -> None:
    assert said("block a(f) { f(f) }\ninput [8]\na(a)") == ["E0604"]


def test_brackets_inside_brackets() -> None:
    text = "input [8]\n" + "(" * 90 + "fc 2" + ")" * 90
    assert said(text) == ["E0604"]
    assert said("input [8]\n" + "(" * 40 + "fc 2" + ")" * 40) == []


def test_arrays_that_are_too_large() -> None:
    assert said("input [30000x30000x30]\nfc 2") == ["E0608"]
    assert said("input [1000000]\nfc 1000000") == ["E0608"]
    assert said("input [8x8x3]\npad 100000") == ["E0608"]


def test_settings_that_are_too_large() -> None:
    assert said("input [8x8x3]\nconv 99999999999 3x3") == ["E0207"]
    assert said("input [8x8x3]\nconv 3 3x3 stride 2147483647") == ["E0301"]


def test_a_loop_with_a_mistake_ends_soon() -> None:
    text = "input [8]\nrepeat i in 1..100000 { fcc i }"
    assert said(text, Limits()) == ["E0201"]


def test_many_different_mistakes_end_soon() -> None:
    text = "input [8]\n" + "\n".join(f"fcc{i} 3" for i in range(3000))
    assert len(said(text, Limits())) == 20


def test_messages_about_many_names_stay_short() -> None:
    lets = "\n".join(f"let name{i} = {i}" for i in range(3000))
    labels = "\n".join(f"l{i}: relu" for i in range(400))
    (found,) = check(f"{lets}\ninput [8]\n{labels}\nfrom lx - fc 2")
    assert found.code == "E0202"
    assert all(len(note.split("\n")) <= 13 for note in found.notes)
