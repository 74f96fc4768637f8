"""Pooling and its gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod

from cnndsl.backends.cpu.emit import Chunk, Slot
from cnndsl.backends.cpu.kernel import Buffer, KernelBuilder, Memory, PhaseEmitter, element
from cnndsl.backends.cpu.kernels.reduce import Sweep, add, larger, write_reduction
from cnndsl.backends.cpu.kernels.windows import Tap, Windows
from cnndsl.backends.cpu.lanes import (
    conjunction,
    each_chunk,
    interleave,
    iota,
    mask_below,
    mask_within,
    splat,
)
from cnndsl.backends.cpu.llvm import I32, I64, Index, LType, V, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs
from cnndsl.ops.pool import (
    AvgPool2dAttrs,
    AvgPool2dGradAttrs,
    Pool2dAttrs,
    avg_pool2d,
    avg_pool2d_grad,
    global_avg_pool,
    global_max_pool,
    max_pool2d,
    max_pool2d_gather,
    max_pool2d_grad,
)


def _pool(k: KernelBuilder, attrs: Pool2dAttrs, first: float, *, whole: bool | None = None) -> None:
    """Write a pooling: the maximum, or with `whole` the mean, with or without padding."""
    x, y = k.operands[0], k.results[0]
    at = Windows.of(k, attrs, x.shape, y)
    mean = whole is not None
    with at.phase(2.0 * y.size * prod(attrs.window), x.nbytes + y.nbytes) as (f, plane):
        source, target = at.source(f, f.operand(0), plane), at.target(f, f.result(), plane)
        with f.loop(0, at.places[0]) as row:
            line = f.at(target, at.kind, f.imul(row, at.places[1]))

            def body(chunk: Chunk) -> None:
                total = f.variable(constant(at.kind.times(at.lanes), first))

                def taps(_: Index, image_row: Index) -> None:
                    pixels = f.at(source, at.kind, f.imul(image_row, at.image[1]))
                    at.ask(f, pixels, chunk)
                    for tap in at.taps(f, pixels, chunk, first):
                        known = f.get(total)
                        joined = f.add(known, tap.value) if mean else f.maximum(known, tap.value)
                        f.set(total, joined)

                at.tap_rows(f, row, taps)
                found = f.get(total)
                if whole is not None:
                    found = f.mul(found, at.shares(f, row, chunk, whole=whole))
                f.store_chunk(found, line, chunk)

            each_chunk(f, at.places[1], at.lanes, body)


@kernels.rule(max_pool2d)
def max_pool2d_cpu(k: KernelBuilder, node: Node[Pool2dAttrs]) -> None:
    """Take the larger, tap by tap."""
    _pool(k, node.attrs, -math.inf)


@kernels.rule(avg_pool2d)
def avg_pool2d_cpu(k: KernelBuilder, node: Node[AvgPool2dAttrs]) -> None:
    """Add tap by tap, then divide."""
    _pool(k, node.attrs, 0.0, whole=node.attrs.count_padding)


@kernels.rule(global_avg_pool)
def global_avg_pool_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Sum each plane, divide."""
    x = k.operands[0]
    share = 1.0 / (x.shape[2] * x.shape[3])
    write_reduction(k, Sweep.of(x.shape, (2, 3)), 0.0, add, share)


@kernels.rule(global_max_pool)
def global_max_pool_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Take each plane's largest element."""
    write_reduction(k, Sweep.of(k.operands[0].shape, (2, 3)), -math.inf, larger, 1.0)


# --- where the maxima are


class _Maxima:
    """Finds the first maximum of each window: its distance from the window's first element."""

    def __init__(self, f: PhaseEmitter, at: Windows, chunk: Chunk) -> None:
        self.f, self.at, self.chunk = f, at, chunk
        self.most: Slot = f.variable(constant(at.kind.times(at.lanes), -math.inf))
        self.where: Slot = f.variable(constant(I32.times(at.lanes), -1))

    def find(self, source: V, row: Index) -> V:
        """Give the distances for the places of the chunk."""
        f, at = self.f, self.at

        def taps(tap_row: Index, image_row: Index) -> None:
            pixels = f.at(source, at.kind, f.imul(image_row, at.image[1]))
            begin = f.imul(tap_row, at.image[1])
            for tap in at.taps(f, pixels, self.chunk, -math.inf):
                self._compare(tap, f.iadd(begin, tap.number))

        at.tap_rows(f, row, taps)
        return f.get(self.where)

    def _compare(self, tap: Tap, distance: Index) -> None:
        f, known = self.f, self.f.get(self.most)
        kind = I32.times(self.at.lanes)
        # Larger, or the first NaN, or the first element at all.
        beats = f.bits("and", f.compare("ugt", tap.value, known), f.compare("ord", known, known))
        none = f.compare("slt", f.get(self.where), constant(kind, 0))
        beats = f.bits("or", beats, none)
        beats = conjunction(f, beats, tap.valid) or beats
        f.set(self.most, f.select(beats, tap.value, known))
        here = f.convert("trunc", f.index(distance), I32)
        f.set(self.where, f.select(beats, splat(f, here, self.at.lanes), f.get(self.where)))


