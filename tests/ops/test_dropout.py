"""The dropout mask: which elements it drops, and of what that is a function."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.random import STREAMS, DropoutMaskAttrs, dropout_mask, philox
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.support.diagnostics import TypeRuleError

SCALAR = TensorType(DType.I64, ())


def mask(kind: TensorType, rate: float, *, key: int = 1, step: int = 0, stream: int = 0) -> Array:
    graph = Graph("mask")
    b = Builder(graph)
    operands = [b.emit(input_, attrs=InputAttrs(SCALAR), name=name) for name in ("key", "step")]
    graph.outputs["mask"] = b.emit(
        dropout_mask, *operands, attrs=DropoutMaskAttrs(kind, rate, stream)
    )
    return evaluate(graph, {"key": np.asarray(key), "step": np.asarray(step)})["mask"]


def test_the_mask_is_the_generator_below_a_threshold() -> None:
    found = mask(f32(3, 3), 0.25, key=5 - 2**40, step=7 + 2**33, stream=4)
    key = (5 - 2**40) % 2**64
    words = [int(philox((i // 4, 4, 7, 2), (key % 2**32, key >> 32))[i % 4]) for i in range(9)]
    expected = [0.0 if word < 2**30 else 4 / 3 for word in words]
    assert np.array_equal(found.reshape(-1), np.asarray(expected, dtype=np.float32))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1), st.floats(0.0, 0.99))
def test_precision_and_shape_do_not_change_which_elements_are_dropped(
    key: int, step: int, rate: float
) -> None:
    narrow = mask(f32(2, 9), rate, key=key, step=step)
    wide = mask(TensorType(DType.F64, (18,)), rate, key=key, step=step)
    assert np.array_equal(narrow.reshape(-1) == 0, wide == 0)
    assert set(np.unique(wide)) <= {0.0, 1 / (1 - rate)}


def test_the_share_of_zeros_is_the_rate() -> None:
    for rate in (0.1, 0.5, 0.8):
        zeros = float(np.mean(mask(f32(200_000), rate) == 0))
        assert abs(zeros - rate) < 4 * np.sqrt(rate * (1 - rate) / 200_000)


def test_the_mean_stays() -> None:
    assert abs(float(mask(f32(200_000), 0.5).mean()) - 1) < 0.01


def test_rate_0_drops_nothing() -> None:
    assert np.array_equal(mask(f32(50), 0.0), np.ones(50))


def test_each_step_key_and_stream_has_its_own_mask() -> None:
    first = mask(f32(10_000), 0.5)
    for other in (
        mask(f32(10_000), 0.5, step=1),
        mask(f32(10_000), 0.5, key=2),
        mask(f32(10_000), 0.5, stream=1),
        mask(f32(10_000), 0.5, step=2**32),
    ):
        assert 0.45 < float(np.mean(first == other)) < 0.55
    assert np.array_equal(first, mask(f32(10_000), 0.5))


@pytest.mark.parametrize(
    ("rate", "stream", "kind", "message"),
    [
        (1.0, 0, f32(3), "rate 1: it is at least 0 and less than 1"),
        (-0.1, 0, f32(3), "rate -0.1"),
        (0.5, STREAMS, f32(3), "stream 2147483648"),
        (0.5, 0, SCALAR, "i64"),
    ],
)
def test_what_makes_no_sense_is_refused(
    rate: float, stream: int, kind: TensorType, message: str
) -> None:
    with pytest.raises(TypeRuleError, match=message):
        dropout_mask.infer(DropoutMaskAttrs(kind, rate, stream), SCALAR, SCALAR)


def test_key_and_step_are_integer_scalars() -> None:
    with pytest.raises(TypeRuleError, match=r"both must be i64\[\]"):
        dropout_mask.infer(DropoutMaskAttrs(f32(3), 0.5), f32(), SCALAR)
