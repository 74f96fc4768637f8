"""Optimizers: each builds graph nodes for the next value of a parameter; fusion makes the kernel.

State of an optimizer (momenta, second moments) is held in parameters of the graph whose names
begin with "optimizer.", so that a checkpoint of all parameters is a checkpoint of the optimizer.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import NodeId, Value
from cnndsl.ir.types import TensorType
from cnndsl.ops.structural import Init, ParameterAttrs
from cnndsl.ops.structural import parameter as parameter_op
from cnndsl.recipes.formula import Term
from cnndsl.support.registry import Registry

STATE_PREFIX = "optimizer."
"""What the names of optimizer state begin with."""


class Slots:
    """The state that an optimizer keeps, for one parameter or for all."""

    def __init__(self, b: Builder, parameter: Value) -> None:
        self._b = b
        self._parameter = parameter

    def read(self, slot: str) -> Term:
        """Give the state `slot` of the parameter, of the parameter's type, zero at first."""
        node_id = NodeId(f"{STATE_PREFIX}{self._parameter.node}.{slot}")
        return state(self._b, node_id, self._b.type_of(self._parameter))

    def write(self, slot: str, value: Term) -> None:
        """Let a run leave `value` in the state `slot`."""
        node_id = NodeId(f"{STATE_PREFIX}{self._parameter.node}.{slot}")
        self._b.graph.updates[node_id] = value.value

    def steps(self) -> Term:
        """Give the number of this step, from 1, as a scalar that all parameters share."""
        node_id = NodeId(f"{STATE_PREFIX}steps")
        kind = TensorType(self._b.type_of(self._parameter).dtype, ())
        if node_id in self._b.graph.updates:
            return Term(self._b, self._b.graph.updates[node_id])
        now = state(self._b, node_id, kind) + 1.0
        self._b.graph.updates[node_id] = now.value
        return now


def state(b: Builder, node_id: NodeId, kind: TensorType, *, first: float = 0.0) -> Term:
    """Give the state `node_id`, which is added where it is missing and begins as `first`."""
    if node_id not in b.graph:
        attrs = ParameterAttrs(kind, Init("constant", first), trainable=False, decay=False)
        b.emit(parameter_op, attrs=attrs, name=node_id)
    return Term(b, Value(node_id))


@dataclass(frozen=True, slots=True)
class Optimizer(ABC):
    """An update rule. Fields are the options of the program's `optimizer:` line."""

    lr: float = 1e-3
    """Learning rate at the start; the schedule changes it."""
    decay: float = 0.0
    """Weight decay: lambda of an L2 penalty lambda/2 |w|^2 on weights (not on biases)."""

    def update(self, b: Builder, parameter: Value, grad: Value, rate: Value) -> Value:
        """Give the next value of `parameter`.

        `grad` has the parameter's type, `rate` is a scalar of its precision.
        """
        p, g, lr = Term(b, parameter), Term(b, grad), Term(b, rate)
        if self.decay and b.graph[parameter].attrs.decay:
            p, g = self.decayed(p, g, lr)
        return (p - self.move(Slots(b, parameter), g, lr)).value

    def decayed(self, p: Term, g: Term, lr: Term) -> tuple[Term, Term]:
        """Apply weight decay to the parameter or to its gradient."""
        return p, g + p * self.decay

    @abstractmethod
    def move(self, slots: Slots, g: Term, lr: Term) -> Term:
        """Give what is subtracted from the parameter."""


OPTIMIZERS: Registry[type[Optimizer]] = Registry("optimizer")
"""Every optimizer by the name that a program uses."""


