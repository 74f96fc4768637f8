"""The numeric examples of the slides, run."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cnndsl.autodiff.backward import backward
from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType, TensorType
from cnndsl.layers.analysis import analyse
from cnndsl.ops.elementwise import add, emit_scalar, mul
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.train.metrics import Tally
from tests.acceptance.material import blocks
from tests.acceptance.numbers import program
from tests.acceptance.running import run

NINE = np.arange(9.0).reshape(3, 3)
KERNEL = "weights=[[0, 1], [2, 3]]"


def test_cross_correlation() -> None:
    """C-040: 0*0 + 1*1 + 3*2 + 4*3 = 19, 25, 37, 43."""
    made = run(f"input [3x3x1]; conv(1, {KERNEL})", NINE)
    np.testing.assert_array_equal(made, [[19, 25], [37, 43]])


def test_padded_cross_correlation() -> None:
    """C-041: the first entry is 0."""
    made = run(f"input [3x3x1]; conv(1, {KERNEL}, pad=1)", NINE)
    expected = [[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]]
    np.testing.assert_array_equal(made, expected)


def test_strided_cross_correlation() -> None:
    """C-042: strides 3 and 2 give 8 above right and 6 below left."""
    made = run(f"input [3x3x1]; conv(1, {KERNEL}, pad=1, stride=3x2, floor)", NINE)
    np.testing.assert_array_equal(made, [[0, 8], [6, 8]])


def test_pooling() -> None:
    """C-043: max(0, 1, 3, 4) = 4; the mean of the same window is 2."""
    np.testing.assert_array_equal(run("input [3x3x1]; maxpool 2x2/1", NINE), [[4, 5], [7, 8]])
    np.testing.assert_array_equal(run("input [3x3x1]; avgpool 2x2/1", NINE), [[2, 3], [5, 6]])


def test_pooling_at_stride_2() -> None:
    """C-044: the slide shows only the result, 6 8 / 3 4; its usual input gives it."""
    image = [[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]
    np.testing.assert_array_equal(run("input [4x4x1]; maxpool 2x2/2", image), [[6, 8], [3, 4]])


EDGE = "input [3x5x1]; conv(1, weights=[[1, -1]])"
ROWS = [1, 1, 0, 0, 0], [0, 1, 0, 0]


def test_vertical_edge() -> None:
    """C-045: rows 1 1 0 0 0 become 0 1 0 0."""
    before, after = ROWS
    np.testing.assert_array_equal(run(EDGE, [before] * 3), [after] * 3)


def test_printed_arrays() -> None:
    """N-21: two prints run into each other; every run of numbers is a row of X or of Y, cut or not.

    What X holds gives what Y holds, by the kernel before it in the lecture.
    """
    printed = re.findall(r"\[\s*((?:[01]\. )+)", blocks()["N-21"].text)
    found = [[int(number.strip(". ")) for number in row.split()] for row in printed]
    before, after = ROWS
    assert len(found) == 8
    assert before in found
    assert after in found
    assert all(row in (before[: len(row)], after[: len(row)]) for row in found)
    np.testing.assert_array_equal(run(EDGE, [before] * 3), [after] * 3)


def test_sharpening_leaves_a_constant_image() -> None:
    """C-046: the entries sum to 1."""
    sharpen = "input [5x5x1]; conv(1, weights=[[0, -1, 0], [-1, 5, -1], [0, -1, 0]])"
    np.testing.assert_array_equal(run(sharpen, np.full((5, 5), 7.0)), np.full((3, 3), 7.0))


def test_tanh_by_sigmoid() -> None:
    """C-047: tanh(x) = 2 sigm(2x) - 1."""
    x = np.linspace(-5, 5, 101)
    tanh = run("input [101]; tanh", x)
    np.testing.assert_allclose(tanh, 2 * run("input [101]; sigmoid", 2 * x) - 1, atol=1e-15)


@pytest.mark.parametrize(("a", "b"), [(2.0, 3.0), (-1.5, 0.25)])
def test_gradient_of_the_expression(a: float, b: float) -> None:
    """C-048: e = (a+b)*(b+1) has the gradients b+1 and a+2b+1."""
    graph = Graph("e")
    builder = Builder(graph)
    scalar = InputAttrs(TensorType(DType.F64, ()))
    x, y = (builder.emit(input_, attrs=scalar, name=name) for name in ("a", "b"))
    one = emit_scalar(builder, 1.0, x)
    e = builder.emit(mul, builder.emit(add, x, y), builder.emit(add, y, one))
    made, gradients = backward(graph, e, [x, y])
    feeds = {"a": np.array(a), "b": np.array(b)}
    found = evaluate_values(made, [gradients[x], gradients[y]], feeds)
    assert found[gradients[x]] == pytest.approx(b + 1)
    assert found[gradients[y]] == pytest.approx(a + 2 * b + 1)


@pytest.mark.parametrize(("k", "error"), [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.0), (5, 0.0)])
def test_top_k_of_the_example(k: int, error: float) -> None:
    """C-049, C-050, N-87: the label is ranked fourth."""
    tally = Tally(classes=5, top=k)
    tally.add(np.array([[0.61, 0.22, 0.11, 0.10, 0.03]]), np.array([3]), 0.0)
    assert 1.0 - tally.top_correct / tally.count == error
    line = f"Top-{k} error: {error} Top-{k} accuracy: {1 - error}"
    assert line in blocks()["N-87"].text


def test_inception_blocks() -> None:
    """C-192: nine blocks, of which each concatenates four paths."""
    reports = analyse(elaborate(parse(program("googlenet"))).network).layers
    joins = [r for r in reports if r.kind == "concat"]
    assert len(joins) == 9
    assert {len(r.inputs) for r in joins} == {4}
