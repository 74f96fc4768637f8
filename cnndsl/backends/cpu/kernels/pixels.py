"""Bytes to images, a plane of a channel at a time."""

from __future__ import annotations

from math import prod

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import KernelBuilder, PhaseEmitter, element
from cnndsl.backends.cpu.lanes import each_chunk, splat
from cnndsl.backends.cpu.llvm import I8, I64, Index, V, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.pixels import UnpackPixelsAttrs, unpack_pixels


@kernels.rule(unpack_pixels)
def unpack_pixels_cpu(k: KernelBuilder, node: Node[UnpackPixelsAttrs]) -> None:
    """Convert and scale; a channel that the bytes do not have is 0."""
    a, p, y = node.attrs, node.attrs.pixels, k.results[0]
    kind, area = element(y), prod(y.shape[2:])
    lanes = k.lanes(y)
    tables = {
        name: k.module.table(kind, list(values))
        for name, values in (("sub", p.mean), ("div", p.std))
        if values
    }

    def scaled(f: PhaseEmitter, channel: Index, value: V) -> V:
        if p.black:
            value = f.sub(value, constant(value.type, p.black))
        value = f.div(value, constant(value.type, p.white - p.black))
        for name, table in tables.items():
            each = splat(f, f.load(kind, table, channel), value.type.lanes)
            value = f.sub(value, each) if name == "sub" else f.div(value, each)
        return value

    def write(f: PhaseEmitter, image: Index, channel: Index, target: V) -> None:
        if a.channels_last:
            start = f.iadd(f.imul(image, a.given * area), channel)
            with f.loop(0, area) as pixel:
                byte = f.load(I8, f.operand(0), f.iadd(start, f.imul(pixel, a.given)))
                f.store(scaled(f, channel, f.convert("uitofp", byte, kind)), target, pixel)
            return
        source = f.at(f.operand(0), I8, f.imul(f.iadd(f.imul(image, a.given), channel), area))

        def body(chunk: Chunk) -> None:
            bytes_ = f.load_chunk(I8, source, chunk)
            value = f.convert("uitofp", bytes_, kind.times(chunk.lanes))
            f.store_chunk(scaled(f, channel, value), target, chunk)

        each_chunk(f, area, lanes, body)

    with k.phase(prod(y.shape[:2]), flops=4 * y.size, nbytes=k.operands[0].nbytes + y.nbytes) as f:
        image, channel = f.idiv(f.unit, y.shape[1]), f.irem(f.unit, y.shape[1])
        target = f.at(f.result(), kind, f.imul(f.unit, area))
        if a.given == y.shape[1]:
            write(f, image, channel, target)
            return
        real = f.compare("slt", f.index(channel), constant(I64, a.given))
        with f.when(real):
            write(f, image, channel, target)
        with f.when(f.compare("sge", f.index(channel), constant(I64, a.given))):
            zero = constant(kind.times(lanes), 0.0)
            each_chunk(f, area, lanes, lambda chunk: f.store_chunk(zero, target, chunk))
