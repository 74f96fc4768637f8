"""Matrix products: matmul and the dense layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add, broadcast_types, float_type
from cnndsl.ops.reduce import ReduceAttrs, reduce_sum
from cnndsl.ops.rules import Array, Cost, Sample, cost, reference, samples, vjp
from cnndsl.ops.scalar import NumpyScalars, ScalarProgram, ScalarStep
from cnndsl.support.diagnostics import TypeRuleError, VerifyError


@dataclass(frozen=True, slots=True)
class MatmulAttrs(Attrs):
    """Attributes of `matmul`."""

    transpose_a: bool = False
    """Whether the last two axes of the first operand change places first."""
    transpose_b: bool = False
    """Whether the last two axes of the second operand change places first."""


def _matrix(x: TensorType, *, transpose: bool) -> tuple[int, int]:
    rows, columns = x.shape[-2:]
    return (columns, rows) if transpose else (rows, columns)


@define_op("matmul")
def matmul(attrs: MatmulAttrs, a: TensorType, b: TensorType) -> TensorType:
    """The matrix product over the last two axes; leading axes are a batch and must be equal."""
    if a.rank < 2 or a.rank != b.rank or a.shape[:-2] != b.shape[:-2] or a.dtype != b.dtype:
        raise TypeRuleError(
            f"matmul of {a} and {b}: two matrices, or batches of them with equal leading axes"
        )
    rows, inner = _matrix(a, transpose=attrs.transpose_a)
    other, columns = _matrix(b, transpose=attrs.transpose_b)
    if inner != other:
        raise TypeRuleError(
            f"matmul of {a} and {b}: {rows} x {inner} times {other} x {columns}, "
            f"and {inner} is not {other}"
        )
    return float_type("matmul", a.with_shape((*a.shape[:-2], rows, columns)))


@reference.rule(matmul)
def matmul_reference(node: Node[MatmulAttrs], a: Array, b: Array) -> Array:
    """Multiply with BLAS."""
    left = np.swapaxes(a, -1, -2) if node.attrs.transpose_a else a
    right = np.swapaxes(b, -1, -2) if node.attrs.transpose_b else b
    return np.asarray(left @ right)


def emit_matmul(
    b: Builder, x: Value, y: Value, *, transpose_a: bool = False, transpose_b: bool = False
) -> Value:
    """Emit a matrix product of `x` and `y`, each transposed if so asked."""
    return b.emit(matmul, x, y, attrs=MatmulAttrs(transpose_a, transpose_b))


@vjp.rule(matmul)
def matmul_vjp(b: Builder, node: Node[MatmulAttrs], grad: Value) -> Sequence[Value]:
    """Give dA = dC B' and dB = A' dC, with the transposes that the operands had."""
    x, y = node.operands
    ta, tb = node.attrs.transpose_a, node.attrs.transpose_b
    if ta:
        first = emit_matmul(b, y, grad, transpose_a=tb, transpose_b=True)
    else:
        first = emit_matmul(b, grad, y, transpose_b=not tb)
    if tb:
        second = emit_matmul(b, grad, x, transpose_a=True, transpose_b=ta)
    else:
        second = emit_matmul(b, x, grad, transpose_a=not ta)
    return (first, second)


@cost.rule(matmul)
def matmul_cost(node: Node[MatmulAttrs], operands: Sequence[TensorType]) -> Cost:
    """One multiply-add for each element of the result and inner index."""
    inner = _matrix(operands[0], transpose=node.attrs.transpose_a)[1]
    return _product_cost(node, operands, node.type.size * inner)


def _product_cost(node: Node[Any], operands: Sequence[TensorType], macs: int) -> Cost:
    return Cost(
        flops=2 * macs,
        macs=macs,
        bytes_read=sum(kind.nbytes for kind in operands),
        bytes_written=sum(kind.nbytes for kind in node.types),
    )


@samples.rule(matmul)
def matmul_samples() -> Iterable[Sample]:
    """Each transpose, batches, inner and outer lengths of 1."""
    yield Sample((f32(2, 3), f32(3, 4)))
    yield Sample((f32(3, 2), f32(3, 4)), MatmulAttrs(transpose_a=True))
    yield Sample((f32(2, 3), f32(4, 3)), MatmulAttrs(transpose_b=True))
    yield Sample((f32(3, 2), f32(4, 3)), MatmulAttrs(transpose_a=True, transpose_b=True))
    yield Sample((f32(2, 3, 2, 4), f32(2, 3, 4, 1)))
    yield Sample((f32(2, 1, 3), f32(2, 1, 2)), MatmulAttrs(transpose_a=True))
    yield Sample((f32(1, 1), f32(1, 1)))


# --- dense


@dataclass(frozen=True, slots=True)
class DenseAttrs(Attrs):
    """Attributes of `dense`."""

    has_bias: bool = True
    """Whether the third operand is a bias."""
    epilogue: ScalarProgram | None = None
    """What is done to each element afterwards: its input 0 is the sum, the others are the operands
    after the bias. Put there by a pass; never differentiated."""


def check_epilogue(
    name: str, epilogue: ScalarProgram | None, result: TensorType, extras: int
) -> None:
    """Raise `TypeRuleError` unless `epilogue` takes a result and `extras` more operands."""
    expected = epilogue.inputs - 1 if epilogue else 0
    if extras != expected:
        raise TypeRuleError(
            f"{name} giving {result} has {extras} operands for its epilogue, which takes {expected}"
        )


@define_op("dense")
def dense(attrs: DenseAttrs, x: TensorType, weight: TensorType, *rest: TensorType) -> TensorType:
    """The layer x W' + bias: x [N, in], weight [out, in], bias [out] if there is one.

    Operands after the bias belong to the epilogue and broadcast to the result [N, out].
    """
    if x.rank != 2 or weight.rank != 2 or x.dtype != weight.dtype:
        raise TypeRuleError(f"dense of {x} with the weight {weight}: both must be matrices")
    if x.shape[1] != weight.shape[1]:
        raise TypeRuleError(
            f"dense of {x} with the weight {weight}: {x.shape[1]} inputs arrive, "
            f"the weight takes {weight.shape[1]}"
        )
    result = float_type("dense", x.with_shape((x.shape[0], weight.shape[0])))
    bias, extras = rest[: attrs.has_bias], rest[attrs.has_bias :]
    if len(bias) != attrs.has_bias or any(b != x.with_shape(weight.shape[:1]) for b in bias):
        given = ", ".join(map(str, bias)) or "no bias"
        raise TypeRuleError(
            f"dense with the weight {weight} needs the bias {x.with_shape(weight.shape[:1])}; "
            f"given {given}"
        )
    check_epilogue("dense", attrs.epilogue, result, len(extras))
    if broadcast_types("dense", result, *extras) != result:
        raise TypeRuleError(f"an operand of dense's epilogue is larger than its result {result}")
    return result


@reference.rule(dense)
def dense_reference(node: Node[DenseAttrs], x: Array, weight: Array, *rest: Array) -> Array:
    """Multiply, add the bias in place, run the epilogue."""
    result = x @ weight.T
    if node.attrs.has_bias:
        result += rest[0]
    if node.attrs.epilogue is None:
        return np.asarray(result)
    return run_epilogue(node.attrs.epilogue, result, *rest[node.attrs.has_bias :])


def run_epilogue(epilogue: ScalarProgram, result: Array, *extras: Array) -> Array:
    """Run an epilogue on whole arrays."""
    done = epilogue(NumpyScalars(result.dtype), result, *extras)
    return done if done.shape == result.shape else np.broadcast_to(done, result.shape)


@vjp.rule(dense)
def dense_vjp(b: Builder, node: Node[DenseAttrs], grad: Value) -> Sequence[Value]:
    """Give dx = dy W, dW = dy' x, dbias = the sum of dy over the batch."""
    if node.attrs.epilogue is not None:
        raise VerifyError(f"{node.id} has an epilogue, and fusion comes after differentiation")
    x, weight, *bias = node.operands
    grads = [
        emit_matmul(b, grad, weight),
        emit_matmul(b, grad, x, transpose_a=True),
    ]
    if bias:
        grads.append(b.emit(reduce_sum, grad, attrs=ReduceAttrs((0,))))
    return grads


