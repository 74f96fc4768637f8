"""Every op against its own claims: types, precision, gradients, traits."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import cnndsl.ops  # noqa: F401 - defines the ops
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, NodeId, Value
from cnndsl.ir.op import OPS, Attrs, Op, Trait
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.evaluate import attrs_in_precision, evaluate_values, type_in_precision
from cnndsl.ops.rules import (
    Array,
    Sample,
    compute,
    cost_of,
    decompose,
    no_gradient,
    reference,
    samples,
    vjp,
)
from cnndsl.ops.scalar import scalar
from cnndsl.ops.structural import InputAttrs, input_

STEP = 1e-5
ELEMENTS = 48
"""Elements of an operand that are moved one by one; of larger ones as many are drawn."""

OPERATIONS = [op for op in OPS.values() if Trait.STRUCTURAL not in op.traits]


def draw(op: Op[Any], index: int, sample: Sample) -> list[Array]:
    """Draw the operands of a sample in float64, the same at every call."""
    rng = np.random.default_rng([zlib.crc32(op.name.encode()), index])
    return [draw_operand(rng, kind, sample) for kind in sample.operands]


def draw_operand(rng: np.random.Generator, kind: TensorType, sample: Sample) -> Array:
    if kind.dtype is DType.BOOL:
        return rng.integers(0, 2, kind.shape).astype(np.bool_)
    if not kind.dtype.is_float:
        return rng.integers(0, sample.integers, kind.shape).astype(kind.dtype.numpy)
    if sample.distinct:
        spread = max(sample.high - sample.low, 0.02 * kind.size)
        steps = rng.permutation(kind.size) + 0.5 * rng.random(kind.size)
        array = (sample.low + steps * (spread / max(kind.size, 1))).reshape(kind.shape)
    else:
        array = rng.uniform(sample.low, sample.high, kind.shape)
    for point in sample.avoid:
        near = np.abs(array - point) < 0.01
        array = np.where(near, point + np.where(array < point, -0.02, 0.02), array)
    return np.asarray(array)


def as_type(array: Array, kind: TensorType) -> Array:
    return array.astype(kind.dtype.numpy) if kind.dtype.is_float else array


def build(op: Op[Any], sample: Sample, dtype: DType) -> tuple[Graph, Node[Any]]:
    """Make a graph of the op over inputs "x0", "x1", ... in a precision."""
    graph = Graph("sample")
    b = Builder(graph)
    operands = [
        b.emit(input_, attrs=InputAttrs(type_in_precision(kind, dtype)), name=f"x{index}")
        for index, kind in enumerate(sample.operands)
    ]
    attrs = sample.attrs
    if type(attrs) is Attrs:
        attrs = op.attrs()
    results = b.emit_all(op, *operands, attrs=attrs_in_precision(attrs, dtype), name="node")
    return graph, graph[results[0]]


def gap(found: Array, expected: Array) -> float:
    """Give the largest difference relative to the largest magnitude, or to 1 below that."""
    if found.size == 0:
        return 0.0
    scale = max(1.0, float(np.max(np.abs(expected.astype(np.float64)))))
    return float(np.max(np.abs(found.astype(np.float64) - expected.astype(np.float64)))) / scale


def gradient_operands(op: Op[Any], sample: Sample) -> tuple[int, ...]:
    floats = tuple(i for i, kind in enumerate(sample.operands) if kind.dtype.is_float)
    if op not in vjp:
        return ()
    return floats if sample.differentiable is None else sample.differentiable


def check_types(op: Op[Any], index: int, sample: Sample) -> None:
    """The reference returns what the type rule promises, before `compute` converts it."""
    for dtype in (DType.F32, DType.F64):
        _, node = build(op, sample, dtype)
        arrays = [
            as_type(array, type_in_precision(kind, dtype))
            for array, kind in zip(draw(op, index, sample), sample.operands, strict=True)
        ]
        copies = [array.copy() for array in arrays]
        raw = reference[op](node, *arrays)
        for array, kind in zip(raw if isinstance(raw, tuple) else (raw,), node.types, strict=True):
            assert array.shape == kind.shape
            assert array.dtype == kind.dtype.numpy
        for array, copy in zip(arrays, copies, strict=True):
            assert np.array_equal(array, copy), "the reference changed its operand"


def check_precision(op: Op[Any], index: int, sample: Sample) -> None:
    """Single precision agrees with double precision, and both are finite."""
    operands = [
        as_type(array.astype(np.float32) if kind.dtype.is_float else array, kind)
        for array, kind in zip(draw(op, index, sample), sample.operands, strict=True)
    ]
    _, single = build(op, sample, DType.F32)
    _, double = build(op, sample, DType.F64)
    wide = [
        as_type(array, type_in_precision(kind, DType.F64))
        for array, kind in zip(operands, sample.operands, strict=True)
    ]
    results = zip(compute(single, *operands), compute(double, *wide), strict=True)
    for narrow, exact in results:
        assert np.all(np.isfinite(exact))
        assert gap(narrow, exact) <= sample.tolerance


def check_gradient(op: Op[Any], index: int, sample: Sample, operand: int) -> None:
    """The vjp equals central differences of a random weighting of the results."""
    graph, node = build(op, sample, DType.F64)
    arrays = draw(op, index, sample)
    feeds = {f"x{i}": array for i, array in enumerate(arrays)}
    rng = np.random.default_rng(index)
    b = Builder(graph)
    weights: dict[Value, Array] = {}
    for value, kind in zip(node.results, node.types, strict=True):
        if kind.dtype.is_float:
            name = f"g{value.index}"
            feeds[name] = rng.uniform(-1, 1, kind.shape)
            weights[value] = feeds[name]
            b.emit(input_, attrs=InputAttrs(kind), name=name)
    grads = [Value(NodeId(f"g{v.index}")) if v in weights else None for v in node.results]
    found = vjp[op](b, node, *grads)[operand]
    gradient = np.zeros_like(arrays[operand])  # what None claims
    if found is not None:
        assert graph.type_of(found) == type_in_precision(sample.operands[operand], DType.F64)
        gradient = evaluate_values(graph, [found], feeds)[found]

    def total(moved: Array) -> float:
        values = compute(node, *arrays[:operand], moved, *arrays[operand + 1 :])
        return sum(float(np.sum(weights[v] * values[v.index])) for v in weights)

    flat = arrays[operand].reshape(-1)
    chosen = rng.permutation(flat.size)[:ELEMENTS]
    numeric = np.empty(len(chosen))
    for row, element in enumerate(chosen):
        up, down = flat.copy(), flat.copy()
        up[element] += STEP
        down[element] -= STEP
        shape = arrays[operand].shape
        numeric[row] = (total(up.reshape(shape)) - total(down.reshape(shape))) / (2 * STEP)
    assert gap(gradient.reshape(-1)[chosen], numeric) < 1e-6


def check_traits(op: Op[Any], index: int, sample: Sample) -> None:
    """The traits and the rules that come with them hold."""
    _, node = build(op, sample, DType.F64)
    arrays = draw(op, index, sample)
    results = compute(node, *arrays)
    if Trait.COMMUTATIVE in op.traits:
        assert np.array_equal(results[0], compute(node, *reversed(arrays))[0])
    if Trait.VIEW in op.traits:
        assert np.array_equal(results[0].reshape(-1), arrays[0].reshape(-1))
    if Trait.ELEMENTWISE in op.traits:
        shapes = [array.shape for array in arrays]
        assert results[0].shape == np.broadcast_shapes(*shapes)
    price = cost_of(node, sample.operands)
    assert min(price.flops, price.macs, price.bytes_read, price.bytes_written) >= 0
    assert price.flops >= 2 * price.macs


def check_decomposition(op: Op[Any], index: int, sample: Sample) -> None:
    """The simpler ops give what the op gives."""
    graph, node = build(op, sample, DType.F64)
    values = decompose[op](Builder(graph), node)
    arrays = draw(op, index, sample)
    found = evaluate_values(graph, values, {f"x{i}": a for i, a in enumerate(arrays)})
    for value, expected in zip(values, compute(node, *arrays), strict=True):
        assert gap(found[value], expected) < 1e-12


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
def test_op_keeps_its_claims(op: Op[Any]) -> None:
    checks = 0
    cases = list(samples[op]())
    for index, sample in enumerate(cases):
        check_types(op, index, sample)
        check_precision(op, index, sample)
        check_traits(op, index, sample)
        checks += 3
        if op in decompose:
            check_decomposition(op, index, sample)
            checks += 1
        for operand in gradient_operands(op, sample):
            check_gradient(op, index, sample, operand)
            checks += 1
    gradients = sum(len(gradient_operands(op, sample)) for sample in cases)
    assert checks == len(cases) * (3 + (op in decompose)) + gradients
    assert checks >= 3
    assert gradients > 0 or op in no_gradient, "no gradient is ever checked"


def test_every_op_has_its_rules() -> None:
    assert {op.name for op in reference.missing()} == {"input", "parameter"}
    assert [op.name for op in OPERATIONS if op not in samples] == []
    assert [op.name for op in OPERATIONS if op not in vjp and op not in no_gradient] == []
    assert [op.name for op in no_gradient if op in vjp] == []


def test_elementwise_ops_are_those_with_a_scalar_rule() -> None:
    trait = {op.name for op in OPERATIONS if Trait.ELEMENTWISE in op.traits}
    rule = {op.name for op in OPERATIONS if op in scalar}
    assert trait - rule == {"fused_elementwise"}
    assert rule - trait == set()


def test_inplace_ops_can_write_over_their_first_operand() -> None:
    for op in OPERATIONS:
        if Trait.INPLACE in op.traits:
            found = [build(op, sample, DType.F32)[1].type for sample in samples[op]()]
            assert any(
                kind == sample.operands[0]
                for kind, sample in zip(found, samples[op](), strict=True)
            )


def test_the_walk_finds_a_wrong_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    relu, tanh = OPS["relu"], OPS["tanh"]
    sample = Sample((TensorType(DType.F32, (5,)),), avoid=(0.0,))
    check_gradient(relu, 0, sample, 0)
    monkeypatch.setitem(vjp._rules, relu, vjp[tanh])
    with pytest.raises(AssertionError):
        check_gradient(relu, 0, sample, 0)


def test_drawn_operands_keep_their_promises() -> None:
    kind = TensorType(DType.F32, (5, 7))
    rng = np.random.default_rng(0)
    distinct = np.sort(draw_operand(rng, kind, Sample((kind,), distinct=True)).reshape(-1))
    assert np.min(np.diff(distinct)) >= 0.01
    away = draw_operand(rng, kind, Sample((kind,), low=-0.1, high=0.1, avoid=(0.0,)))
    assert np.min(np.abs(away)) >= 0.01
    whole = draw_operand(rng, kind.with_dtype(DType.I64), replace(Sample((kind,)), integers=3))
    assert set(whole.reshape(-1).tolist()) == {0, 1, 2}