@OPTIMIZERS.named("sgd")
@dataclass(frozen=True, slots=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum: v = mu v + g; p -= lr v.

    With `nesterov`, p -= lr (g + mu v) (Sutskever et al. 2013, in the form that keeps the
    parameters at the look-ahead point).
    """

    lr: float = 1e-2
    """Learning rate."""
    momentum: float = 0.0
    """Mu."""
    nesterov: bool = False
    """Whether to look ahead."""

    def move(self, slots: Slots, g: Term, lr: Term) -> Term:
        """See the class."""
        if not self.momentum:
            return g * lr
        v = slots.read("momentum") * self.momentum + g
        slots.write("momentum", v)
        return (g + v * self.momentum if self.nesterov else v) * lr


@OPTIMIZERS.named("adam")
@dataclass(frozen=True, slots=True)
class Adam(Optimizer):
    """Adam (Kingma, Ba 2015), with bias correction of both moments."""

    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.999
    """Decay of the second moment."""
    eps: float = 1e-8
    """Added to the root of the second moment."""

    def move(self, slots: Slots, g: Term, lr: Term) -> Term:
        """See the class."""
        m = slots.read("m") * self.beta1 + g * (1 - self.beta1)
        v = slots.read("v") * self.beta2 + g.square() * (1 - self.beta2)
        slots.write("m", m)
        slots.write("v", v)
        steps = slots.steps()
        m_hat = m / _one_minus_power(self.beta1, steps)
        v_hat = v / _one_minus_power(self.beta2, steps)
        return m_hat / (v_hat.sqrt() + self.eps) * lr


def _one_minus_power(beta: float, steps: Term) -> Term:
    """1 - beta^steps, for a bias correction."""
    if beta == 0.0:
        return steps.constant(1.0)
    return 1.0 - (steps * math.log(beta)).exp()


@OPTIMIZERS.named("adamw")
@dataclass(frozen=True, slots=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov, Hutter 2019): p -= lr lambda p beforehand."""

    decay: float = 1e-2
    """Lambda."""

    def decayed(self, p: Term, g: Term, lr: Term) -> tuple[Term, Term]:
        """Shrink the parameter itself, leave the gradient alone."""
        return p - p * lr * self.decay, g


@OPTIMIZERS.named("rmsprop")
@dataclass(frozen=True, slots=True)
class RMSprop(Optimizer):
    """RMSprop (Tieleman, Hinton 2012): v = rho v + (1 - rho) g^2; p -= lr g / (sqrt(v) + eps)."""

    rho: float = 0.9
    """Decay of the second moment."""
    eps: float = 1e-7
    """Added to the root."""
    momentum: float = 0.0
    """Momentum of the scaled gradient."""

    def move(self, slots: Slots, g: Term, lr: Term) -> Term:
        """See the class."""
        v = slots.read("v") * self.rho + g.square() * (1 - self.rho)
        slots.write("v", v)
        scaled = g / (v.sqrt() + self.eps)
        if not self.momentum:
            return scaled * lr
        m = slots.read("momentum") * self.momentum + scaled
        slots.write("momentum", m)
        return m * lr


@OPTIMIZERS.named("adagrad")
@dataclass(frozen=True, slots=True)
class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan, Singer 2011): s += g^2; p -= lr g / (sqrt(s) + eps)."""

    lr: float = 1e-2
    """Learning rate."""
    eps: float = 1e-10
    """Added to the root."""

    def move(self, slots: Slots, g: Term, lr: Term) -> Term:
        """See the class."""
        s = slots.read("sum") + g.square()
        slots.write("sum", s)
        return g / (s.sqrt() + self.eps) * lr


@OPTIMIZERS.named("adadelta")
@dataclass(frozen=True, slots=True)
class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012): the step is g sqrt(u + eps) / sqrt(s + eps).

    s and u are running means of the squares of the gradients and of the steps.
    """

    lr: float = 1.0
    """Learning rate; the paper has none, which is 1."""
    rho: float = 0.95
    """Decay of both means."""
    eps: float = 1e-6
    """Added under both roots."""

    def move(self, slots: Slots, g: Term, lr: Term) -> Term:
        """See the class."""
        u = slots.read("steps")
        s = slots.read("gradients") * self.rho + g.square() * (1 - self.rho)
        step = (u + self.eps).sqrt() / (s + self.eps).sqrt() * g
        slots.write("gradients", s)
        slots.write("steps", u * self.rho + step.square() * (1 - self.rho))
        return step * lr
