"""Activation functions of one element: relu and its relatives, sigmoid, tanh.

Smooth relatives stand in smooth.py, those that look along an axis in softmax.py. At a kink the
gradient is that of the side named in the op's docstring.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, Trait, define_op
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.elementwise import (
    add,
    broadcast_types,
    emit_scalar,
    float_type,
    mul,
    neg,
    operand_gradients,
    select_less,
    sub,
)
from cnndsl.ops.rules import Sample, samples, vjp
from cnndsl.ops.scalar import S, ScalarOps, scalar
from cnndsl.support.diagnostics import TypeRuleError

# --- relu and its relatives


@define_op("relu", Trait.ELEMENTWISE, Trait.INPLACE)
def relu(attrs: Attrs, x: TensorType) -> TensorType:
    """max(x, 0); its gradient at 0 is 0."""
    return float_type("relu", x)


@scalar.rule(relu)
def relu_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Choose between x and 0; NaN stays."""
    return s.select(s.less(x, s.const(0.0)), s.const(0.0), x)


@vjp.rule(relu)
def relu_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Pass where the result is positive."""
    return (b.emit(relu_grad, grad, node.results[0]),)


@define_op("relu_grad", Trait.ELEMENTWISE, Trait.INPLACE)
def relu_grad(attrs: Attrs, grad: TensorType, y: TensorType) -> TensorType:
    """The gradient of `relu` from its result: `grad` where y > 0, else 0."""
    return broadcast_types("relu_grad", grad, y)


@scalar.rule(relu_grad)
def relu_grad_scalar(s: ScalarOps[S], attrs: Attrs, grad: S, y: S) -> S:
    """Choose between the gradient and 0."""
    return s.select(s.less(s.const(0.0), y), grad, s.const(0.0))


@define_op("relu6", Trait.ELEMENTWISE, Trait.INPLACE)
def relu6(attrs: Attrs, x: TensorType) -> TensorType:
    """min(max(x, 0), 6); its gradient at 0 and at 6 is 0."""
    return float_type("relu6", x)


@scalar.rule(relu6)
def relu6_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Clip."""
    return s.minimum(s.maximum(x, s.const(0.0)), s.const(6.0))


@vjp.rule(relu6)
def relu6_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Pass where nothing was clipped."""
    return (b.emit(relu6_grad, grad, node.results[0]),)


@define_op("relu6_grad", Trait.ELEMENTWISE, Trait.INPLACE)
def relu6_grad(attrs: Attrs, grad: TensorType, y: TensorType) -> TensorType:
    """The gradient of `relu6` from its result: `grad` where 0 < y < 6, else 0."""
    return broadcast_types("relu6_grad", grad, y)


@scalar.rule(relu6_grad)
def relu6_grad_scalar(s: ScalarOps[S], attrs: Attrs, grad: S, y: S) -> S:
    """Choose between the gradient and 0."""
    below = s.select(s.less(y, s.const(6.0)), grad, s.const(0.0))
    return s.select(s.less(s.const(0.0), y), below, s.const(0.0))


@vjp.rule(relu_grad, relu6_grad)
def relu_grad_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Mask the gradient alike; the mask does not move with y."""
    return operand_gradients(b, node, b.emit(node.op, grad, node.operands[1]), None)


@dataclass(frozen=True, slots=True)
class LeakyReluAttrs(Attrs):
    """Attributes of `leaky_relu` and its gradient."""

    slope: float = 0.01
    """What negative numbers are multiplied by."""


@define_op("leaky_relu", Trait.ELEMENTWISE, Trait.INPLACE)
def leaky_relu(attrs: LeakyReluAttrs, x: TensorType) -> TensorType:
    """x where x >= 0, else slope * x; its gradient at 0 is 1."""
    return float_type("leaky_relu", x)


@scalar.rule(leaky_relu)
def leaky_relu_scalar(s: ScalarOps[S], attrs: LeakyReluAttrs, x: S) -> S:
    """Choose between x and slope * x."""
    return s.select(s.less(x, s.const(0.0)), s.mul(s.const(attrs.slope), x), x)


@vjp.rule(leaky_relu)
def leaky_relu_vjp(b: Builder, node: Node[LeakyReluAttrs], grad: Value) -> Sequence[Value]:
    """Pass, times the slope where x is negative."""
    return (b.emit(leaky_relu_grad, grad, node.operands[0], attrs=node.attrs),)


@define_op("leaky_relu_grad", Trait.ELEMENTWISE, Trait.INPLACE)
def leaky_relu_grad(attrs: LeakyReluAttrs, grad: TensorType, x: TensorType) -> TensorType:
    """The gradient of `leaky_relu` from its operand."""
    return broadcast_types("leaky_relu_grad", grad, x)


@scalar.rule(leaky_relu_grad)
def leaky_relu_grad_scalar(s: ScalarOps[S], attrs: LeakyReluAttrs, grad: S, x: S) -> S:
    """Choose between the gradient and slope times it."""
    return s.select(s.less(x, s.const(0.0)), s.mul(s.const(attrs.slope), grad), grad)


