"""Programs: which rows there are, who waits for whom, and whose memory is whose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnndsl.backends.cpu import cost
from cnndsl.backends.cpu import crew_code as layout
from cnndsl.backends.cpu.compile import Code, KernelSet
from cnndsl.backends.cpu.kernel import Kernel, Phase
from cnndsl.backends.cpu.program import Program, Words, allocate, crew_size, make_recipe
from cnndsl.backends.cpu.target import host_target
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import f32
from cnndsl.ops.elementwise import add
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Plan
from tests.backends.cpu.machine import needs_jit

pytestmark = needs_jit

PACK = Phase("pack", 4, 1e9, 0, packs=True)
SPREAD = Phase("spread", 4, 1e9, 0)
WORK = Phase("work", 4, 1e9, 0)
SMALL = Phase("small", 4, 1.0, 0)


def plan_of(steps: int, *, updated: bool = False) -> Plan:
    graph = Graph("chain")
    b = Builder(graph)
    value = b.emit(input_, attrs=InputAttrs(f32(8)), name="x")
    weight = b.emit(parameter, attrs=ParameterAttrs(f32(8)), name="w")
    for _ in range(steps):
        value = b.emit(add, value, weight)
    graph.outputs["y"] = value
    if updated:
        graph.updates[weight.node] = value
    return make_plan(graph)


def program(plan: Plan, *phases: tuple[Phase, ...], threads: int = 4) -> Program:
    """Bind made-up kernels to a plan."""
    codes = []
    for number, own in enumerate(phases):
        packs = any(phase.packs for phase in own)
        memory = (100, 200 if packs else 0, 300)
        kernel = Kernel("add", "", own, memory, frozenset([1] if packs else []), False)
        codes.append(Code(kernel, tuple(1000 * number + i for i in range(len(own)))))
    recipe = make_recipe(plan, plan.steps, codes, keep=True)
    arenas = {arena: allocate(size) for arena, size in plan.arena_bytes.items()}
    return Program(recipe, arenas, allocate(recipe.kept_bytes), threads=threads)


def column(table: Words, place: int) -> list[int]:
    return [int(row[place]) for row in table]


def test_what_is_packed_once_is_not_in_a_run() -> None:
    found = program(plan_of(2), (PACK, SPREAD, WORK), (PACK, SPREAD, WORK))
    assert column(found.packing, layout.KERNEL) == [0, 1000]
    assert column(found.running, layout.KERNEL) == [1, 2, 1001, 1002]
    assert found.bounds == [0, 2, 4]
    assert found.recipe.kept_bytes == 400


def test_what_a_run_updates_is_packed_at_each_run() -> None:
    found = program(plan_of(1, updated=True), (PACK, SPREAD, WORK))
    assert len(found.packing) == 0
    assert column(found.running, layout.KERNEL) == [0, 1, 2]
    assert found.recipe.kept_bytes == 0
    assert found.recipe.shared_bytes == 300


def test_who_has_little_to_do_works_alone() -> None:
    found = program(plan_of(4), (SMALL,), (SMALL,), (WORK,), (SMALL,))
    assert column(found.running, layout.THREADS) == [1, 1, 4, 1]
    assert crew_size(found.running[:2]) == 1
    assert crew_size(found.running) == 4
    assert column(program(plan_of(1), (WORK,), threads=1).running, layout.THREADS) == [1]


def test_pieces_cover_all_units() -> None:
    many = replace(WORK, units=1001)
    found = program(plan_of(3), (many,), (SMALL,), (WORK,))
    pieces, sizes = column(found.running, layout.PIECES), column(found.running, layout.PIECE)
    assert sizes == [8, 4, 1]
    assert pieces == [126, 1, 4]


def test_memory_is_aligned_and_has_slack_around_it() -> None:
    for nbytes in (0, 1, 64, 1000):
        found = allocate(nbytes, 64)
        assert found.nbytes == nbytes
        assert not found.any()
        base = found.base
        assert isinstance(base, np.ndarray)
        if nbytes:
            assert found.ctypes.data % 64 == 0
            assert found.ctypes.data - base.ctypes.data >= 1024
            assert base.ctypes.data + base.nbytes - found.ctypes.data - nbytes >= 1024


def test_costs_of_time_and_memory_are_both_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "FLOPS_PER_NS", 2.0)
    monkeypatch.setattr(cost, "BYTES_PER_NS", 4.0)
    assert cost.nanoseconds(replace(WORK, flops=10.0, nbytes=8.0)) == 5.0
    assert cost.nanoseconds(replace(WORK, flops=10.0, nbytes=80.0)) == 20.0


def test_the_code_of_a_step_is_found_by_what_it_depends_on() -> None:
    plan = plan_of(3)
    kernels = KernelSet(plan.steps, host_target())
    codes = [kernels.code(step) for step in plan.steps]
    assert {len(code.addresses) for code in codes} == {1}
    # The first reads the input, the others may write over what they read.
    assert codes[1].addresses == codes[2].addresses
