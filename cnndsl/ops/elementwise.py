"""Elementwise arithmetic of several operands: one block an op, written once as a scalar rule.

Operands of one rank broadcast along axes of length 1, and a scalar goes with anything.
Functions of one operand stand in unary.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, Trait, define_op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.reduce import unbroadcast
from cnndsl.ops.rules import Sample, samples, vjp
from cnndsl.ops.scalar import S, ScalarOps, scalar
from cnndsl.ops.shape import full_like
from cnndsl.support.diagnostics import TypeRuleError


def broadcast_types(name: str, *operands: TensorType) -> TensorType:
    """Give the type that operands broadcast to; `name` is the op's, for the message.

    Raises `TypeRuleError` for differing element types, ranks (scalars apart) or lengths.

    >>> str(broadcast_types("add", f32(2, 3), f32(1, 3), f32()))
    'f32[2,3]'
    """
    written = " and ".join(map(str, operands))
    whole = max(operands, key=lambda kind: kind.rank)
    shape = list(whole.shape)
    for kind in operands:
        if kind.dtype != whole.dtype:
            raise TypeRuleError(f"{name} of {written}: the element types differ")
        if kind.rank not in (0, whole.rank):
            raise TypeRuleError(f"{name} of {written}: {kind.rank} axes against {whole.rank}")
        for axis, length in enumerate(kind.shape):
            if shape[axis] == 1:
                shape[axis] = length
            elif length not in (1, shape[axis]):
                raise TypeRuleError(
                    f"{name} of {written}: axis {axis} has {shape[axis]} and {length} elements"
                )
    return whole.with_shape(tuple(shape))


def float_type(name: str, x: TensorType) -> TensorType:
    """Give `x` back; raises `TypeRuleError` unless its elements are floats."""
    if not x.dtype.is_float:
        raise TypeRuleError(f"{name} of {x}: the elements must be floats")
    return x


def operand_gradients(
    b: Builder, node: Node[Any], *grads: Value | None
) -> tuple[Value | None, ...]:
    """Sum gradients of the result's shape down to the shapes of the operands they belong to."""
    return tuple(
        None if grad is None else unbroadcast(b, grad, b.type_of(operand))
        for operand, grad in zip(node.operands, grads, strict=True)
    )


def emit_scalar(b: Builder, value: float, like: Value) -> Value:
    """Emit a constant scalar with the element type of `like`."""
    return full_like(b, value, b.type_of(like).with_shape(()))


# --- binary arithmetic


@define_op("add", Trait.ELEMENTWISE, Trait.COMMUTATIVE, Trait.INPLACE)
def add(attrs: Attrs, a: TensorType, b: TensorType) -> TensorType:
    """The sum a + b."""
    return broadcast_types("add", a, b)


@scalar.rule(add)
def add_scalar(s: ScalarOps[S], attrs: Attrs, a: S, b: S) -> S:
    """Add."""
    return s.add(a, b)


@vjp.rule(add)
def add_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Both get the gradient."""
    return operand_gradients(b, node, grad, grad)


@define_op("sub", Trait.ELEMENTWISE, Trait.INPLACE)
def sub(attrs: Attrs, a: TensorType, b: TensorType) -> TensorType:
    """The difference a - b."""
    return broadcast_types("sub", a, b)


@scalar.rule(sub)
def sub_scalar(s: ScalarOps[S], attrs: Attrs, a: S, b: S) -> S:
    """Subtract."""
    return s.sub(a, b)


@vjp.rule(sub)
def sub_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """The second gets the gradient negated, after it was summed."""
    first, second = operand_gradients(b, node, grad, grad)
    return (first, None if second is None else b.emit(neg, second))


@define_op("mul", Trait.ELEMENTWISE, Trait.COMMUTATIVE, Trait.INPLACE)
def mul(attrs: Attrs, a: TensorType, b: TensorType) -> TensorType:
    """The product a * b, element by element."""
    return broadcast_types("mul", a, b)


@scalar.rule(mul)
def mul_scalar(s: ScalarOps[S], attrs: Attrs, a: S, b: S) -> S:
    """Multiply."""
    return s.mul(a, b)


@vjp.rule(mul)
def mul_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Each gets the gradient times the other."""
    x, y = node.operands
    return operand_gradients(b, node, b.emit(mul, grad, y), b.emit(mul, grad, x))


@define_op("div", Trait.ELEMENTWISE, Trait.INPLACE)
def div(attrs: Attrs, a: TensorType, b: TensorType) -> TensorType:
    """The quotient a / b of floats."""
    return float_type("div", broadcast_types("div", a, b))


@scalar.rule(div)
def div_scalar(s: ScalarOps[S], attrs: Attrs, a: S, b: S) -> S:
    """Divide."""
    return s.div(a, b)


