"""Losses of scores against labels, with their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from cnndsl.backends.cpu import vector_math
from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.faults import faults
from cnndsl.backends.cpu.kernel import Buffer, KernelBuilder, Memory, PhaseEmitter
from cnndsl.backends.cpu.kernels.axes import Column, element_walk
from cnndsl.backends.cpu.kernels.softmax import FLOPS, largest, sum_of_powers
from cnndsl.backends.cpu.lanes import across, each_chunk, splat
from cnndsl.backends.cpu.llvm import I64, Index, LType, V, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs
from cnndsl.ir.types import TensorType
from cnndsl.ops.loss import (
    FLOOR,
    cross_entropy,
    cross_entropy_grad,
    hinge,
    hinge_grad,
    softmax_cross_entropy,
    softmax_cross_entropy_grad,
)
from cnndsl.support.diagnostics import DataError, error


@faults.rule(
    softmax_cross_entropy,
    softmax_cross_entropy_grad,
    cross_entropy,
    cross_entropy_grad,
    hinge,
    hinge_grad,
)
def label_fault(node: Node[Attrs], operands: Sequence[TensorType], label: int) -> Exception:
    """A label that no class has."""
    classes = operands[-2].shape[1]
    return DataError(
        error(
            "E0807",
            f"the label {label} reached {node.id}, which has {classes} classes",
            notes=(f"labels of {classes} classes are 0 to {classes - 1}",),
        )
    )


class Labelled:
    """Scores [N, C, ...] with a label at each position; a unit is one position or some."""

    def __init__(self, k: KernelBuilder) -> None:
        """Write the phase that reports the first label which is none."""
        self.k = k
        self.number = len(k.operands) - 2
        self.scores = k.operands[self.number]
        self.walk, self.kind = element_walk(k, self.number, 1)
        self.positions = k.operands[-1].size
        self.classes = self.scores.shape[1]
        # One number for each lane, to take vectors apart and to put them together.
        self._lanes = k.buffer(Memory.THREAD, self.walk.lanes * self.kind.nbytes)
        with k.phase(1, nbytes=8 * self.positions) as f, f.loop(0, self.positions) as back:
            label = f.load(I64, f.operand(self.number + 1), f.isub(self.positions - 1, back))
            with f.when(f.compare("uge", label, constant(I64, self.classes))):
                f.report(label)

    def source(self, f: PhaseEmitter) -> V:
        """Point at the scores."""
        return f.operand(self.number)

    def split(self, f: PhaseEmitter, value: V) -> None:
        """Take a vector apart, for `lane`."""
        f.store(value, f.place(self._lanes))

    def lane(self, f: PhaseEmitter, lane: Index) -> V:
        """Give one lane of what was taken apart or put together."""
        return f.load(self.kind, f.place(self._lanes), lane)

    def join(self, f: PhaseEmitter, column: Column, value: Callable[[Index, V], V]) -> V:
        """Put a vector together of `value(position, element of its label)`."""

        def put(lane: Index, position: Index, place: Index) -> None:
            f.store(value(position, f.index(place)), f.place(self._lanes), lane)

        self.each(f, column, put)
        if self.walk.along:
            return splat(f, self.lane(f, 0), self.walk.lanes)
        return f.load(column.wide, f.place(self._lanes))

    def each(
        self, f: PhaseEmitter, column: Column, use: Callable[[Index, Index, Index], None]
    ) -> None:
        """Write `use(lane, position, element of its label)` for each position of a unit."""
        walk, first, count = self.walk, f.unit, f.index(1)
        begin: Index = first
        if not walk.along:
            group = f.imul(f.irem(first, walk.groups), walk.lanes)
            begin = f.iadd(f.imul(f.idiv(first, walk.groups), walk.inner), group)
            count = f.index(f.imin(walk.lanes, f.isub(walk.inner, group)))
        with f.loop(0, count) as lane:
            position = f.iadd(begin, lane)
            label = f.load(I64, f.operand(self.number + 1), position)
            # A wrong label was reported; here it must only do no harm.
            safe = f.imin(f.imax(label, 0), self.classes - 1)
            use(lane, position, f.iadd(column.base, f.imul(safe, walk.inner), lane))

    def write_loss(self, loss: Callable[[PhaseEmitter, Column, Put], None], flops: int) -> None:
        """Write the mean of what `loss(f, column, put)` puts: `put(position, scalar)`."""
        parts = self.k.buffer(Memory.SHARED, self.positions * self.kind.nbytes)
        size = self.scores.size
        with self.k.phase(self.walk.units, flops=flops * size, nbytes=self.scores.nbytes) as f:
            column = self.walk.begin(f, self.kind)
            loss(f, column, lambda position, value: f.store(value, f.place(parts), position))
        write_mean(self.k, parts, self.positions, self.positions)

    def share(self, f: PhaseEmitter) -> V:
        """Give the loss's gradient over the number of positions."""
        grad = f.load(self.kind, f.operand(0))
        return f.div(grad, constant(self.kind, self.positions))


Put = Callable[[Index, V], None]


def write_mean(k: KernelBuilder, parts: Buffer, count: int, whole: int) -> None:
    """Write the sum of `count` numbers over `whole` into the result, a scalar."""
    (y,) = k.results
    kind, lanes = LType(_KINDS[y.dtype.nbytes]), k.lanes(y)
    with k.phase(1, flops=count) as f:
        total = f.variable(constant(kind.times(lanes), 0.0))

        def body(chunk: Chunk) -> None:
            f.set(total, f.add(f.get(total), f.load_chunk(kind, f.place(parts), chunk)))

        each_chunk(f, count, lanes, body)
        found = across(f, f.get(total), f.add)
        f.store(f.div(found, constant(kind, whole)), f.result())