@vjp.rule(leaky_relu_grad)
def leaky_relu_grad_vjp(
    b: Builder, node: Node[LeakyReluAttrs], grad: Value
) -> Sequence[Value | None]:
    """Scale the gradient alike; the slope does not move with x."""
    again = b.emit(leaky_relu_grad, grad, node.operands[1], attrs=node.attrs)
    return operand_gradients(b, node, again, None)


@define_op("prelu", Trait.ELEMENTWISE, Trait.INPLACE)
def prelu(attrs: Attrs, x: TensorType, slope: TensorType) -> TensorType:
    """x where x >= 0, else slope * x with learned slopes; its gradient at 0 is 1.

    A slope per channel of an image has the shape [1, C, 1, 1], of a vector [1, C].
    """
    return float_type("prelu", broadcast_types("prelu", x, slope))


@scalar.rule(prelu)
def prelu_scalar(s: ScalarOps[S], attrs: Attrs, x: S, slope: S) -> S:
    """Choose between x and slope * x."""
    return s.select(s.less(x, s.const(0.0)), s.mul(slope, x), x)


@vjp.rule(prelu)
def prelu_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Negative x give gradient to the slope: grad * x."""
    x, slope = node.operands
    zero = emit_scalar(b, 0.0, grad)
    of_x = b.emit(select_less, x, zero, b.emit(mul, grad, slope), grad)
    of_slope = b.emit(select_less, x, zero, b.emit(mul, grad, x), zero)
    return operand_gradients(b, node, of_x, of_slope)


# --- elu


@dataclass(frozen=True, slots=True)
class EluAttrs(Attrs):
    """Attributes of `elu` and its gradient."""

    alpha: float = 1.0
    """Minus the limit towards minus infinity; positive."""


@define_op("elu", Trait.ELEMENTWISE, Trait.INPLACE)
def elu(attrs: EluAttrs, x: TensorType) -> TensorType:
    """x where x >= 0, else alpha (e^x - 1); its gradient at 0 is 1 (arXiv 1511.07289)."""
    if attrs.alpha <= 0:
        raise TypeRuleError(f"elu with alpha {attrs.alpha:g}: it must be positive")
    return float_type("elu", x)


@scalar.rule(elu)
def elu_scalar(s: ScalarOps[S], attrs: EluAttrs, x: S) -> S:
    """Take e^x - 1 as 2t / (1 - t) with t = tanh(x/2), which is exact near 0."""
    t = s.tanh(s.mul(s.const(0.5), s.minimum(x, s.const(0.0))))
    less_one = s.div(s.add(t, t), s.sub(s.const(1.0), t))
    return s.select(s.less(x, s.const(0.0)), s.mul(s.const(attrs.alpha), less_one), x)


@vjp.rule(elu)
def elu_vjp(b: Builder, node: Node[EluAttrs], grad: Value) -> Sequence[Value]:
    """Times y + alpha where y is negative."""
    return (b.emit(elu_grad, grad, node.results[0], attrs=node.attrs),)


@define_op("elu_grad", Trait.ELEMENTWISE, Trait.INPLACE)
def elu_grad(attrs: EluAttrs, grad: TensorType, y: TensorType) -> TensorType:
    """The gradient of `elu` from its result: alpha e^x is y + alpha."""
    return broadcast_types("elu_grad", grad, y)


@scalar.rule(elu_grad)
def elu_grad_scalar(s: ScalarOps[S], attrs: EluAttrs, grad: S, y: S) -> S:
    """Choose between the gradient and (y + alpha) times it."""
    slope = s.add(y, s.const(attrs.alpha))
    return s.select(s.less(y, s.const(0.0)), s.mul(slope, grad), grad)


@vjp.rule(elu_grad)
def elu_grad_vjp(b: Builder, node: Node[EluAttrs], grad: Value) -> Sequence[Value | None]:
    """Where y is negative, y moves the slope one to one."""
    first, y = node.operands
    zero = emit_scalar(b, 0.0, grad)
    of_y = b.emit(select_less, y, zero, b.emit(mul, grad, first), zero)
    return operand_gradients(b, node, b.emit(elu_grad, grad, y, attrs=node.attrs), of_y)


# --- sigmoid, tanh and what is made of them


@define_op("sigmoid", Trait.ELEMENTWISE, Trait.INPLACE)
def sigmoid(attrs: Attrs, x: TensorType) -> TensorType:
    """1 / (1 + e^-x), without overflow at either end."""
    return float_type("sigmoid", x)


@scalar.rule(sigmoid)
def sigmoid_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Exponentiate -|x|, which is never large."""
    small = s.exp(s.mul(s.const(-1.0), s.abs(x)))
    share = s.div(s.const(1.0), s.add(s.const(1.0), small))
    return s.select(s.less(x, s.const(0.0)), s.mul(small, share), share)


