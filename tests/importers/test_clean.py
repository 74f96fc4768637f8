"""Cleaning a slide's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.importers.clean import clean


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[55x55x96] **CONV1**: 96 11x11 filters", "[55x55x96] CONV1: 96 11x11 filters"),
        ("$224*224*3=150K$", "224*224*3=150K"),
        ("$3 \\times 3/2$", "3x3/2"),
        ("$$(28 \\times 28 \\times 32)$$", "(28x28x32)"),
        ("$[(\\text{CONV-RELU})^* \\text{N}]$", "[(CONV-RELU)* N]"),
        ("$0 \\leq K \\leq 2$", "0 <= K <= 2"),
        ("- Pooling layers", "Pooling layers"),
        ("-> 16 - 19 layers", "-> 16 - 19 layers"),
        ("- 2x2 max-pooling", "- 2x2 max-pooling"),
        ("❖ AlexNet", "AlexNet"),
        ("#### GoogLeNet Model", "GoogLeNet Model"),
        ("CONV1: 192 5x5 filters , stride 1", "CONV1: 192 5x5 filters, stride 1"),
        ("64 x 3 x 11 x 11", "64x3x11x11"),
        ("D₁ x H/2 x W/2", "D1xH/2xW/2"),
        ("(*probability map*)", "(probability map)"),
        ("\u0412", "B"),
        ("Dense(64), 32x32 images x 3 classes", "Dense(64), 32x32 images x 3 classes"),
        ("the network is deep", "the network is deep"),
    ],
)
def test_one_line(before: str, after: str) -> None:
    assert clean(before).lines == (after,)


def test_repairs_say_what_and_where() -> None:
    found = clean("plain\n**CONV1**: $3 \\times 3$")
    assert [(r.line, r.what) for r in found.repairs] == [
        (2, "a formula's typesetting"),
        (2, "emphasis and links"),
        (2, "blanks inside a size"),
    ]
    assert found.repairs[-1].after == found.lines[1]


@given(st.text(alphabet="abxX ×*$\\{}[]()<>=-–#|\t\n0123456789.,:?±µ\u0412\u0e01", max_size=200))
def test_any_text_and_once_is_enough(text: str) -> None:
    once = clean(text).lines
    assert len(once) == text.count("\n") + 1
    assert len(clean("\n".join(once)).lines) == len(once)