@cost.rule(dense)
def dense_cost(node: Node[DenseAttrs], operands: Sequence[TensorType]) -> Cost:
    """The product's multiply-adds; bias and epilogue add one operation a step and element."""
    macs = node.type.size * operands[0].shape[1]
    steps = len(node.attrs.epilogue.steps) if node.attrs.epilogue else 0
    extra = Cost(flops=node.type.size * (steps + node.attrs.has_bias))
    return _product_cost(node, operands, macs) + extra


@samples.rule(dense)
def dense_samples() -> Iterable[Sample]:
    """With and without bias, one input, one output, with epilogues."""
    yield Sample((f32(2, 3), f32(4, 3), f32(4)))
    yield Sample((f32(2, 3), f32(4, 3)), DenseAttrs(has_bias=False))
    yield Sample((f32(3, 1), f32(1, 1), f32(1)))
    activate = ScalarProgram(1, (ScalarStep(relu, Attrs(), (0,)),))
    yield Sample((f32(2, 3), f32(4, 3), f32(4)), DenseAttrs(epilogue=activate), differentiable=())
    steps = (ScalarStep(add, Attrs(), (0, 1)), ScalarStep(relu, Attrs(), (2,)))
    residual = DenseAttrs(has_bias=False, epilogue=ScalarProgram(2, steps))
    yield Sample((f32(2, 3), f32(4, 3), f32(2, 4)), residual, differentiable=())
    yield Sample((f32(2, 3), f32(4, 3), f32(1, 4)), residual, differentiable=())
