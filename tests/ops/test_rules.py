"""Rule tables: one rule an op, missing ones named, costs by default."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.ir.op import OPS
from cnndsl.ir.types import DType, f32
from cnndsl.ops.elementwise import add
from cnndsl.ops.rules import Cost, CostRule, MissingRuleError, RuleTable, compute, cost_of
from cnndsl.ops.shape import ReshapeAttrs, SplitAttrs, reshape, split
from cnndsl.ops.structural import input_
from cnndsl.ops.unary import exp
from tests.ops.apply import build


def no_cost(node: object, operands: object) -> Cost:
    return Cost()


def test_an_op_has_one_rule_in_a_table() -> None:
    table: RuleTable[CostRule] = RuleTable("price")
    assert table.rule(add, exp)(no_cost) is no_cost
    assert table[add] is no_cost
    assert exp in table
    with pytest.raises(ValueError, match="exp has two price rules"):
        table.rule(exp)(no_cost)


def test_a_missing_rule_names_op_and_table() -> None:
    table: RuleTable[CostRule] = RuleTable("price")
    with pytest.raises(MissingRuleError, match="add has no price rule"):
        table[add]
    table.rule(add)(no_cost)
    assert list(table.missing()) == [op for op in OPS.values() if op is not add]
    assert input_ in table.missing()


def test_costs_add_up() -> None:
    assert Cost(1, 2, 3, 4) + Cost(10, 20, 30, 40) == Cost(11, 22, 33, 44)


def test_by_default_an_element_costs_one_operation() -> None:
    _, node = build(add, [np.ones((2, 3)), np.ones((1, 3))], None)
    kinds = [f32(2, 3).with_dtype(DType.F64), f32(1, 3).with_dtype(DType.F64)]
    assert cost_of(node, kinds) == Cost(flops=6, bytes_read=72, bytes_written=48)


def test_views_cost_nothing() -> None:
    _, node = build(reshape, [np.ones((2, 3))], ReshapeAttrs((6,)))
    assert cost_of(node, [f32(2, 3)]) == Cost()


def test_compute_gives_arrays_of_the_nodes_types() -> None:
    _, node = build(split, [np.ones((2, 3), np.float32)], SplitAttrs(1, (1, 2)))
    found = compute(node, np.ones((2, 3)))
    assert [array.shape for array in found] == [(2, 1), (2, 2)]
    assert all(array.dtype == np.float32 for array in found)
