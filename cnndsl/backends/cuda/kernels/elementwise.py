"""Elementwise ops and fused chains: scalar programs, a wide access of elements a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.backends.cuda.kernel import KernelBuilder, element, vector_of
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.layout import broadcast_strides, walk_over
from cnndsl.backends.cuda.scalars import CudaScalars
from cnndsl.backends.cuda.table import kernels
from cnndsl.backends.cuda.text import Walk
from cnndsl.ir.graph import Node
from cnndsl.ir.op import OPS, Attrs
from cnndsl.ir.types import DType, Shape, TensorType
from cnndsl.ops.fused import FusedElementwiseAttrs, fused_elementwise
from cnndsl.ops.scalar import ScalarProgram, ScalarStep, scalar
from cnndsl.ops.unary import CastAttrs, cast

_ONE = """
const $I e = i;
$loads
$work
y[i] = $found;
"""

_MANY = """
$packs
Pack<$STORED, $VECTOR> out;
#pragma unroll
for (int j = 0; j < $VECTOR; ++j) {
    const $I e = i * $VECTOR + j;
    $loads
    $work
    out.at[j] = $found;
}
put<$VECTOR>(y + i * $VECTOR, out);
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
    return f"{name}[{_walk(kind, shape).offset(number)}]"


def _walk(kind: TensorType, shape: Shape) -> Walk:
    """Give where an operand lies for each element of a result."""
    return walk_over(shape, broadcast_strides(kind.shape, shape))


def _pointwise(k: KernelBuilder, program: ScalarProgram) -> None:
    result, y = k.results[0], k.result()
    xs = [k.operand(index) for index in range(len(k.operands))]
    vector = vector_of(y, *(x for x, t in zip(xs, k.operands, strict=True) if t == result))
    while result.size % vector:
        vector //= 2
    packs, loads = _loads(k, vector)
    names = [f"a{index}" for index in range(len(xs))]
    work, found = write_program(program, result.dtype, names)
    values: dict[str, object] = {"loads": "\n".join(loads), "work": work, "found": found}
    if vector > 1:
        values |= {"packs": "\n".join(packs), "STORED": y.kind, "VECTOR": vector}
    each(
        k,
        "",
        result.size // vector,
        _MANY if vector > 1 else _ONE,
        reads=[(f"x{index}", x) for index, x in enumerate(xs)],
        writes=[("y", y)],
        largest=result.size,
        **values,
    )


def _loads(k: KernelBuilder, vector: int) -> tuple[list[str], list[str]]:
    """Write how operands are fetched: once for all elements of a thread, and for each element."""
    shape = k.results[0].shape
    packs, loads = [], []
    for index, kind in enumerate(k.operands):
        walk, to = _walk(kind, shape), f"const {element(kind)} a{index} = "
        first = f"i * {vector}"
        if vector > 1 and walk.repeats(vector):
            packs.append(f"{to}x{index}[{walk.offset(f'({first})')}];")
        elif vector > 1 and walk.packs(vector):
            at = walk.offset(f"({first})")
            packs.append(f"const auto p{index} = take<{vector}>(x{index} + {at});")
            loads.append(f"{to}p{index}.at[j];")
        else:
            loads.append(f"{to}x{index}[{walk.offset('e')}];")
    return packs, loads


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


_CAST = """
const auto from = take<$VECTOR>(x + i * $VECTOR);
Pack<$S, $VECTOR> out;
#pragma unroll
for (int j = 0; j < $VECTOR; ++j) out.at[j] = ($T)from.at[j];
put<$VECTOR>(y + i * $VECTOR, out);
"""


@kernels.rule(cast)
def cast_cuda(k: KernelBuilder, node: Node[CastAttrs]) -> None:
    """Convert as C++ does: floats to integers toward zero, to truth values by not being zero."""
    x, y = k.operand(0), k.result()
    vector = vector_of(x, y)
    while k.results[0].size % vector:
        vector //= 2
    each(
        k,
        "",
        k.results[0].size // vector,
        _CAST,
        reads=[("x", x)],
        writes=[("y", y)],
        T=element(k.results[0]),
        S=y.kind,
        VECTOR=vector,
    )


@dataclass(frozen=True, slots=True)
class Epilogue:
    """What is done to the elements of a result on their way to memory."""

    work: str
    """Statements for `value`, element `i` of the result and number `j` of a thread's."""
    found: str
    """Expression of what is stored."""
    packs: tuple[str, ...] = ()
    """Arrays that lie as the result does; the statements know packs of them: `e0_pack.at[j]`."""

    def fetch(self, vector: int, first: str) -> str:
        """Write the fetch of the packs for `vector` elements from `first` on."""
        return "\n".join(
            f"const auto {name}_pack = take<{vector}>({name} + {first});" for name in self.packs
        )


def epilogue(
    program: ScalarProgram | None, result: TensorType, extras: Sequence[TensorType]
) -> Epilogue:
    """Write a chain whose first input is `value`; the others are arrays `e0`, `e1`, ..."""
    if program is None:
        return Epilogue("", "value")
    inputs, packs = ["value"], []
    for index, kind in enumerate(extras):
        if _walk(kind, result.shape).is_contiguous and kind.size > 1:
            packs.append(f"e{index}")
            inputs.append(f"e{index}_pack.at[j]")
        else:
            inputs.append(load(f"e{index}", kind, result.shape, "i"))
    names = [f"q{i}" for i in range(len(inputs))]
    of = element(result)
    lets = "\n".join(f"const {of} {n} = {x};" for n, x in zip(names, inputs, strict=True))
    work, found = write_program(program, result.dtype, names, prefix="u")
    return Epilogue(f"{lets}\n{work}" if work else lets, found, tuple(packs))