_KINDS = {4: "float", 8: "double"}


def _floored(f: PhaseEmitter, value: V) -> V:
    return f.maximum(value, constant(value.type, FLOOR))


@kernels.rule(softmax_cross_entropy)
def softmax_cross_entropy_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Take log(sum of e**(x - max)) - (x of the label - max)."""
    at = Labelled(k)

    def loss(f: PhaseEmitter, column: Column, put: Put) -> None:
        most = largest(f, column, at.source(f))
        spread = vector_math.log(f, sum_of_powers(f, column, at.source(f), most))
        own = at.join(f, column, lambda _, place: f.load(at.kind, at.source(f), place))
        at.split(f, f.sub(spread, f.sub(own, most)))
        at.each(f, column, lambda lane, position, _: put(position, at.lane(f, lane)))

    at.write_loss(loss, FLOPS)


@kernels.rule(softmax_cross_entropy_grad)
def softmax_cross_entropy_grad_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Write the softmax times the share, then take the share from the label's."""
    at = Labelled(k)
    with k.phase(at.walk.units, flops=FLOPS * at.scores.size, nbytes=2 * at.scores.nbytes) as f:
        column = at.walk.begin(f, at.kind)
        most = largest(f, column, at.source(f))
        sums = sum_of_powers(f, column, at.source(f), most)
        share = at.share(f)
        factor = f.div(splat(f, share, at.walk.lanes), sums)

        def body(chunk: Chunk, _: Index) -> None:
            x = f.load_chunk(at.kind, at.source(f), chunk)
            f.store_chunk(f.mul(vector_math.exp(f, f.sub(x, most)), factor), f.result(), chunk)

        column.each(body)

        def less(lane: Index, position: Index, place: Index) -> None:
            f.store(f.sub(f.load(at.kind, f.result(), place), share), f.result(), place)

        at.each(f, column, less)


@kernels.rule(cross_entropy)
def cross_entropy_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Take the logarithm of what the labels got."""
    at = Labelled(k)

    def loss(f: PhaseEmitter, column: Column, put: Put) -> None:
        def one(lane: Index, position: Index, place: Index) -> None:
            got = _floored(f, f.load(at.kind, at.source(f), place))
            put(position, f.sub(constant(at.kind, 0.0), vector_math.log(f, got)))

        at.each(f, column, one)

    at.write_loss(loss, FLOPS // at.classes + 1)


@kernels.rule(cross_entropy_grad)
def cross_entropy_grad_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Write zeros, then the share over what the label got."""
    at = Labelled(k)
    with k.phase(at.walk.units, nbytes=at.scores.nbytes) as f:
        column = at.walk.begin(f, at.kind)
        column.each(lambda chunk, _: f.store_chunk(constant(column.wide, 0.0), f.result(), chunk))
        share = f.sub(constant(at.kind, 0.0), at.share(f))

        def one(lane: Index, position: Index, place: Index) -> None:
            got = _floored(f, f.load(at.kind, at.source(f), place))
            f.store(f.div(share, got), f.result(), place)

        at.each(f, column, one)


def _margins(
    f: PhaseEmitter, at: Labelled, column: Column, use: Callable[[Chunk, V], None]
) -> None:
    """Write `use(chunk, x - x of the label + 1)`; the label's own margin is 1."""
    own = at.join(f, column, lambda _, place: f.load(at.kind, at.source(f), place))
    one = constant(column.wide, 1.0)

    def body(chunk: Chunk, _: Index) -> None:
        x = f.load_chunk(at.kind, at.source(f), chunk, -inf)
        use(chunk, f.add(f.sub(x, own), one))

    column.each(body)


@kernels.rule(hinge)
def hinge_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Sum the margins above 0, but the label's own, which is 1."""
    at = Labelled(k)

    def loss(f: PhaseEmitter, column: Column, put: Put) -> None:
        zero = constant(column.wide, 0.0)
        total = f.variable(constant(column.wide, 0.0))

        def body(chunk: Chunk, margin: V) -> None:
            f.set(total, f.add(f.get(total), f.maximum(margin, zero)))

        _margins(f, at, column, body)
        at.split(f, f.sub(column.joined(total, f.add), constant(column.wide, 1.0)))
        at.each(f, column, lambda lane, position, _: put(position, at.lane(f, lane)))

    at.write_loss(loss, 4)


@kernels.rule(hinge_grad)
def hinge_grad_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Write the share for each class within the margin, and minus their sum at the label."""
    at = Labelled(k)
    with k.phase(at.walk.units, flops=4 * at.scores.size, nbytes=2 * at.scores.nbytes) as f:
        column = at.walk.begin(f, at.kind)
        share = at.share(f)
        zero, one = constant(column.wide, 0.0), constant(column.wide, 1.0)
        count = f.variable(zero)

        def body(chunk: Chunk, margin: V) -> None:
            within = f.select(f.compare("ogt", margin, zero), one, zero)
            f.set(count, f.add(f.get(count), within))
            scaled = f.mul(within, splat(f, share, at.walk.lanes))
            f.store_chunk(scaled, f.result(), chunk)

        _margins(f, at, column, body)
        at.split(f, f.sub(one, column.joined(count, f.add)))

        def own(lane: Index, position: Index, place: Index) -> None:
            f.store(f.mul(at.lane(f, lane), share), f.result(), place)

        at.each(f, column, own)
