"""`cnndsl ir`: the graph of a program, before and after any pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.lowering import (
    LOWERED,
    Wanted,
    choose_pass,
    complete_pass,
    graph_options,
    labelled,
)
from cnndsl.cli.options import json_option, program_argument

if TYPE_CHECKING:
    from cnndsl.ir.graph import Graph, Node
    from cnndsl.passes.base import Pass


@click.command()
@program_argument
@reading_options
@graph_options
@click.option(
    "--after",
    metavar="PASS",
    shell_complete=complete_pass,
    help="Stop behind this pass; `lower` is the graph before all of them. A pass that runs twice "
    "is PASS#2 the second time.",
)
@click.option(
    "--without",
    multiple=True,
    metavar="PASS",
    shell_complete=complete_pass,
    help="Leave this pass out; may be given several times.",
)
@click.option("--origins", is_flag=True, help="Say behind each node where it comes from.")
@click.option("--dot", is_flag=True, help="Print it for Graphviz instead.")
@json_option
def ir(
    *,
    program: str,
    reading: Reading,
    wanted: Wanted,
    after: str | None,
    without: tuple[str, ...],
    origins: bool,
    dot: bool,
    as_json: bool,
) -> None:
    """Print the graph of a program, after all passes unless `--after` says otherwise.

    The text holds everything that the graph does, and is read back to an equal graph.
    """
    from cnndsl.ir.dot import to_dot
    from cnndsl.ir.printer import print_graph
    from cnndsl.passes.base import run_passes

    chosen = chosen_passes(wanted, after, without)
    elaboration = load_program(program, reading, quiet=as_json)
    graph = run_passes(wanted.lower(elaboration), tuple(chosen.values()))
    if as_json:
        emit_json(record(graph, list(chosen)) | ({"dot": to_dot(graph)} if dot else {}))
    elif dot:
        click.echo(to_dot(graph), nl=False)
    else:
        click.echo(print_graph(graph, origins=origins), nl=False)


def chosen_passes(wanted: Wanted, after: str | None, without: tuple[str, ...]) -> dict[str, Pass]:
    """Give the passes up to `after`, those in `without` left out; usage errors for unknown ones."""
    usual = labelled(wanted.passes)
    names = {each.name: each for each in usual.values()}
    left_out = {choose_pass(name, names, option="--without") for name in without}
    if after is not None:
        choose_pass(after, {LOWERED: None, **usual}, option="--after")
    chosen: dict[str, Pass] = {}
    for label, each in usual.items():
        if after == LOWERED:
            break
        if each.name not in left_out:
            chosen[label] = each
        if label == after:
            break
    return chosen


def record(graph: Graph, passes: list[str]) -> dict[str, object]:
    """Give a graph as JSON values; `text` is the textual form."""
    from cnndsl.ir.graph import format_ref
    from cnndsl.ir.printer import print_graph

    return {
        "name": graph.name,
        "passes": passes,
        "nodes": [node_record(node) for node in graph.nodes()],
        "outputs": {name: format_ref(value) for name, value in graph.outputs.items()},
        "updates": {name: format_ref(value) for name, value in graph.updates.items()},
        "text": print_graph(graph),
    }


def node_record(node: Node[Any]) -> dict[str, object]:
    """Give a node as JSON values; attributes as the printed graph has them."""
    from cnndsl.ir.attributes import format_fields
    from cnndsl.ir.graph import format_ref

    origin = node.origin
    return {
        "id": node.id,
        "op": node.op.name,
        "operands": [format_ref(value) for value in node.operands],
        "attributes": format_fields(node.attrs),
        "types": [str(kind) for kind in node.types],
        "made_by": origin.made_by,
        "of": origin.of,
        "file": origin.span.file if origin.span else None,
        "line": origin.span.line if origin.span else None,
    }
