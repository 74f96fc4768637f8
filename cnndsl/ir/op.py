"""Ops: a name, typed attributes and a type rule; what an op computes lives in the rule tables."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Concatenate, Generic, TypeVar

from cnndsl.ir.types import TensorType
from cnndsl.support.diagnostics import TypeRuleError
from cnndsl.support.registry import Registry


@dataclass(frozen=True, slots=True)
class Attrs:
    """Base of every attribute record: frozen, hashable, printable; of ops without any too."""


A = TypeVar("A", bound=Attrs)
R = TypeVar("R", bound=TensorType | tuple[TensorType, ...])


class Trait(Enum):
    """What passes and planners may rely on."""

    ELEMENTWISE = auto()
    """Each element of the result depends on the same element of each operand, broadcast."""
    COMMUTATIVE = auto()
    """The two operands may change places."""
    INPLACE = auto()
    """The first result may overwrite the first operand of the same type."""
    VIEW = auto()
    """The result has the operand's elements in the operand's order: no work, only a new shape."""
    STRUCTURAL = auto()
    """Never launched: inputs, parameters, constants."""


@dataclass(frozen=True, slots=True, eq=False)
class Op(Generic[A]):
    """One kind of computation. Compare by identity; find by name in `OPS`."""

    name: str
    """As it is printed: "conv2d"."""
    operands: tuple[str, ...]
    """Names of the operands, from the type rule's signature; the last repeats if `variadic`."""
    optional: int
    """How many of the last operands may be left out."""
    variadic: bool
    """Whether the last operand stands for any number."""
    attrs: type[A]
    """The attribute record."""
    type_rule: Callable[..., TensorType | tuple[TensorType, ...]]
    """`(attrs, *operand types) -> result types`; raises `TypeRuleError`."""
    traits: frozenset[Trait]
    """What may be relied on."""
    doc: str
    """What it computes: the type rule's docstring."""

    def infer(self, attrs: A, *operands: TensorType) -> tuple[TensorType, ...]:
        """Give the types of the results; raises `TypeRuleError` when the operands do not fit."""
        least = len(self.operands) - self.optional - (1 if self.variadic else 0)
        if len(operands) < least or (len(operands) > len(self.operands) and not self.variadic):
            raise TypeRuleError(
                f"{self.name} takes {', '.join(self.operands) or 'nothing'}; "
                f"given {len(operands)} operands"
            )
        result = self.type_rule(attrs, *operands)
        return result if isinstance(result, tuple) else (result,)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


@dataclass(frozen=True, slots=True)
class ScalarStep:
    """One op of a fused chain; operands count the program's inputs first, then earlier steps."""

    op: Op[Any]
    """An op with a scalar rule."""
    attrs: Attrs
    """Its attributes."""
    operands: tuple[int, ...]
    """Which inputs or earlier steps it reads."""


@dataclass(frozen=True, slots=True)
class ScalarChain:
    """Ops applied element by element, as hashable data; the last step is the result.

    As text: `[3: mul($0, $1), add($3, $2)]` is a chain of three inputs.
    """

    inputs: int
    """How many values it takes."""
    steps: tuple[ScalarStep, ...]
    """In order of computation."""


OPS: Registry[Op[Any]] = Registry("op")
"""Every op, by name."""


def define_op(name: str, *traits: Trait) -> Callable[[Callable[Concatenate[A, ...], R]], Op[A]]:
    """Make the decorated type rule an op.

    The rule's first parameter is annotated with the attribute record; the others name the
    operands (default `None` makes one optional, `*xs` any number); its docstring documents the op.
    """

    def make(rule: Callable[Concatenate[A, ...], R]) -> Op[A]:
        parameters = list(inspect.signature(rule, eval_str=True).parameters.values())
        variadic = bool(parameters) and parameters[-1].kind is inspect.Parameter.VAR_POSITIONAL
        operands = parameters[1:]
        op: Op[A] = Op(
            name=name,
            operands=tuple(p.name for p in operands),
            optional=sum(p.default is not inspect.Parameter.empty for p in operands),
            variadic=variadic,
            attrs=parameters[0].annotation,
            type_rule=rule,
            traits=frozenset(traits),
            doc=inspect.getdoc(rule) or "",
        )
        OPS.register(name, op)
        return op

    return make
