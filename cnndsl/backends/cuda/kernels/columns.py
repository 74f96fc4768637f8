"""Sums down the columns of an array: many totals side by side in memory, each of far-away elements.

Channels last, what is summed over images and pixels (statistics, gradients of biases) is such a
sum. The threads of a block stand in a grid: across, each has a pack of neighbouring columns and
reads it in one access; down, they share the elements of a column. Where blocks are few, columns are
cut into slices as long rows are, and a second launch joins what the slices gave.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cnndsl.backends.cuda.kernel import SIZES, KernelBuilder, Pointer, ceil_div
from cnndsl.backends.cuda.kernels.rows import launch_rows
from cnndsl.backends.cuda.text import index_type, render

BLOCK = 256
MULTIPROCESSORS = 132
LEAST = 64
"""The fewest elements of a column that a slice has."""
MOST_SLICES = 256
FEW = 8
"""Slices that one thread joins."""

_COLUMNS = """
const $I group = ($I)blockIdx.x % $GROUPS, slice = ($I)blockIdx.x / $GROUPS;
const int across = threadIdx.x % $ACROSS, down = threadIdx.x / $ACROSS;
const $I column = (group * $ACROSS + across) * $VECTOR;
const $I begin = slice * $LENGTH, stop = begin + $LENGTH < $HEIGHT ? begin + $LENGTH : $HEIGHT;
$T* room = reinterpret_cast<$T*>(shared_memory);
$declare
if (column < $WIDTH) {
    $start
    for ($I j = begin + down; j < stop; j += $DOWN) {
        $step
    }
    $end
}
$keep
__syncthreads();
if (threadIdx.x < $ACROSS * $VECTOR && group * $ACROSS * $VECTOR + threadIdx.x < $WIDTH) {
    const $I c = group * $ACROSS * $VECTOR + threadIdx.x, at = slice * $WIDTH + c;
    $join
    $store
}
"""


@dataclass(frozen=True, slots=True)
class Columns:
    """So many columns of an array, read by packs, and how they are cut."""

    width: int
    """Columns."""
    height: int
    """Elements of a column."""
    vector: int
    """Columns of a thread."""

    @property
    def across(self) -> int:
        """Threads side by side: at most a warp, a power of two."""
        wanted = ceil_div(self.width, self.vector)
        return min(32, 1 << (wanted - 1).bit_length())

    @property
    def down(self) -> int:
        """Threads of a column."""
        return BLOCK // self.across

    @property
    def groups(self) -> int:
        """Blocks side by side."""
        return ceil_div(self.width, self.across * self.vector)

    @property
    def length(self) -> int:
        """Elements of a slice, but for the last."""
        wanted = min(MOST_SLICES, ceil_div(4 * MULTIPROCESSORS, max(1, self.groups)))
        return max(ceil_div(self.height, wanted), LEAST, self.down)

    @property
    def slices(self) -> int:
        """Into how many parts a column is cut."""
        return max(1, ceil_div(self.height, self.length))

    @property
    def join_lanes(self) -> int:
        """Threads that join the slices of a column."""
        return 1 if self.slices <= FEW else 32

    @property
    def last(self) -> int:
        """Elements of the last slice."""
        return self.height - (self.slices - 1) * self.length

    def _room(self, kind: str, totals: Mapping[str, str], joined: str) -> tuple[str, str, str]:
        """Write how totals are declared, laid into shared memory and read from there."""
        line, v = self.across * self.vector, f"for (int v = 0; v < {self.vector}; ++v)"
        declare, keep, join = [], [], joined or _sums(kind, totals)
        for number, (name, none) in enumerate(totals.items()):
            first = f"room[{number * self.down * line} + "
            declare += [f"{kind} {name}[{self.vector}];", f"{v} {name}[v] = {none};"]
            keep += [v, f"    {first}down * {line} + across * {self.vector} + v] = {name}[v];"]
            join = re.sub(rf"{name}_of\((\w)\)", rf"{first}\1 * {line} + threadIdx.x]", join)
        return "\n".join(declare), "\n".join(keep), join

    def launch(
        self,
        k: KernelBuilder,
        label: str,
        kind: str,
        totals: Mapping[str, str],
        *,
        step: str,
        reads: Sequence[tuple[str, Pointer]],
        writes: Sequence[tuple[str, Pointer]],
        start: str = "",
        end: str = "",
        joined: str = "",
        store: str,
    ) -> None:
        """Launch one pass over every slice of every column.

        `totals` names what is summed, of C++ type `kind`, with the value it begins with; `step`
        adds to number `v` of each what element `j` of column `column + v` gives. `start` and `end`
        come before and after the loop of a thread. Then `joined`, by default the sum, brings what
        the `$DOWN` threads of column `c` found, `name_of(d)`, together in variables of the same
        names, and `store` stores them: `at` counts slices and columns.
        """
        cut = {"ACROSS": self.across, "VECTOR": self.vector, "DOWN": self.down}
        index = index_type(self.width * self.height, *(t.size for t in (*k.operands, *k.results)))
        known = {**cut, "I": index, "T": kind}
        declare, keep, join = self._room(kind, totals, joined)
        body = render(
            _COLUMNS,
            GROUPS=self.groups,
            LENGTH=self.length,
            HEIGHT=self.height,
            WIDTH=self.width,
            declare=declare,
            start=_fill(start, known),
            step=_fill(step, known),
            end=_fill(end, known),
            keep=keep,
            join=_fill(join, known),
            store=_fill(store, known),
            **known,
        )
        k.launch(
            label,
            "$body",
            grid=self.groups * self.slices if self.width else 0,
            block=BLOCK,
            shared_bytes=len(totals) * BLOCK * self.vector * SIZES[kind],
            reads=reads,
            writes=writes,
            body=body.strip("\n"),
        )


_JOIN = """
$T total = 0;
for ($I s = lane; s < $SLICES; s += $LANES) total += part[s * $WIDTH + row];
total = over_lanes<Sum, $LANES>(total, reinterpret_cast<$T*>(shared_memory));
if (lane == 0) y[$to] = $finish;
"""


def total_columns(
    k: KernelBuilder,
    columns: Columns,
    kind: str,
    *,
    step: str,
    finish: str = "total",
    to: str = "row",
    reads: Sequence[tuple[str, Pointer]],
) -> None:
    """Store `finish` of each column's sum, `total`, at `to` of column `row` in the first result.

    `step` adds to `total[v]` what element `j` of column `column + v` gives.
    """
    y, totals = k.result(), {"total": "0"}
    if columns.slices == 1:
        store = f"const $I row = c;\ny[{to}] = {finish};"
        writes = [("y", y)]
        columns.launch(k, "", kind, totals, step=step, store=store, reads=reads, writes=writes)
        return
    part = k.scratch(columns.width * columns.slices, kind)
    columns.launch(
        k,
        "slices",
        kind,
        totals,
        step=step,
        store="part[at] = total;",
        reads=reads,
        writes=[("part", part)],
    )
    launch_rows(
        k,
        "join",
        _JOIN,
        count=columns.width,
        lanes=columns.join_lanes,
        room=kind,
        reads=[("part", part)],
        writes=[("y", y)],
        largest=columns.width * columns.slices,
        T=kind,
        WIDTH=columns.width,
        SLICES=columns.slices,
        to=to,
        finish=finish,
    )


def _sums(kind: str, totals: Mapping[str, str]) -> str:
    """Write the sums over the threads of a column."""
    lines = [f"{kind} {name} = {none};" for name, none in totals.items()]
    lines += ["for (int d = 0; d < $DOWN; ++d) {"]
    lines += [f"    {name} += {name}_of(d);" for name in totals]
    return "\n".join([*lines, "}"])


def _fill(text: str, values: Mapping[str, object]) -> str:
    for name, value in values.items():
        text = text.replace(f"${name}", str(value))
    return text.strip("\n")
