"""Padding against NumPy's, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cnndsl.ir.types import f32
from cnndsl.ops.pad import MODES, PadAttrs, PadGradAttrs, pad, pad_grad
from cnndsl.support.diagnostics import TypeRuleError
from tests.ops.apply import apply, gradients

amounts = st.tuples(st.integers(0, 2), st.integers(0, 3))


@given(st.sampled_from(MODES), amounts, amounts)
def test_modes_are_those_of_numpy(mode: str, lo: tuple[int, int], hi: tuple[int, int]) -> None:
    assume(mode != "reflect" or max(lo[0], hi[0]) <= 2)
    x = np.arange(12.0).reshape(3, 4)
    widths = list(zip(lo, hi, strict=True))
    expected = np.pad(x, widths, mode=mode)  # type: ignore[call-overload]
    attrs = PadAttrs(lo, hi, mode)
    assert np.array_equal(apply(pad, x, attrs=attrs), expected)
    # Every element's gradient is how often it was taken.
    taken = gradients(pad, x, attrs=attrs)[0]
    counts = [int(np.sum(expected == number)) for number in x.reshape(-1)]
    if mode == "constant":
        assert np.array_equal(taken, np.ones((3, 4)))
    else:
        assert taken.reshape(-1).tolist() == counts


def test_the_value_of_a_constant() -> None:
    found = apply(pad, [1.0], attrs=PadAttrs((1,), (2,), value=-np.inf))
    assert found.tolist() == [-np.inf, 1, -np.inf, -np.inf]


@pytest.mark.parametrize(
    ("attrs", "message"),
    [
        (PadAttrs((1,), (0,)), "for each axis"),
        (PadAttrs((-1, 0), (0, 0)), "0 or more"),
        (PadAttrs((3, 0), (0, 0), "reflect"), "axis 0 has 3 elements, which is 2 beside the edge"),
        (PadAttrs((0, 0), (0, 0), "wrap"), "has no mode 'wrap'; it has constant, edge, reflect"),
    ],
)
def test_what_makes_no_sense_is_refused(attrs: PadAttrs, message: str) -> None:
    with pytest.raises(TypeRuleError, match=message):
        pad.infer(attrs, f32(3, 4))


def test_a_gradient_of_another_shape_is_refused() -> None:
    with pytest.raises(TypeRuleError, match="does not undo"):
        pad_grad.infer(PadGradAttrs((3,), PadAttrs((1,), (1,), "edge")), f32(4))
