"""Scaling of images and its gradient: a thread makes a pack of channels of one pixel.

Places are whole numbers of parts of a pixel, computed where they are needed, so nothing is rounded
but the shares. The gradient is gathered: a pixel walks over the numbers that it counts in.
"""

from __future__ import annotations

from cnndsl.backends.cuda.kernel import KernelBuilder, element, vector_of
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.layout import coordinates, strides_of
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.resize import Line, ResizeAttrs, ResizeGradAttrs, lines_of, resize, resize_grad

_COPY = """
const $I e = i * $VECTOR, row = $ROW, column = $COLUMN;
const auto pack = take<$VECTOR>(x + $IMAGE + $TOP * $DOWN + $LEFT * $ACROSS);
Pack<$R, $VECTOR> out;
#pragma unroll
for (int v = 0; v < $VECTOR; ++v) out.at[v] = pack.at[v];
put<$VECTOR>(y + e, out);
"""

_BLEND = """
const $I e = i * $VECTOR, row = $ROW, column = $COLUMN;
const $I place_h = $PLACE_H, place_w = $PLACE_W;
const $I top = place_h / $UNIT_H, left = place_w / $UNIT_W;
const $I bottom = top < $LAST_H ? top + 1 : top, right = left < $LAST_W ? left + 1 : left;
const $T low = $T(place_h % $UNIT_H) / $UNIT_H, behind = $T(place_w % $UNIT_W) / $UNIT_W;
const $T high = 1 - low, before = 1 - behind;
const $S* from = x + $IMAGE;
const auto a = take<$VECTOR>(from + top * $DOWN + left * $ACROSS);
const auto b = take<$VECTOR>(from + top * $DOWN + right * $ACROSS);
const auto c = take<$VECTOR>(from + bottom * $DOWN + left * $ACROSS);
const auto d = take<$VECTOR>(from + bottom * $DOWN + right * $ACROSS);
Pack<$R, $VECTOR> out;
#pragma unroll
for (int v = 0; v < $VECTOR; ++v) {
    const $T first = $T(a.at[v]) * before + $T(b.at[v]) * behind;
    const $T second = $T(c.at[v]) * before + $T(d.at[v]) * behind;
    out.at[v] = first * high + second * low;
}
put<$VECTOR>(y + e, out);
"""

_GATHER = """
const $I e = i * $VECTOR, row = $ROW, column = $COLUMN;
$ends
const $S* from = x + $IMAGE;
$T sum[$VECTOR] = {};
for ($I h = first_h; h <= last_h; ++h) {
    $share_h
    for ($I w = first_w; w <= last_w; ++w) {
        $share_w
        const auto pack = take<$VECTOR>(from + h * $DOWN + w * $ACROSS);
        #pragma unroll
        for (int v = 0; v < $VECTOR; ++v) sum[v] += $T(pack.at[v]) * (down * across);
    }
}
Pack<$R, $VECTOR> out;
#pragma unroll
for (int v = 0; v < $VECTOR; ++v) out.at[v] = sum[v];
put<$VECTOR>(y + e, out);
"""

_SHARE = """
const $I away_$A = $PLACE - $PIXEL * $UNIT;
const $T $NAME = $T($UNIT - (away_$A < 0 ? -away_$A : away_$A)) / $UNIT;
"""


def _place(line: Line, number: str) -> str:
    """Write the place that a number of the result looks at, in parts of a pixel."""
    return f"clamped<$I>({line.step} * {number} + {line.start}, {(line.length - 1) * line.unit})"


def _readers(line: Line, pixel: str, name: str) -> str:
    """Write the first and the last number that look at a pixel, `first_<name>`, `last_<name>`."""
    unit, step = line.unit, line.step
    if not line.blends:  # pixel*unit <= step*o < (pixel + 1)*unit
        first = f"({pixel} * {unit} + {step - 1}) / {step}"
        last = f"({pixel} * {unit} + {unit - 1}) / {step}"
        return f"const $I first_{name} = {first}, last_{name} = {last};"
    if not step:  # all look at pixel 0
        return f"const $I first_{name} = 0, last_{name} = {pixel} ? -1 : {line.size - 1};"
    # (pixel - 1)*unit < step*o + start < (pixel + 1)*unit
    lines = [
        f"const $I after_{name} = {pixel} * {unit} - {unit + line.start};",
        f"const $I until_{name} = {pixel} * {unit} + {unit - line.start - 1};",
        f"const $I first_{name} = after_{name} < 0 ? 0 : after_{name} / {step} + 1;",
        f"const $I last_{name} = {pixel} == {line.length - 1} ? {line.size - 1}",
        f"    : until_{name} < 0 ? -1 : until_{name} / {step};",
    ]
    return "\n".join(lines)


def _share(line: Line, axis: str, pixel: str, name: str) -> str:
    """Write a pixel's share, `name`, of the number called as the axis is."""
    if not line.blends:
        return f"const $T {name} = 1;"
    text = _SHARE.strip().replace("$PLACE", _place(line, axis)).replace("$PIXEL", pixel)
    return text.replace("$UNIT", str(line.unit)).replace("$A", axis).replace("$NAME", name)


def _write(k: KernelBuilder, template: str, lines: tuple[Line, Line], **texts: object) -> None:
    """Launch a thread for each pack of the result; the operand is read where texts say."""
    (x,), y = k.operands, k.results[0]
    vector = vector_of(k.operand(0), k.result())
    while y.shape[1] % vector:
        vector //= 2
    steps, (image, channel, row, column) = strides_of(x.shape), coordinates(y.shape, "e")
    for name, text in texts.items():
        template = template.replace(f"${name}", str(text))
    known: dict[str, object] = {
        "VECTOR": vector,
        "ROW": row,
        "COLUMN": column,
        "IMAGE": f"{image} * {steps[0]} + {channel}",
        "DOWN": steps[2],
        "ACROSS": steps[3],
        "R": k.result().kind,
        "S": k.operand(0).kind,
        "T": element(y),
    }
    each(
        k,
        "",
        y.size // vector,
        template,
        reads=[("x", k.operand(0))],
        writes=[("y", k.result())],
        largest=max(3 * line.length * line.unit for line in lines),
        **{name: value for name, value in known.items() if f"${name}" in template},
    )


@kernels.rule(resize)
def resize_cuda(k: KernelBuilder, node: Node[ResizeAttrs]) -> None:
    """Copy one pixel, or blend four."""
    down, across = lines = lines_of(node.attrs, *k.operands[0].shape[2:])
    if not down.blends:
        top = f"(row * {down.step} / {down.unit})"
        left = f"(column * {across.step} / {across.unit})"
        _write(k, _COPY, lines, TOP=top, LEFT=left)
        return
    _write(
        k,
        _BLEND,
        lines,
        PLACE_H=_place(down, "row"),
        PLACE_W=_place(across, "column"),
        UNIT_H=down.unit,
        UNIT_W=across.unit,
        LAST_H=down.length - 1,
        LAST_W=across.length - 1,
    )


@kernels.rule(resize_grad)
def resize_grad_cuda(k: KernelBuilder, node: Node[ResizeGradAttrs]) -> None:
    """Walk over the numbers that look at a pixel, with its share of each."""
    a = node.attrs
    down, across = lines = lines_of(a.resize, a.height, a.width)
    _write(
        k,
        _GATHER,
        lines,
        ends=f"{_readers(down, 'row', 'h')}\n{_readers(across, 'column', 'w')}",
        share_h=_share(down, "h", "row", "down"),
        share_w=_share(across, "w", "column", "across"),
    )
