"""Padding: a copy into the middle, or rows gathered by tables of where each element comes from."""

from __future__ import annotations

from math import prod

from cnndsl.backends.cpu.kernel import KernelBuilder, element, row_major
from cnndsl.backends.cpu.kernels.maps import Stream, copied, write_fill, write_map
from cnndsl.backends.cpu.llvm import I64, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.pad import PadAttrs, PadGradAttrs, pad, pad_grad


@kernels.rule(pad)
def pad_cpu(k: KernelBuilder, node: Node[PadAttrs]) -> None:
    """Fill and copy, or gather each row."""
    (x,), y = k.operands, k.results[0]
    attrs = node.attrs
    if not y.size:
        return
    if attrs.mode == "constant":
        strides = row_major(y.shape)
        begin = sum(lo * s for lo, s in zip(attrs.lo, strides, strict=True))
        write_fill(k, 0, attrs.value)
        source = Stream(0, x, row_major(x.shape))
        write_map(k, x.shape, [source], Stream(0, y, strides, begin), copied)
        return
    tables = [k.module.table(I64, index) for index in _sources(attrs, x.shape)]
    strides, kind = row_major(x.shape), element(x)
    with k.phase(prod(y.shape[:-1]), nbytes=2 * y.nbytes) as f:
        where = f.unravel(f.unit, y.shape[:-1])
        rows = [f.load(I64, t, i) for t, i in zip(tables, where, strict=False)]
        start = f.dot(rows, strides[:-1])
        target = f.imul(f.unit, y.shape[-1])
        with f.loop(0, y.shape[-1]) as i:
            place = f.iadd(start, f.load(I64, tables[-1], i))
            f.store(f.load(kind, f.operand(0), place), f.result(), f.iadd(target, i))


def _sources(attrs: PadAttrs, shape: tuple[int, ...]) -> list[list[int]]:
    """Give, per axis, the index in the operand that each index of the result is taken from."""
    found = []
    for lo, hi, length in zip(attrs.lo, attrs.hi, shape, strict=True):
        last = length - 1
        index = list(range(-lo, length + hi))
        if attrs.mode == "reflect":
            index = [last - abs(last - abs(i)) for i in index]
        found.append([min(max(i, 0), last) for i in index])
    return found


@kernels.rule(pad_grad)
def pad_grad_cpu(k: KernelBuilder, node: Node[PadGradAttrs]) -> None:
    """Add every element where it came from; units share no element of the result."""
    (grad,), x = k.operands, k.results[0]
    attrs = node.attrs.pad
    whole = 0  # leading axes without padding keep units apart
    while whole < x.rank and not attrs.lo[whole] and not attrs.hi[whole]:
        whole += 1
    whole = min(whole, x.rank - 1)
    tables = [k.module.table(I64, index) for index in _sources(attrs, x.shape)[whole:]]
    inner, kind = x.shape[whole:], element(x)
    strides = row_major(inner)
    lines = grad.shape[whole:-1]
    if not x.size:
        return
    with k.phase(prod(x.shape[:whole]), nbytes=3 * grad.nbytes) as f:
        start = f.imul(f.unit, prod(inner))
        source = f.imul(f.unit, prod(grad.shape[whole:]))
        with f.loop(0, prod(inner)) as i:
            f.store(constant(kind, 0.0), f.result(), f.iadd(start, i))
        with f.loop(0, prod(lines)) as line:
            where = f.unravel(line, lines)
            rows = [f.load(I64, t, i) for t, i in zip(tables, where, strict=False)]
            base = f.iadd(start, f.dot(rows, strides[:-1]))
            with f.loop(0, grad.shape[-1]) as i:
                place = f.iadd(base, f.load(I64, tables[-1], i))
                at = f.iadd(source, f.imul(line, grad.shape[-1]), i)
                total = f.add(f.load(kind, f.result(), place), f.load(kind, f.operand(0), at))
                f.store(total, f.result(), place)
