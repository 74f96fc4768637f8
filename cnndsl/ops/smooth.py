"""Smooth relatives of relu: swish, gelu, softplus. Their gradients are made of simpler ops."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, Trait, define_op
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.activations import sigmoid, sigmoid_scalar, tanh
from cnndsl.ops.elementwise import add, emit_scalar, float_type, mul, sub
from cnndsl.ops.rules import Sample, samples, vjp
from cnndsl.ops.scalar import S, ScalarOps, scalar
from cnndsl.ops.unary import square


@dataclass(frozen=True, slots=True)
class SwishAttrs(Attrs):
    """Attributes of `swish`."""

    beta: float = 1.0
    """Steepness of the sigmoid; 1 makes the function known as SiLU."""


@define_op("swish", Trait.ELEMENTWISE, Trait.INPLACE)
def swish(attrs: SwishAttrs, x: TensorType) -> TensorType:
    """x * sigmoid(beta x) (arXiv 1710.05941)."""
    return float_type("swish", x)


@scalar.rule(swish)
def swish_scalar(s: ScalarOps[S], attrs: SwishAttrs, x: S) -> S:
    """Multiply by the sigmoid."""
    return s.mul(x, sigmoid_scalar(s, Attrs(), s.mul(s.const(attrs.beta), x)))


@vjp.rule(swish)
def swish_vjp(b: Builder, node: Node[SwishAttrs], grad: Value) -> Sequence[Value]:
    """Times s + beta y (1 - s), where s is the sigmoid."""
    one, beta = emit_scalar(b, 1.0, grad), emit_scalar(b, node.attrs.beta, grad)
    gate = b.emit(sigmoid, b.emit(mul, node.operands[0], beta))
    rest = b.emit(mul, b.emit(mul, node.results[0], beta), b.emit(sub, one, gate))
    return (b.emit(mul, grad, b.emit(add, gate, rest)),)


SCALE = math.sqrt(2 / math.pi)
CUBIC = 0.044715


@define_op("gelu", Trait.ELEMENTWISE, Trait.INPLACE)
def gelu(attrs: Attrs, x: TensorType) -> TensorType:
    """x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), the approximation of arXiv 1606.08415."""
    return float_type("gelu", x)


@scalar.rule(gelu)
def gelu_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Take the tangent of the cubic x (SCALE + SCALE CUBIC x^2)."""
    inner = s.add(s.const(SCALE), s.mul(s.const(SCALE * CUBIC), s.mul(x, x)))
    return s.mul(s.mul(s.const(0.5), x), s.add(s.const(1.0), s.tanh(s.mul(x, inner))))


@vjp.rule(gelu)
def gelu_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Times (1 + t + x (1 - t^2) u') / 2, where t = tanh(u) and u is the cubic."""
    x = node.operands[0]
    one, half = emit_scalar(b, 1.0, grad), emit_scalar(b, 0.5, grad)
    scale, cubic = emit_scalar(b, SCALE, grad), emit_scalar(b, SCALE * CUBIC, grad)
    bent = b.emit(mul, cubic, b.emit(square, x))
    t = b.emit(tanh, b.emit(mul, x, b.emit(add, scale, bent)))
    slope = b.emit(add, scale, b.emit(mul, bent, emit_scalar(b, 3.0, grad)))
    curve = b.emit(mul, b.emit(mul, x, slope), b.emit(sub, one, b.emit(square, t)))
    total = b.emit(add, b.emit(add, one, t), curve)
    return (b.emit(mul, grad, b.emit(mul, half, total)),)


@define_op("softplus", Trait.ELEMENTWISE, Trait.INPLACE)
def softplus(attrs: Attrs, x: TensorType) -> TensorType:
    """log(1 + e^x), without overflow for large x."""
    return float_type("softplus", x)


@scalar.rule(softplus)
def softplus_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Take max(x, 0) + log1p(e^-|x|)."""
    small = s.log1p(s.exp(s.mul(s.const(-1.0), s.abs(x))))
    return s.add(s.maximum(x, s.const(0.0)), small)


@vjp.rule(softplus)
def softplus_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Times the sigmoid."""
    return (b.emit(mul, grad, b.emit(sigmoid, node.operands[0])),)


@samples.rule(gelu, softplus)
def smooth_samples() -> Iterable[Sample]:
    """An image, the tails, a scalar."""
    yield Sample((f32(2, 3, 2, 2),))
    yield Sample((f32(3, 4),), low=-20.0, high=20.0)
    yield Sample((f32(),))


@samples.rule(swish)
def swish_samples() -> Iterable[Sample]:
    """As the others, and steep and flat."""
    yield from smooth_samples()
    yield Sample((f32(2, 3),), SwishAttrs(beta=1.7))
    yield Sample((f32(2, 3),), SwishAttrs(beta=0.0))
