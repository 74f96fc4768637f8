"""Elementwise functions of one operand: exp, log, sqrt, abs, ..., and changes of element type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, Trait, define_op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.elementwise import add, div, emit_scalar, float_type, mul
from cnndsl.ops.rules import Array, Sample, no_gradient, reference, samples, vjp
from cnndsl.ops.scalar import S, ScalarOps, scalar


@define_op("exp", Trait.ELEMENTWISE, Trait.INPLACE)
def exp(attrs: Attrs, x: TensorType) -> TensorType:
    """E to the x."""
    return float_type("exp", x)


@scalar.rule(exp)
def exp_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Take the exponential."""
    return s.exp(x)


@vjp.rule(exp)
def exp_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Times the result."""
    return (b.emit(mul, grad, node.results[0]),)


@define_op("log", Trait.ELEMENTWISE, Trait.INPLACE)
def log(attrs: Attrs, x: TensorType) -> TensorType:
    """The natural logarithm."""
    return float_type("log", x)


@scalar.rule(log)
def log_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Take the logarithm."""
    return s.log(x)


@vjp.rule(log)
def log_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Divide by the operand."""
    return (b.emit(div, grad, node.operands[0]),)


@define_op("log1p", Trait.ELEMENTWISE, Trait.INPLACE)
def log1p(attrs: Attrs, x: TensorType) -> TensorType:
    """log(1 + x), exact for small x."""
    return float_type("log1p", x)


@scalar.rule(log1p)
def log1p_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Take the logarithm of one more."""
    return s.log1p(x)


@vjp.rule(log1p)
def log1p_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Divide by one more than the operand."""
    return (b.emit(div, grad, b.emit(add, node.operands[0], emit_scalar(b, 1.0, grad))),)


@define_op("sqrt", Trait.ELEMENTWISE, Trait.INPLACE)
def sqrt(attrs: Attrs, x: TensorType) -> TensorType:
    """The square root; its gradient at 0 is infinite."""
    return float_type("sqrt", x)


@scalar.rule(sqrt)
def sqrt_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Take the root."""
    return s.sqrt(x)


@vjp.rule(sqrt)
def sqrt_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Divide by twice the result."""
    root = node.results[0]
    return (b.emit(div, grad, b.emit(add, root, root)),)


@define_op("abs", Trait.ELEMENTWISE, Trait.INPLACE)
def abs_(attrs: Attrs, x: TensorType) -> TensorType:
    """The absolute value; its gradient at 0 is 0."""
    return x


@scalar.rule(abs_)
def abs_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Drop the sign."""
    return s.abs(x)


@vjp.rule(abs_)
def abs_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Times the sign."""
    return (b.emit(mul, grad, b.emit(sign, node.operands[0])),)


@define_op("sign", Trait.ELEMENTWISE, Trait.INPLACE)
def sign(attrs: Attrs, x: TensorType) -> TensorType:
    """-1, 0 or 1; no gradient flows through it, as it is constant but at 0."""
    return x


@scalar.rule(sign)
def sign_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Compare with 0 from both sides; NaN stays."""
    positive = s.select(s.less(s.const(0.0), x), s.const(1.0), x)
    return s.select(s.less(x, s.const(0.0)), s.const(-1.0), positive)


no_gradient.add(sign)


@define_op("square", Trait.ELEMENTWISE, Trait.INPLACE)
def square(attrs: Attrs, x: TensorType) -> TensorType:
    """The product x * x."""
    return x


@scalar.rule(square)
def square_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Multiply by itself."""
    return s.mul(x, x)


@vjp.rule(square)
def square_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Times twice the operand."""
    x = node.operands[0]
    return (b.emit(mul, grad, b.emit(add, x, x)),)


@define_op("identity", Trait.ELEMENTWISE, Trait.VIEW)
def identity(attrs: Attrs, x: TensorType) -> TensorType:
    """The operand itself."""
    return x


@define_op("stop_gradient", Trait.ELEMENTWISE, Trait.VIEW)
def stop_gradient(attrs: Attrs, x: TensorType) -> TensorType:
    """The operand itself, as a constant to the differentiation."""
    return x


@scalar.rule(identity, stop_gradient)
def identity_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Pass on."""
    return x


@vjp.rule(identity)
def identity_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Pass on."""
    return (grad,)


no_gradient.add(stop_gradient)


# --- change of element type


@dataclass(frozen=True, slots=True)
class CastAttrs(Attrs):
    """Attributes of `cast`."""

    dtype: DType
    """The new element type."""


@define_op("cast")
def cast(attrs: CastAttrs, x: TensorType) -> TensorType:
    """The operand in another element type: floats to integers toward 0, else to the nearest."""
    return x.with_dtype(attrs.dtype)


@reference.rule(cast)
def cast_reference(node: Node[CastAttrs], x: Array) -> Array:
    """Convert."""
    return x.astype(node.attrs.dtype.numpy)


@vjp.rule(cast)
def cast_vjp(b: Builder, node: Node[CastAttrs], grad: Value | None) -> Sequence[Value | None]:
    """Cast back; integers have no gradient."""
    dtype = b.type_of(node.operands[0]).dtype
    if grad is None or not dtype.is_float or not node.attrs.dtype.is_float:
        return (None,)
    return (b.emit(cast, grad, attrs=CastAttrs(dtype)),)


# --- samples


@samples.rule(exp, abs_, sign, square, identity, stop_gradient)
def unary_samples() -> Iterable[Sample]:
    """An image, a scalar, a size-1 axis; away from the kink of abs at 0."""
    yield Sample((f32(2, 3, 2, 2),), avoid=(0.0,))
    yield Sample((f32(),), avoid=(0.0,))
    yield Sample((f32(3, 1),), low=-4.0, high=4.0, avoid=(0.0,))


@samples.rule(log, sqrt)
def positive_samples() -> Iterable[Sample]:
    """Positive numbers, small and large."""
    yield Sample((f32(2, 3),), low=0.1, high=1.0)
    yield Sample((f32(2, 3),), low=1.0, high=100.0)
    yield Sample((f32(),), low=0.5, high=2.0)


@samples.rule(log1p)
def log1p_samples() -> Iterable[Sample]:
    """Both sides of 0, and very small numbers."""
    yield Sample((f32(2, 3),), low=-0.9, high=3.0)
    yield Sample((f32(2, 3),), low=-1e-4, high=1e-4)
    yield Sample((f32(),))


@samples.rule(cast)
def cast_samples() -> Iterable[Sample]:
    """Integers and booleans to floats, bytes of an image, floats to integers, no change."""
    yield Sample((TensorType(DType.I64, (2, 3)),), CastAttrs(DType.F32), integers=9)
    yield Sample((TensorType(DType.U8, (2, 3)),), CastAttrs(DType.F32), integers=256)
    yield Sample((TensorType(DType.BOOL, (3,)),), CastAttrs(DType.F32))
    yield Sample((f32(2, 3),), CastAttrs(DType.I64), low=-9.0, high=9.0, differentiable=())
    yield Sample((f32(2, 3),), CastAttrs(DType.F32))
