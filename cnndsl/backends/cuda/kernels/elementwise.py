"""Elementwise ops and fused chains: scalar programs, four elements a thread where they lie so."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.backends.cuda.kernel import KernelBuilder, element
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.scalars import CudaScalars
from cnndsl.backends.cuda.table import kernels
from cnndsl.backends.cuda.text import Walk, broadcast_strides
from cnndsl.ir.graph import Node
from cnndsl.ir.op import OPS, Attrs
from cnndsl.ir.types import DType, Shape, TensorType
from cnndsl.ops.fused import FusedElementwiseAttrs, fused_elementwise
from cnndsl.ops.scalar import ScalarProgram, ScalarStep, scalar
from cnndsl.ops.unary import CastAttrs, cast

VECTOR = 4
"""Elements of a thread where all contiguous operands allow one wide access."""

_ONE = """
$loads
$work
y[i] = $found;
"""

_FOUR = """
$packs
Pack<$T, 4> out;
#pragma unroll
for (int j = 0; j < 4; ++j) {
    const $I e = i * 4 + j;
    $loads
    $work
    out.at[j] = $found;
}
reinterpret_cast<Pack<$T, 4>*>(y)[i] = out;
"""


def write_program(
    program: ScalarProgram, dtype: DType, inputs: Sequence[str], *, prefix: str = "v"
) -> tuple[str, str]:
    """Render a chain on expressions; gives its statements and the expression of its result."""
    kind = element(TensorType(dtype, ()))
    s = CudaScalars(dtype, kind, prefix=prefix)
    found = program(s, *inputs)
    return s.text, found


def load(name: str, kind: TensorType, shape: Shape, number: str) -> str:
    """Write the element of operand `name` that belongs to element `number` of an array."""
    walk = Walk(shape, broadcast_strides(kind.shape, shape))
    return f"{name}[{walk.offset(number)}]"


def _pointwise(k: KernelBuilder, program: ScalarProgram) -> None:
    result = k.results[0]
    walks = [Walk(result.shape, broadcast_strides(t.shape, result.shape)) for t in k.operands]
    wide = result.size % VECTOR == 0
    kinds = [element(kind) for kind in k.operands]
    number = "e" if wide else "i"
    packs, loads, inputs = [], [], []
    for index, (walk, kind) in enumerate(zip(walks, kinds, strict=True)):
        name = f"a{index}"
        inputs.append(name)
        if walk.is_one_place and wide:
            packs.append(f"const {kind} {name} = x{index}[0];")
        elif walk.is_contiguous and wide:
            pack = f"Pack<{kind}, 4>"
            packs.append(f"const {pack} p{index} = reinterpret_cast<const {pack}*>(x{index})[i];")
            loads.append(f"const {kind} {name} = p{index}.at[j];")
        else:
            loads.append(f"const {kind} {name} = x{index}[{walk.offset(number)}];")
    work, found = write_program(program, result.dtype, inputs)
    values: dict[str, object] = {"loads": "\n".join(loads), "work": work, "found": found}
    if wide:
        values |= {"packs": "\n".join(packs), "T": element(result)}
    each(
        k,
        "",
        result.size // (VECTOR if wide else 1),
        _FOUR if wide else _ONE,
        reads=[(f"x{i}", k.operand(i)) for i in range(len(k.operands))],
        writes=[("y", k.result())],
        largest=result.size,
        **values,
    )


def write_elementwise(k: KernelBuilder, node: Node[Attrs]) -> None:
    """One op: a chain of one step."""
    count = len(node.operands)
    step = ScalarStep(node.op, node.attrs, tuple(range(count)))
    _pointwise(k, ScalarProgram(count, (step,)))


kernels.rule(*(op for op in OPS.values() if op in scalar))(write_elementwise)


@kernels.rule(fused_elementwise)
def fused_elementwise_cuda(k: KernelBuilder, node: Node[FusedElementwiseAttrs]) -> None:
    """A whole chain."""
    _pointwise(k, node.attrs.program)


@kernels.rule(cast)
def cast_cuda(k: KernelBuilder, node: Node[CastAttrs]) -> None:
    """Convert as C++ does: floats to integers toward zero, to truth values by not being zero."""
    each(
        k,
        "",
        k.results[0].size,
        "y[i] = ($T)x[i];",
        reads=[("x", k.operand(0))],
        writes=[("y", k.result())],
        T=element(k.results[0]),
    )


def epilogue(
    program: ScalarProgram | None,
    result: TensorType,
    extras: Sequence[TensorType],
    value: str,
    number: str,
) -> tuple[str, str]:
    """Write what is done to `value`, element `number` of a result, on its way to memory.

    The other operands are arrays `e0`, `e1`, ... of the types `extras`. Gives statements and the
    expression of what is stored.
    """
    if program is None:
        return "", value
    inputs = [value]
    inputs += [load(f"e{i}", kind, result.shape, number) for i, kind in enumerate(extras)]
    names = [f"q{i}" for i in range(len(inputs))]
    kind = element(result)
    lets = "\n".join(f"const {kind} {n} = {x};" for n, x in zip(names, inputs, strict=True))
    work, found = write_program(program, result.dtype, names, prefix="u")
    return f"{lets}\n{work}" if work else lets, found
