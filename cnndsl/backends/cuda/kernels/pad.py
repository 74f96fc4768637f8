"""Padding with a constant, the edge or the mirror image, and its gradient."""

from __future__ import annotations

from cnndsl.backends.cuda.kernel import KernelBuilder, element
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.layout import coordinates, strides_of
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.pad import PadAttrs, PadGradAttrs, pad, pad_grad

_CONSTANT = """
$lets
$T value = $VALUE;
if ($inside) value = x[$offset];
y[i] = value;
"""

_FOLDED = """
$lets
y[i] = x[$offset];
"""


def _offset(count: int, strides: tuple[int, ...]) -> str:
    return " + ".join(f"c{axis} * {strides[axis]}" for axis in range(count)) or "0"


@kernels.rule(pad)
def pad_cuda(k: KernelBuilder, node: Node[PadAttrs]) -> None:
    """Each element of the result finds the one it is taken from."""
    a, x, y = node.attrs, k.operands[0], k.results[0]
    lets, inside = [], ["true"]
    for axis, place in enumerate(coordinates(y.shape, "i")):
        length, far = x.shape[axis], x.shape[axis] - 1
        source = f"{place} - {a.lo[axis]}"
        if a.mode == "edge":
            source = f"clamped<$I>({source}, {far})"
        elif a.mode == "reflect":
            source = f"mirrored<$I>({source}, {far})"
        else:
            inside.append(f"c{axis} >= 0 && c{axis} < {length}")
        lets.append(f"const $I c{axis} = {source};")
    values: dict[str, object] = {"offset": _offset(x.rank, strides_of(x.shape))}
    template = _FOLDED
    if a.mode == "constant":
        template = _CONSTANT
        values["T"] = element(x)
        values["VALUE"] = literal(a.value, x.dtype)
        values["inside"] = " && ".join(inside)
    each(
        k,
        "",
        y.size,
        template.replace("$lets", "\n".join(lets)),
        reads=[("x", k.operand(0))],
        writes=[("y", k.result())],
        largest=x.size,
        **values,
    )


@kernels.rule(pad_grad)
def pad_grad_cuda(k: KernelBuilder, node: Node[PadGradAttrs]) -> None:
    """Each element sums the places that were taken from it: a few along each axis."""
    a, grad, x = node.attrs.pad, k.operands[0], k.results[0]
    strides = strides_of(grad.shape)
    lines = [f"{element(x)} sum = 0;"]
    offset = []
    for axis, place in enumerate(coordinates(x.shape, "i")):
        lo, hi, far = a.lo[axis], a.hi[axis], x.shape[axis] - 1
        lines.append(f"const $I p{axis} = {place};")
        offset.append(f"c{axis} * {strides[axis]}")
        if a.mode == "edge":
            first = f"p{axis} == 0 ? 0 : p{axis} + {lo}"
            last = f"p{axis} == {far} ? {lo + far + hi} : p{axis} + {lo}"
            lines.append(f"const $I first{axis} = {first}, last{axis} = {last};")
            loop = f"for ($I c{axis} = first{axis}; c{axis} <= last{axis}; ++c{axis})"
            lines.append(f"{loop} {{")
        else:
            # Itself, its image before the first element, its image after the last one.
            lines.append(f"for (int t{axis} = 0; t{axis} < 3; ++t{axis}) {{")
            images = f"t{axis} == 1 ? -p{axis} : {2 * far} - p{axis}"
            lines.append(f"const $I c{axis} = {lo} + (t{axis} == 0 ? p{axis} : {images});")
            lines.append(f"if (t{axis} == 1 && (p{axis} == 0 || c{axis} < 0)) continue;")
            end = lo + far + hi
            lines.append(f"if (t{axis} == 2 && (p{axis} == {far} || c{axis} > {end})) continue;")
    lines.append(f"sum += g[{' + '.join(offset) or '0'}];")
    lines.extend("}" for _ in range(x.rank))
    lines.append("y[i] = sum;")
    each(
        k,
        "",
        x.size,
        "\n".join(lines),
        reads=[("g", k.operand(0))],
        writes=[("y", k.result())],
        largest=grad.size,
    )
