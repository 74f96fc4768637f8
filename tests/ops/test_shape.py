"""Ops that move elements: against NumPy, round trips, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import vjp
from cnndsl.ops.shape import (
    BroadcastToAttrs,
    ConcatAttrs,
    ReshapeAttrs,
    SliceAttrs,
    SliceGradAttrs,
    SplitAttrs,
    TransposeAttrs,
    broadcast_to,
    concat,
    emit_reshape,
    reshape,
    slice_,
    slice_grad,
    split,
    transpose,
)
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.support.diagnostics import TypeRuleError
from tests.ops.apply import apply, apply_all, gradients


@given(st.permutations(range(4)))
def test_transposing_back_gives_the_array_back(order: list[int]) -> None:
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    moved = apply(transpose, x, attrs=TransposeAttrs(tuple(order)))
    assert np.array_equal(moved, x.transpose(order))
    back = gradients(transpose, x, attrs=TransposeAttrs(tuple(order)), weights=moved)[0]
    assert np.array_equal(back, x)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 2))
def test_concat_undoes_split(sizes: list[int], axis: int) -> None:
    shape = [2, 3, 2]
    shape[axis] = sum(sizes)
    x = np.arange(float(np.prod(shape))).reshape(shape)
    parts = apply_all(split, x, attrs=SplitAttrs(axis, tuple(sizes)))
    assert [part.shape[axis] for part in parts] == sizes
    assert np.array_equal(apply(concat, *parts, attrs=ConcatAttrs(axis)), x)


def test_a_part_that_nothing_reads_counts_as_zeros() -> None:
    graph = Graph("split")
    b = Builder(graph)
    x = b.emit(input_, attrs=InputAttrs(f32(2, 3)), name="x")
    grad = b.emit(input_, attrs=InputAttrs(f32(2, 1)), name="g")
    parts = b.emit_all(split, x, attrs=SplitAttrs(1, (2, 1)))
    found = vjp[split](b, graph[parts[0]], None, grad)[0]
    assert found is not None
    values = evaluate_values(graph, [found], {"g": np.asarray([[5.0], [6.0]])})
    assert values[found].tolist() == [[0, 0, 5], [0, 0, 6]]


@st.composite
def boxes(draw: st.DrawFn) -> tuple[tuple[int, int], SliceAttrs]:
    """Draw a shape and a slice of it."""
    shape, starts, stops, steps = [], [], [], []
    for _ in range(2):
        length = draw(st.integers(1, 7))
        start = draw(st.integers(0, length - 1))
        shape.append(length)
        starts.append(start)
        stops.append(draw(st.integers(start + 1, length)))
        steps.append(draw(st.integers(1, 4)))
    return (shape[0], shape[1]), SliceAttrs(tuple(starts), tuple(stops), tuple(steps))


@given(boxes())
def test_slices_are_those_of_numpy(case: tuple[tuple[int, int], SliceAttrs]) -> None:
    shape, attrs = case
    x = np.arange(1.0, 1.0 + shape[0] * shape[1]).reshape(shape)
    index = tuple(map(slice, attrs.starts, attrs.stops, attrs.steps))
    found = apply(slice_, x, attrs=attrs)
    assert np.array_equal(found, x[index])
    back = gradients(slice_, x, attrs=attrs, weights=found)[0]
    expected = np.zeros(shape)
    expected[index] = x[index]
    assert np.array_equal(back, expected)


def test_broadcast_repeats_and_its_gradient_sums() -> None:
    attrs = BroadcastToAttrs((2, 3))
    assert apply(broadcast_to, [[1.0], [2.0]], attrs=attrs).tolist() == [[1] * 3, [2] * 3]
    weights = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert gradients(broadcast_to, [[1.0], [2.0]], attrs=attrs, weights=weights)[0].tolist() == [
        [6],
        [15],
    ]
    assert gradients(broadcast_to, 1.0, attrs=attrs, weights=weights)[0] == 21


def test_a_reshape_to_the_same_shape_is_not_emitted() -> None:
    graph = Graph("same")
    b = Builder(graph)
    x = b.emit(input_, attrs=InputAttrs(f32(2, 3)), name="x")
    assert emit_reshape(b, x, (2, 3)) == x
    assert graph.type_of(emit_reshape(b, x, (6,))) == f32(6)


REFUSED: list[tuple[Op[Any], Attrs, tuple[TensorType, ...], str]] = [
    (reshape, ReshapeAttrs((4, 2)), (f32(2, 3),), "4 x 2 = 8 elements, not 6"),
    (reshape, ReshapeAttrs((-2, -3)), (f32(2, 3),), "reshape"),
    (reshape, ReshapeAttrs(()), (f32(2),), "1 = 1 elements, not 2"),
    (transpose, TransposeAttrs((0, 0)), (f32(2, 3),), "not an order of the axes"),
    (transpose, TransposeAttrs((0,)), (f32(2, 3),), "not an order of the axes"),
    (concat, ConcatAttrs(0), (), "concat of nothing"),
    (concat, ConcatAttrs(2), (f32(2, 3),), "has axes 0 to 1"),
    (concat, ConcatAttrs(1), (f32(2, 3), f32(3, 3)), "the other axes"),
    (concat, ConcatAttrs(1), (f32(2, 3), f32(2, 3, 1)), "the other axes"),
    (split, SplitAttrs(1, (1, 1)), (f32(2, 3),), r"1 \+ 1 = 2; the axis has 3"),
    (split, SplitAttrs(1, (3, 0)), (f32(2, 3),), "split"),
    (slice_, SliceAttrs((0,), (1,)), (f32(2, 3),), "for each axis"),
    (slice_, SliceAttrs((0, 2), (2, 4)), (f32(2, 3),), "2:4:1 lies outside axis 1, 0 to 3"),
    (slice_, SliceAttrs((1, 0), (1, 3)), (f32(2, 3),), "1:1:1"),
    (slice_, SliceAttrs((0, 0), (2, 3), (1, 0)), (f32(2, 3),), "0:3:0"),
    (slice_grad, SliceGradAttrs((4,), (0,), (2,)), (f32(3),), r"gives f32\[2\]"),
    (broadcast_to, BroadcastToAttrs((2, 3)), (f32(2, 2),), "only axes of length 1"),
    (broadcast_to, BroadcastToAttrs((2, 3)), (f32(3),), "only axes of length 1"),
]


@pytest.mark.parametrize(("op", "attrs", "operands", "message"), REFUSED)
def test_what_does_not_fit_is_refused(
    op: Op[Any], attrs: Attrs, operands: tuple[TensorType, ...], message: str
) -> None:
    with pytest.raises(TypeRuleError, match=message):
        op.infer(attrs, *operands)
