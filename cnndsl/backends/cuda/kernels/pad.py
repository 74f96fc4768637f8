"""Padding with a constant, the edge or the mirror image, and its gradient.

Where the innermost axis of memory stays as it is, as channels do, elements go by packs along it.
"""

from __future__ import annotations

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, element, vector_of
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.layout import axes_in_memory, coordinates, strides_of
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.types import Shape
from cnndsl.ops.pad import PadAttrs, PadGradAttrs, pad, pad_grad

_MOVED = """
const $I e = i * $VECTOR;
$lets
Pack<$S, $VECTOR> out;
#pragma unroll
for (int j = 0; j < $VECTOR; ++j) out.at[j] = $VALUE;
if ($inside) {
    const auto pack = take<$VECTOR>(x + ($offset));
    #pragma unroll
    for (int j = 0; j < $VECTOR; ++j) out.at[j] = ($T)pack.at[j];
}
put<$VECTOR>(y + e, out);
"""


def _offset(count: int, strides: tuple[int, ...]) -> str:
    return " + ".join(f"c{axis} * {strides[axis]}" for axis in range(count)) or "0"


def _vector(attrs: PadAttrs, shape: Shape, *pointers: Pointer) -> int:
    """Give how many elements are moved, or summed, at once."""
    if not shape:
        return 1
    axis = axes_in_memory(len(shape))[-1]
    vector = vector_of(*pointers) if not (attrs.lo[axis] or attrs.hi[axis]) else 1
    while shape[axis] % vector:
        vector //= 2
    return vector


@kernels.rule(pad)
def pad_cuda(k: KernelBuilder, node: Node[PadAttrs]) -> None:
    """Each pack of the result finds the one it is taken from."""
    a, x, y = node.attrs, k.operands[0], k.results[0]
    vector = _vector(a, x.shape, k.operand(0), k.result())
    lets, inside = [], ["true"]
    for axis, place in enumerate(coordinates(y.shape, "e")):
        length, far = x.shape[axis], x.shape[axis] - 1
        source = f"{place} - {a.lo[axis]}"
        if a.mode == "edge":
            source = f"clamped<$I>({source}, {far})"
        elif a.mode == "reflect":
            source = f"mirrored<$I>({source}, {far})"
        else:
            inside.append(f"c{axis} >= 0 && c{axis} < {length}")
        lets.append(f"const $I c{axis} = {source};")
    each(
        k,
        "",
        y.size // vector,
        _MOVED.replace("$lets", "\n".join(lets)),
        reads=[("x", k.operand(0))],
        writes=[("y", k.result())],
        largest=x.size,
        VECTOR=vector,
        T=element(x),
        S=k.result().kind,
        VALUE=literal(a.value if a.mode == "constant" else 0, x.dtype),
        inside=" && ".join(inside),
        offset=_offset(x.rank, strides_of(x.shape)),
    )


@kernels.rule(pad_grad)
def pad_grad_cuda(k: KernelBuilder, node: Node[PadGradAttrs]) -> None:
    """Each pack sums the places that were taken from it: a few along each axis."""
    a, grad, x = node.attrs.pad, k.operands[0], k.results[0]
    strides = strides_of(grad.shape)
    vector = _vector(a, x.shape, k.operand(0), k.result())
    lines = [f"const $I e = i * {vector};", f"{element(x)} sum[{vector}] = {{}};"]
    offset = []
    for axis, place in enumerate(coordinates(x.shape, "e")):
        lo, hi, far = a.lo[axis], a.hi[axis], x.shape[axis] - 1
        lines.append(f"const $I p{axis} = {place};")
        offset.append(f"c{axis} * {strides[axis]}")
        if a.mode == "edge":
            first = f"p{axis} == 0 ? 0 : p{axis} + {lo}"
            last = f"p{axis} == {far} ? {lo + far + hi} : p{axis} + {lo}"
            if not (lo or hi):
                first = last = f"p{axis}"
            lines.append(f"const $I first{axis} = {first}, last{axis} = {last};")
            loop = f"for ($I c{axis} = first{axis}; c{axis} <= last{axis}; ++c{axis})"
            lines.append(f"{loop} {{")
        else:
            # Itself, its image before the first element, its image after the last one.
            lines.append(f"for (int t{axis} = 0; t{axis} < {3 if lo or hi else 1}; ++t{axis}) {{")
            images = f"t{axis} == 1 ? -p{axis} : {2 * far} - p{axis}"
            lines.append(f"const $I c{axis} = {lo} + (t{axis} == 0 ? p{axis} : {images});")
            lines.append(f"if (t{axis} == 1 && (p{axis} == 0 || c{axis} < 0)) continue;")
            end = lo + far + hi
            lines.append(f"if (t{axis} == 2 && (p{axis} == {far} || c{axis} > {end})) continue;")
    lines.append(f"const auto pack = take<{vector}>(g + ({' + '.join(offset) or '0'}));")
    lines.append(f"for (int j = 0; j < {vector}; ++j) sum[j] += {element(x)}(pack.at[j]);")
    lines.extend("}" for _ in range(x.rank))
    lines.append(f"Pack<{k.result().kind}, {vector}> out;")
    lines.append(f"for (int j = 0; j < {vector}; ++j) out.at[j] = sum[j];")
    lines.append(f"put<{vector}>(y + e, out);")
    each(
        k,
        "",
        x.size // vector,
        "\n".join(lines).replace("for (int j", "#pragma unroll\nfor (int j"),
        reads=[("g", k.operand(0))],
        writes=[("y", k.result())],
        largest=grad.size,
    )
