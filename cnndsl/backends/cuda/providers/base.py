"""The interface of a library, and regions made of its calls and our kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from cnndsl.backends.cuda.kernel import (
    ALIGNMENT,
    HALF_BYTES,
    Access,
    Argument,
    Call,
    Enqueue,
    Kernel,
    KernelBuilder,
    Key,
    Launch,
    Place,
)
from cnndsl.backends.cuda.policy import HALVES, Policy
from cnndsl.backends.cuda.providers.problem import Tail, has_tail
from cnndsl.backends.cuda.table import kernels as rules
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.types import Shape, TensorType
from cnndsl.ops.elementwise import add
from cnndsl.ops.fused import FusedElementwiseAttrs, fused_elementwise
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.ops.unary import CastAttrs, cast


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which a step can be computed."""

    name: str
    """Which library, how much of the region it does, which of its plans."""
    kernel: Kernel
    """The calls and launches."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a library may do."""

    policy: Policy
    """How factors may be rounded."""
    exact: bool
    """Whether factors may not be transformed."""
    most_workspace: int
    """Bytes that a call may have for itself."""

    @property
    def rounded(self) -> bool:
        """Tell whether factors may be rounded on their way to tensor cores."""
        return self.policy.precision != "fp32"


class Provider(Protocol):
    """A library that computes some steps."""

    @property
    def name(self) -> str:
        """Say which: "cudnn"."""

    @property
    def version(self) -> str:
        """Give what its plans depend on."""

    def ways(self, key: Key, rules: Rules, wanted: str | None = None) -> Iterator[Way]:
        """Give ways to compute a step, the library's best guess first; none if it knows none.

        With `wanted`, the way of this name alone, if the library still has it. A library that
        fails gives no ways.
        """


@dataclass(frozen=True, slots=True)
class Offer:
    """What a library would queue for a product."""

    label: str
    """Which of the library's plans."""
    enqueue: Enqueue
    """Takes the operands that the offer reads, the result, and the workspace."""
    workspace: int
    """Bytes that the call has for itself."""
    text: str
    """What is computed, for people."""
    makes: str = "float"
    """C++ type of the result's elements, which may not yet be that of the step's."""


def fused_way(key: Key, library: str, tail: Tail, offer: Offer, policy: Policy) -> Way:
    """Give the way in which the library does the whole region."""
    own = f" with {tail.name}" if tail.name else ""
    return _way(key, f"{library}{own} {offer.label}", offer, range(len(key.operands)), policy)


def split_way(key: Key, library: str, offer: Offer, policy: Policy) -> Way:
    """Give the way in which the library makes the product, and our kernel does what comes after."""
    found = _way(key, f"{library} {offer.label}", offer, range(2), policy)
    launches = (*found.kernel.launches, *after(key, policy))
    return replace(found, kernel=replace(found.kernel, launches=launches))


def _way(key: Key, name: str, offer: Offer, reads: range, policy: Policy) -> Way:
    """Give the call, and our launch that makes singles of its halves where the step's are such."""
    size = key.results[0].size
    arguments = [
        Argument(Place.OPERAND, i, key.nbytes(Place.OPERAND, i), Access.READ) for i in reads
    ]
    scratch = 0
    more: tuple[Launch | Call, ...] = ()
    if offer.makes in HALVES.values() and not key.is_half(Place.RESULT, 0):
        arguments.append(Argument(Place.SCRATCH, 0, size * HALF_BYTES, Access.WRITE))
        scratch, more = _aligned(size * HALF_BYTES), _widened(key.results[0], policy)
    else:
        nbytes = key.nbytes(Place.RESULT, 0)
        arguments.append(Argument(Place.RESULT, 0, nbytes, Access.WRITE))
    if offer.workspace:
        arguments.append(Argument(Place.SCRATCH, scratch, offer.workspace, Access.WRITE))
    call = Call(name, offer.text, tuple(arguments), offer.enqueue)
    scratch += _aligned(offer.workspace)
    return Way(name, Kernel(key.op.name, (call, *more), scratch, False, name))


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _widened(kind: TensorType, policy: Policy) -> tuple[Launch | Call, ...]:
    """Give our launch that makes the result, of singles, of halves at the beginning of scratch."""
    b, attrs = Builder(Graph("widened")), CastAttrs(kind.dtype)
    made = b.emit(cast, b.emit(input_, attrs=InputAttrs(kind), name="x"), attrs=attrs)
    key = Key(cast, attrs, (kind,), (kind,), False, ((True,), (False,)))
    builder = KernelBuilder(b.graph[made], key, policy)
    rules[cast](builder, b.graph[made])
    return tuple(
        replace(
            part,
            arguments=tuple(
                replace(a, place=Place.SCRATCH, index=0) if a.place is Place.OPERAND else a
                for a in part.arguments
            ),
        )
        for part in builder.finish().launches
    )


