"""Maps: a result computed element by element from operands that lie at any strides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import KernelBuilder, PhaseEmitter, ceil_div, element, pieces
from cnndsl.backends.cpu.lanes import each_chunk, mask_below, splat, transposed
from cnndsl.backends.cpu.llvm import I8, I16, I32, I64, Index, LType, V, constant
from cnndsl.ir.types import Shape, TensorType

GRAIN = 4096
"""Elements of one unit of work."""

Strides = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """A walk over a tensor: where it begins and what one step along each axis moves it by."""

    number: int
    """Which operand; of the result, which result."""
    kind: TensorType
    """The tensor's type."""
    strides: Strides
    """Elements from index to index, for each axis that is walked; 0 repeats."""
    offset: int = 0
    """First element."""


Compute = Callable[[PhaseEmitter, LType, list[V]], V]
"""`(f, type of the result's values, operands' values) -> value`."""


def broadcast_strides(kind: TensorType, shape: Shape, own: Strides) -> Strides:
    """Give the strides with which a tensor of strides `own` is repeated over `shape`."""
    if not kind.rank:
        return (0,) * len(shape)
    return tuple(0 if length == 1 else s for length, s in zip(kind.shape, own, strict=True))


def collapse(shape: Shape, streams: Sequence[Strides]) -> tuple[Shape, list[Strides]]:
    """Join neighbouring axes that every walk takes in one go; axes of length 1 vanish.

    >>> collapse((2, 3, 4), [(12, 4, 1), (0, 4, 1)])
    ((2, 12), [(12, 1), (0, 1)])
    """
    lengths: list[int] = []
    found: list[list[int]] = [[] for _ in streams]
    for axis, length in enumerate(shape):
        if length == 1:
            continue
        steps = [strides[axis] for strides in streams]
        if lengths and all(
            own[-1] == step * length for own, step in zip(found, steps, strict=True)
        ):
            lengths[-1] *= length
            for own, step in zip(found, steps, strict=True):
                own[-1] = step
        else:
            lengths.append(length)
            for own, step in zip(found, steps, strict=True):
                own.append(step)
    if not lengths:
        return (1,), [(1,) for _ in streams]
    return tuple(lengths), [tuple(own) for own in found]


