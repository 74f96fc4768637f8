"""The launch of a wave of chains, and the tables that tell it where the arrays are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnndsl.backends.cuda.joined import Chain
from cnndsl.backends.cuda.kernel import ALIGNMENT, PLACEHOLDER, Launch, ceil_div, element
from cnndsl.backends.cuda.kernels.elementwise import write_program
from cnndsl.backends.cuda.text import render
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.rules import Array
from cnndsl.ops.scalar import ScalarProgram
from cnndsl.plan.plan import Step

BLOCK, EACH = 256, 4
"""Threads of a block, and elements of a thread."""
SPAN = BLOCK * EACH
"""Elements of a block."""


@dataclass(frozen=True, slots=True)
class Part:
    """One step of a form."""

    program: ScalarProgram
    """What is done to each element."""
    dtype: DType
    """Element type."""
    reads: tuple[tuple[str, int], ...]
    """("x", a place in the row) for an element of an array, "s" for its only number; ("r", an
    earlier part) for what that made."""
    writes: int | None
    """The place of the result in the row; nothing for what later parts alone read."""


@dataclass(frozen=True, slots=True)
class Form:
    """What chains have in common that differ in nothing but sizes and addresses."""

    parts: tuple[Part, ...]
    """In order."""
    kinds: tuple[str, ...]
    """C++ types of the elements of the arrays."""

    @property
    def written(self) -> frozenset[int]:
        """Places of the arrays that are written."""
        return frozenset(part.writes for part in self.parts if part.writes is not None)


def form_of(chain: Chain) -> tuple[Form, list[int]]:
    """Give the form of a chain, and the addresses of its arrays."""
    places: dict[int, int] = {}
    kinds: list[str] = []
    made: dict[int, int] = {}
    parts: list[Part] = []

    def place(address: int, kind: str) -> int:
        if address not in places:
            places[address] = len(places)
            kinds.append(kind)
        return places[address]

    for number, update in enumerate(chain.updates):
        reads: list[tuple[str, int]] = []
        singles = update.single
        assert singles is not None, "a chain has no other operands"
        slots = update.step.operands
        for address, single, slot in zip(update.operands, singles, slots, strict=True):
            if address in made:
                reads.append(("r", made[address]))
            else:
                reads.append(("s" if single else "x", place(address, element(slot.type))))
        inner = update.result in chain.inner
        target = None if inner else place(update.result, update.kind)
        parts.append(Part(update.program, update.dtype, tuple(reads), target))
        made[update.result] = number
    return Form(tuple(parts), tuple(kinds)), list(places)


@dataclass(frozen=True, slots=True)
class Wave:
    """Chains that are one launch."""

    launch: Launch
    """Its arguments are the two tables."""
    rows: Array
    """For each chain its size, and the addresses of its arrays, one after the other."""
    blocks: Array
    """[blocks, 3]: where the row of a block's chain begins, which part of the chain's elements the
    block has, and which form."""


_KERNEL = """
const int* mine = blocks + 3 * blockIdx.x;
const long long* row = rows + mine[0];
const long long size = row[0];
const long long first = mine[1] * (long long)$SPAN + threadIdx.x;
switch (mine[2]) {
$cases
}
"""
_CASE = """
case $NUMBER: {
    $arrays
    #pragma unroll
    for (int j = 0; j < $EACH; ++j) {
        const long long i = first + j * $BLOCK;
        if (i < size) {
            $loads
            $work
        }
    }
    break;
}
"""


def _case(number: int, form: Form) -> str:
    """Write what a block does to the elements of chains of one form."""
    arrays = [
        f"{'' if place in form.written else 'const '}{kind}* x{place} ="
        f" reinterpret_cast<{'' if place in form.written else 'const '}{kind}*>(row[{place + 1}]);"
        for place, kind in enumerate(form.kinds)
    ]
    loads: dict[str, None] = {}
    work: list[str] = []
    for index, part in enumerate(form.parts):
        names = []
        for how, place in part.reads:
            names.append(f"r{place}" if how == "r" else f"{how}{place}_value")
            if how != "r":
                at = "i" if how == "x" else "0"
                loads[f"const {form.kinds[place]} {names[-1]} = x{place}[{at}];"] = None
        text, found = write_program(part.program, part.dtype, names, prefix=f"v{index}_")
        kind = element(TensorType(part.dtype, ()))
        work += [text] if text else []
        work.append(f"const {kind} r{index} = {found};")
        if part.writes is not None:
            work.append(f"x{part.writes}[i] = r{index};")
    return render(
        _CASE,
        NUMBER=number,
        arrays="\n".join(arrays),
        EACH=EACH,
        BLOCK=BLOCK,
        loads="\n".join(loads),
        work="\n".join(work),
    )


def wave_launch(chains: Sequence[Chain]) -> Wave:
    """Write the launch of a wave, and its tables."""
    forms: dict[Form, int] = {}
    rows: list[int] = []
    blocks: list[tuple[int, int, int]] = []
    for chain in chains:
        form, addresses = form_of(chain)
        number = forms.setdefault(form, len(forms))
        size = chain.updates[0].size
        blocks += [(len(rows), block, number) for block in range(ceil_div(size, SPAN))]
        rows += [size, *addresses]
    cases = "\n".join(_case(number, form) for form, number in forms.items())
    body = render(_KERNEL, SPAN=SPAN, cases=cases)
    text = (
        f'extern "C" __global__ void __launch_bounds__({BLOCK}, 4)\n'
        f"{PLACEHOLDER}(const long long* __restrict__ rows, const int* __restrict__ blocks)\n"
        f"{{{body}\n}}\n"
    )
    digest = hashlib.sha256(f"{text}{len(blocks)}".encode()).hexdigest()[:16]
    name = f"joined_{digest}"
    grid = (len(blocks), 1, 1)
    launch = Launch(name, text.replace(PLACEHOLDER, name), grid, (BLOCK, 1, 1), 0, ())
    return Wave(launch, np.array(rows, np.int64), np.array(blocks, np.int32))


def table_bytes(steps: Sequence[Step]) -> tuple[int, int]:
    """Give an upper bound of the bytes of all rows and of all blocks, with room to align each."""
    rows = sum(8 * (2 + len(step.operands)) + ALIGNMENT for step in steps)
    spans = (ceil_div(step.results[0].type.size, SPAN) for step in steps)
    return rows, sum(12 * count + ALIGNMENT for count in spans)