def after(key: Key, policy: Policy) -> tuple[Launch | Call, ...]:
    """Give our launches that add bias and epilogue to a step's product, which lies in its result.

    They are those of a fused chain on the result, whose other operands are the step's.
    """
    if not has_tail(key):
        return ()
    attrs: Any = key.attrs
    result = key.results[0]
    kinds = [result, *key.operands[2:]]
    if attrs.has_bias:
        kinds[1] = TensorType(result.dtype, _beside(key.operands[2].shape, result.rank))
    program = _chain(attrs.epilogue, bias=attrs.has_bias, operands=len(kinds))
    result_half = key.is_half(Place.RESULT, 0)
    rest = (key.is_half(Place.OPERAND, 2 + i) for i in range(len(kinds) - 1))
    node, chain = _node(kinds, program)
    chain = replace(chain, halves=((result_half, *rest), (result_half,)))
    builder = KernelBuilder(node, chain, policy)
    rules[fused_elementwise](builder, node)
    return tuple(replace(part, arguments=_moved(part)) for part in builder.finish().launches)


def _beside(shape: Shape, rank: int) -> Shape:
    """Give the shape in which a bias of channels stands by a result."""
    return (1, *shape, *(1,) * (rank - 1 - len(shape)))


def _chain(epilogue: ScalarProgram | None, *, bias: bool, operands: int) -> ScalarProgram:
    """Give bias and epilogue as one chain: its inputs are the product, and the operands after it.

    The inputs of the epilogue are the sum with the bias, and what comes after the bias.
    """
    steps = [ScalarStep(add, add.attrs(), (0, 1))] if bias else []
    old = epilogue or ScalarProgram(1, ())
    place = [operands if bias else 0, *range(1 + bias, operands)]
    place += [operands + len(steps) + i for i in range(len(old.steps))]
    moved = (replace(s, operands=tuple(place[i] for i in s.operands)) for s in old.steps)
    return ScalarProgram(operands, (*steps, *moved))


def _node(kinds: list[TensorType], program: ScalarProgram) -> tuple[Node[Any], Key]:
    b = Builder(Graph("tail"))
    values = [b.emit(input_, attrs=InputAttrs(k), name=f"x{i}") for i, k in enumerate(kinds)]
    attrs = FusedElementwiseAttrs(program)
    made = b.emit(fused_elementwise, *values, attrs=attrs, name="tail")
    result = b.type_of(made)
    return b.graph[made], Key(fused_elementwise, attrs, tuple(kinds), (result,), True)


def _moved(part: Launch | Call) -> tuple[Argument, ...]:
    """Let a chain's first operand be the step's result, and the next ones what follows factors."""
    found = []
    for a in part.arguments:
        if a.place is Place.OPERAND and a.index == 0:
            found.append(Argument(Place.RESULT, 0, a.nbytes, Access.READ))
        elif a.place is Place.OPERAND:
            found.append(Argument(Place.OPERAND, a.index + 1, a.nbytes, a.access))
        else:
            found.append(a)
    return tuple(found)
