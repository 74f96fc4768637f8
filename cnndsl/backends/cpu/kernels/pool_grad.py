"""Gradients of pooling: maxima found again, and values added to the pixels that windows see."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import prod

from cnndsl.backends.cpu.emit import Chunk, Slot
from cnndsl.backends.cpu.kernel import Buffer, KernelBuilder, Memory, PhaseEmitter
from cnndsl.backends.cpu.kernels.pool_frame import PlaceFrame
from cnndsl.backends.cpu.kernels.windows import Windows
from cnndsl.backends.cpu.lanes import (
    each_chunk,
    interleave,
    iota,
    mask_below,
    splat,
)
from cnndsl.backends.cpu.llvm import I32, I64, Index, LType, V, constant, vector_constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.pool import (
    AvgPool2dGradAttrs,
    Pool2dAttrs,
    avg_pool2d_grad,
    max_pool2d_gather,
    max_pool2d_grad,
)


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
                self._compare(tap.value, f.iadd(begin, tap.number))

        at.tap_rows(f, row, taps)
        where = f.get(self.where)
        # Where nothing is larger than minus infinity, the first element is the maximum.
        nowhere = f.compare("slt", where, constant(where.type, 0))
        return f.select(nowhere, self._first(row), where)

    def _compare(self, value: V, distance: Index) -> None:
        f, known = self.f, self.f.get(self.most)
        # Larger, or the first NaN; the padding is minus infinity, and never larger.
        beats = f.bits("and", f.compare("ugt", value, known), f.compare("ord", known, known))
        f.set(self.most, f.select(beats, value, known))
        here = f.convert("trunc", f.index(distance), I32)
        f.set(self.where, f.select(beats, splat(f, here, self.at.lanes), f.get(self.where)))

    def _first(self, row: Index) -> V:
        """Give the distances of the first elements that are none of the padding."""
        f, at = self.f, self.at
        (top, _), (left, _) = at.attrs.padding
        (down, across), kind = at.attrs.strides, I32.times(at.lanes)
        lower = f.imul(f.imax(f.isub(top, f.imul(row, down)), 0), at.image[1])
        begin = f.convert("trunc", f.index(f.isub(left, f.imul(self.chunk.index, across))), I32)
        steps = vector_constant(kind, [-across * lane for lane in range(at.lanes)])
        right = f.add(splat(f, begin, at.lanes), steps)
        right = f.intrinsic(f"smax.v{at.lanes}i32", kind, right, constant(kind, 0))
        return f.add(right, splat(f, f.convert("trunc", f.index(lower), I32), at.lanes))


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
    work = 6.0 * grad.size * prod(node.attrs.window)
    if not at.apart and PlaceFrame.fits(at):
        frame = PlaceFrame.of(k, at, I32)
        with at.phase(2 * work, 2 * x.nbytes + grad.nbytes) as (f, plane):
            _lay_from_frame(f, at, frame, plane)
        return
    aside = k.buffer(Memory.THREAD, at.lanes * 4)
    values = k.buffer(Memory.THREAD, at.lanes * at.kind.nbytes)
    work += 0 if at.apart else 48.0 * grad.size
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


def _lay_from_frame(f: PhaseEmitter, at: Windows, frame: PlaceFrame, plane: Index) -> None:
    """Note where each window has its maximum; then give each pixel what is laid on it."""
    source, target = (at.source(f, place, plane) for place in (f.operand(0), f.result()))
    grads = at.target(f, f.operand(1), plane)
    wide = at.kind.times(at.lanes)
    frame.clear(f, -1)
    with f.loop(0, at.places[0]) as row:

        def body(chunk: Chunk) -> None:
            where = _Maxima(f, at, chunk).find(source, row)
            at_once = Chunk(0, chunk.lanes, chunk.mask)
            f.store_chunk(where, frame.place(f, row, chunk.index), at_once)

        each_chunk(f, at.places[1], at.lanes, body)

    def term(row: Index, column: Index, distance: int) -> V:
        where = f.load(I32.times(at.lanes), frame.place(f, row, column))
        # Places that are none have no maximum; what is read for their gradient does not count.
        near = f.imin(f.imax(row, 0), at.places[0] - 1)
        grad = f.load(wide, grads, f.iadd(f.imul(near, at.places[1]), column))
        hit = f.compare("eq", where, constant(where.type, distance))
        return f.select(hit, grad, constant(wide, 0.0))

    frame.sum_up(f, target, term)


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
    """Add the gradients one by one: windows may share their maximum, and each has many taps."""
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
    """Share each gradient out: written where windows stand side by side, else summed up."""
    grad, attrs = k.operands[0], node.attrs
    at = Windows.of(k, attrs, attrs.shape, grad)
    work, nbytes = 2.0 * grad.size * prod(attrs.window), 2 * k.results[0].nbytes + grad.nbytes
    if not at.apart and PlaceFrame.fits(at):
        frame = PlaceFrame.of(k, at, at.kind)
        with at.phase(work, nbytes) as (f, plane):
            frame.clear(f, 0.0)
            _each_share(
                f,
                at,
                attrs,
                plane,
                lambda row, chunk, value: f.store_chunk(
                    value, frame.place(f, row, chunk.index), Chunk(0, chunk.lanes, chunk.mask)
                ),
            )
            wide = at.kind.times(at.lanes)
            frame.sum_up(
                f,
                at.source(f, f.result(), plane),
                lambda row, column, _: f.load(wide, frame.place(f, row, column)),
            )
        return
    values = k.buffer(Memory.THREAD, at.lanes * at.kind.nbytes)
    with at.phase(work * (1 if at.apart else 8), nbytes) as (f, plane):
        target = at.source(f, f.result(), plane)
        if not at.apart or not _covered(at):
            _clear(f, at, target)

        def share(row: Index, chunk: Chunk, value: V) -> None:
            def taps(_: Index, image_row: Index) -> None:
                place = f.at(target, at.kind, f.imul(image_row, at.image[1]))
                if at.apart:
                    _store_side_by_side(f, at, place, chunk, [value] * attrs.window[1])
                else:
                    f.store(value, f.place(values))
                    _add_spread(f, at, place, chunk, values)

            at.tap_rows(f, row, taps)

        _each_share(f, at, attrs, plane, share)


def _each_share(
    f: PhaseEmitter,
    at: Windows,
    attrs: AvgPool2dGradAttrs,
    plane: Index,
    use: Callable[[Index, Chunk, V], None],
) -> None:
    """Write `use(row, chunk, share)` for all places of a plane."""
    grads = at.target(f, f.operand(0), plane)
    with f.loop(0, at.places[0]) as row:
        line = f.at(grads, at.kind, f.imul(row, at.places[1]))

        def body(chunk: Chunk) -> None:
            share = at.shares(f, row, chunk, whole=attrs.count_padding)
            use(row, chunk, f.mul(f.load_chunk(at.kind, line, chunk), share))

        each_chunk(f, at.places[1], at.lanes, body)


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
