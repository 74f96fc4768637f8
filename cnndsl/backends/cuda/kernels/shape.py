"""Kernels that move elements: each thread finds where its element of the result comes from."""

from __future__ import annotations

from math import prod
from typing import Any

from cnndsl.backends.cuda.kernel import KernelBuilder, Key, Launch, element, vector_of
from cnndsl.backends.cuda.kernels.maps import each, move
from cnndsl.backends.cuda.layout import (
    axes_in_memory,
    broadcast_strides,
    coordinates,
    in_memory,
    rows_in_order,
    strides_of,
    walk_over,
)
from cnndsl.backends.cuda.table import kernels
from cnndsl.backends.cuda.text import Walk
from cnndsl.ir.graph import Node
from cnndsl.ops.shape import (
    BroadcastToAttrs,
    ConcatAttrs,
    ReshapeAttrs,
    SliceAttrs,
    SliceGradAttrs,
    SplitAttrs,
    TransposeAttrs,
    broadcast_to,
    concat,
    reshape,
    slice_,
    slice_grad,
    split,
    transpose,
)


def _flat(size: int) -> Walk:
    return Walk((size,), (1,))


@kernels.rule(reshape)
def reshape_cuda(k: KernelBuilder, node: Node[ReshapeAttrs]) -> None:
    """Copy in row-major order, which one of both does not lie in; else plans make a view of it."""
    move(k, "", rows_in_order(k.operands[0].shape), rows_in_order(k.results[0].shape))


@kernels.rule(transpose)
def transpose_cuda(k: KernelBuilder, node: Node[TransposeAttrs]) -> None:
    """Write in order, read with the operand's strides."""
    strides = strides_of(k.operands[0].shape)
    shape = k.results[0].shape
    move(k, "", walk_over(shape, [strides[a] for a in node.attrs.permutation]), _flat(prod(shape)))


@kernels.rule(broadcast_to)
def broadcast_to_cuda(k: KernelBuilder, node: Node[BroadcastToAttrs]) -> None:
    """Read repeated axes with a stride of zero."""
    shape = k.results[0].shape
    move(k, "", walk_over(shape, broadcast_strides(k.operands[0].shape, shape)), _flat(prod(shape)))


@kernels.rule(slice_)
def slice_cuda(k: KernelBuilder, node: Node[SliceAttrs]) -> None:
    """Read with the strides times the steps."""
    a, shape = node.attrs, k.results[0].shape
    strides = strides_of(k.operands[0].shape)
    steps = a.steps or (1,) * len(strides)
    walk = walk_over(shape, [s * t for s, t in zip(strides, steps, strict=True)])
    base = sum(s * t for s, t in zip(strides, a.starts, strict=True))
    move(k, "", walk, _flat(prod(shape)), base=base)


_SPREAD = """
const $I e = i * $VECTOR;
Pack<$S, $VECTOR> out;
#pragma unroll
for (int j = 0; j < $VECTOR; ++j) out.at[j] = $T(0);
$lets
if ($taken) {
    const auto pack = take<$VECTOR>(x + ($offset));
    #pragma unroll
    for (int j = 0; j < $VECTOR; ++j) out.at[j] = ($T)pack.at[j];
}
put<$VECTOR>(y + e, out);
"""


def _taken_at_once(k: KernelBuilder, attrs: SliceGradAttrs, steps: tuple[int, ...]) -> int:
    """Give how many elements along the innermost axis are in the slice, or are not, together."""
    part, whole = k.operands[0].shape, k.results[0].shape
    if not whole:
        return 1
    axis = axes_in_memory(len(whole))[-1]
    vector = vector_of(k.operand(0), k.result()) if steps[axis] == 1 else 1
    while any(n % vector for n in (part[axis], whole[axis], attrs.starts[axis])):
        vector //= 2
    return vector


@kernels.rule(slice_grad)
def slice_grad_cuda(k: KernelBuilder, node: Node[SliceGradAttrs]) -> None:
    """Each pack of the whole asks whether the slice takes it."""
    a, part, whole = node.attrs, k.operands[0].shape, k.results[0].shape
    strides, steps = strides_of(part), a.steps or (1,) * len(whole)
    vector = _taken_at_once(k, a, steps)
    lets, taken, offset = [], ["true"], ["0"]
    for axis, place in enumerate(coordinates(whole, "e")):
        start, step, length = a.starts[axis], steps[axis], part[axis]
        if length == whole[axis]:
            offset.append(f"{place} * {strides[axis]}")
            continue
        lets.append(f"const $I c{axis} = {place} - {start};")
        taken.append(f"c{axis} >= 0 && c{axis} % {step} == 0 && c{axis} / {step} < {length}")
        offset.append(f"c{axis} / {step} * {strides[axis]}")
    each(
        k,
        "",
        k.results[0].size // vector,
        _SPREAD.replace("$lets", "\n".join(lets)),
        reads=[("x", k.operand(0))],
        writes=[("y", k.result())],
        VECTOR=vector,
        T=element(k.results[0]),
        S=k.result().kind,
        taken=" && ".join(taken),
        offset=" + ".join(offset),
    )


_JOIN = """
const $I e = i * $VECTOR, outer = e / $WHOLE, at = e % $WHOLE;
Pack<$S, $VECTOR> value;
$parts
put<$VECTOR>(y + e, value);
"""


@kernels.rule(concat)
def concat_cuda(k: KernelBuilder, node: Node[ConcatAttrs]) -> None:
    """Each pack of elements of the result asks which operand it lies in."""
    result, y = k.results[0], k.result()
    place = axes_in_memory(result.rank).index(node.attrs.axis)
    inner = prod(in_memory(result.shape)[place + 1 :])
    lengths = [kind.shape[node.attrs.axis] * inner for kind in k.operands]
    if not result.size:
        return
    sources = [k.operand(index) for index in range(len(lengths))]
    alike = all(x.kind == y.kind for x in sources)
    vector = vector_of(y) if alike else 1
    while any(length % vector for length in lengths):
        vector //= 2
    parts, begin = [], 0
    for index, length in enumerate(lengths):
        if not length:
            continue
        test = "if" if not begin else "else if"
        offset = f"outer * {length} + (at - {begin})"
        fetch = f"value = take<{vector}>(x{index} + {offset})"
        if not alike:
            fetch = f"value.at[0] = ({element(result)})x{index}[{offset}]"
        parts.append(f"{test} (at < {begin + length}) {fetch};")
        begin += length
    each(
        k,
        "",
        result.size // vector,
        _JOIN,
        reads=[(f"x{index}", x) for index, x in enumerate(sources)],
        writes=[("y", y)],
        WHOLE=begin,
        S=y.kind,
        VECTOR=vector,
        parts="\n".join(parts),
    )


@kernels.rule(split)
def split_cuda(k: KernelBuilder, node: Node[SplitAttrs]) -> None:
    """A launch for each result."""
    axis = node.attrs.axis
    strides, begin = strides_of(k.operands[0].shape), 0
    for index, kind in enumerate(k.results):
        source, target = walk_over(kind.shape, strides), _flat(kind.size)
        move(k, f"part{index}", source, target, base=begin * strides[axis], result=index)
        begin += kind.shape[axis]


def turning(node: Node[Any]) -> Launch:
    """Give the launch that brings an input from row-major order to how it lies in memory."""
    k = KernelBuilder(node, Key(node.op, node.attrs, node.types, node.types, aliased=False))
    shape = node.type.shape
    steps = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    move(k, "turned", walk_over(shape, steps), _flat(prod(shape)))
    (launch,) = k.finish().launches
    assert isinstance(launch, Launch), "a builder writes launches"
    return launch