def _origin(f: PhaseEmitter, at: Windows, row: Index, column: Index) -> Index:
    """Give the element of a plane at which a place's window begins; negative in the padding."""
    (top, _), (left, _) = at.attrs.padding
    down = f.iadd(f.imul(row, at.attrs.strides[0]), -top)
    return f.iadd(f.imul(down, at.image[1]), f.imul(column, at.attrs.strides[1]), -left)


def _clear(f: PhaseEmitter, at: Windows, plane: V) -> None:
    """Fill a plane with zeros."""
    zero = constant(at.kind.times(at.lanes), 0.0)
    each_chunk(f, prod(at.image), at.lanes, lambda chunk: f.store_chunk(zero, plane, chunk))


def _covered(at: Windows) -> bool:
    """Tell whether windows side by side see every pixel."""
    return all(n == p * w for n, p, w in zip(at.image, at.places, at.attrs.window, strict=True))


def _store_side_by_side(
    f: PhaseEmitter, at: Windows, line: V, chunk: Chunk, values: Sequence[V]
) -> None:
    """Store what the taps of one row get, for windows that stand side by side."""
    count = len(values)
    for part, vector in enumerate(interleave(f, values)):
        place = f.iadd(f.imul(chunk.index, count), part * at.lanes)
        mask = None
        if chunk.mask is not None:
            mask = mask_below(f, f.isub(at.places[1] * count, place), at.lanes)
        f.store_chunk(vector, line, Chunk(place, at.lanes, mask))


@kernels.rule(max_pool2d_grad)
def max_pool2d_grad_cpu(k: KernelBuilder, node: Node[Pool2dAttrs]) -> None:
    """Find the maxima again; lay the gradient on them."""
    x, grad = k.operands
    at = Windows.of(k, node.attrs, x.shape, grad)
    aside = k.buffer(Memory.THREAD, at.lanes * 4)
    values = k.buffer(Memory.THREAD, at.lanes * at.kind.nbytes)
    work = 6.0 * grad.size * (prod(node.attrs.window) + (0 if at.apart else 8))
    with at.phase(work, 2 * x.nbytes + grad.nbytes) as (f, plane):
        source, target = (at.source(f, place, plane) for place in (f.operand(0), f.result()))
        grads = at.target(f, f.operand(1), plane)
        if not at.apart or not _covered(at):
            _clear(f, at, target)
        with f.loop(0, at.places[0]) as row:
            line = f.at(grads, at.kind, f.imul(row, at.places[1]))

            def body(chunk: Chunk) -> None:
                where = _Maxima(f, at, chunk).find(source, row)
                grad = f.load_chunk(at.kind, line, chunk)
                if at.apart:
                    _lay_apart(f, at, target, row, chunk, where, grad)
                else:
                    f.store(where, f.place(aside))
                    f.store(grad, f.place(values))
                    _lay(f, at, target, (row, chunk), (aside, values))

            each_chunk(f, at.places[1], at.lanes, body)


def _lay_apart(
    f: PhaseEmitter, at: Windows, target: V, row: Index, chunk: Chunk, where: V, grad: V
) -> None:
    """Write every tap's gradient: the place's where it has its maximum there, else 0."""
    zero = constant(grad.type, 0.0)
    for tap_row in range(at.attrs.window[0]):
        found = []
        for tap in range(at.attrs.window[1]):
            here = constant(where.type, tap_row * at.image[1] + tap)
            found.append(f.select(f.compare("eq", where, here), grad, zero))
        line = f.iadd(f.imul(row, at.attrs.strides[0]), tap_row)
        place = f.at(target, at.kind, f.imul(line, at.image[1]))
        _store_side_by_side(f, at, place, chunk, found)


def _lay(
    f: PhaseEmitter,
    at: Windows,
    target: V,
    place: tuple[Index, Chunk],
    aside: tuple[Buffer, Buffer],
) -> None:
    """Add the gradients one by one: windows may share their maximum."""
    row, chunk = place
    count = at.lanes if chunk.mask is None else f.isub(at.places[1], chunk.index)
    with f.loop(0, count) as lane:
        away = f.convert("sext", f.load(I32, f.place(aside[0]), lane), I64)
        element_ = f.iadd(_origin(f, at, row, f.iadd(chunk.index, lane)), away)
        total = f.add(f.load(at.kind, target, element_), f.load(at.kind, f.place(aside[1]), lane))
        f.store(total, target, element_)


