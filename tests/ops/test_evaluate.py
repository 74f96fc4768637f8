"""The evaluator: feeds, precision, and computing no more than was asked."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.evaluate import attrs_in_precision, evaluate, evaluate_values
from cnndsl.ops.linalg import matmul
from cnndsl.ops.rules import Array
from cnndsl.ops.shape import SplitAttrs, full_like, split
from cnndsl.ops.structural import ConstantAttrs, InputAttrs, ParameterAttrs, constant, parameter
from cnndsl.ops.structural import input_ as input_op
from cnndsl.ops.unary import CastAttrs, cast

TENTHS = np.asarray([[0.1, 0.2, 0.3]], dtype=np.float32)


def small_graph() -> Graph:
    """Make y = x W + c, with an update of W and an output that needs no feed."""
    graph = Graph("small")
    b = Builder(graph)
    x = b.emit(input_op, attrs=InputAttrs(f32(2, 3)), name="x")
    w = b.emit(parameter, attrs=ParameterAttrs(f32(3, 3)), name="w")
    c = b.emit(constant, attrs=ConstantAttrs.of(TENTHS), name="c")
    graph.outputs["y"] = b.emit(add, b.emit(matmul, x, w), c)
    graph.outputs["three"] = full_like(b, 3.0, f32())
    graph.updates[NodeId("w")] = b.emit(mul, w, graph.outputs["three"])
    return graph


def feeds() -> dict[str, Array]:
    rng = np.random.default_rng(3)
    return {"x": rng.normal(size=(2, 3)), "w": rng.normal(size=(3, 3))}


def test_outputs_come_by_name_in_the_graphs_precision() -> None:
    given = feeds()
    found = evaluate(small_graph(), given)
    expected = given["x"] @ given["w"] + [[0.1, 0.2, 0.3]]
    assert list(found) == ["y", "three"]
    assert found["y"].dtype == np.float32
    assert np.allclose(found["y"], expected, rtol=1e-5)
    assert found["three"] == 3.0


def test_another_precision_reaches_every_node() -> None:
    given = feeds()
    found = evaluate(small_graph(), given, dtype=DType.F64)["y"]
    expected = given["x"] @ given["w"] + TENTHS.astype(np.float64)
    assert found.dtype == np.float64
    assert np.array_equal(found, expected)


def test_only_what_is_needed_is_computed() -> None:
    graph = small_graph()
    found = evaluate_values(graph, graph.updates.values(), {"w": np.ones((3, 3))})
    assert [array.tolist() for array in found.values()] == [[[3.0] * 3] * 3]


def test_a_missing_feed_is_named() -> None:
    with pytest.raises(ValueError, match="no array is given for the parameter 'w'"):
        evaluate(small_graph(), {"x": np.zeros((2, 3))})


def test_a_feed_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'x' is f32\[2,3\]; an array of shape \(3, 2\)"):
        evaluate(small_graph(), {**feeds(), "x": np.zeros((3, 2))})


def test_several_results_are_told_apart() -> None:
    graph = Graph("parts")
    b = Builder(graph)
    x = b.emit(input_op, attrs=InputAttrs(f32(2, 3)), name="x")
    parts = b.emit_all(split, x, attrs=SplitAttrs(1, (1, 2)))
    array = np.arange(6.0).reshape(2, 3)
    found = evaluate_values(graph, reversed(parts), {"x": array})
    assert list(found) == list(reversed(parts))
    assert np.array_equal(found[parts[0]], array[:, :1])
    assert np.array_equal(found[parts[1]], array[:, 1:])


def test_attributes_change_their_float_types_alone() -> None:
    assert attrs_in_precision(CastAttrs(DType.F32), DType.F64) == CastAttrs(DType.F64)
    assert attrs_in_precision(CastAttrs(DType.I64), DType.F64) == CastAttrs(DType.I64)
    whole = ConstantAttrs.of(np.arange(3))
    assert attrs_in_precision(whole, DType.F32) == whole
    wide = attrs_in_precision(ConstantAttrs.of(np.asarray([1.5], dtype=np.float32)), DType.F64)
    assert wide == ConstantAttrs.of(np.asarray([1.5], dtype=np.float64))


def test_casts_stay_casts_in_another_precision() -> None:
    graph = Graph("cast")
    b = Builder(graph)
    x = b.emit(input_op, attrs=InputAttrs(TensorType(DType.U8, (2,))), name="x")
    graph.outputs["y"] = b.emit(cast, x, attrs=CastAttrs(DType.F32))
    found = evaluate(graph, {"x": np.asarray([3, 255])}, dtype=DType.F64)["y"]
    assert found.dtype == np.float64
    assert found.tolist() == [3.0, 255.0]
