"""Local response normalisation against the formula of AlexNet's paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.lrn import LrnAttrs, lrn, lrn_grad
from cnndsl.ops.rules import Array, compute
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.support.diagnostics import TypeRuleError


def run(attrs: LrnAttrs, x: Array) -> Array:
    """Run one node with its reference rule."""
    b = Builder(Graph("test"))
    value = b.emit(input_, attrs=InputAttrs(TensorType(DType.of(x.dtype), x.shape)))
    return compute(b.graph[b.emit(lrn, value, attrs=attrs)], x)[0]


@given(
    st.integers(1, 8),
    st.sampled_from([1, 3, 5, 9]),
    st.floats(0.0, 2.0),
    st.floats(0.0, 2.0),
    st.floats(0.5, 2.0),
)
def test_every_channel_is_divided_by_its_neighbourhood(
    channels: int, size: int, alpha: float, beta: float, k: float
) -> None:
    x = np.random.default_rng(1).normal(size=(2, channels, 2, 3))
    y = run(LrnAttrs(size, alpha, beta, k), x)
    for i in range(channels):
        low, high = max(0, i - size // 2), min(channels - 1, i + size // 2)
        total = sum(x[:, j] ** 2 for j in range(low, high + 1))
        np.testing.assert_allclose(y[:, i], x[:, i] / (k + alpha * total) ** beta, rtol=1e-12)


def test_the_defaults_are_those_of_the_paper() -> None:
    """A single channel at 10: 10/(2 + 0.0001*100)**0.75; alpha is not divided by the size."""
    assert LrnAttrs() == LrnAttrs(size=5, alpha=1e-4, beta=0.75, k=2.0)
    found = run(LrnAttrs(), np.full((1, 1, 1, 1), 10.0)).item()
    assert found == pytest.approx(10.0 / 2.01**0.75, rel=1e-12)


@pytest.mark.parametrize(
    ("attrs", "x", "message"),
    [
        (LrnAttrs(size=4), f32(1, 3, 2, 2), "only an odd number"),
        (LrnAttrs(size=-1), f32(1, 3, 2, 2), "only an odd number"),
        (LrnAttrs(k=0.0), f32(1, 3, 2, 2), "must stay above 0"),
        (LrnAttrs(alpha=-1.0), f32(1, 3, 2, 2), "must stay above 0"),
        (LrnAttrs(), f32(2, 3), r"an image \[N,C,H,W\]"),
    ],
)
def test_what_has_no_neighbourhood_is_refused(attrs: LrnAttrs, x: TensorType, message: str) -> None:
    with pytest.raises(TypeRuleError, match=message):
        lrn.infer(attrs, x)
    with pytest.raises(TypeRuleError, match=message):
        lrn_grad.infer(attrs, x, x)


def test_the_gradient_has_the_shape_of_the_image() -> None:
    with pytest.raises(TypeRuleError, match="its gradient is"):
        lrn_grad.infer(LrnAttrs(), f32(1, 3, 2, 2), f32(1, 3, 2, 3))
