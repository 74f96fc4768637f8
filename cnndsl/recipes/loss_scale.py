"""Dynamic scaling of the loss, for gradients that pass through memory as halves.

Halves know no number between 0 and 6e-8, and gradients are small. The loss is multiplied by a scale
before it is differentiated, and with it every gradient; what reaches a parameter is divided by the
scale again, in single precision. Micikevicius et al., Mixed Precision Training (ICLR 2018),
section 3.2: the scale doubles after so many steps whose gradients were all finite, and halves when
one was not, in which case the step changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import NodeId, Value
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.elementwise import select_less
from cnndsl.ops.magnitude import largest_magnitude
from cnndsl.recipes.formula import Term
from cnndsl.recipes.optimizers import STATE_PREFIX, state

SCALE = NodeId(f"{STATE_PREFIX}loss_scale")
"""The state that holds the scale."""
GOOD_STEPS = NodeId(f"{STATE_PREFIX}good_steps")
"""The state that counts the steps since the scale changed."""


LARGEST = {
    DType.F32: float(np.finfo(np.float32).max),
    DType.F64: float(np.finfo(np.float64).max),
}
"""The largest number of a type."""


@dataclass(frozen=True, slots=True)
class LossScale:
    """How the scale begins and moves; all of them powers of two, so that no gradient is rounded."""

    start: float = 2.0**15
    """The first scale: with it, a gradient of 1 is the largest power of two that a half can be."""
    patience: int = 2000
    """Good steps after which the scale doubles."""
    least: float = 1.0
    """No scale is smaller."""
    most: float = 2.0**24
    """No scale is larger."""

    def begin(self, b: Builder, kind: TensorType) -> Scaling:
        """Add the state to a graph whose loss is of type `kind`."""
        scale = state(b, SCALE, kind, first=self.start)
        return Scaling(self, scale, state(b, GOOD_STEPS, kind))


@dataclass(slots=True)
class Scaling:
    """The scale of one graph."""

    rule: LossScale
    """How it moves."""
    scale: Term
    """What the loss is multiplied by."""
    good: Term
    """Good steps since it changed."""
    worst: Term | None = field(default=None)
    """The largest magnitude of the scaled gradients, once they are there."""

    def unscaled(self, grads: Mapping[Value, Value]) -> dict[Value, Value]:
        """Judge the gradients of the scaled loss; gives those of the loss itself."""
        b, arrays = self.scale.b, list(dict.fromkeys(grads.values()))
        self.worst = Term(b, b.emit(largest_magnitude, *arrays, name="largest_gradient"))
        inverse = self.scale.constant(1.0) / self.scale
        return {value: (Term(b, grad) * inverse).value for value, grad in grads.items()}

    def guard(self, names: Sequence[NodeId]) -> None:
        """Let updates of `names` be made where all gradients are finite, and move the scale.

        Every update that the graph has so far is meant to be among them: running statistics of a
        step whose images overflowed are as useless as its gradients.
        """
        b = self.scale.b
        for name in names:
            new = Term(b, b.graph.updates[name])
            b.graph.updates[name] = self._if_finite(new, Term(b, Value(name))).value
        rule, good = self.rule, self.good + 1.0
        raised = (self.scale * 2.0).minimum(rule.most)
        patient = good.constant(float(rule.patience))
        grown = _where_less(good, patient, self.scale, raised)
        counted = _where_less(good, patient, good, good.constant(0.0))
        lowered = (self.scale * 0.5).maximum(rule.least)
        b.graph.updates[SCALE] = self._if_finite(grown, lowered).value
        b.graph.updates[GOOD_STEPS] = self._if_finite(counted, good.constant(0.0)).value

    def _if_finite(self, then: Term, other: Term) -> Term:
        """Choose by the gradients: NaN is not less than the largest number."""
        assert self.worst is not None, "gradients are judged before anything depends on them"
        largest = LARGEST[self.worst.type.dtype]
        return _where_less(self.worst, self.worst.constant(largest), then, other)


def _where_less(a: Term, b: Term, then: Term, other: Term) -> Term:
    return Term(a.b, a.b.emit(select_less, a.value, b.value, then.value, other.value))