def write_map(
    k: KernelBuilder,
    shape: Shape,
    inputs: Sequence[Stream],
    output: Stream,
    compute: Compute,
    *,
    flops: int = 1,
) -> None:
    """Write a phase that computes the elements of `shape` of a result from those of operands.

    `flops` counts the operations of an element.
    """
    if not prod(shape):
        return
    shape, strides = collapse(shape, [s.strides for s in (*inputs, output)])
    if _turned(shape, strides, inputs, output):
        _write_turned(k, shape, strides, inputs[0], output)
        return
    row = _Row(k, shape, strides, inputs, output, compute)
    nbytes = sum(min(s.kind.size, prod(shape)) * s.kind.dtype.nbytes for s in (*inputs, output))
    work = float(flops * prod(shape))
    length, rows = shape[-1], prod(shape[:-1])
    if length > 2 * GRAIN:
        cuts = ceil_div(length, GRAIN)
        with k.phase(rows * cuts, flops=work, nbytes=nbytes) as f:
            begin = f.imul(f.irem(f.unit, cuts), GRAIN)
            row.write(f, f.idiv(f.unit, cuts), begin, f.imin(f.iadd(begin, GRAIN), length))
        return
    several = max(1, GRAIN // length)
    units = ceil_div(rows, several)
    with (
        k.phase(units, flops=work, nbytes=nbytes) as f,
        f.loop(*pieces(f, rows, several, f.unit)) as at,
    ):
        row.write(f, at, 0, length)


@dataclass(frozen=True, slots=True)
class _Row:
    """Writes the elements along the last axis."""

    k: KernelBuilder
    shape: Shape
    strides: Sequence[Strides]
    inputs: Sequence[Stream]
    output: Stream
    compute: Compute

    def write(self, f: PhaseEmitter, row: Index, begin: Index, stop: Index) -> None:
        """Write the row number `row`, from element `begin` to `stop`."""
        where = f.unravel(row, self.shape[:-1])
        places = []
        for stream, strides in zip((*self.inputs, self.output), self.strides, strict=True):
            mine = stream is self.output
            base = f.result(stream.number) if mine else f.operand(stream.number)
            start = f.iadd(stream.offset, f.dot(where, strides[:-1]))
            places.append(f.at(base, element(stream.kind), start))
        steps = [strides[-1] for strides in self.strides]
        smooth = steps[-1] == 1 and all(step in (0, 1) for step in steps)
        lanes = self.k.lanes(self.output.kind) if smooth else 0
        fixed = {
            i: splat(f, f.load(element(stream.kind), places[i]), lanes)
            for i, stream in enumerate(self.inputs)
            if steps[i] == 0
        }

        def body(chunk: Chunk) -> None:
            values = []
            for i, stream in enumerate(self.inputs):
                if i in fixed:
                    narrow = chunk.lanes != lanes
                    values.append(f.load(element(stream.kind), places[i]) if narrow else fixed[i])
                else:
                    at = Chunk(f.imul(chunk.index, steps[i]), chunk.lanes, chunk.mask)
                    values.append(f.load_chunk(element(stream.kind), places[i], at))
            wide = element(self.output.kind).times(chunk.lanes)
            found = self.compute(f, wide, values)
            at = Chunk(f.imul(chunk.index, steps[-1]), chunk.lanes, chunk.mask)
            f.store_chunk(found, places[-1], at)

        each_chunk(f, stop, lanes, body, start=begin)


def copied(f: PhaseEmitter, kind: LType, values: list[V]) -> V:
    """Give the only operand."""
    return values[0]


def write_fill(k: KernelBuilder, number: int, value: float) -> None:
    """Write a phase that fills a result with a constant."""
    kind = k.results[number]
    flat = Stream(number, kind, (1,))
    write_map(k, (kind.size,), (), flat, lambda f, wide, values: constant(wide, value))


# --- transposition: the operand's neighbours lie far apart in the result


def _turned(
    shape: Shape, strides: Sequence[Strides], inputs: Sequence[Stream], output: Stream
) -> bool:
    """Tell whether this is a copy whose operand is contiguous along another axis."""
    if len(inputs) != 1 or len(shape) < 2 or strides[-1][-1] != 1 or strides[0][-1] in (0, 1):
        return False
    kinds = inputs[0].kind.dtype, output.kind.dtype
    return kinds[0] == kinds[1] and kinds[0].nbytes >= 4 and 1 in strides[0][:-1]


_WORDS = {1: I8, 2: I16, 4: I32, 8: I64}


def _write_turned(
    k: KernelBuilder,
    shape: Shape,
    strides: Sequence[Strides],
    source: Stream,
    output: Stream,
) -> None:
    """Copy squares of as many elements each way as a vector has, turning them in registers."""
    size = k.lanes(output.kind)
    word = _WORDS[output.kind.dtype.nbytes]
    axis = strides[0].index(1)
    others = [i for i in range(len(shape) - 1) if i != axis]
    length, depth = shape[-1], shape[axis]
    bands = ceil_div(depth, size)
    units = prod(shape[i] for i in others) * bands
    nbytes = 2.0 * prod(shape) * output.kind.dtype.nbytes
    with k.phase(units, nbytes=nbytes) as f:
        where = f.unravel(f.idiv(f.unit, bands), [shape[i] for i in others])
        first = f.imul(f.irem(f.unit, bands), size)
        start = f.iadd(source.offset, f.dot(where, [strides[0][i] for i in others]))
        target = f.iadd(output.offset, f.dot(where, [strides[-1][i] for i in others]))
        start = f.iadd(start, first)
        target = f.iadd(target, f.imul(first, strides[-1][axis]))
        deep = mask_below(f, f.isub(depth, first), size)
        zeros = constant(word.times(size), 0)
        with f.loop(0, length, size) as column:
            wide = mask_below(f, f.isub(length, column), size)
            rows = []
            for r in range(size):
                # A row beyond the end is read from the last one again, and not stored.
                at = f.imin(f.iadd(column, r), length - 1)
                place = f.iadd(start, f.imul(at, strides[0][-1]))
                rows.append(f.masked_load(zeros.type, f.operand(source.number), place, deep, zeros))
            for r, turned in enumerate(transposed(f, rows)):
                real = f.compare("slt", f.index(f.iadd(first, r)), constant(I64, depth))
                mask = f.bits("and", wide, splat(f, real, size))
                place = f.iadd(target, column, r * strides[-1][axis])
                f.masked_store(turned, f.result(output.number), place, mask)
