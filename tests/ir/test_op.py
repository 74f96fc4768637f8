from __future__ import annotations

import pytest

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Origin
from cnndsl.ir.op import OPS, Attrs, Trait
from cnndsl.ir.types import f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add
from cnndsl.ops.shape import ConcatAttrs, concat
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.support.diagnostics import TypeRuleError
from cnndsl.support.source import Span


def test_an_op_knows_its_operands_from_its_type_rule() -> None:
    assert (add.operands, add.optional, add.variadic) == (("a", "b"), 0, False)
    assert (concat.operands, concat.variadic, concat.attrs) == (("parts",), True, ConcatAttrs)
    assert OPS["add"] is add
    assert add.doc
    assert Trait.COMMUTATIVE in add.traits


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_wrong_number_of_operands_is_refused(count: int) -> None:
    with pytest.raises(TypeRuleError, match=f"add takes a, b; given {count} operands"):
        add.infer(Attrs(), *[f32(2)] * count)


@pytest.mark.parametrize("name", list(OPS))
def test_every_op_is_documented_in_a_sentence(name: str) -> None:
    first = OPS[name].doc.split("\n")[0]
    assert first
    assert first.endswith((".", ":"))


def test_the_builder_types_names_and_marks_nodes() -> None:
    origin = Origin(Span("a.cnn", 3, 1, 3, 5), "lower")
    b = Builder(Graph("g"), origin)
    x = b.emit(input_, attrs=InputAttrs(f32(2, 3)), name="x")
    y, z = b.emit(relu, x), b.emit(relu, x)
    assert (y.node, z.node) == ("relu", "relu_1")
    assert b.type_of(z) == f32(2, 3)
    assert b.graph[y].origin is origin
    assert b.made == ["x", "relu", "relu_1"]


def test_the_builder_adds_nothing_that_does_not_fit() -> None:
    b = Builder(Graph("g"))
    x = b.emit(input_, attrs=InputAttrs(f32(2, 3)), name="x")
    y = b.emit(input_, attrs=InputAttrs(f32(2, 4)), name="y")
    with pytest.raises(TypeRuleError, match="axis 1 has 3 and 4 elements"):
        b.emit(add, x, y)
    assert len(b.graph) == 2
