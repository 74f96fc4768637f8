from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import pytest

import cnndsl.passes  # noqa: F401 - fills PASSES
from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.ir.parser import parse_graph
from cnndsl.passes.base import PASSES, PassEvent, interface, run_passes
from cnndsl.passes.eliminate_dead_nodes import EliminateDeadNodes
from cnndsl.passes.pipelines import INFER, TRAIN
from cnndsl.support.diagnostics import VerifyError

TEXT = """
graph g {
  %x = input {type=f32[2,3]}
  %p = parameter {type=f32[2,3]}
  %a = add(%x, %p)
  %b = relu(%a)
  %dead = neg(%a)
  output b = %b
  update %p = %a
}
"""


@dataclass(frozen=True)
class Spoil:
    """A pass that breaks something."""

    name: ClassVar[str] = "spoil"
    reason: ClassVar[str] = "for a test"
    what: str

    def __call__(self, graph: Graph, /) -> Graph:
        graph = graph.copy()
        if self.what == "cycle":
            graph.set_operands(NodeId("a"), (Value(NodeId("x")), Value(NodeId("b"))))
        elif self.what == "output":
            del graph.outputs["b"]
        elif self.what == "update":
            graph.updates.clear()
        else:
            raise VerifyError("no luck")
        return graph


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("cycle", "pass spoil: g is malformed: a cycle lies in or before a, b"),
        ("output", "pass spoil: the interface changed: outputs were .*b.*, are \\(\\)"),
        ("update", "pass spoil: the interface changed: updates were .*p.*, are \\(\\)"),
        ("refuse", "pass spoil: no luck"),
    ],
)
def test_a_fault_names_its_pass(what: str, message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        run_passes(parse_graph(TEXT), [EliminateDeadNodes(), Spoil(what)])


def test_without_verification_nothing_is_checked() -> None:
    after = run_passes(parse_graph(TEXT), [Spoil("output")], verify=False)
    assert after.outputs == {}


def test_a_malformed_graph_is_not_blamed_on_a_pass() -> None:
    graph = Spoil("cycle")(parse_graph(TEXT))
    with pytest.raises(VerifyError, match=r"^g is malformed"):
        run_passes(graph, [EliminateDeadNodes()])


def test_the_observer_sees_each_step() -> None:
    graph = parse_graph(TEXT)
    events: list[PassEvent] = []
    after = run_passes(graph, TRAIN, observer=events.append)
    assert [event.name for event in events] == [each.name for each in TRAIN]
    assert [event.index for event in events] == list(range(len(TRAIN)))
    assert events[0].before is graph
    assert events[-1].after is after
    for first, second in pairwise(events):
        assert first.after is second.before
    assert "dead" in events[0].before
    assert "dead" not in events[0].after
    assert all(event.seconds >= 0 for event in events)


def test_interface() -> None:
    found = interface(parse_graph(TEXT))
    assert [(name, op, str(kind)) for name, op, kind in found.given] == [
        ("p", "parameter", "f32[2,3]"),
        ("x", "input", "f32[2,3]"),
    ]
    assert [(name, str(kind)) for name, kind in found.outputs] == [("b", "f32[2,3]")]
    assert found.updates == ("p",)


@pytest.mark.parametrize("name", list(PASSES))
def test_every_pass_is_a_file_with_a_reason_and_stands_in_a_pipeline(name: str) -> None:
    pass_ = PASSES[name]()
    assert pass_.name == name
    assert type(pass_).__module__ == f"cnndsl.passes.{name.replace('-', '_')}"
    assert pass_.reason
    assert pass_.reason[0].islower()
    assert type(pass_).__doc__
    assert pass_ == PASSES[name]()
    assert any(each.name == name for each in (*INFER, *TRAIN))


def test_training_never_folds_statistics() -> None:
    assert "fold-batch-norm" not in {each.name for each in TRAIN}