@vjp.rule(div)
def div_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Give grad / b to a and -grad * (a/b) / b to b."""
    first = b.emit(div, grad, node.operands[1])
    second = b.emit(neg, b.emit(mul, first, node.results[0]))
    return operand_gradients(b, node, first, second)


@define_op("maximum", Trait.ELEMENTWISE, Trait.COMMUTATIVE, Trait.INPLACE)
def maximum(attrs: Attrs, a: TensorType, b: TensorType) -> TensorType:
    """The larger of a and b; NaN if either is. Of equal ones, the first gets the gradient."""
    return broadcast_types("maximum", a, b)


@scalar.rule(maximum)
def maximum_scalar(s: ScalarOps[S], attrs: Attrs, a: S, b: S) -> S:
    """Take the larger."""
    return s.maximum(a, b)


@vjp.rule(maximum)
def maximum_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """The one that was taken gets the gradient."""
    x, y = node.operands
    zero = emit_scalar(b, 0.0, grad)
    first = b.emit(select_less, x, y, zero, grad)
    return operand_gradients(b, node, first, b.emit(select_less, x, y, grad, zero))


@define_op("minimum", Trait.ELEMENTWISE, Trait.COMMUTATIVE, Trait.INPLACE)
def minimum(attrs: Attrs, a: TensorType, b: TensorType) -> TensorType:
    """The smaller of a and b; NaN if either is. Of equal ones, the first gets the gradient."""
    return broadcast_types("minimum", a, b)


@scalar.rule(minimum)
def minimum_scalar(s: ScalarOps[S], attrs: Attrs, a: S, b: S) -> S:
    """Take the smaller."""
    return s.minimum(a, b)


@vjp.rule(minimum)
def minimum_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """The one that was taken gets the gradient."""
    x, y = node.operands
    zero = emit_scalar(b, 0.0, grad)
    first = b.emit(select_less, y, x, zero, grad)
    return operand_gradients(b, node, first, b.emit(select_less, y, x, grad, zero))


@define_op("select_less", Trait.ELEMENTWISE, Trait.INPLACE)
def select_less(
    attrs: Attrs, a: TensorType, b: TensorType, then: TensorType, other: TensorType
) -> TensorType:
    """`then` where a < b, else `other`; no gradient flows to a and b."""
    return broadcast_types("select_less", a, b, then, other)


@scalar.rule(select_less)
def select_less_scalar(s: ScalarOps[S], attrs: Attrs, a: S, b: S, then: S, other: S) -> S:
    """Compare and choose."""
    return s.select(s.less(a, b), then, other)


@vjp.rule(select_less)
def select_less_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Choose between the gradient and nothing."""
    x, y, _, _ = node.operands
    zero = emit_scalar(b, 0.0, grad)
    then = b.emit(select_less, x, y, grad, zero)
    return operand_gradients(b, node, None, None, then, b.emit(select_less, x, y, zero, grad))


# --- negation, which the gradients above need


@define_op("neg", Trait.ELEMENTWISE, Trait.INPLACE)
def neg(attrs: Attrs, x: TensorType) -> TensorType:
    """The negative -x."""
    return x


@scalar.rule(neg)
def neg_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Multiply by -1, which keeps the sign of zero right."""
    return s.mul(s.const(-1.0), x)


@vjp.rule(neg)
def neg_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Negate."""
    return (b.emit(neg, grad),)


# --- samples


@samples.rule(add, sub, mul)
def arithmetic_samples() -> Iterable[Sample]:
    """Equal shapes, broadcasting either way and both ways, scalars, integers."""
    yield Sample((f32(2, 3), f32(2, 3)))
    yield Sample((f32(2, 3, 2, 3), f32(1, 3, 1, 1)))
    yield Sample((f32(2, 1, 4), f32(1, 3, 1)))
    yield Sample((f32(2, 3), f32()))
    yield Sample((f32(), f32(3)))
    yield Sample((f32(), f32()))
    yield Sample((f32(1, 1), f32(1, 1)))
    yield Sample((TensorType(DType.I64, (3,)), TensorType(DType.I64, ())), integers=9)


@samples.rule(div)
def div_samples() -> Iterable[Sample]:
    """Divisors away from 0."""
    for sample in list(arithmetic_samples())[:-1]:
        yield Sample(sample.operands, low=0.5, high=2.0)


@samples.rule(maximum, minimum)
def extremum_samples() -> Iterable[Sample]:
    """No ties."""
    for sample in arithmetic_samples():
        yield Sample(sample.operands, integers=sample.integers, distinct=True)


@samples.rule(select_less)
def select_less_samples() -> Iterable[Sample]:
    """Equal shapes, scalars among the operands, broadcasting."""
    one = f32()
    yield Sample((f32(2, 3),) * 4, distinct=True)
    yield Sample((f32(2, 3), one, one, f32(2, 3)), distinct=True)
    yield Sample((f32(2, 3), f32(1, 3), f32(2, 1), one), distinct=True)


@samples.rule(neg)
def neg_samples() -> Iterable[Sample]:
    """An image, a scalar, integers."""
    yield Sample((f32(2, 3, 2, 2),))
    yield Sample((f32(),))
    yield Sample((TensorType(DType.I64, (3,)),), integers=9)
