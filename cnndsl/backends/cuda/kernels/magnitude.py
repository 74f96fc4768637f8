"""The largest magnitude in several arrays: a launch for many arrays, then one for what it found."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.backends.cuda.kernel import SIZES, KernelBuilder, Pointer, ceil_div, element
from cnndsl.backends.cuda.kernels.rows import BLOCK, MULTIPROCESSORS, WARP
from cnndsl.backends.cuda.table import kernels
from cnndsl.backends.cuda.text import index_type
from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs
from cnndsl.ops.magnitude import largest_magnitude

MOST_ARRAYS = 128
"""Arrays of a launch: each is a parameter of it."""
LEAST = 4096
"""The fewest elements that a block looks at, if there are so many."""

_SEARCH = """
const $T* x;
$I first, size;
$which
const $I stop = first + $LENGTH < size ? first + $LENGTH : size;
$T most = 0;
for ($I j = first + threadIdx.x; j < stop; j += $BLOCK) most = larger(most, magnitude($T(x[j])));
most = over_lanes<Largest, $BLOCK>(most, reinterpret_cast<$T*>(shared_memory));
if (threadIdx.x == 0) found[blockIdx.x] = most;
"""
_JOIN = """
$T most = 0;
$all
most = over_lanes<Largest, $BLOCK>(most, reinterpret_cast<$T*>(shared_memory));
if (threadIdx.x == 0) y[0] = most;
"""
_ALL = "for (int j = threadIdx.x; j < {count}; j += {block}) most = larger(most, {name}[j]);"


@kernels.rule(largest_magnitude)
def largest_magnitude_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """A part of an array a block; gradients of a whole network are one launch."""
    kind = element(k.results[0])
    arrays = [(f"x{i}", k.operand(i), x.size) for i, x in enumerate(k.operands) if x.size]
    total = sum(size for *_, size in arrays)
    length = max(LEAST, ceil_div(ceil_div(total, 4 * MULTIPROCESSORS), BLOCK) * BLOCK)
    found: list[tuple[str, Pointer]] = []
    every: list[str] = []
    for first in range(0, len(arrays), MOST_ARRAYS):
        pointer, count = _search(k, arrays[first : first + MOST_ARRAYS], length)
        found.append((f"found{len(found)}", pointer))
        every.append(_ALL.format(count=count, block=BLOCK, name=found[-1][0]))
    k.launch(
        "join",
        _JOIN,
        grid=1,
        block=BLOCK,
        shared_bytes=SIZES[kind] * (BLOCK // WARP),
        reads=found,
        writes=[("y", k.result())],
        T=kind,
        all="\n".join(every),
        BLOCK=BLOCK,
    )


def _search(
    k: KernelBuilder, arrays: Sequence[tuple[str, Pointer, int]], length: int
) -> tuple[Pointer, int]:
    """Add the launch that searches some arrays; gives what it finds, and how many numbers."""
    kind, index = element(k.results[0]), index_type(*(size for *_, size in arrays))
    lines, blocks = [], 0
    for name, _, size in arrays:
        here = blocks + ceil_div(size, length)
        place = f"x = {name}, first = (({index})blockIdx.x - {blocks}) * {length}, size = {size};"
        lines.append(f"{'else ' if blocks else ''}if (blockIdx.x < {here}) {place}")
        blocks = here
    found = k.scratch(blocks, kind)
    k.launch(
        "search",
        _SEARCH.replace("$which", "\n".join(lines)),
        grid=blocks,
        block=BLOCK,
        shared_bytes=SIZES[kind] * (BLOCK // WARP),
        reads=[(name, pointer) for name, pointer, _ in arrays],
        writes=[("found", found)],
        T=kind,
        I=index,
        LENGTH=length,
        BLOCK=BLOCK,
    )
    return found, blocks