@vjp.rule(sigmoid)
def sigmoid_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Times y (1 - y)."""
    return (b.emit(sigmoid_grad, grad, node.results[0]),)


@define_op("sigmoid_grad", Trait.ELEMENTWISE, Trait.INPLACE)
def sigmoid_grad(attrs: Attrs, grad: TensorType, y: TensorType) -> TensorType:
    """The gradient of `sigmoid` from its result: grad * y * (1 - y)."""
    return broadcast_types("sigmoid_grad", grad, y)


@scalar.rule(sigmoid_grad)
def sigmoid_grad_scalar(s: ScalarOps[S], attrs: Attrs, grad: S, y: S) -> S:
    """Multiply."""
    return s.mul(grad, s.mul(y, s.sub(s.const(1.0), y)))


@vjp.rule(sigmoid_grad)
def sigmoid_grad_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Differentiate y - y^2: 1 - 2y."""
    first, y = node.operands
    slope = b.emit(sub, emit_scalar(b, 1.0, grad), b.emit(add, y, y))
    of_y = b.emit(mul, b.emit(mul, grad, first), slope)
    return operand_gradients(b, node, b.emit(sigmoid_grad, grad, y), of_y)


@define_op("tanh", Trait.ELEMENTWISE, Trait.INPLACE)
def tanh(attrs: Attrs, x: TensorType) -> TensorType:
    """The hyperbolic tangent."""
    return float_type("tanh", x)


@scalar.rule(tanh)
def tanh_scalar(s: ScalarOps[S], attrs: Attrs, x: S) -> S:
    """Take the hyperbolic tangent."""
    return s.tanh(x)


@vjp.rule(tanh)
def tanh_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Times 1 - y^2."""
    return (b.emit(tanh_grad, grad, node.results[0]),)


@define_op("tanh_grad", Trait.ELEMENTWISE, Trait.INPLACE)
def tanh_grad(attrs: Attrs, grad: TensorType, y: TensorType) -> TensorType:
    """The gradient of `tanh` from its result: grad * (1 - y^2)."""
    return broadcast_types("tanh_grad", grad, y)


@scalar.rule(tanh_grad)
def tanh_grad_scalar(s: ScalarOps[S], attrs: Attrs, grad: S, y: S) -> S:
    """Multiply."""
    return s.mul(grad, s.sub(s.const(1.0), s.mul(y, y)))


@vjp.rule(tanh_grad)
def tanh_grad_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Differentiate 1 - y^2: -2y."""
    first, y = node.operands
    of_y = b.emit(mul, b.emit(mul, grad, first), b.emit(neg, b.emit(add, y, y)))
    return operand_gradients(b, node, b.emit(tanh_grad, grad, y), of_y)


# --- samples


@samples.rule(relu, sigmoid, tanh)
def activation_samples() -> Iterable[Sample]:
    """An image, the tails, a scalar; away from the kink of relu."""
    yield Sample((f32(2, 3, 2, 2),), avoid=(0.0,))
    yield Sample((f32(3, 4),), low=-20.0, high=20.0, avoid=(0.0,))
    yield Sample((f32(),), avoid=(0.0,))


@samples.rule(relu6)
def relu6_samples() -> Iterable[Sample]:
    """Both kinks."""
    yield Sample((f32(2, 3, 2, 2),), low=-3.0, high=9.0, avoid=(0.0, 6.0))
    yield Sample((f32(),), avoid=(0.0,))


@samples.rule(relu_grad, relu6_grad, sigmoid_grad, tanh_grad)
def activation_grad_samples() -> Iterable[Sample]:
    """Gradient and result."""
    yield Sample((f32(2, 3, 2, 2), f32(2, 3, 2, 2)), avoid=(0.0,))
    yield Sample((f32(5), f32(5)), low=-9.0, high=9.0, avoid=(0.0, 6.0))


@samples.rule(leaky_relu)
def leaky_relu_samples() -> Iterable[Sample]:
    """Several slopes, a negative one too."""
    for slope in (0.01, 0.3, -0.5):
        yield Sample((f32(2, 3, 2),), LeakyReluAttrs(slope), avoid=(0.0,))


@samples.rule(leaky_relu_grad)
def leaky_relu_grad_samples() -> Iterable[Sample]:
    """Gradient and operand."""
    yield Sample((f32(2, 3), f32(2, 3)), LeakyReluAttrs(0.3), avoid=(0.0,))


@samples.rule(prelu)
def prelu_samples() -> Iterable[Sample]:
    """A slope a channel, one for all, one an element."""
    yield Sample((f32(2, 3, 2, 2), f32(1, 3, 1, 1)), avoid=(0.0,))
    yield Sample((f32(2, 3), f32(1, 3)), avoid=(0.0,))
    yield Sample((f32(2, 3), f32()), avoid=(0.0,))
    yield Sample((f32(2, 3), f32(2, 3)), avoid=(0.0,))


@samples.rule(elu)
def elu_samples() -> Iterable[Sample]:
    """Several limits, the tails."""
    yield Sample((f32(2, 3, 2),), avoid=(0.0,))
    yield Sample((f32(2, 3),), EluAttrs(0.3), low=-20.0, high=20.0, avoid=(0.0,))


@samples.rule(elu_grad)
def elu_grad_samples() -> Iterable[Sample]:
    """Gradient and result."""
    yield Sample((f32(2, 3), f32(2, 3)), EluAttrs(1.5), avoid=(0.0,))
