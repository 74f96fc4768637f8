from __future__ import annotations

import pytest

import cnndsl.ops  # noqa: F401 - fills OPS
from cnndsl.ir.graph import NodeId
from cnndsl.ir.parser import parse_graph
from cnndsl.ir.printer import graphs_equal, print_graph
from cnndsl.ir.types import f32
from cnndsl.ir.verify import verify
from cnndsl.ops.scalar import ScalarProgram
from cnndsl.support.diagnostics import DiagnosticError, VerifyError


def test_types_may_be_left_out_and_layout_is_free() -> None:
    graph = parse_graph(
        """// a comment
        graph g { %x = input {type=f32[2,3]} %y = relu(%x) // another
          %z=split(%y){axis=1,sizes=(1,2,)}
          output y=%z#1 }"""
    )
    assert graph[NodeId("z")].types == (f32(2, 1), f32(2, 2))
    assert graph[NodeId("y")].origin.span is not None
    assert str(graph[NodeId("y")].origin.span) == "<graph>:2:46"


def test_written_types_are_believed_for_the_verifier_to_judge() -> None:
    graph = parse_graph("graph g { %x = input {type=f32[2]} : f32[3] }")
    with pytest.raises(VerifyError, match=r"typed f32\[3\], but its operands make it f32\[2\]"):
        verify(graph)


def test_chains_are_read_in_short_and_as_records() -> None:
    head = "graph g { %x = input {type=f32[2]} %y = fused_elementwise(%x, %x) {program="
    short = "[2: leaky_relu($0) {slope=0.5}, add($1, $2)]"
    steps = (
        "ScalarStep(op=@leaky_relu, attrs=LeakyReluAttrs(slope=0.5), operands=(0,)), "
        "ScalarStep(op=@add, attrs=Attrs(), operands=(1, 2))"
    )
    record = f"ScalarProgram(inputs=2, steps=({steps}))"
    found = [parse_graph(f"{head}{text}}} output y = %y }}") for text in (short, record)]
    assert graphs_equal(*found)
    assert f"{{program={short}}}" in print_graph(found[1])
    assert isinstance(found[0][NodeId("y")].attrs.program, ScalarProgram)


def test_an_empty_graph() -> None:
    assert print_graph(parse_graph("graph g {}")) == "graph g {\n}\n"


BAD = {
    "graph g { %x = rele(%x) }": ("no op is called 'rele'; did you mean 'relu'?", 1, 16),
    "graph g { %y = relu(%x) }": ("no node above makes %x", 1, 21),
    "graph g {\n %x = input {type=f32[2]}\n output y = %x#1 }": ("no node above makes %x#1", 3, 13),
    "graph g { %x = input {type=f32[2]} %x = input {type=f32[2]} }": (
        "%x is not a new name for a node", 1, 36,
    ),
    "graph g { %x#1 = input {type=f32[2]} }": ("%x#1 is not a new name for a node", 1, 11),
    "graph g { %x = input {typ=f32[2]} }": (
        "InputAttrs has no field 'typ'; did you mean 'type'?", 1, 23,
    ),
    "graph g { %x = input {type=f32[2]} %y = fused_elementwise(%x) {program=[1: relu($1)]} }": (
        "nothing before this step is $1", 1, 81,
    ),
    "graph g { %x = input {type=f32[2]} %y = fused_elementwise(%x) {program=[1: rele($0)]} }": (
        "no op is called 'rele'", 1, 76,
    ),
    "graph g { %x = input {type=f32[2]} %y = fused_elementwise(%x) {program=[-1: relu($0)]} }": (
        "a chain begins with the number of its inputs", 1, 73,
    ),
    "graph g { %x = input {type=f32[2]} %y = fused_elementwise(%x) {program=[1: relu(0)]} }": (
        "unexpected '0)]} }'", 1, 81,
    ),
    "graph g { %x = input }": ("InputAttrs needs type", 1, 16),
    "graph g { %x = input {type=f33[2]} }": ("'f33' is not an element type", 1, 28),
    "graph g { %x = input {type=f32[2.5]} }": (
        "the lengths of a type's axes are whole numbers", 1, 28,
    ),
    "graph g { %x = full {type=f32[2], value=big} }": ("'big' is not a value", 1, 41),
    'graph g { %x = constant {type=u8[1], data=bytes"AAA"} }': ("this is not base64", 1, 43),
    'graph g { %"\\q" = input {type=f32[2]} }': ("this is not a string", 1, 11),
    "graph g { %x = parameter {type=f32[2], init=Innit()} }": (
        "no op has a record called 'Innit'", 1, 45,
    ),
    "graph g { %x = parameter {type=f32[2], init=Init.BIG} }": (
        "no op has a record called 'Init'", 1, 45,
    ),
    "graph g { %x = input {type=f32[2]}\n %y = reshape(%x) {shape=(3,)} }": (
        "reshape of f32[2] to [3]: 3 = 3 elements, not 2", 2, 7,
    ),
    "graph g { x = relu }": ("this is not the text of a graph: unexpected 'x = relu }'", 1, 11),
    "graph g {\n %x = input {type=f32[2]}": ("the text of the graph ends too early", 2, 26),
    "": ("the text of the graph ends too early", 1, 1),
    "graph g {} ~": ("this is not the text of a graph: unexpected '~'", 1, 12),
}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_read_is_told_with_its_place(text: str) -> None:
    message, line, column = BAD[text]
    with pytest.raises(DiagnosticError) as caught:
        parse_graph(text)
    (found,) = caught.value.diagnostics
    assert message in found.message
    assert found.code == "E0650"
    assert found.span is not None
    assert (found.span.line, found.span.column) == (line, column)