@kernels.rule(max_pool2d_gather)
def max_pool2d_gather_cpu(k: KernelBuilder, node: Node[Pool2dAttrs]) -> None:
    """Find the maxima; gather there."""
    x, y = k.operands[0], k.results[0]
    at = Windows.of(k, node.attrs, x.shape, y)
    with at.phase(8.0 * y.size * prod(node.attrs.window), 2 * x.nbytes) as (f, plane):
        source, values = (at.source(f, f.operand(i), plane) for i in range(2))
        target = at.target(f, f.result(), plane)
        with f.loop(0, at.places[0]) as row:
            line = f.at(target, at.kind, f.imul(row, at.places[1]))

            def body(chunk: Chunk) -> None:
                where = f.convert("sext", _Maxima(f, at, chunk).find(source, row), _wide(at))
                begin = splat(f, f.index(_origin(f, at, row, chunk.index)), at.lanes)
                steps = iota(at.lanes, step=at.attrs.strides[1])
                places = f.add(f.add(begin, steps), where)
                wide = at.kind.times(at.lanes)
                found = f.gather(wide, values, places, chunk.mask, constant(wide, 0.0))
                f.store_chunk(found, line, chunk)

            each_chunk(f, at.places[1], at.lanes, body)


def _wide(at: Windows) -> LType:
    return I64.times(at.lanes)


@kernels.rule(avg_pool2d_grad)
def avg_pool2d_grad_cpu(k: KernelBuilder, node: Node[AvgPool2dGradAttrs]) -> None:
    """Share each gradient out: written where windows stand side by side, else added."""
    grad, attrs = k.operands[0], node.attrs
    at = Windows.of(k, attrs, attrs.shape, grad)
    values = k.buffer(Memory.THREAD, at.lanes * element(grad).nbytes)
    work = 2.0 * grad.size * prod(attrs.window) * (1 if at.apart or attrs.strides[1] == 1 else 8)
    with at.phase(work, 2 * k.results[0].nbytes + grad.nbytes) as (f, plane):
        target = at.source(f, f.result(), plane)
        grads = at.target(f, f.operand(0), plane)
        if not at.apart or not _covered(at):
            _clear(f, at, target)
        with f.loop(0, at.places[0]) as row:
            line = f.at(grads, at.kind, f.imul(row, at.places[1]))

            def body(chunk: Chunk) -> None:
                share = at.shares(f, row, chunk, whole=attrs.count_padding)
                value = f.mul(f.load_chunk(at.kind, line, chunk), share)

                def taps(_: Index, image_row: Index) -> None:
                    place = f.at(target, at.kind, f.imul(image_row, at.image[1]))
                    if at.apart:
                        _store_side_by_side(f, at, place, chunk, [value] * attrs.window[1])
                    elif attrs.strides[1] == 1:
                        _add_shifted(f, at, place, chunk, value)
                    else:
                        f.store(value, f.place(values))
                        _add_spread(f, at, place, chunk, values)

                at.tap_rows(f, row, taps)

            each_chunk(f, at.places[1], at.lanes, body)


def _add_shifted(f: PhaseEmitter, at: Windows, line: V, chunk: Chunk, value: V) -> None:
    """Add a vector of places to a row of the image once for each tap."""
    left = at.attrs.padding[1][0]
    for tap in range(at.attrs.window[1]):
        start = f.iadd(chunk.index, tap - left)
        mask = mask_within(f, start, at.image[1], at.lanes) if at.padded else None
        place = Chunk(start, at.lanes, conjunction(f, mask, chunk.mask))
        f.store_chunk(f.add(f.load_chunk(at.kind, line, place), value), line, place)


def _add_spread(f: PhaseEmitter, at: Windows, line: V, chunk: Chunk, values: Buffer) -> None:
    """Add places one by one to the pixels that their windows see in one row."""
    left, step, width = at.attrs.padding[1][0], at.attrs.strides[1], at.image[1]
    count = at.lanes if chunk.mask is None else f.isub(at.places[1], chunk.index)
    with f.loop(0, count) as lane:
        value = f.load(at.kind, f.place(values), lane)
        first = f.iadd(f.imul(f.iadd(chunk.index, lane), step), -left)
        stop = f.imin(f.iadd(first, at.attrs.window[1]), width)
        with f.loop(f.imax(first, 0), stop) as pixel:
            f.store(f.add(f.load(at.kind, line, pixel), value), line, pixel)
